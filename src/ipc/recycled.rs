//! Memory of large messages, kept for the next ones: what is new from the kernel costs a page fault for each 4 KB,
//! many times what the bytes take to copy.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

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

static KEPT: Mutex<Kept> = Mutex::new(Kept { memory: VecDeque::new(), bytes: 0, is_used: false });

/// Empty memory of at least this capacity.
pub fn take(capacity: usize) -> Vec<u8> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.is_used = true;
    // The last to come back is the likeliest to be in the processor's cache.
    let fits = |memory: &Vec<u8>| (capacity..=2 * capacity + STEP).contains(&memory.capacity());
    if let Some(at) = kept.memory.iter().rposition(fits) {
        let memory = kept.memory.remove(at).unwrap_or_default();
        kept.bytes -= memory.capacity();
        return memory;
    }
    drop(kept);
    Vec::with_capacity(capacity.next_multiple_of(STEP))
}

/// Keeps memory for the next `take`, or frees it.
pub fn give(mut memory: Vec<u8>) {
    if !(SMALLEST..=LARGEST).contains(&memory.capacity()) {
        return;
    }
    memory.clear();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.bytes += memory.capacity();
    kept.memory.push_back(memory);
    // What nobody asked for longest is of a size that is not asked for any more.
    while kept.bytes > MOST
        && let Some(oldest) = kept.memory.pop_front()
    {
        kept.bytes -= oldest.capacity();
    }
}

/// Frees all, unless some was asked for since the last call; whether nothing is left.
pub fn release() -> bool {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::take(&mut kept.is_used) {
        return false;
    }
    kept.bytes = 0;
    let freed = std::mem::take(&mut kept.memory);
    drop(kept);
    drop(freed);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_goes_when_nobody_asks() {
        let memory = take(3_000_000);
        let (start, capacity) = (memory.as_ptr(), memory.capacity());
        assert!(capacity >= 3_000_000);
        give(memory);
        let again = take(2_950_000);
        assert_eq!((again.as_ptr(), again.capacity(), again.len()), (start, capacity, 0));
        give(again);
        while !release() {}
        assert_eq!(KEPT.lock().unwrap().bytes, 0);
    }
}
