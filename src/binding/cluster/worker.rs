//! In a worker: the connections it adopts, and what it tells of its load.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::os::fd::{AsFd, IntoRawFd, RawFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use nix::errno::Errno;

use super::{Body, Engine, Kind, State};
use crate::cluster::load::{Delays, HEARTBEAT_INTERVAL, Load, Meter, told};
use crate::cluster::pace::Pace;
use crate::cluster::packet::{Kind as Letter, Packet};
use crate::cluster::worker::{Accepted, Inbox, Received};
use crate::sys::call::Call;
use crate::sys::fd::{self, take};
use crate::sys::node::Handle;
use crate::sys::orphan;
use crate::sys::uv::{Check, Idle, Poll, Prepare, Timer};

/// Connections adopted in one turn of the loop, before what else is ready gets its turn.
const ADOPT_BATCH: usize = 64;
/// The heap is measured with every so many heartbeats.
const HEARTBEATS_PER_HEAP: u32 = 10;

/// Callbacks in each turn of the loop, by which it takes its turns at listening sockets.
struct OnTurns {
    _bell: Poll,
    _before_sleep: Prepare,
    _after_input: Check,
    /// Keeps the loop from waiting while there are turns that are not taken yet.
    again: Idle,
}

impl OnTurns {
    fn new(state: &Rc<State>, inbox: &Inbox) -> Result<Option<Self>, Errno> {
        let Some(bell) = inbox.bell() else { return Ok(None) };
        let weak = Rc::downgrade(state);
        let bell = Poll::new(state.uv_loop, bell.as_fd(), move |_| on_bell(&weak))?;
        bell.watch(true, false)?;
        bell.set_ref(false);
        let weak = Rc::downgrade(state);
        let before_sleep = Prepare::new(state.uv_loop, move || before_sleep(&weak))?;
        before_sleep.start();
        let weak = Rc::downgrade(state);
        let after_input = Check::new(state.uv_loop, move || take_turns(&weak))?;
        after_input.start();
        let again = Idle::new(state.uv_loop)?;
        Ok(Some(Self { _bell: bell, _before_sleep: before_sleep, _after_input: after_input, again }))
    }
}

pub(super) struct WorkerSide {
    // Closed before `inbox`, whose descriptor it watches.
    poll: Poll,
    _heartbeat: Timer,
    /// What goes on where this worker has turns.
    turns: RefCell<Option<OnTurns>>,
    inbox: RefCell<Inbox>,
    /// The last connection that it has accepted in this turn of the loop: what its client wants is likely to be there.
    accepted: Cell<Option<RawFd>>,
    /// How many it has.
    accepted_count: Cell<u32>,
    pace: RefCell<Pace>,
    /// It has left turns for the loop's next turn.
    has_more: Cell<bool>,
    /// It does not look into its socket until one of its servers is ready again.
    is_deaf: Cell<bool>,
    meter: RefCell<Meter>,
    delays: RefCell<Delays>,
    /// Connections of its servers that are open.
    open: Cell<u32>,
    heartbeats: Cell<u32>,
}

impl WorkerSide {
    fn new(state: &Rc<State>, inbox: Inbox) -> Result<Rc<Self>, Errno> {
        let weak = Rc::downgrade(state);
        let poll = Poll::new(state.uv_loop, inbox.fd(), move |_| on_worker_ready(&weak))?;
        poll.watch(true, false)?;
        // A listening server keeps the worker alive by a timer of Node's own.
        poll.set_ref(false);
        // Known from the first connection on.
        inbox.load().inspect(|load| load.beat(0));
        let weak = Rc::downgrade(state);
        let heartbeat = Timer::start(state.uv_loop, HEARTBEAT_INTERVAL, move || on_heartbeat(&weak))?;
        Ok(Rc::new(Self {
            poll,
            _heartbeat: heartbeat,
            turns: RefCell::default(),
            inbox: RefCell::new(inbox),
            accepted: Cell::default(),
            accepted_count: Cell::default(),
            pace: RefCell::default(),
            has_more: Cell::default(),
            is_deaf: Cell::default(),
            meter: RefCell::default(),
            delays: RefCell::default(),
            open: Cell::default(),
            heartbeats: Cell::default(),
        }))
    }

    /// Has the loop not wait before it has taken more turns, if there are any.
    fn go_on_at_once(&self) {
        let has_more = self.inbox.borrow().load().is_some_and(|load| load.turns_given() > 0);
        if self.has_more.replace(has_more) == has_more {
            return;
        }
        if let Some(turns) = &*self.turns.borrow() {
            if has_more { turns.again.start() } else { turns.again.stop() }
        }
    }

    fn tell_delays(&self) {
        let places = [told::DELAY_MEAN, told::DELAY_P50, told::DELAY_P99, told::DELAY_MAX];
        if let Some(load) = self.inbox.borrow().load() {
            for (at, delay) in places.into_iter().zip(self.delays.borrow().summary()) {
                load.note(at, delay);
            }
        }
    }

    /// Looks into the socket again, if it did not.
    fn hear_again(&self) {
        if self.is_deaf.replace(false) {
            self.update_watch();
        }
    }

    /// Watches for input, and for room in the socket while something waits for it.
    fn update_watch(&self) {
        let _ = self.poll.watch(!self.is_deaf.get(), self.inbox.borrow().has_unsent());
    }
}

fn on_heartbeat(state: &Weak<State>) {
    let Some(state) = state.upgrade() else { return };
    let side = state.cluster.worker.borrow().clone();
    if let Some(side) = side {
        let (time, waited) = state.uv_loop.times();
        let utilisation = side.meter.borrow_mut().measure(time, waited);
        side.delays.borrow_mut().beat(time);
        if let Some(load) = side.inbox.borrow().load() {
            load.set_open(side.open.get());
            load.beat(utilisation);
        }
        let heartbeats = side.heartbeats.get().wrapping_add(1);
        side.heartbeats.set(heartbeats);
        if heartbeats % HEARTBEATS_PER_HEAP == 0 {
            side.tell_delays();
            state.emit(Kind::HandoffHeap, 0, 0, 0);
        }
    }
}

/// Tells JavaScript something about another worker.
fn on_letter(state: &State, Packet { kind, token, listener }: Packet, fd: i32) {
    match kind {
        Letter::Listed => state.emit(Kind::HandoffListed, token, listener as i32, 0),
        _ => state.emit(Kind::HandoffPeer, token, fd, listener as i32),
    }
}

fn on_worker_ready(state: &Weak<State>) {
    let Some(state) = state.upgrade() else { return };
    let side = || state.cluster.worker.borrow().clone();
    if let Some(side) = side()
        && side.inbox.borrow().has_unsent()
    {
        side.inbox.borrow_mut().flush();
        side.update_watch();
    }
    for _ in 0..ADOPT_BATCH {
        // Looked up each time: what runs on a connection may end this side.
        let Some(side) = side() else { return };
        let received = side.inbox.borrow().receive();
        match received {
            Received::Connection(packet, connection) => {
                let fd = connection.into_raw_fd();
                state.emit(Kind::HandoffConnection, packet.token, fd, packet.listener as i32);
            }
            Received::Letter(packet, descriptor) => {
                on_letter(&state, packet, descriptor.map_or(-1, IntoRawFd::into_raw_fd));
            }
            Received::NoDoor(token) => {
                side.inbox.borrow_mut().leave(token);
                state.emit(Kind::HandoffFailed, token, -(Errno::EMFILE as i32), 0);
            }
            Received::Lacking(token, errno) => {
                side.inbox.borrow_mut().leave_all(token);
                // What cannot be received would wake the loop again and again until the primary has taken it back.
                side.is_deaf.set(true);
                side.update_watch();
                state.emit(Kind::HandoffFailed, token, -(errno as i32), 0);
                return;
            }
            Received::Empty => return,
            Received::Closed => {
                state.cluster.worker.take();
                return;
            }
        }
    }
}

fn with_side(state: &Weak<State>, call: impl FnOnce(&WorkerSide)) {
    if let Some(state) = state.upgrade() {
        let side = state.cluster.worker.borrow().clone();
        side.inspect(|side| call(side));
    }
}

/// The loop is woken; what for is looked at once its input is dealt with.
fn on_bell(state: &Weak<State>) {
    with_side(state, |side| {
        side.inbox.borrow().bell().inspect(|bell| bell.clear());
    });
}

fn before_sleep(state: &Weak<State>) {
    let Some(state) = state.upgrade() else { return };
    let Some(side) = state.cluster.worker.borrow().clone() else { return };
    let accepted = side.accepted.take();
    if side.has_more.get() {
        return;
    }
    // Not looked for in each turn: it is a system call. Not at the loop, which is not watching that one yet.
    let has_input = accepted.is_some_and(fd::has_input);
    let inbox = side.inbox.borrow();
    // Given since they were looked at: the loop must not wait.
    if let (Some(load), Some(bell)) = (inbox.load(), inbox.bell())
        && !load.fall_asleep(has_input)
    {
        bell.wake();
    }
}

/// Accepts what this worker has turns for, after the other input of the loop's turn.
fn take_turns(state: &Weak<State>) {
    let Some(state) = state.upgrade() else { return };
    let is_held_up = {
        let Some(side) = state.cluster.worker.borrow().clone() else { return };
        side.inbox.borrow().load().inspect(|load| load.wake_up());
        let (time, waited) = state.uv_loop.times();
        side.pace.borrow_mut().turns(time, waited, side.accepted_count.take())
    };
    for _ in 0..ADOPT_BATCH {
        // Looked up each time: what runs on a connection may end this side.
        let Some(side) = state.cluster.worker.borrow().clone() else { return };
        let accepted = side.inbox.borrow().accept();
        match accepted {
            Accepted::Connection(packet, connection, is_steady) => {
                let fd = connection.into_raw_fd();
                side.accepted.set(Some(fd));
                side.accepted_count.set(side.accepted_count.get() + 1);
                state.emit(Kind::HandoffConnection, packet.token, fd, packet.listener as i32);
                // What comes behind one that takes long is to go to others.
                if is_held_up && !is_steady {
                    break;
                }
            }
            Accepted::Failed(token, errno) => {
                side.inbox.borrow_mut().pause(token);
                state.emit(Kind::HandoffFailed, token, -(errno as i32), 0);
            }
            Accepted::None => break,
        }
    }
    let Some(side) = state.cluster.worker.borrow().clone() else { return };
    side.go_on_at_once();
    side.inbox.borrow_mut().tell_news();
    if side.inbox.borrow().has_unsent() {
        side.update_watch();
    }
}

/// What JavaScript calls for every connection: without what a method costs.
const FUNCTIONS: &[(&CStr, Body)] = &[(c"openCount", open_count), (c"accepted", accepted)];

/// (how many connections of this worker's servers are open)
fn open_count(state: &State, call: &Call) -> Option<Handle> {
    let count = call.int(0) as u32;
    let side = state.cluster.worker.borrow();
    let side = side.as_ref()?;
    side.open.set(count);
    side.inbox.borrow().load()?.set_open(count);
    None
}

/// (): this worker has accepted a connection by itself.
fn accepted(state: &State, _call: &Call) -> Option<Handle> {
    state.cluster.worker.borrow().as_ref()?.inbox.borrow().load()?.accepted();
    None
}

#[napi]
impl Engine {
    /// In a worker: takes over the inherited hand-off socket; 0 or a negative errno.
    #[napi]
    pub fn handoff_open(&self, fd: i32, inode: f64) -> i32 {
        match Inbox::open(fd, inode as u64).and_then(|inbox| WorkerSide::new(&self.state, inbox)) {
            Ok(side) => {
                self.state.cluster.worker.replace(Some(side));
                0
            }
            Err(errno) => -(errno as i32),
        }
    }

    /// In a worker: the memory that it shares with its primary.
    pub(in crate::binding) fn own_load(&self) -> Option<Arc<Load>> {
        let side = self.state.cluster.worker.borrow().clone()?;
        side.inbox.borrow().load().cloned()
    }

    /// In a worker: runs `call` on that memory, if there is any.
    pub(in crate::binding) fn with_load(&self, call: impl FnOnce(&Load)) {
        if let Some(load) = self.own_load() {
            call(&load);
        }
    }

    fn with_inbox(&self, call: impl FnOnce(&mut Inbox)) -> bool {
        let side = self.state.cluster.worker.borrow().clone();
        let Some(side) = side else { return false };
        call(&mut side.inbox.borrow_mut());
        if side.inbox.borrow().has_unsent() {
            side.update_watch();
        }
        true
    }

    /// In a worker: the server of `token` takes connections from now on.
    #[napi]
    pub fn handoff_ready(&self, token: u32) {
        let side = self.state.cluster.worker.borrow().clone();
        let Some(side) = side else { return };
        if side.turns.borrow().is_none() {
            let turns = OnTurns::new(&self.state, &side.inbox.borrow());
            side.turns.replace(turns.ok().flatten());
        }
        let takes_turns = side.turns.borrow().is_some();
        side.hear_again();
        self.with_inbox(|inbox| if takes_turns { inbox.ready_for_turns(token) } else { inbox.ready(token) });
    }

    /// In a worker: the server of `token` is closed, and takes none any more.
    #[napi]
    pub fn handoff_leave(&self, token: u32) {
        self.with_inbox(|inbox| inbox.leave(token));
        self.state.cluster.worker.borrow().as_ref().inspect(|side| side.hear_again());
    }

    /// In a worker: the functions that are called for every connection; `lib/cluster/calls.js` says what each takes.
    #[napi(ts_return_type = "Record<string, Function>")]
    pub fn handoff_functions<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.state.functions(env, FUNCTIONS)
    }

    /// In a worker: so many bytes of its heap are used.
    #[napi]
    pub fn handoff_heap(&self, bytes: f64) {
        if let Some(side) = &*self.state.cluster.worker.borrow()
            && let Some(load) = side.inbox.borrow().load()
        {
            load.set_heap(bytes as u64);
        }
    }

    /// In a worker: asks for a socket to the worker of this number; false if there is nobody to ask.
    #[napi]
    pub fn handoff_meet(&self, number: u32) -> bool {
        self.with_inbox(|inbox| inbox.meet(number))
    }

    /// In a worker: asks which other workers there are; false if there is nobody to ask.
    #[napi]
    pub fn handoff_list(&self, question: u32) -> bool {
        self.with_inbox(|inbox| inbox.list(question))
    }

    /// In a worker: gives back a connection, for another; no more come for `token` until it is ready again.
    #[napi]
    pub fn handoff_refuse(&self, token: u32, fd: i32, listener: u32) {
        if let Ok(connection) = take(fd as RawFd) {
            self.with_inbox(|inbox| inbox.refuse(token, listener, connection));
        }
    }
}

/// In a worker: ends it soon after its primary, even if its event loop is blocked; 0 or a negative errno. It needs no
/// engine: a worker asks for it before it has one.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "tests register nothing with Node"))]
pub(crate) fn end_with_parent() -> i32 {
    orphan::end_with_parent().map_or_else(|errno| -(errno as i32), |()| 0)
}

/// In a worker that was told to go: it may take its time, whatever becomes of the primary.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "tests register nothing with Node"))]
pub(crate) fn outlive_parent() {
    orphan::outlive_parent();
}
