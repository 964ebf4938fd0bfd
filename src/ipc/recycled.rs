//! Memory of large messages, kept for the next ones: what is new from the kernel costs a page fault for each 4 KB,
//! many times what the bytes take to copy.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From which size on memory is kept.
pub const SMALLEST: usize = 64 * 1024;

/// Up to which size.
const LARGEST: usize = 16 << 20;

/// How much is kept, in all: about as much as V8 lets collect before it looks for garbage.
const MOST: usize = 64 << 20;

/// Sizes are multiples of this, so that what served one message serves a slightly larger one.
const STEP: usize = 64 * 1024;

#[derive(Debug)]
struct Kept {
    memory: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether any was asked for since `release` was called last.
    is_used: bool,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept::new());

/// Empty memory of at least this capacity.
pub fn take(capacity: usize) -> Vec<u8> {
    let kept = lock().take(capacity);
    kept.unwrap_or_else(|| Vec::with_capacity(capacity.next_multiple_of(STEP)))
}

/// Keeps memory for the next `take`, or frees it.
pub fn give(memory: Vec<u8>) {
    if (SMALLEST..=LARGEST).contains(&memory.capacity()) {
        lock().give(memory);
    }
}

/// Frees all, unless some was asked for since the last call; whether nothing is left.
pub fn release() -> bool {
    let freed = lock().release();
    // Given back to the kernel with the lock released.
    freed.is_some()
}

fn lock() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    const fn new() -> Self {
        Self { memory: VecDeque::new(), bytes: 0, is_used: false }
    }

    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        self.is_used = true;
        // The last to come back is the likeliest to be in the processor's cache.
        let fits = |memory: &Vec<u8>| (capacity..=2 * capacity + STEP).contains(&memory.capacity());
        let at = self.memory.iter().rposition(fits)?;
        let memory = self.memory.remove(at)?;
        self.bytes -= memory.capacity();
        Some(memory)
    }

    fn give(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        self.bytes += memory.capacity();
        self.memory.push_back(memory);
        // What nobody asked for longest is of a size that is not asked for any more.
        while self.bytes > MOST
            && let Some(oldest) = self.memory.pop_front()
        {
            self.bytes -= oldest.capacity();
        }
    }

    fn release(&mut self) -> Option<VecDeque<Vec<u8>>> {
        if std::mem::take(&mut self.is_used) {
            return None;
        }
        self.bytes = 0;
        Some(std::mem::take(&mut self.memory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_goes_when_nobody_asks() {
        // One of its own: other tests use the one of the process.
        let mut kept = Kept::new();
        assert_eq!(kept.take(3_000_000), None);
        let memory = Vec::with_capacity(3_000_000);
        let (start, capacity) = (memory.as_ptr(), memory.capacity());
        kept.give(memory);
        let again = kept.take(2_950_000).unwrap();
        assert_eq!((again.as_ptr(), again.capacity(), again.len()), (start, capacity, 0));
        kept.give(again);
        assert_eq!(kept.release(), None);
        assert_eq!(kept.release().map(|memory| memory.len()), Some(1));
        assert_eq!(kept.bytes, 0);
    }
}
