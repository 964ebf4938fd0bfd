//! Workers that accept for themselves: how many connections wait, and whose turn each of them is.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::workers::Worker;
use super::{Acceptor, Listener, Way};
use crate::cluster::packet::{Kind, Packet};
use crate::cluster::primary::{ListenerId, WorkerId};
use crate::cluster::schedule::Policy;
use crate::cluster::turns::SLOTS;
use crate::sys::{fd, scm, socket};

/// Turns that a worker may have and not have used, under round robin: as many as wait anywhere, as each is to have as
/// many as the others. One that does not take them is found to be late.
const WINDOW: u64 = 1024;
/// The same where load counts: few, so that not many wait behind a worker that turns out to be busy.
const CAREFUL_WINDOW: u64 = 8;
/// How often a count that workers change meanwhile is tried again: for about as long as accepting takes.
const TRIES: usize = 16;

impl Policy {
    /// Turns that a worker may have.
    pub(super) fn window(self) -> u64 {
        if self.minds_load() { CAREFUL_WINDOW } else { WINDOW }
    }

    pub(super) fn minds_load(self) -> bool {
        matches!(self, Policy::LeastConnections | Policy::LeastLoad)
    }
}

impl Worker {
    /// Gives the worker the listening socket, if it has `offer`ed a slot for its turns there.
    pub(super) fn open_door(
        &self,
        number: ListenerId,
        socket: BorrowedFd<'_>,
        token: u32,
        offer: u32,
    ) -> Option<usize> {
        let slot = (offer as usize).checked_sub(1).filter(|&slot| slot < SLOTS)?;
        let packet = Packet { kind: Kind::Door, token, listener: number };
        scm::send(self.channel.ours.as_fd(), &packet.encode(), Some(socket)).ok()?;
        self.load.use_slot(slot);
        Some(slot)
    }

    pub(super) fn take_turns_back(&self, way: Way) -> u64 {
        match way {
            Way::Handoff { slot: Some(slot), .. } => self.load.take_turns_back(slot),
            _ => 0,
        }
    }
}

/// What is known of all turns at one listener, at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    given: u64,
    begun: u64,
    version: u64,
}

impl Acceptor {
    /// How many connections of a listener wait for which nobody has the turn.
    pub(super) fn unassigned(&mut self, id: ListenerId) -> u64 {
        for attempt in 0.. {
            let Some(listener) = self.listeners.get(&id) else { return 0 };
            let before = self.sum_of_turns(listener);
            let waiting = u64::from(socket::backlog(listener.socket.as_fd()).unwrap_or(0));
            if before.begun == 0 && before == self.sum_of_turns(listener) {
                if waiting == 0 && before.given == 0 && fd::has_input(listener.socket.as_raw_fd()) {
                    // Not the kernel that this was written for.
                    self.stop_counting(id);
                }
                return waiting.saturating_sub(before.given);
            }
            // A worker is in the middle of accepting: whether that one is counted is not known.
            if attempt == TRIES {
                self.want_news(id);
                self.expect_progress();
            } else if attempt > TRIES {
                return waiting.saturating_sub(before.given + before.begun);
            }
            std::hint::spin_loop();
        }
        0
    }

    fn sum_of_turns(&self, listener: &Listener) -> Sum {
        let mut sum = Sum::default();
        for member in &listener.members {
            if let Way::Handoff { slot: Some(slot), .. } = member.way
                && let Some(worker) = self.workers.get(&member.worker)
                && !worker.ended
            {
                let turns = worker.load.turns(slot);
                sum.given += turns.given.min(WINDOW);
                // One that is stopped in the middle of it does not hold up the others.
                sum.begun += if worker.load.at(self.now).is_hung() { 0 } else { turns.begun.min(1) };
                sum.version = sum.version.wrapping_add(turns.version);
            }
        }
        sum
    }

    /// The worker may use the slot of its server `for_token` for another one.
    pub(super) fn close_door(&mut self, id: WorkerId, for_token: u32) {
        let members = self.listeners.values_mut().flat_map(|listener| &mut listener.members);
        for member in members.filter(|member| member.worker == id) {
            if let Way::Handoff { token, slot, .. } = &mut member.way
                && *token == for_token
            {
                *slot = None;
            }
        }
    }

    fn stop_counting(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.is_counted = false;
            for member in &mut listener.members {
                if let Way::Handoff { slot, .. } = &mut member.way {
                    *slot = None;
                }
            }
        }
    }

    /// Has the workers of a listener tell when they have gone on.
    pub(super) fn want_news(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.get(&id) else { return };
        for member in &listener.members {
            if member.way.has_turns()
                && let Some(worker) = self.workers.get(&member.worker)
            {
                worker.load.want_news();
            }
        }
    }

    /// Gives a worker a turn.
    pub(super) fn give_turn(&mut self, id: WorkerId, slot: usize) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let is_first = worker.load.give_turn(slot) == 0;
        worker.count_given();
        if self.to_wake.last() != Some(&id) {
            self.to_wake.push(id);
        }
        if is_first {
            self.expect_turns();
        }
        self.expect_progress();
    }

    /// Wakes the workers that sleep, of those that have been given turns.
    pub(super) fn wake_workers(&mut self) {
        for id in self.to_wake.drain(..) {
            if let Some(worker) = self.workers.get_mut(&id)
                && worker.load.wake()
            {
                worker.note_woken();
                worker.channel.bell.wake();
            }
        }
    }

    /// Takes back what a worker has not begun; it is owed that.
    pub(super) fn take_all_turns_back(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        let members = self.listeners.values_mut().flat_map(|listener| &mut listener.members);
        for member in members.filter(|member| member.worker == id) {
            member.owe(worker.take_turns_back(member.way) as u32);
        }
    }
}
