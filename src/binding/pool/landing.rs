//! Big buffers: each side sets memory of its own aside, and the other copies right into it.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{Object, Uint8ArraySlice};
use napi::{Env, JsValue};
use napi_derive::napi;

use crate::binding::Engine;
use crate::pool::task::Payload;
use crate::sys::landing::Landing;
use crate::sys::malloc;
use crate::sys::node::Handle;
use crate::sys::thread;

/// What this environment has set aside and not got back.
#[derive(Default)]
pub(crate) struct Landings(RefCell<Vec<Arc<Landing>>>);

impl Landings {
    fn lend(&self, env: Handle, buffer: Handle) -> Option<Arc<Landing>> {
        let landing = Arc::new(Landing::new(env, buffer)?);
        self.0.borrow_mut().push(landing.clone());
        Some(landing)
    }

    fn forget(&self, landing: &Arc<Landing>) {
        self.0.borrow_mut().retain(|other| !Arc::ptr_eq(other, landing));
    }

    /// The ArrayBuffer of a landing, if it is one of these and has been filled.
    pub(super) fn take(&self, env: Handle, landing: &Arc<Landing>) -> Option<Handle> {
        let buffer = landing.take(env)?;
        self.forget(landing);
        Some(buffer)
    }

    fn give_up(&self, env: Handle, landing: &Arc<Landing>) {
        landing.close(env);
        self.forget(landing);
    }

    /// Gives all back, before the environment ends.
    pub(super) fn close(&self, env: Handle) {
        for landing in self.0.take() {
            landing.close(env);
        }
    }
}

/// Environments that want freed memory kept.
static KEEPERS: Mutex<usize> = Mutex::new(0);

/// Whether this environment wants freed memory kept, and the size of its big buffers; 0: it does not.
#[derive(Default)]
pub(crate) struct Keeping(Cell<usize>);

impl Keeping {
    fn keep(&self, largest: usize) {
        let before = self.0.replace(largest);
        if (before == 0) == (largest == 0) {
            return;
        }
        let mut keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
        if largest > 0 {
            *keepers += 1;
            malloc::keep_freed();
            return;
        }
        *keepers -= 1;
        if *keepers == 0 {
            malloc::adjust_to(before);
            // Where no thread can be started, what is kept goes when the next big buffer is freed.
            let _ = thread::start("rcluster-trim", malloc::trim);
        }
    }

    /// This environment ends.
    pub(super) fn close(&self) {
        self.keep(0);
    }
}

fn handle_of(env: &Env) -> Handle {
    Handle::new(env.raw().cast())
}

#[napi]
impl Engine {
    /// Sets an ArrayBuffer aside for a result of its size; it must not be touched until `result` of `poolFunctions` gives it back.
    #[napi(ts_args_type = "buffer: ArrayBuffer")]
    pub fn pool_offer(&self, env: &Env, buffer: Object<'_>) {
        let pools = &self.state.pools;
        let Some(end) = pools.hub.borrow().clone() else { return };
        let buffer = Handle::new(buffer.raw().cast());
        if let Some(landing) = pools.landings.lend(handle_of(env), buffer) {
            end.hub().offer(landing);
        }
    }

    /// Has the C library keep freed memory, up to a limit, while big buffers come and go, of up to so many bytes; with 0 it
    /// need not any more. For the whole process, as long as one environment wants it.
    #[napi]
    pub fn pool_keep_freed_memory(&self, largest: f64) {
        self.state.pools.keeping.keep(largest as usize);
    }

    /// Takes back what was set aside for results and is still free.
    #[napi]
    pub fn pool_withdraw_offers(&self, env: &Env) {
        let pools = &self.state.pools;
        let Some(end) = pools.hub.borrow().clone() else { return };
        for landing in end.hub().withdraw() {
            pools.landings.give_up(handle_of(env), &landing);
        }
    }

    /// Copies the bytes of a task where its thread wants them. False where they are more or fewer; true where it does
    /// not want them any more.
    #[napi]
    pub fn pool_fill(&self, pool: u32, thread: u32, task: u32, bytes: Uint8ArraySlice<'_>) -> bool {
        let Some(pool) = self.state.pools.get(pool) else { return false };
        pool.wanted(thread, task).is_none_or(|landing| {
            let fits = landing.length() == bytes.len();
            if fits {
                // Refused where the thread has just given it up.
                landing.fill(&bytes);
            }
            fits
        })
    }

    /// In a thread: how many bytes a task has whose owner still has them.
    #[napi]
    pub fn pool_promised(&self, slot: u32) -> f64 {
        let seat = self.state.pools.seat.borrow();
        seat.as_ref().map_or(0.0, |seat| seat.pool.promised(seat.thread, slot as usize) as f64)
    }

    /// In a thread: says where it wants the bytes of a task.
    #[napi(ts_args_type = "task: number, buffer: ArrayBuffer")]
    pub fn pool_want(&self, env: &Env, task: u32, buffer: Object<'_>) {
        let pools = &self.state.pools;
        let Some(seat) = pools.seat.borrow().clone() else { return };
        let buffer = Handle::new(buffer.raw().cast());
        if let Some(landing) = pools.landings.lend(handle_of(env), buffer) {
            pools.wanted.borrow_mut().insert(task, landing.clone());
            seat.pool.want(seat.thread, task, landing);
        }
    }

    /// In a thread: the ArrayBuffer with the bytes of a task, once they are there.
    #[napi(ts_return_type = "ArrayBuffer | null")]
    pub fn pool_landed(&self, env: &Env, task: u32) -> Option<Object<'_>> {
        let pools = &self.state.pools;
        let mut wanted = pools.wanted.borrow_mut();
        let buffer = pools.landings.take(handle_of(env), wanted.get(&task)?)?;
        wanted.remove(&task);
        Some(Object::from_raw(env.raw(), buffer.as_ptr().cast()))
    }

    /// In a thread: gives up on the bytes of a task.
    #[napi]
    pub fn pool_forget(&self, env: &Env, task: u32) {
        let pools = &self.state.pools;
        let Some(landing) = pools.wanted.borrow_mut().remove(&task) else { return };
        if let Some(seat) = &*pools.seat.borrow() {
            seat.pool.wanted(seat.thread, task);
        }
        pools.landings.give_up(handle_of(env), &landing);
    }

    /// In a thread: copies a result into memory that the pool's owner has set aside. False where there is none of
    /// its size. `runTime` is in microseconds, negative: not counted.
    #[napi]
    pub fn pool_done_big(
        &self,
        slot: u32,
        task: u32,
        kind: i32,
        bytes: Uint8ArraySlice<'_>,
        run_time: f64,
    ) -> bool {
        let Some(seat) = self.state.pools.seat.borrow().clone() else { return false };
        let Some(landing) = seat.pool.claim(bytes.len()) else { return false };
        let is_filled = landing.fill(&bytes);
        if is_filled {
            let completion = (task, kind, Payload::Landed(landing));
            seat.pool.done(seat.thread, slot as usize, completion, run_time);
        }
        is_filled
    }
}
