//! The worker-thread pool for JavaScript: `submit` is the side that owns pools, `thread` the one that works.

mod landing;
mod submit;
mod thread;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsString, JsValue};

use crate::pool::dispatch::Pool;
use crate::pool::task::{Payload, TaskId};
use crate::pool::text::Text;
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
        let owned = self.owned.take();
        with_registry(|registry| {
            for id in owned.keys() {
                registry.pools.remove(id);
            }
        });
        drop((self.hub.take(), self.seat.take()));
    }
}

/// A string of JavaScript's as it is kept here; `is_wide` is JavaScript's knowledge of it.
fn payload_of(text: JsString<'_>, is_wide: bool) -> napi::Result<Payload> {
    if !is_wide {
        return Ok(Payload::Narrow(text.into_latin1()?.take()));
    }
    let units = text.into_utf16()?;
    // The slice includes the terminating zero.
    let [units @ .., _] = units.as_slice() else { return Ok(Payload::Wide(Vec::new())) };
    Ok(Payload::Wide(units.to_vec()))
}

/// The elements collected in `text`, as a JSON array; `None` if there are none.
fn array_of<'env>(env: &'env Env, text: &mut Text) -> napi::Result<Option<JsString<'env>>> {
    if !text.finish() {
        return Ok(None);
    }
    let array = match &text.wide {
        Some(units) => env.create_string_utf16(units),
        None => env.create_string_latin1(&text.narrow),
    };
    text.clear();
    array.map(Some)
}

/// A payload as JavaScript gets it: text as a string, bytes as a Buffer.
fn value_of<'env>(env: &'env Env, payload: Payload, is_text: bool) -> napi::Result<Option<Unknown<'env>>> {
    match payload {
        Payload::Empty | Payload::Promised(_) | Payload::Landed(_) => Ok(None),
        Payload::Narrow(bytes) if is_text => {
            env.create_string_latin1(bytes).map(|text| Some(text.to_unknown()))
        }
        Payload::Wide(units) => env.create_string_utf16(units).map(|text| Some(text.to_unknown())),
        Payload::Narrow(bytes) => {
            let buffer = napi::bindgen_prelude::BufferSlice::copy_from(env, bytes)?;
            Ok(Some(buffer.to_unknown()))
        }
    }
}
