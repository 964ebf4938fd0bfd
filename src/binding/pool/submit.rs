//! The side of the environment that makes pools: tasks down, completions up.

use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use napi::Env;
use napi::bindgen_prelude::{Object, Uint8ArraySlice};
use napi_derive::napi;
use nix::errno::Errno;

use super::{array_of, payload_of, value_of, with_registry};
use crate::binding::{Engine, Kind, State};
use crate::pool::dispatch::{Cancelled, Pool};
use crate::pool::hub::Hub;
use crate::pool::task::{BYTES, Completion, ENCODING, JSON, PORT, Payload, Task, TaskId};
use crate::sys::call::Call;
use crate::sys::node::Handle;
use crate::sys::shared::{self, Cells};
use crate::sys::uv::Poll;
use crate::sys::wake::Wake;

/// Numbers that JavaScript writes for a task: its id, handler, kind, the length of its payload, its priority.
const TASK_FIELDS: usize = 5;
/// Numbers it reads for a completion: the task, the thread, the pool, the kind.
const COMPLETION_FIELDS: usize = 4;
/// Completions that go up in one call.
const COMPLETIONS: usize = 256;
/// Bytes of their payloads, about.
const COMPLETION_BYTES: usize = 256 * 1024;
/// Calls for one wake-up, before the loop gets its turn.
const ROUNDS: usize = 8;

/// The reading end of a hub, on its environment's loop.
pub(crate) struct HubEnd {
    // Closed before `wake`, whose descriptor it watches.
    poll: Poll,
    wake: Arc<Wake>,
    hub: Arc<Hub>,
    cells: Cells,
    /// Payloads of the completions last read, by their place among them.
    payloads: std::cell::RefCell<Vec<Payload>>,
}

impl HubEnd {
    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    fn open(state: &Rc<State>) -> Result<Rc<Self>, Errno> {
        let wake = Arc::new(Wake::new()?);
        let weak: Weak<State> = Rc::downgrade(state);
        let poll = Poll::new(state.uv_loop, wake.as_fd(), move |_| {
            if let Some(state) = weak.upgrade() {
                on_wake(&state);
            }
        })?;
        poll.set_ref(false);
        poll.watch(true, false)?;
        let waker = wake.clone();
        let hub = Arc::new(Hub::new(Box::new(move || waker.wake())));
        let cells = shared::cells(1 + COMPLETIONS * COMPLETION_FIELDS);
        Ok(Rc::new(Self { poll, wake, hub, cells, payloads: Default::default() }))
    }
}

/// Has JavaScript read completions until there are none, within limits.
fn on_wake(state: &State) {
    let end = state.pools.hub.borrow().clone();
    let Some(end) = end else { return };
    end.wake.clear();
    for _ in 0..ROUNDS {
        state.emit(Kind::PoolCompletions, 0, 0, 0);
        if end.hub.rest() {
            return;
        }
    }
    end.wake.wake();
}

/// Figures of a pool.
#[napi(object)]
pub struct PoolCounts {
    /// Tasks that no thread has taken.
    pub queued: f64,
    /// Tasks taken from the queue since the pool was made.
    pub taken: f64,
    /// Batches they were taken in.
    pub batches: f64,
    /// Tasks a thread has taken back from another.
    pub stolen: f64,
}

#[napi]
impl Engine {
    /// Makes a pool; returns its number, or a negative errno.
    #[napi]
    pub fn pool_open(&self) -> i32 {
        let pools = &self.state.pools;
        let end = pools.hub.borrow().clone();
        let end = match end.map_or_else(|| HubEnd::open(&self.state), Ok) {
            Ok(end) => end,
            Err(errno) => return -(errno as i32),
        };
        let (id, pool) = with_registry(|registry| {
            let id = registry.next_id;
            registry.next_id = (id + 1) & i32::MAX as u32;
            let pool = Arc::new(Pool::new(id, end.hub.clone()));
            registry.pools.insert(id, pool.clone());
            (id, pool)
        });
        *pools.hub.borrow_mut() = Some(end);
        pools.owned.borrow_mut().insert(id, pool);
        id as i32
    }

    /// Forgets a pool, whose threads have been removed.
    #[napi]
    pub fn pool_close(&self, pool: u32) {
        self.state.pools.owned.borrow_mut().remove(&pool);
        self.state.pools.pending.borrow_mut().remove(&pool);
        with_registry(|registry| registry.pools.remove(&pool));
    }

    /// The memory in which `completions` of `poolFunctions` says what it has read: their count, then four numbers for each.
    #[napi(ts_return_type = "ArrayBuffer | null")]
    pub fn pool_cells(&self, env: &Env) -> Option<Object<'_>> {
        let end = self.state.pools.hub.borrow().clone()?;
        let raw = shared::expose(Handle::new(env.raw().cast()), end.cells.clone())?;
        Some(Object::from_raw(env.raw(), raw.cast()))
    }

    /// Chooses whether completions to come keep the event loop alive.
    #[napi]
    pub fn pool_set_ref(&self, on: bool) {
        if let Some(end) = &*self.state.pools.hub.borrow() {
            end.poll.set_ref(on);
        }
    }

    /// Keeps a payload for the next submission.
    #[napi]
    pub fn pool_put_bytes(&self, pool: u32, bytes: Uint8ArraySlice<'_>) {
        self.state.pools.put(pool, Payload::Narrow(bytes.to_vec()));
    }

    /// Gives a name to a number by which tasks say what runs them; the names of a pool count from 0.
    #[napi]
    pub fn pool_add_handler(&self, pool: u32, name: String) -> i32 {
        self.state.pools.get(pool).map_or(-(Errno::EBADF as i32), |pool| pool.add_handler(name) as i32)
    }

    /// Makes a place for a thread; returns its number in the pool.
    #[napi]
    pub fn pool_add_thread(&self, pool: u32) -> i32 {
        self.state.pools.get(pool).map_or(-(Errno::EBADF as i32), |pool| pool.add_thread() as i32)
    }

    /// Removes a thread that has ended; returns the tasks that ended with it.
    #[napi]
    pub fn pool_remove_thread(&self, pool: u32, thread: u32) -> Vec<u32> {
        self.state.pools.get(pool).map_or_else(Vec::new, |pool| pool.remove_thread(thread))
    }

    /// Removes a thread if it has nothing to do.
    #[napi]
    pub fn pool_retire(&self, pool: u32, thread: u32) -> bool {
        self.state.pools.get(pool).is_none_or(|pool| pool.retire(thread))
    }

    /// Lets a thread finish what it has, and no more.
    #[napi]
    pub fn pool_leave(&self, pool: u32, thread: u32) {
        if let Some(pool) = self.state.pools.get(pool) {
            pool.leave(thread);
        }
    }

    /// Stops a task: -1 if it had not begun, -2 if it is not there, else the thread that has begun it.
    #[napi]
    pub fn pool_cancel(&self, pool: u32, task: u32) -> i32 {
        match self.state.pools.get(pool).map(|pool| pool.cancel(task)) {
            Some(Cancelled::Removed) => -1,
            Some(Cancelled::Running(thread)) => thread as i32,
            Some(Cancelled::Unknown) | None => -2,
        }
    }

    /// Takes up to `count` tasks out of the queue, after the first few, which stay.
    #[napi]
    pub fn pool_withdraw(&self, pool: u32, kept: u32, count: u32) -> Vec<u32> {
        let pool = self.state.pools.get(pool);
        pool.map_or_else(Vec::new, |pool| pool.withdraw(kept as usize, count as usize))
    }

    /// A thread that would begin a task at once, or once it has started, as it has fewer than `limit`; else -1.
    #[napi]
    pub fn pool_free_thread(&self, pool: u32, limit: u32) -> i32 {
        let thread = self.state.pools.get(pool).and_then(|pool| pool.free_thread(limit as usize));
        thread.map_or(-1, |thread| thread as i32)
    }

    /// Tells a thread that what it asked for is there.
    #[napi]
    pub fn pool_wake(&self, pool: u32, thread: u32) {
        if let Some(pool) = self.state.pools.get(pool) {
            pool.wake(thread);
        }
    }

    /// How many tasks a thread has to finish.
    #[napi]
    pub fn pool_usage(&self, pool: u32, thread: u32) -> u32 {
        self.state.pools.get(pool).map_or(0, |pool| pool.usage(thread) as u32)
    }

    /// Figures of a pool.
    #[napi]
    pub fn pool_counts(&self, pool: u32) -> Option<PoolCounts> {
        let counts = self.state.pools.get(pool)?.counts();
        Some(PoolCounts {
            queued: counts.queued as f64,
            taken: counts.taken as f64,
            batches: counts.batches as f64,
            stolen: counts.stolen as f64,
        })
    }

    /// Run times, or waiting times, in microseconds: how many, mean, deviation, least, greatest, percentiles.
    #[napi]
    pub fn pool_histogram(&self, pool: u32, of_waiting: bool, percents: Vec<f64>) -> Vec<f64> {
        let Some(pool) = self.state.pools.get(pool) else { return Vec::new() };
        pool.with_histogram(of_waiting, |histogram| {
            let mut figures = vec![histogram.count() as f64];
            figures.extend(histogram.moments());
            figures.extend(percents.iter().map(|percent| histogram.percentile(*percent)));
            figures
        })
    }

    /// Counts a run time, or a waiting time, in microseconds.
    #[napi]
    pub fn pool_record(&self, pool: u32, of_waiting: bool, microseconds: f64) {
        if let Some(pool) = self.state.pools.get(pool) {
            pool.with_histogram(of_waiting, |histogram| histogram.record(microseconds as u64));
        }
    }

    /// Forgets run times or waiting times.
    #[napi]
    pub fn pool_reset_histogram(&self, pool: u32, of_waiting: bool) {
        if let Some(pool) = self.state.pools.get(pool) {
            pool.with_histogram(of_waiting, |histogram| histogram.reset());
        }
    }
}

/// (pool, and a text as in `payload_of`): keeps a payload for the next submission.
pub(super) fn put(state: &State, call: &Call) -> Option<Handle> {
    state.pools.put(call.int(0) as u32, payload_of(call, 1));
    None
}

/// (pool, how many, an `Int32Array` of five numbers each, thread or -1, and a text as in `payload_of`): queues tasks, whose
/// JSON is one after the other in the text. Other payloads were put before. With a thread, they are for that one. Returns
/// -1 where pool or thread are gone.
pub(super) fn submit(state: &State, call: &Call) -> Option<Handle> {
    let pools = &state.pools;
    let (pool_id, count, thread) = (call.int(0) as u32, call.int(1) as usize, call.int(3));
    let Some(pool) = pools.get(pool_id) else { return call.new_int(-1) };
    let text = payload_of(call, 4);
    let mut pending = pools.pending.borrow_mut();
    let mut pending = pending.get_mut(&pool_id).into_iter().flat_map(|payloads| payloads.drain(..));
    let submitted = Instant::now();
    let mut at = 0;
    let mut is_taken = true;
    let (fields, _) = call.ints(2).as_chunks::<TASK_FIELDS>();
    let tasks = fields.iter().take(count).map(|&[id, handler, kind, length, priority]| {
        let length = length as usize;
        let payload = match (&text, kind & ENCODING == JSON) {
            (Payload::Narrow(text), true) => Payload::Narrow(text[at..at + length].to_vec()),
            (Payload::Wide(text), true) => Payload::Wide(text[at..at + length].to_vec()),
            _ if kind & ENCODING == BYTES => Payload::Promised(length),
            _ if length > 0 => pending.next().unwrap_or(Payload::Empty),
            _ => Payload::Empty,
        };
        at += if kind & ENCODING == JSON { length } else { 0 };
        Task { id: id as TaskId, handler, kind, priority, pinned: false, payload, submitted }
    });
    match u32::try_from(thread) {
        Err(_) => pool.submit(tasks),
        Ok(thread) => tasks.for_each(|task| is_taken &= pool.pin(thread, task)),
    }
    if is_taken { None } else { call.new_int(-1) }
}

/// Reads completions: numbers into the cells, the JSON payloads among them as one array.
pub(super) fn completions(state: &State, call: &Call) -> Option<Handle> {
    let pools = &state.pools;
    let end = pools.hub.borrow().clone()?;
    let mut text = pools.text.borrow_mut();
    let mut payloads = end.payloads.borrow_mut();
    payloads.clear();
    let (mut count, mut bytes) = (0, 0);
    while count < COMPLETIONS
        && bytes < COMPLETION_BYTES
        && let Some(completion) = end.hub.take()
    {
        let at = 1 + count * COMPLETION_FIELDS;
        let fields =
            [completion.task as i32, completion.thread as i32, completion.pool as i32, completion.kind];
        store(&end.cells[at..], &fields);
        count += 1;
        bytes += size_of(&completion);
        if completion.kind & ENCODING == JSON && completion.kind > 0 {
            text.add(&completion.payload);
            payloads.push(Payload::Empty);
        } else {
            payloads.push(completion.payload);
        }
    }
    store(&end.cells, &[count as i32]);
    array_of(call, &mut text)
}

/// (index, whether it is text): the payload of one completion last read, of those that are no JSON.
pub(super) fn result(state: &State, call: &Call) -> Option<Handle> {
    let end = state.pools.hub.borrow().clone()?;
    let mut payloads = end.payloads.borrow_mut();
    let payload = std::mem::replace(payloads.get_mut(call.int(0) as usize)?, Payload::Empty);
    if let Payload::Landed(landing) = &payload {
        return state.pools.landings.take(call.env(), landing);
    }
    value_of(call, payload, call.int(1) != 0)
}

/// What a completion counts for where a call's bytes are limited. A result that is somewhere else may be big, and
/// what holds big results until the end of a call makes them outlive young collections.
fn size_of(completion: &Completion) -> usize {
    if completion.kind > 0 && completion.kind & ENCODING == PORT {
        COMPLETION_BYTES
    } else {
        completion.payload.size()
    }
}

fn store(cells: &[AtomicI32], values: &[i32]) {
    for (cell, value) in cells.iter().zip(values) {
        cell.store(*value, Ordering::Release);
    }
}
