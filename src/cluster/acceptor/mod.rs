//! The accept thread: owns every listener and the primary's end of every hand-off socket.
//!
//! It waits in epoll only. A listener is watched while some worker of it can take a connection; otherwise
//! connections stay in the kernel's backlog. A connection once accepted is delivered or waits here in order.

mod clients;
mod late;
mod letters;
mod pauses;
mod peeking;
mod serving;
mod turns;
mod workers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use self::clients::Steadiness;
use self::peeking::Peeking;
use self::workers::Worker;
use super::load;
use super::primary::{Clients, Command, Events, ListenerId, WorkerId};
use super::proxied;
use super::schedule::{Candidate, Policy, Rotation};
use crate::sys::socket;
use crate::sys::thread::schedule_in_batches;
use crate::sys::wake::Wake;

const EVENTS_PER_TURN: usize = 64;
/// How long accepting pauses when the process or the machine lacks descriptors or memory.
const RESOURCE_PAUSE: Duration = Duration::from_millis(20);
/// How long a worker that refused a connection over the message channel is left alone.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);

const WAKE: u64 = 0;
const LISTENER: u64 = 1 << 32;
const HANDOFF: u64 = 2 << 32;
const PROCESS: u64 = 3 << 32;
const PEEKED: u64 = 4 << 32;

/// How a worker of one listener gets its connections, and whether it can take one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Over its hand-off socket; `ready` from its `Ready` until it refuses one. With a `slot` it accepts by itself,
    /// in its turns, and only what has been accepted already goes over the socket.
    Handoff { token: u32, ready: bool, slot: Option<usize> },
    /// Over the message channel, one at a time; `busy` until that is answered.
    Message { busy: bool, paused_until: Option<Instant> },
}

impl Way {
    fn has_turns(self) -> bool {
        matches!(self, Self::Handoff { slot: Some(_), .. })
    }
}

#[derive(Debug)]
struct Member {
    worker: WorkerId,
    way: Way,
    /// Under `Sticky`: connections of its own clients, for which its socket has no room.
    queue: VecDeque<OwnedFd>,
    /// Under `RoundRobin`: what went on without it while it had no room.
    owed: u32,
    /// Its worker has said by the hand-off socket whether it takes connections.
    has_spoken: bool,
}

/// What a worker that was held up is owed at most: one that was for long is not to have more than its share for as long.
const MAX_OWED: u32 = 1024;

impl Member {
    /// So many connections went on without it.
    fn owe(&mut self, count: u32) {
        self.owed = self.owed.saturating_add(count).min(MAX_OWED);
    }

    /// Connections meant for it that are not in its hand-off socket.
    fn reserved(&self) -> u64 {
        self.queue.len() as u64 + u64::from(matches!(self.way, Way::Message { busy: true, .. }))
    }
}

#[derive(Debug)]
struct Listener {
    socket: OwnedFd,
    events: Events,
    policy: Policy,
    clients: Clients,
    members: Vec<Member>,
    rotation: Rotation,
    /// Accepted, and given back by a worker or never taken by it; the oldest first.
    waiting: VecDeque<OwnedFd>,
    watched: bool,
    steadiness: Steadiness,
    /// The kernel tells how many connections wait, as turns need it.
    is_counted: bool,
    /// Accepting pauses until then.
    paused_until: Option<Instant>,
    /// Set while accepting fails, so that it is told once.
    failing: bool,
}

/// The state of the accept thread.
pub(super) struct Acceptor {
    epoll: Arc<Epoll>,
    commands: Receiver<Command>,
    wake: Arc<Wake>,
    listeners: HashMap<ListenerId, Listener>,
    workers: HashMap<WorkerId, Worker>,
    /// When the first of all pauses ends.
    pause_end: Option<Instant>,
    /// When workers with connections to take are looked at; `None` while there is no such worker.
    progress_check: Option<Instant>,
    /// When workers with turns are looked at; `None` while there is no such worker.
    late_check: Option<Instant>,
    to_serve: Vec<ListenerId>,
    /// Workers that have been given turns, and may have to be woken.
    to_wake: Vec<WorkerId>,
    /// The time of this turn, as `load::now` has it, and the same in nanoseconds.
    now: u64,
    moment: u64,
    /// When workers ended soon after their start.
    crashes: Vec<u64>,
    /// Reused from one choice to the next.
    candidates: Vec<Candidate>,
    /// Connections that have not yet said whose they are, and when that is no longer waited for.
    peeking: HashMap<u32, Peeking>,
    peek_ends: BTreeSet<(Instant, u32)>,
    next_peek: u32,
    /// For what is looked at of a connection.
    peek_buffer: Box<[u8]>,
}

impl Acceptor {
    pub(super) fn new(
        epoll: Arc<Epoll>,
        commands: Receiver<Command>,
        wake: Arc<Wake>,
    ) -> Result<Self, Errno> {
        epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let (listeners, workers) = (HashMap::new(), HashMap::new());
        Ok(Self {
            epoll,
            commands,
            wake,
            listeners,
            workers,
            pause_end: None,
            progress_check: None,
            late_check: None,
            to_serve: Vec::new(),
            to_wake: Vec::new(),
            now: load::now(),
            moment: load::nanoseconds(),
            crashes: Vec::new(),
            candidates: Vec::new(),
            peeking: HashMap::new(),
            peek_ends: BTreeSet::new(),
            next_peek: 0,
            peek_buffer: vec![0; proxied::LIMIT].into(),
        })
    }

    pub(super) fn run(mut self) {
        // Not to push a worker off its processor for every single connection: on a busy machine they are taken in
        // batches, for half the processor time and a quarter of the switches. An idle machine serves it at once.
        schedule_in_batches();
        let mut ready = [EpollEvent::empty(); EVENTS_PER_TURN];
        loop {
            let count = self.epoll.wait(&mut ready, self.timeout()).unwrap_or(0);
            self.moment = load::nanoseconds();
            self.now = self.moment / 1_000_000;
            // First, whatever woke this turn: what a worker says may rest on a command sent before it.
            if ready[..count].iter().any(|event| event.data() == WAKE) {
                self.wake.clear();
            }
            self.execute_all();
            for event in &ready[..count] {
                let id = event.data() as u32;
                match event.data() & !u64::from(u32::MAX) {
                    LISTENER => self.serve(id),
                    HANDOFF => self.hear(id, event.events()),
                    PROCESS => self.worker_ended(id),
                    PEEKED => self.look_again(id, event.events()),
                    _ => {}
                }
            }
            self.end_peeks();
            self.end_pauses();
            self.check_progress();
            self.relieve_late();
            self.serve_all();
            self.wake_workers();
        }
    }

    fn execute_all(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.execute(command);
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Listen { listener, socket, policy, clients, events } => {
                self.add_listener(listener, socket, policy, clients, events);
            }
            Command::Close { listener } => {
                self.forget_peeks(listener);
                if let Some(listener) = self.listeners.remove(&listener) {
                    let _ = self.epoll.delete(&listener.socket);
                    for member in &listener.members {
                        if let Some(worker) = self.workers.get(&member.worker) {
                            worker.take_turns_back(member.way);
                        }
                    }
                }
            }
            Command::AddWorker { worker, name, channel, load } => {
                self.add_worker(worker, name, channel, load);
            }
            Command::WatchWorker { worker, pid, process } => {
                if let Some(entry) = self.workers.get_mut(&worker) {
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, PROCESS | u64::from(worker));
                    let _ = self.epoll.add(&process, event);
                    (entry.pid, entry.process) = (Some(pid), Some(process));
                }
            }
            Command::RemoveWorker { worker, crashed } => self.remove_worker(worker, crashed),
            Command::TakeBack { worker } => self.take_back(worker),
            Command::Tune { worker, weight, paused } => self.tune(worker, weight, paused),
            Command::Join { listener, worker, token } => self.join(listener, worker, token),
            Command::Leave { listener, worker } => self.leave(listener, worker),
            Command::Announce { worker, token } => self.note_announced(worker, token),
            Command::Free { listener, worker } => self.answer(listener, worker, None),
            Command::Refused { listener, worker, connection } => {
                self.answer(listener, worker, Some(connection))
            }
        }
    }

    fn add_listener(
        &mut self,
        id: ListenerId,
        socket: OwnedFd,
        policy: Policy,
        clients: Clients,
        events: Events,
    ) {
        let _ = self.epoll.add(&socket, EpollEvent::new(EpollFlags::empty(), LISTENER | u64::from(id)));
        let is_counted = policy != Policy::Sticky && socket::backlog(socket.as_fd()).is_ok();
        let listener = Listener {
            socket,
            events,
            policy,
            clients,
            members: Vec::new(),
            rotation: Rotation::default(),
            waiting: VecDeque::new(),
            watched: false,
            steadiness: Steadiness::default(),
            is_counted,
            paused_until: None,
            failing: false,
        };
        self.listeners.insert(id, listener);
    }

    fn join(&mut self, id: ListenerId, worker: WorkerId, token: Option<u32>) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let way = match token {
            Some(token) => Way::Handoff { token, ready: false, slot: None },
            None => Way::Message { busy: false, paused_until: None },
        };
        listener.members.push(Member { worker, way, queue: VecDeque::new(), owed: 0, has_spoken: false });
        self.serve(id);
    }

    fn leave(&mut self, id: ListenerId, worker: WorkerId) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if let Some(index) = listener.members.iter().position(|member| member.worker == worker) {
            let member = listener.members.remove(index);
            if let Some(worker) = self.workers.get(&worker) {
                worker.take_turns_back(member.way);
            }
            listener.rotation.removed(index);
            // The others owed it that. Whoever comes now has had none of it.
            if let [last] = &mut listener.members[..] {
                last.owed = 0;
            }
            for connection in member.queue.into_iter().rev() {
                listener.waiting.push_front(connection);
            }
        }
        self.serve(id);
    }

    /// A worker has answered for a connection it got over the message channel.
    fn answer(&mut self, id: ListenerId, worker: WorkerId, refused: Option<OwnedFd>) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let paused_until = refused.is_some().then(|| Instant::now() + REFUSAL_PAUSE);
        for member in &mut listener.members {
            if let (true, Way::Message { .. }) = (member.worker == worker, member.way) {
                member.way = Way::Message { busy: false, paused_until };
            }
        }
        listener.waiting.extend(refused);
        self.pause(paused_until);
        self.serve(id);
    }
}
