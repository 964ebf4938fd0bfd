//! One thread, as its pool sees it: what it has taken, begun and been given.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::table::{CLAIMED, TAKEN, Table};
use super::task::{Payload, Task, TaskId};
use crate::sys::landing::Landing;

/// Wakes a thread so that it takes what there is.
pub type Waker = Box<dyn Fn() + Send>;

/// A thread's place in the pool.
pub(super) struct Seat {
    /// `None` until the thread has started and joined.
    pub(super) waker: Option<Waker>,
    pub(super) table: Arc<Table>,
    /// What is in the table, by slot; `None` where it is done or has been taken back.
    pub(super) batch: Vec<Option<Task>>,
    /// Tasks begun in batches before the current one.
    pub(super) running: HashMap<TaskId, Task>,
    /// Tasks for this thread alone.
    pub(super) inbox: VecDeque<Task>,
    /// Where it wants the bytes of tasks that were only promised.
    pub(super) landings: HashMap<TaskId, Arc<Landing>>,
    /// It found nothing to take, and takes nothing more until it is woken.
    pub(super) is_asleep: bool,
    /// It has found nothing, and looks again before it sleeps.
    pub(super) is_lingering: bool,
    /// It is to end when it has nothing left to do.
    pub(super) is_leaving: bool,
}

impl Seat {
    pub(super) fn new() -> Self {
        Self {
            waker: None,
            table: Arc::default(),
            batch: Vec::new(),
            running: HashMap::new(),
            inbox: VecDeque::new(),
            landings: HashMap::new(),
            is_asleep: false,
            is_lingering: false,
            is_leaving: false,
        }
    }

    /// Wakes it if it sleeps.
    pub(super) fn wake(&mut self) {
        if self.is_asleep
            && let Some(waker) = &self.waker
        {
            self.is_asleep = false;
            waker();
        }
    }

    /// Makes room in the table. The thread has been through it: what is left there has begun.
    pub(super) fn settle(&mut self) {
        let batch = self.batch.drain(..).flatten();
        self.running.extend(batch.map(|task| (task.id, Task { payload: Payload::Empty, ..task })));
    }

    /// Puts a task into the table.
    pub(super) fn add(&mut self, task: Task) {
        self.table.fill(self.batch.len(), &task);
        self.batch.push(Some(task));
    }

    /// How many tasks it has begun and not finished.
    pub(super) fn begun(&self) -> usize {
        self.running.len() + self.count_in(CLAIMED)
    }

    /// How many tasks it has taken that another could still take.
    pub(super) fn stealable(&self) -> usize {
        (0..self.batch.len()).filter(|&slot| self.may_steal(slot)).count()
    }

    /// Takes back up to `wanted` tasks, those first that would have to wait longest.
    pub(super) fn steal(&mut self, wanted: usize) -> Vec<Task> {
        let mut stolen = Vec::new();
        for slot in (0..self.batch.len()).rev() {
            if stolen.len() == wanted {
                break;
            }
            if self.may_steal(slot) && self.table.take_back(slot) {
                stolen.extend(self.batch[slot].take());
            }
        }
        stolen.reverse();
        stolen
    }

    /// Takes a task out that is finished. `slot` is where it was, if that is still its batch.
    pub(super) fn finish(&mut self, slot: usize, id: TaskId) -> Option<Task> {
        match self.batch.get_mut(slot) {
            Some(task) if task.as_ref().is_some_and(|task| task.id == id) => task.take(),
            _ => self.running.remove(&id).or_else(|| {
                let slot = self.slot_of(id)?;
                self.batch[slot].take()
            }),
        }
    }

    /// Where in the table a task is.
    pub(super) fn slot_of(&self, id: TaskId) -> Option<usize> {
        self.batch.iter().position(|task| task.as_ref().is_some_and(|task| task.id == id))
    }

    /// Whether there is nothing that it runs or could run.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.inbox.is_empty() && self.batch.iter().all(Option::is_none)
    }

    fn may_steal(&self, slot: usize) -> bool {
        self.table.state(slot) == TAKEN && self.batch[slot].as_ref().is_some_and(|task| !task.pinned)
    }

    fn count_in(&self, state: i32) -> usize {
        let slots = self.batch.iter().enumerate();
        slots.filter(|(slot, task)| task.is_some() && self.table.state(*slot) == state).count()
    }
}
