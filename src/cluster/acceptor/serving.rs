//! From accepting a connection to the worker that gets it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::workers::Worker;
use super::{Acceptor, HANDOFF, LISTENER, Listener, Member, RESOURCE_PAUSE, Way};
use crate::cluster::client::client_of;
use crate::cluster::packet::{Kind, Packet};
use crate::cluster::primary::{Event, ListenerId};
use crate::cluster::schedule::{Candidate, Choice, Policy, choose, owed_alike};
use crate::sys::{scm, socket};

/// Connections taken from one listener before the others get their turn.
const ACCEPT_BATCH: usize = 64;
/// Connections that wait for one worker, beyond what its socket holds, because their clients are its own.
const MAX_QUEUED: usize = 256;

impl Acceptor {
    /// Has a listener served at the end of this turn: not before all that has come with it is known, or the first of
    /// several workers to be ready would get everything.
    pub(super) fn serve(&mut self, id: ListenerId) {
        if !self.to_serve.contains(&id) {
            self.to_serve.push(id);
        }
    }

    /// Gives away what waits here, then what waits in the kernel.
    pub(super) fn serve_all(&mut self) {
        while let Some(id) = self.to_serve.pop() {
            self.give_waiting(id);
            self.accept_from(id);
        }
    }

    /// Gives away what waits here.
    pub(super) fn give_waiting(&mut self, id: ListenerId) {
        while self.pick(id, None).is_some()
            && let Some(listener) = self.listeners.get_mut(&id)
            && let Some(connection) = listener.waiting.pop_front()
        {
            if let Err(connection) = self.give(id, connection)
                && let Some(listener) = self.listeners.get_mut(&id)
            {
                listener.waiting.push_front(connection);
            }
        }
    }

    /// Shares out what waits in the kernel. The listener is watched afterwards if somebody could take more.
    fn accept_from(&mut self, id: ListenerId) {
        // Counted once: what comes meanwhile makes the listener ready anew.
        let mut unassigned = None;
        for _ in 0..ACCEPT_BATCH {
            let Some(choice) = self.pick_or_want_news(id) else {
                self.note_clients(id, None);
                return self.watch(id, false);
            };
            let Some(listener) = self.listeners.get(&id) else { return };
            let Some(member) = listener.members.get(choice.index) else { return };
            let (worker, way) = (member.worker, member.way);
            if listener.members.iter().any(|member| member.way.has_turns()) {
                let left = unassigned.unwrap_or_else(|| {
                    let left = self.unassigned(id);
                    self.note_clients(id, Some(left));
                    left
                });
                if left == 0 {
                    return self.watch(id, true);
                }
                unassigned = Some(left - 1);
            }
            if let Way::Handoff { slot: Some(slot), .. } = way {
                if let Some(listener) = self.listeners.get_mut(&id) {
                    listener.advance(choice, &self.candidates);
                }
                self.give_turn(worker, slot);
            } else if !self.accept_one(id) {
                return;
            }
        }
        self.watch_anew(id, true);
    }

    /// Accepts one connection and gives it away; whether there may be more to do.
    fn accept_one(&mut self, id: ListenerId) -> bool {
        let Some(listener) = self.listeners.get_mut(&id) else { return false };
        match socket::accept(listener.socket.as_fd()) {
            Ok(connection) => {
                listener.failing = false;
                if let Some(connection) = self.peek(id, connection) {
                    self.give_or_keep(id, connection);
                }
            }
            Err(Errno::EAGAIN) => {
                self.watch(id, true);
                return false;
            }
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                if !std::mem::replace(&mut listener.failing, true) {
                    listener.events.send(Event::AcceptFailed { listener: id, errno });
                }
                self.pause_listener(id);
            }
            // Closed by its JavaScript thread, whose command to forget it is on its way.
            Err(Errno::EINVAL | Errno::ENOTSOCK | Errno::EBADF | Errno::EOPNOTSUPP) => return false,
            // The error of one connection that has gone already, as accept(2) says.
            Err(_) => {}
        }
        true
    }

    /// Has the listener looked at when a connection comes, or not.
    fn watch(&mut self, id: ListenerId, on: bool) {
        if self.listeners.get(&id).is_some_and(|listener| listener.watched != on) {
            self.watch_anew(id, on);
        }
    }

    /// As `watch`; what waits already counts as having come.
    fn watch_anew(&mut self, id: ListenerId, on: bool) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        listener.watched = on;
        // Edge-triggered: what waits until a worker takes its turn is no news.
        let interest = if on { EpollFlags::EPOLLIN | EpollFlags::EPOLLET } else { EpollFlags::empty() };
        let mut event = EpollEvent::new(interest, LISTENER | u64::from(id));
        let _ = self.epoll.modify(&listener.socket, &mut event);
    }

    /// Chooses who gets the next connection. If nobody can take it, the workers tell when they can.
    fn pick_or_want_news(&mut self, id: ListenerId) -> Option<Choice> {
        self.pick(id, None).or_else(|| {
            self.want_news(id);
            // Whoever had room before it knew of the wish does not tell.
            self.pick(id, None)
        })
    }

    /// Chooses who gets the next connection of a listener, without giving it the turn.
    fn pick(&mut self, id: ListenerId, client: Option<u64>) -> Option<Choice> {
        let listener = self.listeners.get(&id)?;
        if listener.paused_until.is_some() {
            return None;
        }
        let (now, policy) = (self.now, listener.policy);
        for member in listener.members.iter().filter(|member| member.way.has_turns()) {
            if let Some(worker) = self.workers.get_mut(&member.worker) {
                worker.check_late(self.moment, policy, false);
            }
        }
        let workers = &self.workers;
        self.candidates.clear();
        self.candidates.extend(listener.members.iter().map(|member| match workers.get(&member.worker) {
            Some(worker) => worker.candidate(member, policy, now),
            None => Candidate::default(),
        }));
        choose(policy, listener.rotation, &self.candidates, client)
    }

    /// Gives a connection away, or has it wait for somebody who can take it.
    pub(super) fn give_or_keep(&mut self, id: ListenerId, connection: OwnedFd) {
        if let Err(connection) = self.give(id, connection)
            && let Some(listener) = self.listeners.get_mut(&id)
        {
            listener.waiting.push_back(connection);
        }
    }

    /// Gives a connection to whom the policy says, or back if nobody can take it now.
    fn give(&mut self, id: ListenerId, connection: OwnedFd) -> Result<(), OwnedFd> {
        let client = match self.listeners.get(&id) {
            Some(Listener { policy: Policy::Sticky, clients, .. }) => {
                client_of(&connection, clients.by, &mut self.peek_buffer)
            }
            _ => None,
        };
        match self.pick(id, client) {
            Some(pick) => self.deliver(id, pick, connection),
            None => Err(connection),
        }
    }

    /// Gives a connection to the worker chosen; gives it back if that one's socket turns out to be full.
    fn deliver(&mut self, id: ListenerId, choice: Choice, connection: OwnedFd) -> Result<(), OwnedFd> {
        let Some(listener) = self.listeners.get_mut(&id) else { return Ok(()) };
        let Some(member) = listener.members.get_mut(choice.index) else { return Err(connection) };
        let Some(worker) = self.workers.get_mut(&member.worker) else { return Err(connection) };
        match &mut member.way {
            Way::Handoff { .. } if worker.full || !member.queue.is_empty() => {
                member.queue.push_back(connection);
                listener.advance(choice, &self.candidates);
            }
            Way::Handoff { token, .. } => {
                let packet = Packet { kind: Kind::Connection, token: *token, listener: id };
                match scm::send(worker.channel.ours.as_fd(), &packet.encode(), Some(connection.as_fd())) {
                    Ok(_) => {
                        listener.advance(choice, &self.candidates);
                        worker.load.sent();
                        worker.count_given();
                        self.expect_progress();
                    }
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
                let worker = member.worker;
                listener.advance(choice, &self.candidates);
                listener.events.send(Event::Connection { listener: id, worker, connection });
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
}

impl Listener {
    /// Notes that the one chosen has got its connection, and what is owed to those who had no room for theirs.
    fn advance(&mut self, choice: Choice, candidates: &[Candidate]) {
        if choice.is_repaid {
            let member = &mut self.members[choice.index];
            member.owed = member.owed.saturating_sub(1);
        } else if self.policy == Policy::RoundRobin {
            for (index, missed) in self.rotation.passed_over(choice.index, candidates) {
                if candidates[index].is_held_up {
                    self.members[index].owe(missed);
                }
            }
        }
        self.rotation = choice.rotation;
        self.settle(candidates);
    }

    /// Cancels what all are owed alike: it would go to one after the other, and not in turn.
    fn settle(&mut self, candidates: &[Candidate]) {
        let takes_part = |candidate: &Candidate| candidate.can_take || candidate.is_held_up;
        let members = self.members.iter().zip(candidates).filter(|(_, candidate)| takes_part(candidate));
        let turns = owed_alike(members.map(|(member, candidate)| (member.owed, candidate.weight)));
        for (member, candidate) in self.members.iter_mut().zip(candidates) {
            if takes_part(candidate) {
                member.owed -= turns * candidate.weight;
            }
        }
    }
}

impl Worker {
    /// What the choice goes by.
    fn candidate(&self, member: &Member, policy: Policy, now: u64) -> Candidate {
        let (is_ready, has_room) = match member.way {
            // Under Sticky those wait that are its own.
            Way::Handoff { ready, .. } if policy == Policy::Sticky => {
                (ready, member.queue.len() < MAX_QUEUED)
            }
            Way::Handoff { ready, slot: Some(slot), .. } => {
                (ready, self.load.turns(slot).given < policy.window())
            }
            Way::Handoff { ready, .. } => (ready, !self.full),
            Way::Message { busy, paused_until } => (paused_until.is_none(), !busy),
        };
        let load = self.load.at(now);
        let may_take = is_ready && !self.ended && !self.paused;
        let (is_trusted, is_late) = (!load.is_hung() && self.on_trial_until <= now, self.is_late());
        Candidate {
            can_take: may_take && has_room,
            is_sound: is_trusted && !is_late,
            weight: self.weight,
            connections: load.open + load.pending + member.reserved(),
            load: self.estimated_load(load),
            slot: self.slot,
            is_held_up: may_take && is_trusted && (!has_room || is_late),
            owed: member.owed,
        }
    }
}
