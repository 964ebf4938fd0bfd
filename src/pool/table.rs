//! The tasks a thread has taken but may not have begun: one cell each, which says whose the task is.
//!
//! JavaScript on the thread claims a task by compare-and-swap just before it runs it; a thief or a canceller
//! does the same to take it back. Whoever swaps first has it. Cells are refilled by the owner alone, under the
//! pool's lock, which thieves and cancellers hold as well: so no claim can hit the batch after the one meant.

use std::sync::atomic::Ordering;

#[cfg(loom)]
use super::sync::AtomicI32;
use super::task::Task;

/// Tasks in a batch at most.
pub const SLOTS: usize = 64;

/// Cells of a slot: state, task, handler, kind.
pub const STRIDE: usize = 4;

/// Taken, not begun, where 0 is nothing there: the one state in which a task may change hands.
pub const TAKEN: i32 = 1;
/// Begun by the thread that took it.
pub const CLAIMED: i32 = 2;
/// Taken back.
pub const STOLEN: i32 = 3;

/// The cells of one thread.
#[derive(Debug)]
pub struct Table {
    #[cfg(not(loom))]
    cells: crate::sys::shared::Cells,
    #[cfg(loom)]
    cells: Vec<AtomicI32>,
}

impl Default for Table {
    fn default() -> Self {
        #[cfg(not(loom))]
        let cells = crate::sys::shared::cells(SLOTS * STRIDE + 1);
        #[cfg(loom)]
        let cells = (0..super::dispatch::MAX_BATCH * STRIDE + 1).map(|_| AtomicI32::new(0)).collect();
        Self { cells }
    }
}

impl Table {
    /// The memory, to be shown to JavaScript.
    #[cfg(not(loom))]
    pub fn cells(&self) -> crate::sys::shared::Cells {
        self.cells.clone()
    }

    /// Puts a task into a slot, free to be claimed.
    pub(super) fn fill(&self, slot: usize, task: &Task) {
        let cells = &self.cells[slot * STRIDE..];
        cells[1].store(task.id as i32, Ordering::Relaxed);
        cells[2].store(task.handler, Ordering::Relaxed);
        cells[3].store(task.kind, Ordering::Relaxed);
        cells[0].store(TAKEN, Ordering::Release);
    }

    /// Says how many slots are filled, in the last cell.
    pub(super) fn set_count(&self, count: usize) {
        if let Some(cell) = self.cells.last() {
            cell.store(count as i32, Ordering::Release);
        }
    }

    /// The task in a slot, as JavaScript reads it.
    #[cfg(test)]
    pub(super) fn task(&self, slot: usize) -> u32 {
        self.cells[slot * STRIDE + 1].load(Ordering::Relaxed) as u32
    }

    /// What became of a slot.
    pub(super) fn state(&self, slot: usize) -> i32 {
        self.cells[slot * STRIDE].load(Ordering::Acquire)
    }

    /// Takes a task back, unless it has begun.
    pub(super) fn take_back(&self, slot: usize) -> bool {
        self.swap(slot, STOLEN)
    }

    /// Begins a task, unless it has been taken back: what JavaScript does through `Atomics.compareExchange`.
    #[cfg(test)]
    pub(super) fn claim(&self, slot: usize) -> bool {
        self.swap(slot, CLAIMED)
    }

    fn swap(&self, slot: usize, to: i32) -> bool {
        let cell = &self.cells[slot * STRIDE];
        cell.compare_exchange(TAKEN, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
