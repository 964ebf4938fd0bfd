//! Memory of large messages, kept for the next ones: what is new from the kernel costs a page fault for each 4 KB,
//! many times what the bytes take to copy.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys::cache;

/// From which size on memory is kept.
pub const SMALLEST: usize = 64 * 1024;

/// Up to which size.
const LARGEST: usize = 16 << 20;

/// How much is kept, in all: about as much as V8 lets collect before it looks for garbage.
const MOST: usize = 64 << 20;

/// Sizes are multiples of this, so that what served one message serves a slightly larger one.
const STEP: usize = 64 * 1024;

/// How much is fetched at once: less than a microsecond's worth.
const FETCHED: usize = 4096;

#[derive(Debug)]
struct Kept {
    memory: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether any was asked for since `release` was called last.
    is_used: bool,
    /// How much of what comes next has been fetched.
    fetched: usize,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept::new());

/// Empty memory of at least this capacity.
pub fn take(capacity: usize) -> Vec<u8> {
    let kept = lock().take(capacity);
    kept.unwrap_or_else(|| Vec::with_capacity(capacity.next_multiple_of(STEP)))
}

/// Has the processor fetch some more of the memory that `take` would give; false once all of it is on its way.
pub fn fetch(capacity: usize) -> bool {
    lock().fetch(capacity)
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
        Self { memory: VecDeque::new(), bytes: 0, is_used: false, fetched: 0 }
    }

    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        self.is_used = true;
        self.fetched = 0;
        let at = self.next(capacity)?;
        let memory = self.memory.remove(at)?;
        self.bytes -= memory.capacity();
        Some(memory)
    }

    /// The last to come back is the likeliest to be in the processor's cache.
    fn next(&self, capacity: usize) -> Option<usize> {
        let fits = |memory: &Vec<u8>| (capacity..=2 * capacity + STEP).contains(&memory.capacity());
        self.memory.iter().rposition(fits)
    }

    fn fetch(&mut self, capacity: usize) -> bool {
        let Some(at) = self.next(capacity).filter(|_| self.fetched < capacity) else { return false };
        let end = (self.fetched + FETCHED).min(capacity);
        cache::fetch(self.memory[at].as_ptr().wrapping_add(self.fetched), end - self.fetched);
        self.fetched = end;
        true
    }

    fn give(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        self.bytes += memory.capacity();
        self.fetched = 0;
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
    fn what_comes_next_is_fetched_once() {
        let mut kept = Kept::new();
        kept.give(Vec::with_capacity(100_000));
        kept.give(Vec::with_capacity(3_000_000));
        let fetches = |kept: &mut Kept, capacity| (0..10_000).take_while(|_| kept.fetch(capacity)).count();
        assert_eq!(fetches(&mut kept, 4_000_000), 0);
        assert_eq!(fetches(&mut kept, 100_000), 25);
        assert_eq!(fetches(&mut kept, 100_000), 0);
        // Of the other one.
        kept.take(100_000).unwrap();
        assert_eq!(fetches(&mut kept, 100_000), 0);
        assert_eq!(fetches(&mut kept, 2_000_000), 489);
        kept.give(Vec::with_capacity(100_000));
        assert_eq!(fetches(&mut kept, 70_000), 18);
    }

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
