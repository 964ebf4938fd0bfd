//! The accept thread: owns every listener and the primary's end of every hand-off socket.
//!
//! It waits in epoll only. A listener is watched while some worker of it can take a connection; otherwise
//! connections stay in the kernel's backlog. A connection once accepted is delivered or waits here in order.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;

use super::packet::{Kind, LENGTH, Packet};
use super::primary::{Channel, Command, Event, Events, ListenerId, WorkerId};
use super::schedule::{Candidate, Policy, Rotation, choose};
use crate::sys::thread::schedule_in_batches;
use crate::sys::{scm, socket};

/// Connections taken from one listener before the others get their turn.
const ACCEPT_BATCH: usize = 64;
const EVENTS_PER_TURN: usize = 64;
/// How long accepting pauses when the process or the machine lacks descriptors or memory.
const RESOURCE_PAUSE: Duration = Duration::from_millis(20);
/// How long a worker that refused a connection over the message channel is left alone.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);

const WAKE: u64 = 0;
const LISTENER: u64 = 1 << 32;
const HANDOFF: u64 = 2 << 32;
const PROCESS: u64 = 3 << 32;

/// How a worker of one listener gets its connections, and whether it can take one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Over its hand-off socket; `ready` from its `Ready` until it refuses one.
    Handoff { token: u32, ready: bool },
    /// Over the message channel, one at a time; `busy` until that is answered.
    Message { busy: bool, paused_until: Option<Instant> },
}

#[derive(Debug)]
struct Member {
    worker: WorkerId,
    way: Way,
}

#[derive(Debug)]
struct Listener {
    socket: OwnedFd,
    events: Events,
    members: Vec<Member>,
    rotation: Rotation,
    /// Accepted, and given back by a worker or never taken by it; the oldest first.
    waiting: VecDeque<OwnedFd>,
    watched: bool,
    /// Accepting pauses until then.
    paused_until: Option<Instant>,
    /// Set while accepting fails, so that it is told once.
    failing: bool,
}

#[derive(Debug)]
struct Worker {
    channel: Channel,
    process: Option<OwnedFd>,
    /// Its hand-off socket is full.
    full: bool,
    ended: bool,
}

/// The state of the accept thread.
pub(super) struct Acceptor {
    epoll: Arc<Epoll>,
    commands: Receiver<Command>,
    wake: Arc<EventFd>,
    listeners: HashMap<ListenerId, Listener>,
    workers: HashMap<WorkerId, Worker>,
    /// When the first of all pauses ends.
    pause_end: Option<Instant>,
    /// Reused from one choice to the next.
    candidates: Vec<Candidate>,
}

impl Acceptor {
    pub(super) fn new(
        epoll: Arc<Epoll>,
        commands: Receiver<Command>,
        wake: Arc<EventFd>,
    ) -> Result<Self, Errno> {
        epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let (listeners, workers) = (HashMap::new(), HashMap::new());
        Ok(Self { epoll, commands, wake, listeners, workers, pause_end: None, candidates: Vec::new() })
    }

    pub(super) fn run(mut self) {
        // Not to push a worker off its processor for every single connection: on a busy machine they are taken in
        // batches, for half the processor time and a quarter of the switches. An idle machine serves it at once.
        schedule_in_batches();
        let mut ready = [EpollEvent::empty(); EVENTS_PER_TURN];
        loop {
            let count = self.epoll.wait(&mut ready, self.timeout()).unwrap_or(0);
            // First, whatever woke this turn: what a worker says may rest on a command sent before it.
            if ready[..count].iter().any(|event| event.data() == WAKE) {
                let _ = self.wake.read();
            }
            self.execute_all();
            for event in &ready[..count] {
                let id = event.data() as u32;
                match event.data() & !u64::from(u32::MAX) {
                    LISTENER => self.accept_from(id),
                    HANDOFF => self.hear(id, event.events()),
                    PROCESS => self.worker_ended(id),
                    _ => {}
                }
            }
            self.end_pauses();
        }
    }

    fn execute_all(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.execute(command);
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Listen { listener, socket, events } => self.add_listener(listener, socket, events),
            Command::Close { listener } => {
                if let Some(listener) = self.listeners.remove(&listener) {
                    let _ = self.epoll.delete(&listener.socket);
                }
            }
            Command::AddWorker { worker, channel } => {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, HANDOFF | u64::from(worker));
                let _ = self.epoll.add(&channel.ours, event);
                self.workers.insert(worker, Worker { channel, process: None, full: false, ended: false });
            }
            Command::WatchWorker { worker, process } => {
                if let Some(entry) = self.workers.get_mut(&worker) {
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, PROCESS | u64::from(worker));
                    let _ = self.epoll.add(&process, event);
                    entry.process = Some(process);
                }
            }
            Command::RemoveWorker { worker } => self.remove_worker(worker),
            Command::TakeBack { worker } => self.take_back(worker),
            Command::Join { listener, worker, token } => self.join(listener, worker, token),
            Command::Leave { listener, worker } => self.leave(listener, worker),
            Command::Free { listener, worker } => self.answer(listener, worker, None),
            Command::Refused { listener, worker, connection } => {
                self.answer(listener, worker, Some(connection))
            }
        }
    }

    fn add_listener(&mut self, id: ListenerId, socket: OwnedFd, events: Events) {
        let _ = self.epoll.add(&socket, EpollEvent::new(EpollFlags::empty(), LISTENER | u64::from(id)));
        let listener = Listener {
            socket,
            events,
            members: Vec::new(),
            rotation: Rotation::default(),
            waiting: VecDeque::new(),
            watched: false,
            paused_until: None,
            failing: false,
        };
        self.listeners.insert(id, listener);
    }

    fn join(&mut self, id: ListenerId, worker: WorkerId, token: Option<u32>) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let way = match token {
            Some(token) => Way::Handoff { token, ready: false },
            None => Way::Message { busy: false, paused_until: None },
        };
        listener.members.push(Member { worker, way });
        self.serve(id);
    }

    fn leave(&mut self, id: ListenerId, worker: WorkerId) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if let Some(index) = listener.members.iter().position(|member| member.worker == worker) {
            listener.members.remove(index);
            listener.rotation.removed(index);
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

    /// Takes what a worker sends, and notes that its socket has room again.
    fn hear(&mut self, id: WorkerId, events: EpollFlags) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.full && events.contains(EpollFlags::EPOLLOUT) {
            worker.full = false;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, HANDOFF | u64::from(id));
            let _ = self.epoll.modify(&worker.channel.ours, &mut { event });
            self.serve_worker(id);
        }
        if events.contains(EpollFlags::EPOLLIN) {
            self.read_answers(id);
        }
    }

    fn read_answers(&mut self, id: WorkerId) {
        let mut bytes = [0; LENGTH];
        while let Some(worker) = self.workers.get(&id) {
            let Ok((length @ 1.., connection)) = scm::receive(worker.channel.ours.as_fd(), &mut bytes) else {
                return;
            };
            let Some(packet) = Packet::decode(&bytes[..length]) else { continue };
            match (packet.kind, connection) {
                (Kind::Ready, _) => self.note_ready(id, packet.token),
                (Kind::Refused, Some(connection)) => {
                    self.set_ready(id, packet.token, false);
                    if let Some(listener) = self.listeners.get_mut(&packet.listener) {
                        listener.waiting.push_back(connection);
                        self.serve(packet.listener);
                    }
                }
                _ => {}
            }
        }
    }

    fn note_ready(&mut self, id: WorkerId, token: u32) {
        if !self.set_ready(id, token, true) {
            // The worker was faster than the command that made it a member.
            self.execute_all();
            self.set_ready(id, token, true);
        }
    }

    /// Notes whether a server of a worker takes connections; whether there is such a server.
    fn set_ready(&mut self, id: WorkerId, for_token: u32, now_ready: bool) -> bool {
        let mut found = None;
        for (&listener, entry) in &mut self.listeners {
            for member in entry.members.iter_mut().filter(|member| member.worker == id) {
                if let Way::Handoff { token, ready } = &mut member.way
                    && *token == for_token
                {
                    *ready = now_ready;
                    found = Some(listener);
                }
            }
        }
        if let Some(listener) = found {
            self.serve(listener);
        }
        found.is_some()
    }

    fn worker_ended(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.ended = true;
        if let Some(process) = worker.process.take() {
            let _ = self.epoll.delete(&process);
        }
        self.take_back(id);
    }

    fn remove_worker(&mut self, id: WorkerId) {
        self.worker_ended(id);
        if let Some(worker) = self.workers.remove(&id) {
            let _ = self.epoll.delete(&worker.channel.ours);
        }
    }

    /// Collects what a worker gave back and what it has not taken, the oldest first, for the others.
    fn take_back(&mut self, id: WorkerId) {
        self.read_answers(id);
        let Some(worker) = self.workers.get(&id) else { return };
        let mut bytes = [0; LENGTH];
        let mut taken: HashMap<ListenerId, Vec<OwnedFd>> = HashMap::new();
        while let Ok((length @ 1.., Some(connection))) =
            scm::receive(worker.channel.theirs.as_fd(), &mut bytes)
        {
            if let Some(packet) = Packet::decode(&bytes[..length]) {
                taken.entry(packet.listener).or_default().push(connection);
            }
        }
        self.serve_worker(id);
        for (id, connections) in taken {
            if let Some(listener) = self.listeners.get_mut(&id) {
                for connection in connections.into_iter().rev() {
                    listener.waiting.push_front(connection);
                }
            }
            // Here too: the worker may have left it already.
            self.serve(id);
        }
    }

    /// Serves the listeners of a worker whose state has changed.
    fn serve_worker(&mut self, id: WorkerId) {
        let ids: Vec<_> = self
            .listeners
            .iter()
            .filter(|(_, listener)| listener.members.iter().any(|member| member.worker == id))
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            self.serve(id);
        }
    }

    /// Gives away what waits, then watches the listener if somebody could take more.
    fn serve(&mut self, id: ListenerId) {
        loop {
            let pick = self.pick(id);
            let Some(listener) = self.listeners.get_mut(&id) else { return };
            if let Some(pick) = pick
                && let Some(connection) = listener.waiting.pop_front()
            {
                if let Err(connection) = self.deliver(id, pick, connection)
                    && let Some(listener) = self.listeners.get_mut(&id)
                {
                    listener.waiting.push_front(connection);
                }
                continue;
            }
            let watch = pick.is_some();
            if watch != listener.watched {
                listener.watched = watch;
                let interest = if watch { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
                let mut event = EpollEvent::new(interest, LISTENER | u64::from(id));
                let _ = self.epoll.modify(&listener.socket, &mut event);
            }
            return;
        }
    }

    fn accept_from(&mut self, id: ListenerId) {
        for _ in 0..ACCEPT_BATCH {
            let Some(pick) = self.pick(id) else { break };
            let Some(listener) = self.listeners.get_mut(&id) else { return };
            match socket::accept(listener.socket.as_fd()) {
                Ok(connection) => {
                    listener.failing = false;
                    if let Err(connection) = self.deliver(id, pick, connection)
                        && let Some(listener) = self.listeners.get_mut(&id)
                    {
                        listener.waiting.push_back(connection);
                        break;
                    }
                }
                Err(Errno::EAGAIN) => return,
                Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    if !std::mem::replace(&mut listener.failing, true) {
                        listener.events.send(Event::AcceptFailed { listener: id, errno });
                    }
                    self.pause_listener(id);
                    break;
                }
                // Closed by its JavaScript thread, whose command to forget it is on its way.
                Err(Errno::EINVAL | Errno::ENOTSOCK | Errno::EBADF | Errno::EOPNOTSUPP) => return,
                // The error of one connection that has gone already, as accept(2) says.
                Err(_) => {}
            }
        }
        self.serve(id);
    }

    /// Chooses who gets the next connection of a listener, without giving it the turn.
    fn pick(&mut self, id: ListenerId) -> Option<(usize, Rotation)> {
        let listener = self.listeners.get(&id)?;
        if listener.paused_until.is_some() {
            return None;
        }
        self.candidates.clear();
        self.candidates.extend(listener.members.iter().map(|member| {
            let worker = self.workers.get(&member.worker);
            let alive = worker.is_some_and(|worker| !worker.ended);
            let can_take = match member.way {
                Way::Handoff { ready, .. } => ready && worker.is_some_and(|worker| !worker.full),
                Way::Message { busy, paused_until } => !busy && paused_until.is_none(),
            };
            Candidate { can_take: alive && can_take }
        }));
        choose(Policy::RoundRobin, listener.rotation, &self.candidates)
    }

    /// Gives a connection to the worker chosen; gives it back if that one's socket turns out to be full.
    fn deliver(
        &mut self,
        id: ListenerId,
        pick: (usize, Rotation),
        connection: OwnedFd,
    ) -> Result<(), OwnedFd> {
        let (index, rotation) = pick;
        let Some(listener) = self.listeners.get_mut(&id) else { return Ok(()) };
        let Some(member) = listener.members.get_mut(index) else { return Err(connection) };
        let Some(worker) = self.workers.get_mut(&member.worker) else { return Err(connection) };
        match &mut member.way {
            Way::Handoff { token, .. } => {
                let packet = Packet { kind: Kind::Connection, token: *token, listener: id };
                match scm::send(worker.channel.ours.as_fd(), &packet.encode(), Some(connection.as_fd())) {
                    Ok(_) => listener.rotation = rotation,
                    Err(Errno::EAGAIN) => {
                        worker.full = true;
                        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
                        let mut event = EpollEvent::new(interest, HANDOFF | u64::from(member.worker));
                        let _ = self.epoll.modify(&worker.channel.ours, &mut event);
                        return Err(connection);
                    }
                    // Out of memory, or too many descriptors of this user are under way.
                    Err(_) => {
                        self.pause_listener(id);
                        return Err(connection);
                    }
                }
            }
            Way::Message { busy, .. } => {
                *busy = true;
                listener.rotation = rotation;
                listener.events.send(Event::Connection { listener: id, worker: member.worker, connection });
            }
        }
        Ok(())
    }

    fn pause_listener(&mut self, id: ListenerId) {
        let until = Some(Instant::now() + RESOURCE_PAUSE);
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.paused_until = until;
        }
        self.pause(until);
    }

    fn pause(&mut self, until: Option<Instant>) {
        self.pause_end = self.pause_end.into_iter().chain(until).min();
    }

    /// Until when to wait at the longest.
    fn timeout(&self) -> EpollTimeout {
        let Some(next) = self.pause_end else { return EpollTimeout::NONE };
        let left = next.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::NONE)
    }

    fn end_pauses(&mut self) {
        let now = Instant::now();
        if self.pause_end.is_none_or(|end| end > now) {
            return;
        }
        let over = |until: &mut Option<Instant>| until.take_if(|until| *until <= now).is_some();
        let mut resumed = Vec::new();
        for (&id, listener) in &mut self.listeners {
            let mut any = over(&mut listener.paused_until);
            for member in &mut listener.members {
                if let Way::Message { paused_until, .. } = &mut member.way {
                    any |= over(paused_until);
                }
            }
            if any {
                resumed.push(id);
            }
        }
        self.pause_end = self.listeners.values().flat_map(Listener::pauses).min();
        for id in resumed {
            self.serve(id);
        }
    }
}

impl Listener {
    fn pauses(&self) -> impl Iterator<Item = Instant> {
        let members = self.members.iter().filter_map(|member| match member.way {
            Way::Message { paused_until, .. } => paused_until,
            Way::Handoff { .. } => None,
        });
        members.chain(self.paused_until)
    }
}
