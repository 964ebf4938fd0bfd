//! The pool as its threads and its owner use it. Under `--cfg loom` the same bodies run in every interleaving:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test --release --lib pool::tests
//! ```

use std::time::Instant;

#[cfg(loom)]
use loom::{
    sync::{
        Arc as Shared, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
#[cfg(not(loom))]
use std::{
    sync::{
        Arc as Shared, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::dispatch::{Cancelled, Pool};
use super::hub::Hub;
use super::table::Table;
use super::task::{Payload, Task, TaskId, ThreadId};
use super::text::Text;

fn model(body: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(body);
    }
    #[cfg(not(loom))]
    (0..200).for_each(|_| body());
}

fn task(id: TaskId) -> Task {
    Task {
        id,
        handler: 0,
        kind: 0,
        priority: 0,
        pinned: false,
        payload: Payload::Empty,
        submitted: Instant::now(),
    }
}

/// A pool, and how often its owner was woken.
fn pool() -> (Shared<Pool>, std::sync::Arc<Hub>, Shared<AtomicUsize>) {
    let wakes = Shared::new(AtomicUsize::new(0));
    let counter = wakes.clone();
    let hub = std::sync::Arc::new(Hub::new(Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    })));
    (Shared::new(Pool::new(0, hub.clone())), hub, wakes)
}

/// A thread of the pool as JavaScript drives it.
struct Worker {
    pool: Shared<Pool>,
    thread: ThreadId,
    table: std::sync::Arc<Table>,
    wakes: Shared<AtomicUsize>,
}

impl Worker {
    fn join(pool: &Shared<Pool>) -> Self {
        let wakes = Shared::new(AtomicUsize::new(0));
        let thread = pool.add_thread();
        let counter = wakes.clone();
        let waker = Box::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let table = pool.join(thread, waker).expect("the place is there");
        Self { pool: pool.clone(), thread, table, wakes }
    }

    /// Runs batches until there is none; returns what it ran.
    fn serve(&self) -> Vec<TaskId> {
        let mut ran = Vec::new();
        loop {
            let count = self.pool.take(self.thread, &mut Text::default(), 0).count;
            if count == 0 {
                return ran;
            }
            for slot in 0..count {
                if self.table.claim(slot) {
                    let id = self.table.task(slot);
                    ran.push(id);
                    self.pool.done(self.thread, slot, (id, 0, Payload::Empty), -1.0);
                }
            }
        }
    }

    /// Serves, and once more if it was woken since.
    fn serve_when_woken(&self) -> Vec<TaskId> {
        let mut ran = self.serve();
        while self.wakes.swap(0, Ordering::SeqCst) > 0 {
            ran.extend(self.serve());
        }
        ran
    }
}

#[test]
fn each_task_runs_once_and_none_is_left_behind() {
    model(|| {
        let (pool, hub, _) = pool();
        let workers = [Worker::join(&pool), Worker::join(&pool)];
        // Both sleep.
        workers.iter().for_each(|worker| assert!(worker.serve().is_empty()));
        let ran = Shared::new(Mutex::new(Vec::new()));
        let threads = workers.map(|worker| {
            let ran = ran.clone();
            thread::spawn(move || {
                let ids = worker.serve_when_woken();
                ran.lock().expect("no panic").extend(ids);
                worker
            })
        });
        pool.submit((0..3).map(task));
        let workers = threads.map(|thread| thread.join().expect("no panic"));
        // Whoever was woken after it had looked looks again.
        for worker in &workers {
            let ids = worker.serve_when_woken();
            ran.lock().expect("no panic").extend(ids);
        }
        let mut ran = ran.lock().expect("no panic").clone();
        ran.sort_unstable();
        assert_eq!(ran, [0, 1, 2]);
        assert_eq!(std::iter::from_fn(|| hub.take()).count(), 3);
    });
}

#[test]
fn a_task_is_run_or_stolen_but_not_both() {
    model(|| {
        let (pool, _, _) = pool();
        let owner = Worker::join(&pool);
        pool.submit((0..2).map(task));
        let count = pool.take(owner.thread, &mut Text::default(), 0).count;
        let thief = Worker::join(&pool);
        let stealing = thread::spawn(move || thief.serve());
        let mut ran: Vec<_> =
            (0..count).filter(|&slot| owner.table.claim(slot)).map(|slot| owner.table.task(slot)).collect();
        ran.extend(stealing.join().expect("no panic"));
        ran.sort_unstable();
        assert_eq!(ran, [0, 1]);
    });
}

#[test]
fn a_cancelled_task_does_not_run() {
    model(|| {
        let (pool, _, _) = pool();
        let worker = Worker::join(&pool);
        pool.submit([task(7)]);
        let serving = thread::spawn(move || worker.serve());
        let cancelled = pool.cancel(7);
        let ran = serving.join().expect("no panic");
        match cancelled {
            Cancelled::Removed => assert!(ran.is_empty()),
            Cancelled::Running(_) | Cancelled::Unknown => assert_eq!(ran, [7]),
        }
    });
}

#[test]
fn what_a_dead_thread_had_not_begun_is_run_by_another() {
    model(|| {
        let (pool, _, _) = pool();
        let dying = Worker::join(&pool);
        let other = Worker::join(&pool);
        assert!(other.serve().is_empty());
        pool.submit((0..2).map(task));
        let count = pool.take(dying.thread, &mut Text::default(), 0).count;
        let begun = usize::from(count > 0 && dying.table.claim(0));
        let serving = thread::spawn(move || {
            let ran = other.serve_when_woken();
            (other, ran)
        });
        let lost = pool.remove_thread(dying.thread);
        let (other, mut ran) = serving.join().expect("no panic");
        ran.extend(other.serve_when_woken());
        assert_eq!(lost.len(), begun);
        assert_eq!(ran.len() + lost.len(), 2);
    });
}

#[test]
fn a_completion_wakes_its_reader() {
    model(|| {
        let (pool, hub, wakes) = pool();
        let worker = Worker::join(&pool);
        pool.submit([task(0)]);
        let serving = thread::spawn(move || worker.serve());
        // A reader that was woken for something else, and is about to rest.
        let mut read = 0;
        loop {
            read += std::iter::from_fn(|| hub.take()).count();
            if hub.rest() {
                break;
            }
        }
        serving.join().expect("no panic");
        assert!(read == 1 || wakes.load(Ordering::SeqCst) == 1, "nobody would read it");
    });
}

#[cfg(not(loom))]
#[test]
fn payloads_of_a_batch_are_one_array() {
    let mut text = Text::default();
    assert!(!text.finish());
    text.add(&Payload::Narrow(b"1".to_vec()));
    text.add(&Payload::Empty);
    text.add(&Payload::Wide("\"€\"".encode_utf16().collect()));
    text.add(&Payload::Narrow(b"{}".to_vec()));
    assert!(text.finish());
    let wide = text.wide.expect("made wide");
    assert_eq!(String::from_utf16_lossy(&wide), "[1,\"€\",{}]");
}

#[cfg(not(loom))]
#[test]
fn half_of_what_waits_behind_another_is_stolen() {
    let (pool, _, _) = pool();
    let first = Worker::join(&pool);
    pool.submit((0..5).map(task));
    assert_eq!(pool.take(first.thread, &mut Text::default(), 0).count, 5);
    assert!(first.table.claim(0));
    let second = Worker::join(&pool);
    assert_eq!(pool.take(second.thread, &mut Text::default(), 0).count, 2);
    assert_eq!([second.table.task(0), second.table.task(1)], [3, 4]);
    assert_eq!(pool.counts().stolen, 2);
    assert!(!pool.retire(first.thread));
}

#[cfg(not(loom))]
#[test]
fn a_thread_that_leaves_gives_back_and_says_when_it_is_done() {
    let (pool, hub, _) = pool();
    let worker = Worker::join(&pool);
    pool.submit((0..3).map(task));
    assert_eq!(pool.take(worker.thread, &mut Text::default(), 0).count, 3);
    assert!(worker.table.claim(0));
    pool.leave(worker.thread);
    assert_eq!(pool.counts().queued, 2);
    pool.done(worker.thread, 0, (0, 0, Payload::Empty), -1.0);
    assert!(worker.serve().is_empty());
    let kinds: Vec<_> = std::iter::from_fn(|| hub.take()).map(|completion| completion.kind).collect();
    assert_eq!(kinds, [0, super::task::LEFT]);
}

#[test]
fn what_is_submitted_to_a_thread_that_lingers_is_not_left_behind() {
    model(|| {
        let (pool, _, _) = pool();
        let worker = Worker::join(&pool);
        let waiting = thread::spawn(move || {
            let taken = worker.pool.take(worker.thread, &mut Text::default(), 9);
            assert_ne!(taken.lingers, taken.count > 0);
            // It tires of waiting, whether there was news or not; then it sleeps, unless woken.
            let ran = if taken.lingers { worker.serve().len() } else { taken.count };
            (worker, ran)
        });
        pool.submit([task(0)]);
        let (worker, ran) = waiting.join().expect("no panic");
        assert_eq!(ran + worker.serve_when_woken().len(), 1);
    });
}

#[cfg(not(loom))]
#[test]
fn a_thread_that_lingers_is_not_woken_and_spares_another_the_wake_up() {
    let (pool, _, _) = pool();
    let [sleeper, lingerer] = [Worker::join(&pool), Worker::join(&pool)];
    assert!(sleeper.serve().is_empty());
    // Two processors: one for the submitter, one for this thread.
    assert!(pool.take(lingerer.thread, &mut Text::default(), 2).lingers);
    let news = pool.news();
    pool.submit([task(0)]);
    assert_ne!(pool.news(), news);
    assert_eq!([&sleeper, &lingerer].map(|worker| worker.wakes.load(Ordering::SeqCst)), [0, 0]);
    pool.submit((1..3).map(task));
    assert_eq!(sleeper.wakes.load(Ordering::SeqCst), 1);
    assert_eq!(lingerer.serve(), [0, 1, 2]);
    // The other is awake: no room.
    assert!(!pool.take(lingerer.thread, &mut Text::default(), 2).lingers);
}

#[test]
fn a_thread_that_starts_has_room_unless_what_waits_needs_it() {
    model(|| {
        let (pool, ..) = pool();
        assert_eq!(pool.free_thread(1), None);
        let (first, second) = (pool.add_thread(), pool.add_thread());
        assert_eq!(pool.free_thread(1), Some(first));
        assert!(pool.pin(first, task(0)));
        assert_eq!(pool.free_thread(1), Some(second));
        pool.submit([task(1)]);
        assert_eq!(pool.free_thread(1), None);
        assert_eq!(pool.free_thread(2), Some(second));
    });
}

#[test]
fn what_is_kept_stays_in_its_order() {
    model(|| {
        let (pool, ..) = pool();
        pool.submit((0..3).map(task));
        assert_eq!(pool.withdraw(2, usize::MAX), [2]);
        assert_eq!(pool.withdraw(0, usize::MAX), [0, 1]);
    });
}
