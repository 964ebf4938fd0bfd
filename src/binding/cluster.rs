//! The cluster for JavaScript: in the primary listeners and workers, in a worker the connections it adopts.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::{IntoRawFd, RawFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use napi_derive::napi;
use nix::errno::Errno;

use super::{Engine, Kind, State};
use crate::cluster::listener::{self, Bound, Endpoint, HandleKind, Host, Options};
use crate::cluster::load::{self, HEARTBEAT_INTERVAL, Load, Meter};
use crate::cluster::primary::{Event, Listening, Primary};
use crate::cluster::schedule::Policy;
use crate::cluster::worker::{Inbox, Received};
use crate::sys::fd::{duplicate, take};
use crate::sys::orphan;
use crate::sys::uv::{Poll, Timer};

/// Connections adopted in one turn of the loop, before what else is ready gets its turn.
const ADOPT_BATCH: usize = 64;

/// The cluster state of one environment.
#[derive(Default)]
pub(super) struct Cluster {
    primary: RefCell<Option<Rc<PrimarySide>>>,
    worker: RefCell<Option<Rc<WorkerSide>>>,
}

impl Cluster {
    /// Lets go of everything on the loop.
    pub(super) fn close(&self) {
        self.primary.take();
        self.worker.take();
    }
}

struct PrimarySide {
    // Closed before `primary`, whose descriptor it watches.
    _poll: Poll,
    primary: Primary,
    listeners: RefCell<HashMap<u32, Listening>>,
    workers: RefCell<HashMap<u32, Arc<Load>>>,
}

impl PrimarySide {
    fn new(state: &Rc<State>) -> Result<Rc<Self>, Errno> {
        let primary = Primary::new()?;
        let weak = Rc::downgrade(state);
        let poll = Poll::new(state.uv_loop, primary.fd(), move |_| on_primary_ready(&weak))?;
        poll.watch(true, false)?;
        // The workers' channels keep the loop alive, as with Node; this is only a way for events.
        poll.set_ref(false);
        Ok(Rc::new(Self { _poll: poll, primary, listeners: RefCell::default(), workers: RefCell::default() }))
    }
}

impl Drop for PrimarySide {
    fn drop(&mut self) {
        for worker in self.workers.take().into_keys() {
            self.primary.remove_worker(worker, false);
        }
    }
}

fn on_primary_ready(state: &Weak<State>) {
    let Some(state) = state.upgrade() else { return };
    let side = state.cluster.primary.borrow().clone();
    let Some(side) = side else { return };
    side.primary.clear_wake();
    while let Some(event) = side.primary.next_event() {
        match event {
            Event::Connection { listener, worker, connection } => {
                state.emit(Kind::ClusterConnection, listener, worker as i32, connection.into_raw_fd());
            }
            Event::AcceptFailed { listener, errno } => {
                state.emit(Kind::ClusterAcceptFailed, listener, -(errno as i32), 0);
            }
        }
    }
}

struct WorkerSide {
    // Closed before `inbox`, whose descriptor it watches.
    poll: Poll,
    _heartbeat: Timer,
    inbox: RefCell<Inbox>,
    meter: RefCell<Meter>,
    /// Connections of its servers that are open.
    open: Cell<u32>,
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
            inbox: RefCell::new(inbox),
            meter: RefCell::default(),
            open: Cell::default(),
        }))
    }

    /// Watches for room in the socket while something waits for it.
    fn update_watch(&self) {
        let _ = self.poll.watch(true, self.inbox.borrow().has_unsent());
    }
}

fn on_heartbeat(state: &Weak<State>) {
    let Some(state) = state.upgrade() else { return };
    if let Some(side) = &*state.cluster.worker.borrow() {
        let (time, waited) = state.uv_loop.times();
        let utilisation = side.meter.borrow_mut().measure(time, waited);
        if let Some(load) = side.inbox.borrow().load() {
            load.set_open(side.open.get());
            load.beat(utilisation);
        }
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
            Received::Empty => return,
            Received::Closed => {
                state.cluster.worker.take();
                return;
            }
        }
    }
}

/// What a worker asks to listen on: a descriptor, a path, or a host and port.
#[napi(object)]
pub struct Listen {
    /// A descriptor of this process, which is taken over.
    pub fd: Option<i32>,
    /// A path, or an abstract name after a NUL.
    pub path: Option<String>,
    /// A numeric address; every address if absent.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u32>,
    /// For datagrams.
    pub udp: Option<bool>,
    /// libuv's bind flags.
    pub flags: Option<u32>,
    /// Connections that may wait in the kernel.
    pub backlog: Option<i32>,
    /// Everybody may read the path.
    pub readable_all: Option<bool>,
    /// Everybody may write the path.
    pub writable_all: Option<bool>,
}

/// What came of it.
#[napi(object, object_from_js = false)]
pub struct Listened {
    /// A listener or a descriptor; below 0 an errno.
    pub code: i32,
    /// `tcp`, `pipe` or `udp`.
    pub kind: Option<&'static str>,
    /// The address bound to.
    pub address: Option<String>,
    /// The port bound to.
    pub port: Option<u32>,
}

impl Listen {
    fn endpoint(&self) -> Result<Endpoint, Errno> {
        if let Some(fd) = self.fd {
            return Ok(Endpoint::Fd(fd));
        }
        if let Some(path) = &self.path {
            return Ok(Endpoint::Path(path.clone().into_bytes()));
        }
        let host = self.host.as_deref().map(Host::parse).transpose()?;
        let port = u16::try_from(self.port.unwrap_or(0)).map_err(|_| Errno::EINVAL)?;
        match (self.udp, host) {
            (Some(true), Some(host)) => Ok(Endpoint::Udp(host, port)),
            (Some(true), None) => Err(Errno::EINVAL),
            (_, host) => Ok(Endpoint::Tcp(host, port)),
        }
    }

    fn options(&self) -> Options {
        Options {
            flags: self.flags.unwrap_or(0),
            backlog: self.backlog.unwrap_or(0),
            readable_all: self.readable_all.unwrap_or(false),
            writable_all: self.writable_all.unwrap_or(false),
        }
    }
}

impl Listened {
    fn of(bound: &Bound, code: i32) -> Self {
        let address = bound.address();
        Self {
            code,
            kind: Some(match bound.kind {
                HandleKind::Tcp => "tcp",
                HandleKind::Pipe => "pipe",
                HandleKind::Udp => "udp",
            }),
            address: address.map(|address| listener::host_text(&address)),
            port: address.map(|address| u32::from(address.port())),
        }
    }

    fn failed(errno: Errno) -> Self {
        Self { code: -(errno as i32), kind: None, address: None, port: None }
    }
}

/// By the numbers of `cluster.SCHED_*`.
fn policy_of(number: u32) -> Policy {
    match number {
        3 => Policy::LeastConnections,
        4 => Policy::LeastLoad,
        5 => Policy::Sticky,
        _ => Policy::RoundRobin,
    }
}

#[napi]
impl Engine {
    fn primary_side(&self) -> Result<Rc<PrimarySide>, Errno> {
        if let Some(side) = &*self.state.cluster.primary.borrow() {
            return Ok(side.clone());
        }
        let side = PrimarySide::new(&self.state)?;
        self.state.cluster.primary.replace(Some(side.clone()));
        Ok(side)
    }

    /// Runs `call` on the primary's side if there is one.
    fn with_primary(&self, call: impl FnOnce(&PrimarySide)) {
        let side = self.state.cluster.primary.borrow().clone();
        if let Some(side) = side {
            call(&side);
        }
    }

    /// Binds, listens, and has the accept thread accept and share out by `policy`: `code` is the listener's
    /// number.
    #[napi]
    pub fn cluster_listen(&self, options: Listen, policy: u32) -> Listened {
        self.try_listen(&options, policy_of(policy)).unwrap_or_else(Listened::failed)
    }

    fn try_listen(&self, options: &Listen, policy: Policy) -> Result<Listened, Errno> {
        let side = self.primary_side()?;
        let mut listeners = side.listeners.borrow_mut();
        if options.fd.is_some_and(|fd| listeners.values().any(|listening| listening.is_on(fd))) {
            return Err(Errno::EEXIST);
        }
        let bound = listener::listen_on(&options.endpoint()?, options.options())?;
        let mut listened = Listened::of(&bound, 0);
        let listening = side.primary.listen(bound, policy);
        listened.code = listening.id() as i32;
        listeners.insert(listening.id(), listening);
        Ok(listened)
    }

    /// Binds only: `code` is a descriptor that belongs to the caller.
    #[napi]
    pub fn cluster_bind(&self, options: Listen) -> Listened {
        match options.endpoint().and_then(|endpoint| listener::bind_to(&endpoint, options.options())) {
            Ok(bound) => {
                let listened = Listened::of(&bound, 0);
                Listened { code: bound.socket.into_raw_fd(), ..listened }
            }
            Err(errno) => Listened::failed(errno),
        }
    }

    /// A copy of a descriptor that stays its owner's; below 0 a negative errno.
    #[napi]
    pub fn cluster_duplicate(&self, fd: i32) -> i32 {
        duplicate(fd).map_or_else(|errno| -(errno as i32), IntoRawFd::into_raw_fd)
    }

    /// Closes a listener, at once.
    #[napi]
    pub fn cluster_unlisten(&self, listener: u32) {
        self.with_primary(|side| drop(side.listeners.borrow_mut().remove(&listener)));
    }

    /// Makes the hand-off socket for a worker about to be started: its number, the descriptor it is to inherit
    /// (which stays the engine's), and the inode by which it will know it. Below 0 the first is an errno.
    #[napi]
    pub fn cluster_add_worker(&self) -> Vec<f64> {
        let added = self.primary_side().and_then(|side| {
            let new = side.primary.add_worker()?;
            side.workers.borrow_mut().insert(new.worker, new.load.clone());
            Ok(new)
        });
        match added {
            Ok(new) => vec![f64::from(new.worker), f64::from(new.fd), new.inode as f64],
            Err(errno) => vec![-f64::from(errno as i32), -1.0, 0.0],
        }
    }

    /// Has the accept thread see for itself when a worker ends; 0 or a negative errno.
    #[napi]
    pub fn cluster_watch_worker(&self, worker: u32, pid: i32) -> i32 {
        match self.primary_side().and_then(|side| side.primary.watch_worker(worker, pid)) {
            Ok(()) => 0,
            Err(errno) => -(errno as i32),
        }
    }

    /// Forgets a worker that has ended; `crashed` if that was nobody's wish.
    #[napi]
    pub fn cluster_remove_worker(&self, worker: u32, crashed: bool) {
        self.with_primary(|side| {
            side.workers.borrow_mut().remove(&worker);
            side.primary.remove_worker(worker, crashed);
        });
    }

    /// Takes back the connections that a worker has not taken yet, for others.
    #[napi]
    pub fn cluster_take_back(&self, worker: u32) {
        self.with_primary(|side| side.primary.take_back(worker));
    }

    /// Sets a worker's share relative to the others, and whether it gets connections at all.
    #[napi]
    pub fn cluster_tune(&self, worker: u32, weight: u32, paused: bool) {
        self.with_primary(|side| side.primary.tune(worker, weight, paused));
    }

    /// The load of a worker, as it told itself: connections it got, open ones, ones on their way to it, thousandths of
    /// its time in which its event loop does not wait, milliseconds since that turned. Empty before it has told.
    #[napi]
    pub fn cluster_load(&self, worker: u32) -> Vec<f64> {
        let mut numbers = Vec::new();
        self.with_primary(|side| {
            let load = side.workers.borrow().get(&worker).map(|load| load.at(load::now()));
            if let Some(load) = load
                && let Some(silent_for) = load.silent_for
            {
                let counts = [load.adopted, load.open, load.pending, u64::from(load.utilisation), silent_for];
                numbers.extend(counts.map(|count| count as f64));
            }
        });
        numbers
    }

    /// Adds a worker to a listener; `token` below 0 for one that gets its connections over the channel.
    #[napi]
    pub fn cluster_join(&self, listener: u32, worker: u32, token: i32) {
        self.with_primary(|side| side.primary.join(listener, worker, u32::try_from(token).ok()));
    }

    /// Removes a worker from a listener.
    #[napi]
    pub fn cluster_leave(&self, listener: u32, worker: u32) {
        self.with_primary(|side| side.primary.leave(listener, worker));
    }

    /// A worker has taken the connection it got over the channel.
    #[napi]
    pub fn cluster_free(&self, listener: u32, worker: u32) {
        self.with_primary(|side| side.primary.free(listener, worker));
    }

    /// A worker has not taken the connection it got over the channel. `fd` stays the caller's.
    #[napi]
    pub fn cluster_refused(&self, listener: u32, worker: u32, fd: i32) {
        self.with_primary(|side| match duplicate(fd) {
            Ok(connection) => side.primary.refused(listener, worker, connection),
            Err(_) => side.primary.free(listener, worker),
        });
    }

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
        self.with_inbox(|inbox| inbox.ready(token));
    }

    /// In a worker: ends it soon after its primary, even if its event loop is blocked; 0 or a negative errno.
    #[napi]
    pub fn end_with_parent(&self) -> i32 {
        orphan::end_with_parent().map_or_else(|errno| -(errno as i32), |()| 0)
    }

    /// In a worker that was told to go: it may take its time, whatever becomes of the primary.
    #[napi]
    pub fn outlive_parent(&self) {
        orphan::outlive_parent();
    }

    /// In a worker: so many connections of its servers are open.
    #[napi]
    pub fn handoff_open_count(&self, count: u32) {
        if let Some(side) = &*self.state.cluster.worker.borrow() {
            side.open.set(count);
            if let Some(load) = side.inbox.borrow().load() {
                load.set_open(count);
            }
        }
    }

    /// In a worker: gives back a connection, for another; no more come for `token` until it is ready again.
    #[napi]
    pub fn handoff_refuse(&self, token: u32, fd: i32, listener: u32) {
        if let Ok(connection) = take(fd as RawFd) {
            self.with_inbox(|inbox| inbox.refuse(token, listener, connection));
        }
    }
}
