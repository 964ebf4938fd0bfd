//! Who runs what: tasks in, batches out to threads, completions to the hub.
//!
//! All under one lock per pool, which each side takes once a batch, and once a completion; no one waits or calls
//! out while holding it, but for the write that wakes a thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::histogram::Histogram;
use super::hub::Hub;
use super::queue::Queue;
use super::seat::{Seat, Waker};
use super::sync::{AtomicU32, Mutex, MutexGuard, lock};
use super::table::Table;
use super::task::{Completion, ENCODING, JSON, LEFT, Payload, Task, TaskId, ThreadId};
use super::text::Text;
use crate::sys::landing::Landing;

/// Tasks in a batch at most.
#[cfg(not(loom))]
pub const MAX_BATCH: usize = super::table::SLOTS;
/// Loom tries all interleavings: two show what there is to see.
#[cfg(loom)]
pub const MAX_BATCH: usize = 2;

/// A batch ends where it has this many bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// What became of a task that is to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not begun, and will not.
    Removed,
    /// This thread has begun it.
    Running(ThreadId),
    /// It is not, or no longer, there: its completion may be under way.
    Unknown,
}

/// Figures of a pool.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Tasks that no thread has taken.
    pub queued: u64,
    /// Tasks taken from the queue since the pool was made.
    pub taken: u64,
    /// Batches they were taken in.
    pub batches: u64,
    /// Tasks a thread has taken back from another.
    pub stolen: u64,
}

/// What a thread has got.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Tasks in its table.
    pub count: usize,
    /// It has got none, and is not asleep either: it must take again.
    pub lingers: bool,
}

/// One pool's queue and threads.
pub struct Pool {
    id: u32,
    hub: Arc<Hub>,
    /// Changes whenever a thread that found nothing could now find something.
    news: AtomicU32,
    inner: Mutex<Inner>,
}

struct Inner {
    queue: Queue,
    seats: BTreeMap<ThreadId, Seat>,
    /// Threads that have found nothing, and look once more before they sleep.
    lingering: usize,
    next_thread: ThreadId,
    handlers: Vec<String>,
    run_time: Histogram,
    wait_time: Histogram,
    counts: Counts,
}

impl Pool {
    /// A pool without threads, whose completions go to `hub` under the number `id`.
    pub fn new(id: u32, hub: Arc<Hub>) -> Self {
        let inner = Inner {
            queue: Queue::new(Instant::now()),
            seats: BTreeMap::new(),
            lingering: 0,
            next_thread: 0,
            handlers: Vec::new(),
            run_time: Histogram::default(),
            wait_time: Histogram::default(),
            counts: Counts::default(),
        };
        Self { id, hub, news: AtomicU32::new(0), inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Queues tasks, and wakes as many threads as could begin one.
    pub fn submit(&self, tasks: impl IntoIterator<Item = Task>) {
        let mut inner = self.lock();
        let before = inner.queue.len();
        tasks.into_iter().for_each(|task| inner.queue.push(task));
        let added = inner.queue.len() - before;
        inner.wake(added);
        self.announce();
    }

    /// A number that changes when a thread that found nothing should look again.
    pub fn news(&self) -> u32 {
        self.news.load(Ordering::Relaxed)
    }

    fn announce(&self) {
        self.news.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a task to one thread. False where there is no such thread.
    pub fn pin(&self, thread: ThreadId, mut task: Task) -> bool {
        let mut inner = self.lock();
        let Some(seat) = inner.seats.get_mut(&thread) else { return false };
        task.pinned = true;
        seat.inbox.push_back(task);
        seat.wake();
        self.announce();
        true
    }

    /// Keeps a name under the next number.
    pub fn add_handler(&self, name: String) -> usize {
        let handlers = &mut self.lock().handlers;
        handlers.push(name);
        handlers.len() - 1
    }

    /// The name kept under a number.
    pub fn handler(&self, number: usize) -> Option<String> {
        self.lock().handlers.get(number).cloned()
    }

    /// Makes a place for a thread that is being started.
    pub fn add_thread(&self) -> ThreadId {
        let mut inner = self.lock();
        let thread = inner.next_thread;
        inner.next_thread += 1;
        inner.seats.insert(thread, Seat::new());
        thread
    }

    /// A thread has started, and takes tasks from now on. `None` where its place is gone.
    pub fn join(&self, thread: ThreadId, waker: Waker) -> Option<Arc<Table>> {
        let mut inner = self.lock();
        let seat = inner.seats.get_mut(&thread)?;
        seat.waker = Some(waker);
        Some(seat.table.clone())
    }

    /// Fills the thread's table, of which it has begun everything; returns how many tasks there are now, and
    /// the JSON payloads among them through `text`. None: it is asleep until woken; or, where so many processors
    /// have room for it to stay awake, it lingers: it takes again when there is `news`, or when it tires of waiting.
    pub fn take(&self, thread: ThreadId, text: &mut Text, processors: usize) -> Taken {
        let mut inner = self.lock();
        let Inner { queue, seats, counts, lingering, .. } = &mut *inner;
        let joined = seats.values().filter(|seat| seat.waker.is_some()).count().max(1);
        let Some(seat) = seats.get_mut(&thread) else { return Taken::default() };
        seat.settle();
        *lingering -= usize::from(std::mem::take(&mut seat.is_lingering));
        let mut bytes = 0;
        while seat.batch.len() < MAX_BATCH
            && bytes < BATCH_BYTES
            && let Some(task) = seat.inbox.pop_front()
        {
            bytes += task.payload.size();
            seat.add(task);
        }
        if !seat.is_leaving {
            let share = queue.len().div_ceil(joined).min(MAX_BATCH);
            while seat.batch.len() < share
                && bytes < BATCH_BYTES
                && let Some(task) = queue.pop()
            {
                bytes += task.payload.size();
                seat.add(task);
                counts.taken += 1;
            }
            if seat.batch.is_empty() {
                inner.steal(thread);
            }
        }
        let Inner { seats, counts, lingering, .. } = &mut *inner;
        let others = seats.iter().filter(|(other, _)| **other != thread);
        let awake = others.filter(|(_, seat)| seat.waker.is_some() && !seat.is_asleep).count() + 1;
        let Some(seat) = seats.get_mut(&thread) else { return Taken::default() };
        let is_empty = seat.batch.is_empty();
        // One processor is for the submitter, and who has begun something has a loop to serve.
        let lingers = is_empty && !seat.is_leaving && seat.is_idle() && awake < processors;
        seat.is_lingering = lingers;
        *lingering += usize::from(lingers);
        seat.is_asleep = is_empty && !lingers;
        let has_left = seat.is_leaving && seat.is_asleep && seat.is_idle();
        let count = seat.batch.len();
        seat.table.set_count(count);
        for task in seat.batch.iter().flatten().filter(|task| task.kind & ENCODING == JSON) {
            text.add(&task.payload);
        }
        if count > 0 {
            counts.batches += 1;
        }
        drop(inner);
        if has_left {
            self.push(thread, 0, LEFT, Payload::Empty);
        }
        Taken { count, lingers }
    }

    /// The payload of a task that its thread has just begun, for kinds that do not go with the batch.
    pub fn payload(&self, thread: ThreadId, slot: usize) -> Payload {
        let mut inner = self.lock();
        let task = inner.seats.get_mut(&thread).and_then(|seat| seat.batch.get_mut(slot)?.as_mut());
        task.map_or(Payload::Empty, |task| std::mem::replace(&mut task.payload, Payload::Empty))
    }

    /// How many bytes a task has that were only promised.
    pub fn promised(&self, thread: ThreadId, slot: usize) -> usize {
        let inner = self.lock();
        match inner.seats.get(&thread).and_then(|seat| seat.batch.get(slot)?.as_ref()) {
            Some(Task { payload: Payload::Promised(length), .. }) => *length,
            _ => 0,
        }
    }

    /// A thread wants the bytes of a task there.
    pub fn want(&self, thread: ThreadId, task: TaskId, landing: Arc<Landing>) {
        if let Some(seat) = self.lock().seats.get_mut(&thread) {
            seat.landings.insert(task, landing);
        }
    }

    /// Takes the place where a thread wants the bytes of a task.
    pub fn wanted(&self, thread: ThreadId, task: TaskId) -> Option<Arc<Landing>> {
        self.lock().seats.get_mut(&thread)?.landings.remove(&task)
    }

    /// A place for a result of so many bytes in the memory of the pool's owner.
    pub fn claim(&self, length: usize) -> Option<Arc<Landing>> {
        self.hub.claim(length)
    }

    /// A thread has finished a task. `run_time` is in microseconds; negative: do not count it.
    ///
    /// The place where a result has landed that nobody waits for is free again.
    pub fn done(&self, thread: ThreadId, slot: usize, completion: (TaskId, i32, Payload), run_time: f64) {
        let (id, kind, payload) = completion;
        let mut inner = self.lock();
        let Some(task) = inner.seats.get_mut(&thread).and_then(|seat| seat.finish(slot, id)) else {
            drop(inner);
            if let Payload::Landed(landing) = payload {
                landing.empty();
                self.hub.offer(landing);
            }
            return;
        };
        if run_time >= 0.0 {
            let total = task.submitted.elapsed().as_micros() as u64;
            let run_time = run_time as u64;
            inner.run_time.record(run_time);
            inner.wait_time.record(total.saturating_sub(run_time));
        }
        drop(inner);
        self.push(thread, id, kind, payload);
    }

    /// Sends news of a thread, or of a task that it has not finished, to the hub.
    pub fn push(&self, thread: ThreadId, task: TaskId, kind: i32, payload: Payload) {
        self.hub.push(Completion { task, thread, pool: self.id, kind, payload });
    }

    /// Tells the hub that a thread needs something to go on with a task.
    pub fn request(&self, thread: ThreadId, task: TaskId, kind: i32) {
        self.hub.request(Completion { task, thread, pool: self.id, kind, payload: Payload::Empty });
    }

    /// Wakes a thread if it sleeps or waits for something other than tasks.
    pub fn wake(&self, thread: ThreadId) {
        if let Some(seat) = self.lock().seats.get_mut(&thread) {
            seat.is_asleep = true;
            seat.wake();
            self.announce();
        }
    }

    /// Stops a task from being begun, or says which thread has begun it.
    pub fn cancel(&self, id: TaskId) -> Cancelled {
        let mut inner = self.lock();
        if inner.queue.remove(id).is_some() {
            return Cancelled::Removed;
        }
        for (thread, seat) in &mut inner.seats {
            if let Some(slot) = seat.slot_of(id) {
                if seat.table.take_back(slot) {
                    seat.batch[slot] = None;
                    return Cancelled::Removed;
                }
                return Cancelled::Running(*thread);
            }
            if seat.running.contains_key(&id) {
                return Cancelled::Running(*thread);
            }
            if let Some(index) = seat.inbox.iter().position(|task| task.id == id) {
                seat.inbox.remove(index);
                return Cancelled::Removed;
            }
        }
        Cancelled::Unknown
    }

    /// Takes up to `count` tasks out of the queue, after the first few, which stay.
    pub fn withdraw(&self, kept: usize, count: usize) -> Vec<TaskId> {
        let mut inner = self.lock();
        let kept: Vec<_> = (0..kept).map_while(|_| inner.queue.pop()).collect();
        let taken = (0..count).map_while(|_| inner.queue.pop()).map(|task| task.id).collect();
        kept.into_iter().for_each(|task| inner.queue.give_back(task));
        taken
    }

    /// A thread has ended: returns the tasks that ended with it. What it had not begun is for others.
    pub fn remove_thread(&self, thread: ThreadId) -> Vec<TaskId> {
        let mut inner = self.lock();
        let Some(mut seat) = inner.seats.remove(&thread) else { return Vec::new() };
        inner.lingering -= usize::from(seat.is_lingering);
        let returned = seat.steal(usize::MAX);
        let added = returned.len();
        returned.into_iter().for_each(|task| inner.queue.give_back(task));
        inner.wake(added);
        let lost = seat.batch.into_iter().flatten().chain(seat.running.into_values()).chain(seat.inbox);
        let mut lost: Vec<_> = lost.map(|task| task.id).collect();
        lost.sort_unstable();
        lost
    }

    /// Removes a thread that has nothing to do; false where it has, or soon will.
    pub fn retire(&self, thread: ThreadId) -> bool {
        let mut inner = self.lock();
        let is_idle = inner.queue.is_empty() && inner.seats.get(&thread).is_none_or(Seat::is_idle);
        if is_idle && let Some(seat) = inner.seats.remove(&thread) {
            inner.lingering -= usize::from(seat.is_lingering);
        }
        is_idle
    }

    /// Lets a thread finish what it has; it takes no more, and a completion of kind `LEFT` says when it is done.
    pub fn leave(&self, thread: ThreadId) {
        let mut inner = self.lock();
        let Some(seat) = inner.seats.get_mut(&thread) else { return };
        seat.is_leaving = true;
        let returned = seat.steal(usize::MAX);
        // Asleep, it would not look again.
        seat.wake();
        self.announce();
        let added = returned.len();
        returned.into_iter().for_each(|task| inner.queue.give_back(task));
        inner.wake(added);
    }

    /// The thread that would begin a task at once, or as soon as it has started: the one with the fewest of the less
    /// than `limit` that it may have under way, if there is one that what waits leaves free.
    pub fn free_thread(&self, limit: usize) -> Option<ThreadId> {
        let inner = self.lock();
        let seats = inner.seats.iter().filter(|(_, seat)| !seat.is_leaving && seat.stealable() == 0);
        let usages = seats.map(|(thread, seat)| (seat.begun() + seat.inbox.len(), *thread));
        let usages: Vec<_> = usages.filter(|(usage, _)| *usage < limit).collect();
        let room = usages.iter().fold(0_usize, |room, (usage, _)| room.saturating_add(limit - usage));
        if inner.queue.len() >= room {
            return None;
        }
        usages.into_iter().min().map(|(_, thread)| thread)
    }

    /// How many tasks a thread has begun or been given, and not finished.
    pub fn usage(&self, thread: ThreadId) -> usize {
        self.lock().seats.get(&thread).map_or(0, |seat| seat.begun() + seat.inbox.len())
    }

    /// Figures.
    pub fn counts(&self) -> Counts {
        let inner = self.lock();
        Counts { queued: inner.queue.len() as u64, ..inner.counts }
    }

    /// Looks at, or resets, the histogram of run times or that of waiting times.
    pub fn with_histogram<T>(&self, of_waiting: bool, look: impl FnOnce(&mut Histogram) -> T) -> T {
        let mut inner = self.lock();
        look(if of_waiting { &mut inner.wait_time } else { &mut inner.run_time })
    }
}

impl Inner {
    /// Wakes up to `count` threads, the idlest first; those that linger are awake.
    fn wake(&mut self, count: usize) {
        for _ in self.lingering..count {
            let asleep = self.seats.values_mut().filter(|seat| seat.is_asleep && !seat.is_leaving);
            let Some(seat) = asleep.min_by_key(|seat| seat.begun()) else { return };
            seat.wake();
        }
    }

    /// Moves half of what waits longest behind another thread's work to this one.
    fn steal(&mut self, thread: ThreadId) {
        let others = self.seats.iter_mut().filter(|(other, _)| **other != thread);
        let victim = others.map(|(_, seat)| (seat.stealable(), seat)).max_by_key(|(count, _)| *count);
        let Some((count, victim)) = victim else { return };
        let stolen = victim.steal(count.div_ceil(2));
        self.counts.stolen += stolen.len() as u64;
        if let Some(seat) = self.seats.get_mut(&thread) {
            stolen.into_iter().for_each(|task| seat.add(task));
        }
    }
}
