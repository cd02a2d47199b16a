//! The stack of frames: slots of the functions and thunks that are being evaluated.
#![expect(unsafe_code, reason = "frames are runs of slots in one large block")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;

use crate::value::{Slots, Value};

/// Slots in all. Memory that was never used is not taken from the system.
const N_SLOTS: usize = 16 << 20;
/// Bytes of the thread's own stack that are kept in reserve.
const RESERVE: usize = 256 * 1024;

/// Where frames lie, and how far the thread's own stack may go.
pub(crate) struct Stack {
    start: *mut Value,
    top: Cell<*mut Value>,
    end: *mut Value,
    limit: Cell<usize>,
}

impl Stack {
    pub(crate) fn new() -> Self {
        let layout = Self::layout();
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) }.cast::<Value>();
        if start.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: one past the end.
        let end = unsafe { start.add(N_SLOTS) };
        Self { start, top: Cell::new(start), end, limit: Cell::new(0) }
    }

    fn layout() -> Layout {
        match Layout::array::<Value>(N_SLOTS) {
            Ok(layout) => layout,
            Err(_) => Layout::new::<Value>(),
        }
    }

    /// Says that the thread has so many bytes of stack from here on.
    pub(crate) fn set_thread(&self, bytes: usize) {
        self.limit.set(here().saturating_sub(bytes.saturating_sub(RESERVE)));
    }

    /// A frame of so many slots; none if one of the two stacks is full.
    #[inline]
    pub(crate) fn push(&self, n_slots: u32) -> Option<Slots> {
        let frame = self.top.get();
        let left = (self.end as usize - frame as usize) / size_of::<Value>();
        if n_slots as usize > left || here() < self.limit.get() {
            return None;
        }
        // SAFETY: so many slots are left.
        self.top.set(unsafe { frame.add(n_slots as usize) });
        Some(Slots(frame))
    }

    /// The top, to come back to it after a failure.
    pub(crate) fn mark(&self) -> Slots {
        Slots(self.top.get())
    }

    pub(crate) fn reset(&self, mark: Slots) {
        self.top.set(mark.0);
    }

    /// Gives back the frame and all that were pushed after it.
    #[inline]
    pub(crate) fn pop(&self, frame: Slots) {
        self.top.set(frame.0);
    }
}

/// About where the thread's stack ends now.
#[inline]
fn here() -> usize {
    let mark = 0u8;
    (&raw const mark) as usize
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.start.cast(), Self::layout()) };
    }
}
