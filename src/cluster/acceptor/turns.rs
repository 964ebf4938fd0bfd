//! Workers that accept for themselves: how many connections wait, and whose turn each of them is.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::workers::Worker;
use super::{Acceptor, Listener, Member, Way};
use crate::cluster::packet::{Kind, Packet};
use crate::cluster::primary::{ListenerId, WorkerId};
use crate::cluster::schedule::Policy;
use crate::cluster::turns::SLOTS;
use crate::sys::{scm, socket};

/// Turns that a worker may have and not have used: enough that one in the middle of a request does not hold up the
/// others, few enough that not many wait behind it.
const WINDOW: u64 = 16;
/// The same where load counts.
const CAREFUL_WINDOW: u64 = 8;
/// How often a count that workers change meanwhile is tried again: for about as long as accepting takes.
const TRIES: usize = 16;
/// A busy worker that has not turned its event loop for so long, while it has turns, loses them to idle ones.
const LATE_AFTER: Duration = Duration::from_millis(2);
/// As long may one take that has to be woken: on a busy machine it waits for a processor, as others would.
const WAKING_TIME: Duration = Duration::from_millis(50);

impl Policy {
    /// Turns that a worker may have.
    pub(super) fn window(self) -> u64 {
        if self.minds_load() { CAREFUL_WINDOW } else { WINDOW }
    }

    fn minds_load(self) -> bool {
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

    pub(super) fn take_turns_back(&self, way: Way) {
        if let Way::Handoff { slot: Some(slot), .. } = way {
            self.load.take_turns_back(slot);
        }
    }

    /// Whether it is still in the middle of what made it late.
    pub(super) fn is_late(&self) -> bool {
        self.late_at.is_some_and(|at| at == self.load.turned() && !self.load.is_asleep())
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
                if waiting == 0 && before.given == 0 && is_readable(listener) {
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
    pub(super) fn give_turn(&mut self, id: WorkerId, slot: usize, policy: Policy) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.load.give_turn(slot);
        worker.count_given();
        if policy.minds_load() {
            let patience = if worker.load.is_asleep() { WAKING_TIME } else { LATE_AFTER };
            worker.late_from = Instant::now() + patience;
            self.late_check = self.late_check.into_iter().chain([worker.late_from]).min();
        }
        if self.to_wake.last() != Some(&id) {
            self.to_wake.push(id);
        }
        self.expect_progress();
    }

    /// Wakes the workers that sleep, of those that have been given turns.
    pub(super) fn wake_workers(&mut self) {
        for id in self.to_wake.drain(..) {
            if let Some(worker) = self.workers.get(&id)
                && worker.load.wake()
            {
                worker.channel.bell.wake();
            }
        }
    }

    pub(super) fn take_all_turns_back(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        for listener in self.listeners.values() {
            for member in listener.members.iter().filter(|member| member.worker == id) {
                worker.take_turns_back(member.way);
            }
        }
    }

    /// Where load counts, gives the turns of workers that are busy with something else to idle ones.
    pub(super) fn check_late(&mut self) {
        let now = Instant::now();
        if self.late_check.is_none_or(|at| at > now) {
            return;
        }
        let (mut next, mut relieved) = (None, Vec::new());
        for (&id, listener) in &self.listeners {
            if !listener.policy.minds_load() {
                continue;
            }
            let any_idle = listener.members.iter().any(|member| self.is_idle(member));
            for member in &listener.members {
                if let Way::Handoff { slot: Some(slot), .. } = member.way
                    && let Some(worker) = self.workers.get_mut(&member.worker)
                    && worker.load.turns(slot).given > 0
                {
                    if worker.late_from <= now {
                        worker.late_at = Some(worker.load.turned());
                    }
                    if worker.late_from <= now && any_idle {
                        worker.load.take_turns_back(slot);
                        relieved.push(id);
                    } else {
                        let then = worker.late_from.max(now + LATE_AFTER);
                        next = Some(next.map_or(then, |next: Instant| next.min(then)));
                    }
                }
            }
        }
        self.late_check = next;
        for id in relieved {
            self.serve(id);
        }
    }

    /// Whether the event loop of a member waits for something to do.
    fn is_idle(&self, member: &Member) -> bool {
        let Way::Handoff { ready: true, slot: Some(slot), .. } = member.way else { return false };
        self.workers.get(&member.worker).is_some_and(|worker| {
            let is_free = worker.load.is_asleep() && worker.load.turns(slot).given == 0;
            is_free && !worker.ended && !worker.paused
        })
    }
}

fn is_readable(listener: &Listener) -> bool {
    let mut watched = [PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}
