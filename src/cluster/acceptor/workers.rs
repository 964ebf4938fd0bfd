//! What the accept thread knows of its workers, and hears from them.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::late::Look;
use super::{Acceptor, HANDOFF, Listener, Way};
use crate::cluster::load::{FULLY_USED, Load, Snapshot};
use crate::cluster::packet::{CLOSE_DOOR, Kind, LENGTH, Packet, TAKE_BACK};
use crate::cluster::primary::{Channel, ListenerId, Name, WorkerId};
use crate::sys::scm;

/// What one connection is taken to add to the use of an event loop until that is measured next, in thousandths.
const EXPECTED_USE: u64 = 20;
/// A worker that ends sooner after it was ready, in milliseconds, has crashed at its start.
const EARLY: u64 = 5000;
/// So many early ends within `CRASH_PERIOD` are a crash loop: new workers are on trial.
const CRASHES: usize = 3;
const CRASH_PERIOD: u64 = 30_000;
/// How long a new worker has to live before it is trusted, while there is a crash loop.
const TRIAL: u64 = 2000;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) name: Name,
    pub(super) channel: Channel,
    pub(super) load: Arc<Load>,
    pub(super) process: Option<OwnedFd>,
    /// Its hand-off socket is full.
    pub(super) full: bool,
    pub(super) ended: bool,
    /// It is to get none for now, by the user's wish.
    pub(super) paused: bool,
    pub(super) weight: u32,
    /// The lowest number that no other worker had when it came: its replacement will have the same.
    pub(super) slot: u32,
    /// What it is to be told beside connections, and its socket has no room for.
    pub(super) letters: VecDeque<(Packet, Option<OwnedFd>)>,
    /// When it was ready for the first time; 0 before.
    pub(super) ready_since: u64,
    pub(super) on_trial_until: u64,
    /// The heartbeat at which its use was measured last, and the connections sent to it since.
    measured_at: u64,
    sent_since: u64,
    /// Of its process, once that is known.
    pub(super) pid: Option<i32>,
    /// When it was woken last for its turns, in nanoseconds.
    pub(super) woken_at: u64,
    /// When it had gone on last, once it was found to be late with its turns.
    pub(super) late_since: Option<u64>,
    pub(super) look: Look,
}

impl Worker {
    pub(super) fn new(name: Name, channel: Channel, load: Arc<Load>, slot: u32) -> Self {
        Self {
            name,
            channel,
            load,
            process: None,
            full: false,
            ended: false,
            paused: false,
            weight: 1,
            slot,
            letters: VecDeque::new(),
            ready_since: 0,
            on_trial_until: 0,
            measured_at: 0,
            sent_since: 0,
            pid: None,
            woken_at: 0,
            late_since: None,
            look: Look::default(),
        }
    }

    /// Notes that it gets one more connection.
    pub(super) fn count_given(&mut self) {
        let heartbeat = self.load.heartbeat();
        if self.measured_at != heartbeat {
            (self.measured_at, self.sent_since) = (heartbeat, 0);
        }
        self.sent_since += 1;
    }

    /// How much its event loop is used, with what came since that was measured.
    pub(super) fn estimated_load(&self, load: Snapshot) -> u64 {
        let since = if self.measured_at == self.load.heartbeat() { self.sent_since } else { 0 };
        u64::from(load.utilisation) + since * EXPECTED_USE + load.pending * u64::from(FULLY_USED)
    }
}

impl Acceptor {
    pub(super) fn add_worker(&mut self, id: WorkerId, name: Name, channel: Channel, load: Arc<Load>) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, HANDOFF | u64::from(id));
        let _ = self.epoll.add(&channel.ours, event);
        let is_free = |slot: &u32| self.workers.values().all(|worker| worker.ended || worker.slot != *slot);
        let slot = (0..).find(is_free).unwrap_or(0);
        self.workers.insert(id, Worker::new(name, channel, load, slot));
    }

    /// Takes what a worker sends, and notes that its socket has room again.
    pub(super) fn hear(&mut self, id: WorkerId, events: EpollFlags) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.full && events.contains(EpollFlags::EPOLLOUT) {
            worker.full = false;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, HANDOFF | u64::from(id));
            let _ = self.epoll.modify(&worker.channel.ours, &mut { event });
            self.send_letters(id);
            self.unqueue(id);
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
                (Kind::Ready, _) => self.note_ready(id, packet),
                (Kind::Refused, connection) => {
                    self.set_ready(id, packet.token, None);
                    match packet.listener {
                        CLOSE_DOOR if connection.is_none() => self.close_door(id, packet.token),
                        TAKE_BACK if connection.is_none() => self.take_back(id),
                        _ => {}
                    }
                    if let Some(connection) = connection
                        && let Some(listener) = self.listeners.get_mut(&packet.listener)
                    {
                        listener.waiting.push_back(connection);
                        self.serve(packet.listener);
                    }
                }
                (Kind::News, _) => self.serve_worker(id),
                (Kind::Meet, _) => self.introduce(id, packet.token),
                (Kind::List, _) => self.list(id, packet.token),
                _ => {}
            }
        }
    }

    fn note_ready(&mut self, id: WorkerId, Packet { token, listener, .. }: Packet) {
        self.try_worker(id);
        if !self.set_ready(id, token, Some(listener)) {
            // The worker was faster than the command that made it a member.
            self.execute_all();
            self.set_ready(id, token, Some(listener));
        }
    }

    /// A worker's server listens, as everybody has been told: it has its share from now on. If it is busy starting, and
    /// has not opened its end of the hand-off socket, connections wait there until it has.
    pub(super) fn note_announced(&mut self, id: WorkerId, for_token: u32) {
        let mut listeners = self.listeners.iter_mut();
        let found = listeners.find_map(|(&number, listener)| {
            let mut members = listener.members.iter_mut();
            members.find_map(|member| match &mut member.way {
                Way::Handoff { token, ready, .. }
                    if member.worker == id && *token == for_token && !member.has_spoken =>
                {
                    *ready = true;
                    Some(number)
                }
                _ => None,
            })
        });
        if let Some(listener) = found {
            self.try_worker(id);
            self.serve(listener);
        }
    }

    /// A worker's first readiness: it is on trial if others have crashed at theirs.
    fn try_worker(&mut self, id: WorkerId) {
        let now = self.now;
        self.crashes.retain(|&at| now.saturating_sub(at) < CRASH_PERIOD);
        let is_loop = self.crashes.len() >= CRASHES;
        if let Some(worker) = self.workers.get_mut(&id)
            && worker.ready_since == 0
        {
            worker.ready_since = now;
            worker.on_trial_until = if is_loop { now + TRIAL } else { 0 };
        }
    }

    /// Notes whether a server of a worker takes connections, and of what its `Ready` says whether by turns; whether
    /// there is such a server.
    fn set_ready(&mut self, id: WorkerId, for_token: u32, now: Option<u32>) -> bool {
        let Some(worker) = self.workers.get(&id) else { return false };
        let mut found = None;
        for (&number, listener) in &mut self.listeners {
            let Listener { socket, is_counted, members, steadiness, .. } = listener;
            for member in members.iter_mut().filter(|member| member.worker == id) {
                if let Way::Handoff { token, ready, slot } = &mut member.way
                    && *token == for_token
                {
                    member.has_spoken = true;
                    *ready = now.is_some();
                    if now.is_none() {
                        member.owed = 0;
                    }
                    if let Some(offer) = now.filter(|_| *is_counted) {
                        steadiness.forget_told();
                        *slot = slot.or_else(|| worker.open_door(number, socket.as_fd(), *token, offer));
                    } else {
                        worker.take_turns_back(member.way);
                    }
                    found = Some(number);
                }
            }
        }
        if let Some(listener) = found {
            if now.is_none() {
                self.unqueue(id);
            }
            self.serve(listener);
        }
        found.is_some()
    }

    pub(super) fn tune(&mut self, id: WorkerId, weight: u32, paused: bool) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        (worker.weight, worker.paused) = (weight.max(1), paused);
        if paused {
            self.unqueue(id);
            self.take_all_turns_back(id);
            self.forget_owed(id);
        }
        self.serve_worker(id);
    }

    /// A worker that takes none for a while joins in where the rotation stands then.
    fn forget_owed(&mut self, id: WorkerId) {
        let members = self.listeners.values_mut().flat_map(|listener| &mut listener.members);
        members.filter(|member| member.worker == id).for_each(|member| member.owed = 0);
    }

    pub(super) fn worker_ended(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.ended = true;
        if let Some(process) = worker.process.take() {
            let _ = self.epoll.delete(&process);
        }
        self.take_back(id);
    }

    pub(super) fn remove_worker(&mut self, id: WorkerId, crashed: bool) {
        self.worker_ended(id);
        if let Some(worker) = self.workers.remove(&id) {
            let _ = self.epoll.delete(&worker.channel.ours);
            let was_ready = worker.ready_since != 0;
            if crashed && was_ready && self.now.saturating_sub(worker.ready_since) < EARLY {
                self.crashes.push(self.now);
            }
        }
    }

    /// Collects what a worker gave back and what it has not taken, the oldest first, for the others.
    pub(super) fn take_back(&mut self, id: WorkerId) {
        self.read_answers(id);
        self.unqueue(id);
        self.take_all_turns_back(id);
        let Some(worker) = self.workers.get(&id) else { return };
        let mut bytes = [0; LENGTH];
        let mut taken: HashMap<ListenerId, Vec<OwnedFd>> = HashMap::new();
        let mut letters = Vec::new();
        while let Ok((length @ 1.., descriptor)) = scm::receive(worker.channel.theirs.as_fd(), &mut bytes) {
            match (Packet::decode(&bytes[..length]), descriptor) {
                (Some(packet @ Packet { kind: Kind::Connection, .. }), Some(connection)) => {
                    worker.load.unsent(1);
                    taken.entry(packet.listener).or_default().push(connection);
                }
                // One that only hangs still wants to know.
                (Some(packet), descriptor) if !worker.ended => letters.push((packet, descriptor)),
                _ => {}
            }
        }
        if worker.ended {
            worker.load.settle();
        }
        self.return_letters(id, letters);
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

    /// Lets what waits for one worker alone be decided on anew, by whoever serves its listeners next.
    fn unqueue(&mut self, id: WorkerId) {
        for listener in self.listeners.values_mut() {
            for member in listener.members.iter_mut().filter(|member| member.worker == id) {
                for connection in std::mem::take(&mut member.queue).into_iter().rev() {
                    listener.waiting.push_front(connection);
                }
            }
        }
    }

    /// Takes back what hung workers have not taken; whether any worker has something to take.
    pub(super) fn relieve_hung(&mut self) -> bool {
        let pending: Vec<_> =
            self.workers.iter().filter(|(_, worker)| worker.load.pending() > 0).map(|(&id, _)| id).collect();
        for &id in &pending {
            if self.workers.get(&id).is_some_and(|worker| worker.load.at(self.now).is_hung())
                && self.has_sound_peer(id)
            {
                self.take_back(id);
            }
        }
        !pending.is_empty()
    }

    /// Whether any worker but this one is alive and not hung.
    fn has_sound_peer(&self, id: WorkerId) -> bool {
        self.workers.iter().any(|(&other, worker)| {
            other != id && worker.ready_since != 0 && !worker.ended && !worker.load.at(self.now).is_hung()
        })
    }

    /// Serves the listeners of a worker whose state has changed.
    pub(super) fn serve_worker(&mut self, id: WorkerId) {
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
}
