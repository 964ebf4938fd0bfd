//! In the primary: listeners, workers, and what the accept thread tells of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::IntoRawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use napi_derive::napi;
use nix::errno::Errno;

use super::listen::{Listen, Listened};
use super::{Engine, Kind, State};
use crate::cluster::listener;
use crate::cluster::load::{self, Load};
use crate::cluster::primary::{Clients, Event, Listening, Primary};
use crate::cluster::proxied::By;
use crate::cluster::schedule::Policy;
use crate::process::usage;
use crate::sys::fd::duplicate;
use crate::sys::uv::Poll;

pub(super) struct PrimarySide {
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

/// By the numbers of `cluster.SCHED_*`.
fn policy_of(number: u32) -> Policy {
    match number {
        3 => Policy::LeastConnections,
        4 => Policy::LeastLoad,
        5 => Policy::Sticky,
        _ => Policy::RoundRobin,
    }
}

/// By the numbers of `stickyBy` in `lib/cluster/scheduling.js`.
fn by_of(number: u32) -> By {
    match number {
        1 => By::ProxyHeader,
        2 => By::ForwardedFor,
        _ => By::Address,
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

    /// The memory that a worker shares with this process.
    pub(in crate::binding) fn load_of(&self, worker: u32) -> Option<Arc<Load>> {
        let side = self.state.cluster.primary.borrow().clone()?;
        side.workers.borrow().get(&worker).cloned()
    }

    /// Binds, listens, and has the accept thread accept and share out by `policy`: `code` is the listener's
    /// number. `sticky_by` says where a client's address is, `sticky_timeout` how many milliseconds it is waited for.
    #[napi]
    pub fn cluster_listen(
        &self,
        options: Listen,
        policy: u32,
        sticky_by: u32,
        sticky_timeout: u32,
    ) -> Listened {
        let patience = Duration::from_millis(u64::from(sticky_timeout));
        let clients = Clients { by: by_of(sticky_by), patience };
        self.try_listen(&options, policy_of(policy), clients).unwrap_or_else(Listened::failed)
    }

    fn try_listen(&self, options: &Listen, policy: Policy, clients: Clients) -> Result<Listened, Errno> {
        let side = self.primary_side()?;
        let mut listeners = side.listeners.borrow_mut();
        if options.fd.is_some_and(|fd| listeners.values().any(|listening| listening.is_on(fd))) {
            return Err(Errno::EEXIST);
        }
        let bound = listener::listen_on(&options.endpoint()?, options.options())?;
        let mut listened = Listened::of(&bound, 0);
        let listening = side.primary.listen(bound, policy, clients);
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
    /// (which stays the engine's), and the inode by which it will know it. Below 0 the first is an errno. Other
    /// workers will ask for it by `number`.
    #[napi]
    pub fn cluster_add_worker(&self, number: u32) -> Vec<f64> {
        let added = self.primary_side().and_then(|side| {
            let new = side.primary.add_worker(number)?;
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
    /// its time in which its event loop does not wait, milliseconds since that turned, bytes of its heap that are
    /// used. Empty before it has told.
    #[napi]
    pub fn cluster_load(&self, worker: u32) -> Vec<f64> {
        let mut numbers = Vec::new();
        self.with_primary(|side| {
            let load = side.workers.borrow().get(&worker).map(|load| load.at(load::now()));
            if let Some(load) = load
                && let Some(silent_for) = load.silent_for
            {
                let utilisation = u64::from(load.utilisation);
                let counts = [load.adopted, load.open, load.pending, utilisation, silent_for, load.heap];
                numbers.extend(counts.map(|count| count as f64));
            }
        });
        numbers
    }

    /// Bytes of memory that a process has now; 0 once it has ended.
    #[napi]
    pub fn resident_memory(&self, pid: i32) -> f64 {
        usage::resident(pid).unwrap_or(0.0)
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

    /// A worker has told over the channel that its server `token` listens.
    #[napi]
    pub fn cluster_announce(&self, worker: u32, token: u32) {
        self.with_primary(|side| side.primary.announce(worker, token));
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
}
