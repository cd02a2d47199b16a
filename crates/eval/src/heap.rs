//! The memory of one evaluation.
//!
//! Values live until the evaluator is dropped: there is no collector, since most evaluations end
//! before one would pay, but the captures of thunks are handed out again once the thunk has its
//! value. All objects are sequences of 8-byte words in large chunks.
//!
//! References into the heap are spelled `&'static`. That is true for as long as the evaluator
//! lives, and nothing outside of this crate ever gets one: values leave it as owned data or behind
//! handles that borrow the evaluator.
#![expect(unsafe_code, reason = "objects of many sizes are laid out by hand")]

use std::alloc::{Layout, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

/// Bytes of a chunk; larger objects get a chunk of their own. The first chunks are smaller.
const CHUNK: usize = 1 << 20;
const FIRST_CHUNK: usize = 1 << 16;
const PAGE: usize = 4096;
/// Captures of up to this many words are recycled.
const MAX_RECYCLED: usize = 16;

/// The memory of one evaluation.
pub(crate) struct Heap {
    next: Cell<*mut u64>,
    end: Cell<*mut u64>,
    chunks: RefCell<Vec<Chunk>>,
    /// For each number of words, a list of free blocks, linked through their first word.
    free: [Cell<*mut u64>; MAX_RECYCLED + 1],
    taken: Cell<usize>,
    limit: Cell<usize>,
}

impl Heap {
    /// A heap that counts as full after `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            next: Cell::new(std::ptr::null_mut()),
            end: Cell::new(std::ptr::null_mut()),
            chunks: RefCell::default(),
            free: [const { Cell::new(std::ptr::null_mut()) }; MAX_RECYCLED + 1],
            taken: Cell::new(0),
            limit: Cell::new(limit),
        }
    }

    /// Whether more bytes were taken than the limit allows. Objects are handed out all the same, so
    /// whoever allocates in a loop asks now and then.
    pub(crate) fn is_full(&self) -> bool {
        self.taken.get() > self.limit.get()
    }

    /// Counts as full after so many bytes from now on.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.set(limit);
    }

    /// Bytes that may still be taken.
    pub(crate) fn room(&self) -> usize {
        self.limit.get().saturating_sub(self.taken.get())
    }

    /// Whether an object of so many words would exceed the limit.
    pub(crate) fn lacks(&self, words: usize) -> bool {
        words.saturating_mul(8).saturating_add(self.taken.get()) > self.limit.get()
    }

    /// `words` words without a value yet, 8-byte aligned.
    #[inline]
    pub(crate) fn words(&self, words: usize) -> *mut u64 {
        let start = self.next.get();
        let left = (self.end.get() as usize - start as usize) / 8;
        if words <= left {
            // SAFETY: `words` more words lie before the end of the chunk.
            self.next.set(unsafe { start.add(words) });
            return start;
        }
        self.words_in_new_chunk(words)
    }

    #[cold]
    fn words_in_new_chunk(&self, words: usize) -> *mut u64 {
        let bytes = (words * 8).max(8);
        let is_large = bytes > self.taken.get().clamp(FIRST_CHUNK, CHUNK) / 4;
        let size = if is_large { bytes } else { self.taken.get().clamp(FIRST_CHUNK, CHUNK) };
        let size = size.next_multiple_of(PAGE);
        let chunk = Chunk::new(size);
        let start = chunk.start.as_ptr();
        self.chunks.borrow_mut().push(chunk);
        self.taken.set(self.taken.get() + size);
        let start = start.cast::<u64>();
        if !is_large {
            // SAFETY: both lie in the new chunk or one past its end.
            unsafe {
                self.next.set(start.add(words));
                self.end.set(start.add(size / 8));
            }
        }
        start
    }

    /// The same, maybe from recycled captures.
    #[inline]
    pub(crate) fn recycled(&self, words: usize) -> *mut u64 {
        if words <= MAX_RECYCLED {
            let block = self.free[words].get();
            if !block.is_null() {
                // SAFETY: a free block's first word holds the next one; it has at least one word.
                self.free[words].set(unsafe { *block } as *mut u64);
                return block;
            }
        }
        self.words(words)
    }

    /// Takes back the captures of a thunk that has its value.
    ///
    /// # Safety
    ///
    /// `block` is so many words of this heap, and nothing refers to them.
    #[inline]
    pub(crate) unsafe fn recycle(&self, block: *mut u64, words: usize) {
        if words > 0 && words <= MAX_RECYCLED {
            // SAFETY: the caller gives the block up, and it has at least one word.
            unsafe { *block = self.free[words].get() as u64 };
            self.free[words].set(block);
        }
    }

    /// Keeps a value for the life of the heap. It is never dropped.
    pub(crate) fn keep<T: Copy>(&self, value: T) -> &'static T {
        const { assert!(align_of::<T>() <= 8) };
        let place = self.words(size_of::<T>().div_ceil(8)).cast::<T>();
        // SAFETY: the place is large and aligned enough, and lives as long as the heap.
        unsafe {
            place.write(value);
            &*place
        }
    }

    /// The same for what need not be `Copy`, such as code with caches; it is not dropped either, so
    /// it must own nothing.
    pub(crate) fn keep_any<T>(&self, value: T) -> &'static T {
        const { assert!(align_of::<T>() <= 8 && !std::mem::needs_drop::<T>()) };
        let place = self.words(size_of::<T>().div_ceil(8)).cast::<T>();
        // SAFETY: the place is large and aligned enough, and lives as long as the heap.
        unsafe {
            place.write(value);
            &*place
        }
    }

    /// The same for several.
    pub(crate) fn keep_all<T>(&self, values: Vec<T>) -> &'static [T] {
        let n = values.len();
        let mut values = values.into_iter();
        self.keep_with(n, |_| match values.next() {
            Some(value) => value,
            None => unreachable!("there are as many values as were counted"),
        })
    }

    /// The same for `n` values that are made one by one; making them may take memory, too.
    pub(crate) fn keep_with<T>(&self, n: usize, mut make: impl FnMut(usize) -> T) -> &'static [T] {
        const { assert!(align_of::<T>() <= 8 && !std::mem::needs_drop::<T>()) };
        if n == 0 {
            return &[];
        }
        let place = self.words((n * size_of::<T>()).div_ceil(8)).cast::<T>();
        for at in 0..n {
            let value = make(at);
            // SAFETY: the place is new and has room for all of them.
            unsafe { place.add(at).write(value) };
        }
        // SAFETY: they were all written, and live as long as the heap.
        unsafe { std::slice::from_raw_parts(place, n) }
    }

    /// Keeps a slice for the life of the heap.
    pub(crate) fn keep_slice<T: Copy>(&self, values: &[T]) -> &'static [T] {
        const { assert!(align_of::<T>() <= 8) };
        if values.is_empty() {
            return &[];
        }
        let place = self.words(size_of_val(values).div_ceil(8)).cast::<T>();
        // SAFETY: the place is large and aligned enough, and new, so it does not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr(), place, values.len());
            std::slice::from_raw_parts(place, values.len())
        }
    }
}

/// Memory from the system.
struct Chunk {
    start: NonNull<u8>,
    size: usize,
}

impl Chunk {
    /// Takes whole pages, all at once, which costs half of what it costs one by one.
    #[cfg(target_os = "linux")]
    fn new(size: usize) -> Self {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
        // SAFETY: the mapping is new and lies where the system wants it.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), size, access, flags) };
        match start.ok().and_then(|start| NonNull::new(start.cast())) {
            Some(start) => Self { start, size },
            None => {
                handle_alloc_error(Layout::from_size_align(size, 1).unwrap_or(Layout::new::<u64>()))
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn new(size: usize) -> Self {
        let layout = Self::layout(size);
        // SAFETY: the size is not zero.
        let start = unsafe { std::alloc::alloc(layout) };
        match NonNull::new(start) {
            Some(start) => Self { start, size },
            None => handle_alloc_error(layout),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 16).unwrap_or(Layout::new::<u64>())
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the chunk was mapped with this size, and is given back once.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.size) };
        #[cfg(not(target_os = "linux"))]
        // SAFETY: the chunk was allocated with this layout, and is given back once.
        unsafe {
            std::alloc::dealloc(self.start.as_ptr(), Self::layout(self.size));
        }
    }
}
