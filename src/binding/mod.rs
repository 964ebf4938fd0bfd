//! The only part that names napi: what JavaScript can call, and the one way events reach it.
//!
//! Each copy of `lib/native.js` makes one `Engine`: it belongs to one environment, and everything in it runs
//! on that environment's thread. Calls come down and return a value or a negative errno; events go up through
//! the sink, one call each, so that ticks and microtasks run between them as between Node's own events.

mod cluster;
mod extras;
mod host;
mod ipc;
mod logs;
mod pool;
mod process;
mod supervise;
mod sync;

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::{Rc, Weak};

use napi::bindgen_prelude::{FnArgs, Function, FunctionRef, JsObjectValue, Object};
use napi::{Env, JsValue};
use napi_derive::napi;

use crate::sys::call::{self, Call};
use crate::sys::node::{CallbackContext, Handle};
use crate::sys::pidfd::Usage;
use crate::sys::uv;

/// What an event is about; `lib/native.js` has the same numbers.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum Kind {
    /// (child, 0, 0): its exec worked.
    ChildStarted = 0,
    /// (child, negative errno, step): its exec failed; `Step` in `sys::clone` says at what.
    ChildNotStarted = 1,
    /// (child, exit code, signal or 0): it ended. The code is -ECHILD where somebody else collected it.
    ChildExited = 2,
    /// (channel, 0, 0): messages have arrived, for `channelTake*`.
    ChannelInput = 3,
    /// (channel, how many, 0 or negative errno): queued messages are written, or lost.
    ChannelWritten = 4,
    /// (channel, 0 or negative errno, 0): nothing more will arrive.
    ChannelEnded = 5,
    /// (listener, worker, descriptor): a connection for a worker that gets its own over the channel.
    ClusterConnection = 6,
    /// (listener, negative errno, 0): accepting pauses for lack of a resource.
    ClusterAcceptFailed = 7,
    /// (token, descriptor, listener): in a worker, a connection to adopt or give back.
    HandoffConnection = 8,
    /// (0, 0, 0): tasks of this environment's pools have completed, for `completions` of `poolFunctions`.
    PoolCompletions = 9,
    /// (0, 0, 0): in a pool's thread, there is something to take, or the answer to a request has come.
    PoolTasks = 10,
    /// (channel, 0, 0): more messages have arrived than one turn of the loop is for; see `channelContinue`.
    ChannelMore = 11,
    /// (worker, descriptor or -1, whether this end asked): in a worker, a socket to another, or there is none such.
    HandoffPeer = 12,
    /// (question, worker or 0, 0): in a worker, one of the others; 0 ends the list.
    HandoffListed = 13,
    /// (0, 0, 0): in a worker, it is time for `handoffHeap`.
    HandoffHeap = 14,
    /// (timer, 0, 0): a time of a supervisor's is over.
    SuperviseDue = 15,
    /// (worker, 0, 0): it was killed at its deadline.
    SuperviseKilled = 16,
    /// (worker, milliseconds, letter of its state): its event loop was stuck for so long, and it was killed.
    SuperviseHung = 17,
    /// (worker, `Trouble`, requests or KiB): it has reached a limit.
    SuperviseOver = 18,
    /// (group, workers, use in thousandths): it should have so many.
    SuperviseScale = 19,
    /// (token, negative errno, 0): in a worker, a server cannot accept for lack of a resource.
    HandoffFailed = 20,
}

type SinkArgs = FnArgs<(u32, u32, i32, i32)>;

/// What one of those functions does; `None` is `undefined`.
type Body = fn(&State, &Call) -> Option<Handle>;

/// State of one engine, shared with the callbacks on the loop.
pub(crate) struct State {
    /// For callbacks on the loop, which must not keep it.
    myself: Weak<State>,
    env: Env,
    uv_loop: uv::Loop,
    sink: FunctionRef<SinkArgs, ()>,
    context: CallbackContext,
    children: RefCell<Option<Rc<process::Children>>>,
    /// What the child reported last to have ended used.
    last_usage: Cell<Usage>,
    channels: ipc::Channels,
    cluster: cluster::Cluster,
    pools: pool::Pools,
    supervision: supervise::Supervision,
}

impl State {
    /// Delivers one event to JavaScript and runs what it queued. An exception becomes `uncaughtException`.
    pub(crate) fn emit(&self, kind: Kind, id: u32, a: i32, b: i32) {
        // An error means that the environment is ending.
        let _ = self.env.run_in_scope(|| {
            let env = &self.env;
            let args = [
                Handle::new(env.create_uint32(kind as u32)?.raw().cast()),
                Handle::new(env.create_uint32(id)?.raw().cast()),
                Handle::new(env.create_int32(a)?.raw().cast()),
                Handle::new(env.create_int32(b)?.raw().cast()),
            ];
            self.context.call(Handle::new(self.sink.borrow_back(env)?.raw().cast()), &args);
            Ok(())
        });
    }

    /// Functions that JavaScript calls often: without what a method costs.
    fn functions<'env>(&self, env: &'env Env, bodies: &[(&CStr, Body)]) -> napi::Result<Object<'env>> {
        let mut functions = Object::new(env)?;
        for &(name, body) in bodies {
            let weak = self.myself.clone();
            let body = move |call: &Call| weak.upgrade().and_then(|state| body(&state, call));
            let function = call::function(Handle::new(env.raw().cast()), name, Box::new(body))
                .ok_or_else(|| napi::Error::from_reason("this host makes no functions"))?;
            let function = Object::from_raw(env.raw(), function.as_ptr().cast());
            functions.set_c_named_property(name, function)?;
        }
        Ok(functions)
    }

    /// Lets go of everything on the loop, before the environment ends.
    fn close(&self) {
        self.children.take();
        self.channels.close();
        self.cluster.close();
        self.pools.close(Handle::new(self.env.raw().cast()));
        self.supervision.close();
    }
}

/// The native side of one environment.
#[napi]
pub struct Engine {
    pub(crate) state: Rc<State>,
}

#[napi]
impl Engine {
    /// Makes the engine; every event is delivered as `sink(kind, id, a, b)`.
    #[napi(constructor, ts_args_type = "sink: (kind: number, id: number, a: number, b: number) => void")]
    pub fn new(env: Env, sink: Function<SinkArgs, ()>) -> napi::Result<Self> {
        let uv_loop = uv::Loop::new(env.get_uv_event_loop()?.cast());
        let name = env.create_string("rcluster")?;
        let context = CallbackContext::new(Handle::new(env.raw().cast()), Handle::new(name.raw().cast()))
            .ok_or_else(|| {
                napi::Error::from_reason("this host does not export Node-API's callback scopes")
            })?;
        let sink = sink.create_ref()?;
        let state = Rc::new_cyclic(|myself| State {
            myself: myself.clone(),
            env,
            uv_loop,
            sink,
            context,
            children: RefCell::default(),
            last_usage: Cell::default(),
            channels: ipc::Channels::default(),
            cluster: cluster::Cluster::default(),
            pools: pool::Pools::default(),
            supervision: supervise::Supervision::default(),
        });
        env.add_env_cleanup_hook(Rc::downgrade(&state), |state: Weak<State>| {
            if let Some(state) = state.upgrade() {
                state.close();
            }
        })?;
        Ok(Self { state })
    }
}
