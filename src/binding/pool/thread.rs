//! The side of a pool's thread: batches in, completions out.

use std::cell::Cell;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::Env;
use napi::bindgen_prelude::{Object, Uint8ArraySlice};
use napi_derive::napi;
use nix::errno::Errno;

use super::{array_of, payload_of, value_of, with_registry};
use crate::binding::{Engine, Kind, State};
use crate::pool::dispatch::Pool;
use crate::pool::table::Table;
use crate::pool::task::{Payload, TaskId, ThreadId};
use crate::pool::text::Text;
use crate::sys::call::Call;
use crate::sys::linger::PROCESSORS;
use crate::sys::node::Handle;
use crate::sys::shared;
use crate::sys::uv::Poll;
use crate::sys::wake::Wake;

/// The thread's place in its pool, and what wakes the thread's loop.
pub(crate) struct SeatEnd {
    // Closed before `wake`, whose descriptor it watches.
    _poll: Poll,
    wake: Arc<Wake>,
    pub(super) pool: Arc<Pool>,
    pub(super) thread: ThreadId,
    linger: Linger,
}

impl SeatEnd {
    fn open(state: &Rc<State>, pool: u32, thread: ThreadId) -> Result<(Rc<Self>, Arc<Table>), Errno> {
        let pool = with_registry(|registry| registry.pools.get(&pool).cloned()).ok_or(Errno::EBADF)?;
        let wake = Arc::new(Wake::new()?);
        let weak: Weak<State> = Rc::downgrade(state);
        let poll = Poll::new(state.uv_loop, wake.as_fd(), move |_| {
            let Some(state) = weak.upgrade() else { return };
            let seat = state.pools.seat.borrow().clone();
            if let Some(seat) = seat {
                seat.wake.clear();
                state.emit(Kind::PoolTasks, 0, 0, 0);
            }
        })?;
        poll.watch(true, false)?;
        let waker = wake.clone();
        let table = pool.join(thread, Box::new(move || waker.wake())).ok_or(Errno::EBADF)?;
        Ok((Rc::new(Self { _poll: poll, wake, pool, thread, linger: Linger::default() }), table))
    }
}

/// Waking a thread on a processor that has gone to sleep takes longer than a small task. So a thread that has had one
/// looks for the next for a moment, if that has paid lately.
#[derive(Default)]
struct Linger {
    /// When it went to sleep.
    since: Cell<Option<Instant>>,
    /// Times in a row that it would not have been worth it.
    misses: Cell<u32>,
}

impl Linger {
    /// Longer than a submitter needs to read a result and to submit the next task.
    const FOR: Duration = Duration::from_micros(60);
    /// Fewer than this, and it goes on.
    const MISSES: u32 = 2;

    /// Takes tasks, after a moment if there are none at first and that is likely to pay.
    fn take(&self, pool: &Pool, thread: ThreadId, text: &mut Text) {
        if let Some(since) = self.since.take() {
            // Half of it waking up.
            let is_hit = since.elapsed() < 2 * Self::FOR;
            self.misses.set(if is_hit { 0 } else { self.misses.get().saturating_add(1) });
        }
        let processors = if self.misses.get() < Self::MISSES { *PROCESSORS } else { 0 };
        let news = pool.news();
        let mut taken = pool.take(thread, text, processors);
        if taken.count > 0 {
            return;
        }
        let start = Instant::now();
        if taken.lingers {
            while pool.news() == news && start.elapsed() < Self::FOR {
                (0..16).for_each(|_| std::hint::spin_loop());
            }
            taken = pool.take(thread, text, 0);
        }
        if taken.count == 0 {
            self.since.set(Some(start));
        }
    }
}

#[napi]
impl Engine {
    /// Makes this environment a thread of a pool. Returns the memory of its table: four numbers for each of 64
    /// tasks (state, task, handler, kind), then how many there are. `null` where the pool is gone.
    #[napi(ts_return_type = "ArrayBuffer | null")]
    pub fn pool_join(&self, env: &Env, pool: u32, thread: u32) -> Option<Object<'_>> {
        let (seat, table) = SeatEnd::open(&self.state, pool, thread).ok()?;
        let raw = shared::expose(Handle::new(env.raw().cast()), table.cells())?;
        *self.state.pools.seat.borrow_mut() = Some(seat);
        Some(Object::from_raw(env.raw(), raw.cast()))
    }

    /// The name of a handler.
    #[napi]
    pub fn pool_handler(&self, handler: u32) -> Option<String> {
        self.state.pools.seat.borrow().as_ref()?.pool.handler(handler as usize)
    }

    /// Hands back a result as bytes.
    #[napi]
    pub fn pool_done_bytes(
        &self,
        slot: u32,
        task: u32,
        kind: i32,
        bytes: Uint8ArraySlice<'_>,
        run_time: f64,
    ) {
        if let Some(seat) = &*self.state.pools.seat.borrow() {
            let completion = (task, kind, Payload::Narrow(bytes.to_vec()));
            seat.pool.done(seat.thread, slot as usize, completion, run_time);
        }
    }

    /// Sends the pool's owner news of this thread.
    #[napi]
    pub fn pool_tell(&self, task: u32, kind: i32) {
        if let Some(seat) = &*self.state.pools.seat.borrow() {
            seat.pool.push(seat.thread, task, kind, Payload::Empty);
        }
    }
}

/// Takes the next batch into the table; returns its JSON payloads as one array. With none to take, the thread gets an
/// event when there is.
pub(super) fn take(state: &State, call: &Call) -> Option<Handle> {
    let seat = state.pools.seat.borrow().clone()?;
    let mut text = state.pools.text.borrow_mut();
    seat.linger.take(&seat.pool, seat.thread, &mut text);
    array_of(call, &mut text)
}

/// (slot, whether it is text): the payload of a task just claimed, where it is no JSON.
pub(super) fn payload(state: &State, call: &Call) -> Option<Handle> {
    let seat = state.pools.seat.borrow().clone()?;
    value_of(call, seat.pool.payload(seat.thread, call.int(0) as usize), call.int(1) != 0)
}

/// (task, kind): asks the pool's owner for something without which the task cannot go on.
pub(super) fn ask(state: &State, call: &Call) -> Option<Handle> {
    let seat = state.pools.seat.borrow().clone()?;
    seat.pool.request(seat.thread, call.int(0) as TaskId, call.int(1));
    None
}

/// (slot, task, kind, run time in microseconds, negative: not counted, and a text as in `payload_of`, or none): hands
/// back a result.
pub(super) fn done(state: &State, call: &Call) -> Option<Handle> {
    let seat = state.pools.seat.borrow().clone()?;
    let payload = payload_of(call, 4);
    let completion = (call.int(1) as TaskId, call.int(2), payload);
    seat.pool.done(seat.thread, call.int(0) as usize, completion, call.float(3));
    None
}
