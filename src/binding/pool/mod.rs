//! The worker-thread pool for JavaScript: `submit` is the side that owns pools, `thread` the one that works.

mod landing;
mod submit;
mod thread;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::binding::{Body, Engine};
use crate::pool::dispatch::Pool;
use crate::pool::task::{Payload, TaskId};
use crate::pool::text::Text;
use crate::sys::call::Call;
use crate::sys::landing::Landing;
use crate::sys::node::Handle;

/// The pools of the process, by number: threads find the one they work for here.
static POOLS: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Registry {
    pools: HashMap<u32, Arc<Pool>>,
    next_id: u32,
}

fn with_registry<T>(body: impl FnOnce(&mut Registry) -> T) -> T {
    body(&mut POOLS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What one environment has to do with pools.
#[derive(Default)]
pub(crate) struct Pools {
    /// Made with the environment's first pool.
    hub: RefCell<Option<Rc<submit::HubEnd>>>,
    owned: RefCell<HashMap<u32, Arc<Pool>>>,
    /// Payloads that were handed down one by one, for their pool's next submission.
    pending: RefCell<HashMap<u32, Vec<Payload>>>,
    /// In a pool's thread: its place.
    seat: RefCell<Option<Rc<thread::SeatEnd>>>,
    text: RefCell<Text>,
    landings: landing::Landings,
    keeping: landing::Keeping,
    /// In a pool's thread: where it wants the bytes of tasks.
    wanted: RefCell<HashMap<TaskId, Arc<Landing>>>,
}

impl Pools {
    fn get(&self, id: u32) -> Option<Arc<Pool>> {
        self.owned.borrow().get(&id).cloned()
    }

    /// Keeps a payload for the next submission.
    fn put(&self, pool: u32, payload: Payload) {
        self.pending.borrow_mut().entry(pool).or_default().push(payload);
    }

    /// Lets go of the loop and of the pools, before the environment ends.
    pub(super) fn close(&self, env: Handle) {
        self.landings.close(env);
        self.keeping.close();
        let owned = self.owned.take();
        with_registry(|registry| {
            for id in owned.keys() {
                registry.pools.remove(id);
            }
        });
        drop((self.hub.take(), self.seat.take()));
    }
}

/// The functions that JavaScript calls for every task, or nearly: without what a method costs.
const FUNCTIONS: &[(&CStr, Body)] = &[
    (c"put", submit::put),
    (c"submit", submit::submit),
    (c"completions", submit::completions),
    (c"result", submit::result),
    (c"take", thread::take),
    (c"payload", thread::payload),
    (c"ask", thread::ask),
    (c"done", thread::done),
];

#[napi]
impl Engine {
    /// The functions that are called often: `lib/pool/calls.js` says what each takes and returns.
    #[napi(ts_return_type = "Record<string, Function>")]
    pub fn pool_functions<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.state.functions(env, FUNCTIONS)
    }
}

/// A string of JavaScript's as it is kept here: three arguments, the string, its length, and 1 where it has characters
/// beyond Latin-1. None where there are no such arguments.
fn payload_of(call: &Call, index: usize) -> Payload {
    let length = call.int(index + 1) as usize;
    if length == 0 {
        return Payload::Empty;
    }
    if call.int(index + 2) == 0 {
        let mut bytes = Vec::new();
        call.read_latin1(index, length, &mut bytes);
        return Payload::Narrow(bytes);
    }
    let mut units = Vec::new();
    call.read_utf16(index, length, &mut units);
    Payload::Wide(units)
}

/// The elements collected in `text`, as a JSON array; `None` if there are none.
fn array_of(call: &Call, text: &mut Text) -> Option<Handle> {
    if !text.finish() {
        return None;
    }
    let array = match &text.wide {
        Some(units) => call.new_utf16(units),
        None => call.new_latin1(&text.narrow),
    };
    text.clear();
    array
}

/// A payload as JavaScript gets it: text as a string, bytes as a Buffer.
fn value_of(call: &Call, payload: Payload, is_text: bool) -> Option<Handle> {
    match payload {
        Payload::Empty | Payload::Promised(_) | Payload::Landed(_) => None,
        Payload::Narrow(bytes) if is_text => call.new_latin1(&bytes),
        Payload::Wide(units) => call.new_utf16(&units),
        Payload::Narrow(bytes) => call.new_buffer(&bytes),
    }
}
