//! The order in which tasks are taken. Pure: it gets the time from its tasks and owns no lock.
//!
//! Priority ages: one unit of it is worth having been submitted `AGEING` earlier. So a task waits for those of a
//! higher priority that came up to that much later, and for none that came after: nothing starves. As the order
//! is fixed when a task comes in, tasks of priority zero need no more than a ring.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::task::{Task, TaskId};

/// What one unit of priority is worth.
pub const AGEING: Duration = Duration::from_millis(100);

/// Tasks that wait, in order.
#[derive(Debug)]
pub struct Queue {
    epoch: Instant,
    /// Those that were taken and came back, before all others.
    returned: VecDeque<Task>,
    /// Priority zero, by submission. `None` is one that was cancelled; the first is never `None`.
    plain: VecDeque<(TaskId, Option<Task>)>,
    /// Any other priority, by when they would have been submitted, then by number.
    ranked: BTreeMap<(i64, TaskId), Task>,
    waiting: usize,
}

impl Queue {
    /// An empty queue; no task may be older than `epoch`.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, returned: VecDeque::new(), plain: VecDeque::new(), ranked: BTreeMap::new(), waiting: 0 }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Adds a task.
    pub fn push(&mut self, task: Task) {
        self.waiting += 1;
        if task.priority == 0 {
            self.plain.push_back((task.id, Some(task)));
        } else {
            let worth = AGEING.as_micros() as i64 * i64::from(task.priority);
            let rank = self.age(&task).saturating_sub(worth);
            self.ranked.insert((rank, task.id), task);
        }
    }

    /// Puts a task back that had its turn already.
    pub fn give_back(&mut self, task: Task) {
        self.waiting += 1;
        self.returned.push_back(task);
    }

    /// The next task.
    pub fn pop(&mut self) -> Option<Task> {
        let task = self.next()?;
        self.waiting -= 1;
        Some(task)
    }

    fn next(&mut self) -> Option<Task> {
        if let Some(task) = self.returned.pop_front() {
            return Some(task);
        }
        let plain = self.plain.front().and_then(|(_, task)| task.as_ref());
        let is_ranked = match (self.ranked.first_key_value(), plain) {
            (Some(((rank, _), _)), Some(task)) => *rank < self.age(task),
            (ranked, _) => ranked.is_some(),
        };
        if is_ranked {
            return self.ranked.pop_first().map(|(_, task)| task);
        }
        let (_, task) = self.plain.pop_front()?;
        self.trim();
        task
    }

    /// Takes a task out, wherever it is.
    pub fn remove(&mut self, id: TaskId) -> Option<Task> {
        let task = self.remove_plain(id).or_else(|| {
            if let Some(index) = self.returned.iter().position(|task| task.id == id) {
                return self.returned.remove(index);
            }
            let key = *self.ranked.iter().find(|((_, task), _)| *task == id)?.0;
            self.ranked.remove(&key)
        })?;
        self.waiting -= 1;
        Some(task)
    }

    /// Numbers rise in the ring, except where they start over; then the slow way finds it.
    fn remove_plain(&mut self, id: TaskId) -> Option<Task> {
        let index = self
            .plain
            .binary_search_by_key(&id, |(task, _)| *task)
            .ok()
            .or_else(|| self.plain.iter().position(|(task, _)| *task == id))?;
        let task = self.plain[index].1.take();
        self.trim();
        task
    }

    fn trim(&mut self) {
        while let Some((_, None)) = self.plain.front() {
            self.plain.pop_front();
        }
    }

    fn age(&self, task: &Task) -> i64 {
        task.submitted.saturating_duration_since(self.epoch).as_micros() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::task::Payload;

    fn task(id: TaskId, priority: i32, submitted: Instant) -> Task {
        Task { id, handler: 0, kind: 0, priority, pinned: false, payload: Payload::Empty, submitted }
    }

    fn order(queue: &mut Queue) -> Vec<TaskId> {
        std::iter::from_fn(|| queue.pop()).map(|task| task.id).collect()
    }

    #[test]
    fn first_in_first_out() {
        let epoch = Instant::now();
        let mut queue = Queue::new(epoch);
        (0..5).for_each(|id| queue.push(task(id, 0, epoch)));
        assert_eq!(queue.len(), 5);
        assert_eq!(order(&mut queue), [0, 1, 2, 3, 4]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_higher_priority_goes_first_a_lower_last() {
        let epoch = Instant::now();
        let mut queue = Queue::new(epoch);
        for (id, priority) in [(0, 0), (1, 2), (2, -1), (3, 1), (4, 0), (5, 2)] {
            queue.push(task(id, priority, epoch));
        }
        assert_eq!(order(&mut queue), [1, 5, 3, 0, 4, 2]);
    }

    #[test]
    fn a_low_priority_is_not_starved_by_what_comes_later() {
        let epoch = Instant::now();
        let mut queue = Queue::new(epoch);
        queue.push(task(0, -3, epoch));
        queue.push(task(1, 0, epoch + AGEING * 2));
        queue.push(task(2, 5, epoch + AGEING * 17 / 2));
        queue.push(task(3, 0, epoch + AGEING * 4));
        assert_eq!(order(&mut queue), [1, 0, 2, 3]);
    }

    #[test]
    fn what_is_removed_does_not_come() {
        let epoch = Instant::now();
        let mut queue = Queue::new(epoch);
        (0..6).for_each(|id| queue.push(task(id, i32::from(id == 3), epoch)));
        for id in [0, 1, 3, 5] {
            assert_eq!(queue.remove(id).map(|task| task.id), Some(id));
            assert!(queue.remove(id).is_none());
        }
        assert_eq!(queue.len(), 2);
        assert_eq!(order(&mut queue), [2, 4]);
    }

    #[test]
    fn what_comes_back_goes_first_and_can_be_removed() {
        let epoch = Instant::now();
        let mut queue = Queue::new(epoch);
        queue.push(task(7, 0, epoch));
        queue.give_back(task(3, 0, epoch));
        queue.give_back(task(4, 0, epoch));
        assert!(queue.remove(3).is_some());
        assert_eq!(order(&mut queue), [4, 7]);
    }

    #[test]
    fn numbers_that_start_over_are_found() {
        let epoch = Instant::now();
        let mut queue = Queue::new(epoch);
        for id in [TaskId::MAX - 1, TaskId::MAX, 0, 1] {
            queue.push(task(id, 0, epoch));
        }
        assert!(queue.remove(TaskId::MAX).is_some());
        assert!(queue.remove(0).is_some());
        assert_eq!(order(&mut queue), [TaskId::MAX - 1, 1]);
    }
}
