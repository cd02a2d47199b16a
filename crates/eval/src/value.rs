//! Values: one 8-byte word each.
//!
//! The low three bits say what a word is; the rest is an integer or the address of an object in
//! the [`Heap`](crate::heap::Heap). A thunk is a cell that holds its code and captures until it is
//! forced and its value afterwards.
#![expect(unsafe_code, reason = "words are addresses of objects of the heap")]

use std::cell::Cell;
use std::num::NonZeroU64;

use crate::attrs::{Attrs, AttrsHead};
use crate::builtins::Entry;
use crate::code::{Code, Lambda};
use crate::heap::Heap;

/// A value or a thunk. Meaningful only with the evaluator that made it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Value(NonZeroU64);

const TAG: u64 = 7;
const THUNK: u64 = 0;
const INT: u64 = 1;
const STRING: u64 = 2;
const LIST: u64 = 3;
const ATTRS: u64 = 4;
const CLOSURE: u64 = 5;
const IMMEDIATE: u64 = 6;
const BOXED: u64 = 7;

/// Immediates from this number on are addresses of builtins, which lie nowhere near zero.
const FIRST_BUILTIN: u64 = 16;
/// Stands in a thunk's header while it is evaluated. No code has this address.
const BLACK_HOLE: u64 = 8;

/// What a word is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Thunk,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Str),
    Path(Str),
    List(List),
    Attrs(Attrs),
    Closure(Closure),
    Builtin(&'static Entry),
    Partial(Partial),
}

/// The elements of a list. They are cells, so that forced ones can replace their thunks.
pub(crate) type List = &'static [Cell<Value>];

impl Value {
    pub(crate) const NULL: Self = Self::immediate(0);
    pub(crate) const FALSE: Self = Self::immediate(1);
    pub(crate) const TRUE: Self = Self::immediate(2);

    const fn immediate(number: u64) -> Self {
        match NonZeroU64::new(number << 3 | IMMEDIATE) {
            Some(word) => Self(word),
            None => unreachable!(),
        }
    }

    #[inline]
    fn tagged(address: usize, tag: u64) -> Self {
        debug_assert!(address != 0 && address as u64 & TAG == 0);
        // SAFETY: addresses of objects are not zero.
        Self(unsafe { NonZeroU64::new_unchecked(address as u64 | tag) })
    }

    #[inline]
    pub(crate) fn bool(value: bool) -> Self {
        if value { Self::TRUE } else { Self::FALSE }
    }

    #[inline]
    pub(crate) fn builtin(entry: &'static Entry) -> Self {
        Self::tagged(std::ptr::from_ref(entry) as usize, IMMEDIATE)
    }

    /// An integer that fits 61 bits.
    #[inline]
    pub(crate) fn small_int(value: i64) -> Option<Self> {
        let shifted = value << 3;
        // SAFETY: the tag makes it non-zero.
        (shifted >> 3 == value)
            .then(|| Self(unsafe { NonZeroU64::new_unchecked(shifted as u64 | INT) }))
    }

    #[inline]
    pub(crate) fn as_small_int(self) -> Option<i64> {
        (self.tag() == INT).then_some(self.0.get() as i64 >> 3)
    }

    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.0.get()
    }

    #[inline]
    fn tag(self) -> u64 {
        self.0.get() & TAG
    }

    #[inline]
    fn address(self) -> *mut u64 {
        (self.0.get() & !TAG) as *mut u64
    }

    /// Whether the word is no thunk.
    #[inline]
    pub(crate) fn is_whnf(self) -> bool {
        self.tag() != THUNK
    }

    /// The thunk, if the word is one.
    #[inline]
    pub(crate) fn as_thunk(self) -> Option<Thunk> {
        (self.tag() == THUNK).then(|| Thunk(self.address()))
    }

    #[inline]
    pub(crate) fn as_attrs(self) -> Option<Attrs> {
        // SAFETY: a word with this tag is the address of a set.
        (self.tag() == ATTRS).then(|| Attrs(unsafe { &*self.address().cast::<AttrsHead>() }))
    }

    #[inline]
    pub(crate) fn as_list(self) -> Option<List> {
        (self.tag() == LIST).then(|| {
            let start = self.address();
            // SAFETY: a list is its length and so many values.
            unsafe { std::slice::from_raw_parts(start.add(1).cast(), *start as usize) }
        })
    }

    #[inline]
    pub(crate) fn as_closure(self) -> Option<Closure> {
        (self.tag() == CLOSURE).then(|| Closure(self.address()))
    }

    #[inline]
    pub(crate) fn as_string(self) -> Option<Str> {
        (self.tag() == STRING).then(|| Str(self.address()))
    }

    #[inline]
    pub(crate) fn as_bool(self) -> Option<bool> {
        if self == Self::TRUE {
            Some(true)
        } else if self == Self::FALSE {
            Some(false)
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn as_builtin(self) -> Option<&'static Entry> {
        let number = self.0.get() >> 3;
        // SAFETY: immediates that are no constants are addresses of builtins.
        (self.tag() == IMMEDIATE && number >= FIRST_BUILTIN)
            .then(|| unsafe { &*self.address().cast::<Entry>() })
    }

    /// What the word is, in full.
    pub(crate) fn kind(self) -> Kind {
        match self.tag() {
            THUNK => Kind::Thunk,
            INT => Kind::Int(self.0.get() as i64 >> 3),
            STRING => Kind::String(Str(self.address())),
            LIST => Kind::List(self.as_list().unwrap_or_default()),
            // SAFETY: as in `as_attrs`.
            ATTRS => Kind::Attrs(Attrs(unsafe { &*self.address().cast::<AttrsHead>() })),
            CLOSURE => Kind::Closure(Closure(self.address())),
            IMMEDIATE => match self.0.get() >> 3 {
                0 => Kind::Null,
                1 => Kind::Bool(false),
                2 => Kind::Bool(true),
                // SAFETY: as in `as_builtin`.
                _ => Kind::Builtin(unsafe { &*self.address().cast::<Entry>() }),
            },
            _ => self.boxed_kind(),
        }
    }

    fn boxed_kind(self) -> Kind {
        let at = self.address();
        // SAFETY: a boxed object begins with its kind, which says what follows.
        unsafe {
            match *at {
                BOX_FLOAT => Kind::Float(f64::from_bits(*at.add(1))),
                BOX_INT => Kind::Int(*at.add(1) as i64),
                BOX_PATH => Kind::Path(Str(*at.add(1) as *mut u64)),
                _ => Kind::Partial(Partial(at)),
            }
        }
    }

    /// The address of the object, to tell objects apart.
    pub(crate) fn identity(self) -> usize {
        self.0.get() as usize
    }

    pub(crate) fn attrs(head: &'static AttrsHead) -> Self {
        Self::tagged(std::ptr::from_ref(head) as usize, ATTRS)
    }
}

const BOX_FLOAT: u64 = 0;
const BOX_INT: u64 = 1;
const BOX_PATH: u64 = 2;
const BOX_PARTIAL: u64 = 3;

/// A string: its length, its context and its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Str(*mut u64);

impl Str {
    #[inline]
    pub(crate) fn bytes(self) -> &'static [u8] {
        // SAFETY: a string is its length, its context and so many bytes.
        unsafe { std::slice::from_raw_parts(self.0.add(1).cast(), *self.0.cast::<u32>() as usize) }
    }

    /// The number of its context; 0 for none.
    #[inline]
    pub(crate) fn context(self) -> u32 {
        // SAFETY: as above.
        unsafe { *self.0.cast::<u32>().add(1) }
    }

    pub(crate) fn value(self) -> Value {
        Value::tagged(self.0 as usize, STRING)
    }
}

/// A function and its captures.
#[derive(Clone, Copy)]
pub(crate) struct Closure(*mut u64);

impl Closure {
    #[inline]
    pub(crate) fn lambda(self) -> &'static Lambda {
        // SAFETY: a closure begins with the address of its code.
        unsafe { &*(*self.0 as *const Lambda) }
    }

    #[inline]
    pub(crate) fn captures(self) -> Slots {
        // SAFETY: the captures follow.
        Slots(unsafe { self.0.add(1).cast() })
    }

    pub(crate) fn value(self) -> Value {
        Value::tagged(self.0 as usize, CLOSURE)
    }
}

/// A function that lacks arguments.
#[derive(Clone, Copy)]
pub(crate) struct Partial(*mut u64);

impl Partial {
    pub(crate) fn function(self) -> Value {
        // SAFETY: kind, function, number of arguments, arguments.
        unsafe { *self.0.add(1).cast::<Value>() }
    }

    pub(crate) fn arguments(self) -> &'static [Value] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.0.add(3).cast(), *self.0.add(2) as usize) }
    }
}

/// A run of values in a frame, a closure or a thunk. The linker numbers them, and whoever makes a
/// run makes it as long as the linker says.
#[derive(Clone, Copy)]
pub(crate) struct Slots(pub(crate) *mut Value);

impl Slots {
    #[inline]
    pub(crate) fn get(self, at: u32) -> Value {
        // SAFETY: the linker numbers slots below the length of the run, and they are written first.
        unsafe { *self.0.add(at as usize) }
    }

    #[inline]
    pub(crate) fn set(self, at: u32, value: Value) {
        // SAFETY: as above.
        unsafe { *self.0.add(at as usize) = value }
    }

    #[inline]
    pub(crate) fn from(self, at: u32) -> Self {
        // SAFETY: as above, or one past the end.
        Self(unsafe { self.0.add(at as usize) })
    }
}

/// A suspended computation, or its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thunk(*mut u64);

/// What a thunk holds.
pub(crate) enum State {
    Suspended(&'static Code),
    Running,
    Done(Value),
}

impl Thunk {
    #[inline]
    pub(crate) fn state(self) -> State {
        // SAFETY: the header is code, a value or the mark.
        unsafe {
            let header = *self.0;
            if header & TAG != 0 {
                State::Done(Value(NonZeroU64::new_unchecked(header)))
            } else if header == BLACK_HOLE {
                State::Running
            } else {
                State::Suspended(&*(header as *const Code))
            }
        }
    }

    /// The value, if it has one.
    #[inline]
    pub(crate) fn done(self) -> Option<Value> {
        // SAFETY: as above.
        let header = unsafe { *self.0 };
        // SAFETY: a header with a tag is a value.
        (header & TAG != 0).then(|| Value(unsafe { NonZeroU64::new_unchecked(header) }))
    }

    #[inline]
    pub(crate) fn captures(self) -> Slots {
        // SAFETY: the captures follow the header of a thunk that has no value yet.
        Slots(unsafe { self.0.add(1).cast() })
    }

    #[inline]
    pub(crate) fn start(self) {
        // SAFETY: the header is there for the life of the heap.
        unsafe { *self.0 = BLACK_HOLE }
    }

    /// Goes back to the code after a failure, so that forcing it again fails again.
    #[inline]
    pub(crate) fn suspend(self, code: &'static Code) {
        // SAFETY: as above.
        unsafe { *self.0 = std::ptr::from_ref(code) as u64 }
    }

    /// Takes the value; `value` is no thunk.
    #[inline]
    pub(crate) fn finish(self, value: Value) {
        debug_assert!(value.is_whnf());
        // SAFETY: as above.
        unsafe { *self.0 = value.0.get() }
    }

    /// Gives the captures back to the heap.
    ///
    /// # Safety
    ///
    /// The thunk has its value, it was made with `n` captures, and no frame uses them any more.
    #[inline]
    pub(crate) unsafe fn recycle(self, heap: &Heap, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { heap.recycle(self.0.add(1), n) }
    }

    pub(crate) fn value(self) -> Value {
        Value::tagged(self.0 as usize, THUNK)
    }
}

impl Heap {
    /// A thunk whose captures are still to be written.
    #[inline]
    pub(crate) fn thunk(&self, code: &'static Code) -> Thunk {
        let at = self.recycled(1 + code.captures.len());
        // SAFETY: the words are new.
        unsafe { *at = std::ptr::from_ref(code) as u64 };
        Thunk(at)
    }

    /// A closure whose captures are still to be written.
    #[inline]
    pub(crate) fn closure(&self, lambda: &'static Lambda) -> Closure {
        let at = self.recycled(1 + lambda.captures.len());
        // SAFETY: the words are new.
        unsafe { *at = std::ptr::from_ref(lambda) as u64 };
        Closure(at)
    }

    pub(crate) fn int(&self, value: i64) -> Value {
        Value::small_int(value).unwrap_or_else(|| self.boxed(&[BOX_INT, value as u64]))
    }

    pub(crate) fn float(&self, value: f64) -> Value {
        self.boxed(&[BOX_FLOAT, value.to_bits()])
    }

    pub(crate) fn path(&self, text: Str) -> Value {
        self.boxed(&[BOX_PATH, text.0 as u64])
    }

    pub(crate) fn partial(&self, function: Value, before: &[Value], more: &[Value]) -> Value {
        let n = before.len() + more.len();
        let at = self.words(3 + n);
        // SAFETY: the words are new.
        unsafe {
            *at = BOX_PARTIAL;
            *at.add(1) = function.word();
            *at.add(2) = n as u64;
            for (i, argument) in before.iter().chain(more).enumerate() {
                *at.add(3 + i) = argument.word();
            }
        }
        Value::tagged(at as usize, BOXED)
    }

    fn boxed(&self, words: &[u64]) -> Value {
        Value::tagged(self.keep_slice(words).as_ptr() as usize, BOXED)
    }

    /// A string with a context.
    pub(crate) fn string_with(&self, bytes: &[u8], context: u32) -> Str {
        let at = self.words(1 + bytes.len().div_ceil(8));
        // SAFETY: the words are new and enough.
        unsafe {
            *at.cast::<u32>() = bytes.len() as u32;
            *at.cast::<u32>().add(1) = context;
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.add(1).cast(), bytes.len());
        }
        Str(at)
    }

    pub(crate) fn string(&self, bytes: &[u8]) -> Value {
        self.string_with(bytes, 0).value()
    }

    pub(crate) fn list(&self, values: &[Value]) -> Value {
        self.list_from(values.len(), values.iter().copied())
    }

    /// A list of `n` values; those that `values` lacks are `null`.
    pub(crate) fn list_from(&self, n: usize, values: impl IntoIterator<Item = Value>) -> Value {
        let at = self.words(1 + n);
        let mut values = values.into_iter();
        // SAFETY: the words are new and enough.
        unsafe {
            *at = n as u64;
            for i in 0..n {
                *at.add(1 + i) = values.next().unwrap_or(Value::NULL).word();
            }
        }
        Value::tagged(at as usize, LIST)
    }
}
