//! Workers that have turns and do not take them, being busy with something else: what they have not begun goes to others.
//!
//! That a worker does not go on may be for lack of a processor, which round robin has no reason to hold against it. So
//! the kernel is asked, but only about a worker that has been still for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::workers::Worker;
use super::{Acceptor, Member, Way};
use crate::cluster::load::nanoseconds;
use crate::cluster::schedule::Policy;
use crate::sys::activity::{Activity, activity, processor_time};

/// A worker that has not gone on for so long is looked at, as often at most. Nanoseconds, as all times here.
const LOOK_AFTER: u64 = 1_000_000;
/// Milliseconds for which one that has just begun is not looked at under round robin: it loads and compiles, and is to have
/// its share at once, as in Node.
const BEGINNING: u64 = 1000;
/// One that has had so much of a processor, and so much more for each of its connections, and has not gone on is busy with
/// one thing: it deals with all that wants something of it before it goes on.
const BUSY_FOR: Duration = Duration::from_micros(500);
const BUSY_FOR_EACH: Duration = Duration::from_micros(250);
/// For so long a worker may not go on, for whatever reason: it may wait for a processor.
const PATIENCE: u64 = 6_000_000;
/// The same of one that had to be woken, as any other would have to be.
const WAKING_TIME: u64 = 50_000_000;

/// What was seen when a worker that did not go on was looked at last.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// When that was.
    at: u64,
    /// Since when it had not gone on.
    since: u64,
    /// The processor time that it had had when it was seen so for the first time.
    processor_time: Option<Duration>,
}

impl Worker {
    /// Notes that its bell is rung.
    pub(super) fn note_woken(&mut self) {
        self.woken_at = nanoseconds();
    }

    /// Whether it is still in the middle of what made it late.
    pub(super) fn is_late(&self) -> bool {
        self.late_since.is_some_and(|since| since == self.load.went_on_at() && !self.load.is_asleep())
    }

    /// Finds out whether it is late: in the middle of something that is not for its turns, and has been for a while.
    pub(super) fn check_late(&mut self, now: u64, policy: Policy, has_turns: bool) -> bool {
        let went_on_at = self.load.went_on_at();
        let still_for = now.saturating_sub(went_on_at.max(self.woken_at));
        if self.load.is_asleep() || still_for < LOOK_AFTER {
            return false;
        }
        let patience = match has_turns || policy.minds_load() {
            false => u64::MAX,
            true if self.woken_at > went_on_at => WAKING_TIME,
            true => PATIENCE,
        };
        let is_told = policy.minds_load() || now / 1_000_000 >= self.ready_since + BEGINNING;
        let is_late =
            self.is_late() || still_for >= patience || (is_told && self.is_blocked(now, went_on_at));
        // It may have gone on while it was looked at.
        if is_late && went_on_at == self.load.went_on_at() {
            self.late_since = Some(went_on_at);
        }
        self.is_late()
    }

    /// Whether the kernel says that it does something else, for whatever it was that it went on with at `since`.
    fn is_blocked(&mut self, now: u64, since: u64) -> bool {
        let Some(pid) = self.pid else { return false };
        if now.saturating_sub(self.look.at) < LOOK_AFTER {
            return false;
        }
        let before = std::mem::take(&mut self.look);
        match activity(pid) {
            // One that sleeps in its event loop after all has been woken by this.
            Some(Activity::Waiting) if self.load.wake() => {
                self.channel.bell.wake();
                self.woken_at = now;
                false
            }
            Some(Activity::Waiting) => true,
            Some(Activity::Runnable) => {
                let has = processor_time(pid);
                let had = before.processor_time.filter(|_| before.since == since);
                self.look = Look { at: now, since, processor_time: had.or(has) };
                let connections = u32::try_from(self.load.connections()).unwrap_or(u32::MAX);
                let usual = BUSY_FOR + BUSY_FOR_EACH.saturating_mul(connections);
                had.zip(has).is_some_and(|(had, has)| has.saturating_sub(had) >= usual)
            }
            None => false,
        }
    }
}

impl Acceptor {
    /// A worker has been given its first turn of those that it has: whether it takes it is looked at in a while.
    pub(super) fn expect_turns(&mut self) {
        let at = Instant::now() + Duration::from_nanos(LOOK_AFTER);
        self.late_check.get_or_insert(at);
    }

    /// Gives the turns of workers that are busy with something else to others: under round robin only to idle ones.
    pub(super) fn relieve_late(&mut self) {
        if self.late_check.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.late_check = None;
        let now = nanoseconds();
        let mut relieved = Vec::new();
        let mut expects_more = false;
        for (&id, listener) in &mut self.listeners {
            let workers = &mut self.workers;
            let policy = listener.policy;
            let any_idle = listener.members.iter().any(|member| is_idle(workers, member));
            for member in &mut listener.members {
                if let Way::Handoff { slot: Some(slot), .. } = member.way
                    && let Some(worker) = workers.get_mut(&member.worker)
                    && worker.load.turns(slot).given > 0
                {
                    if worker.check_late(now, policy, true) && (any_idle || policy.minds_load()) {
                        member.owe(worker.load.take_turns_back(slot) as u32);
                        relieved.push(id);
                    } else {
                        expects_more = true;
                    }
                }
            }
        }
        if expects_more {
            self.expect_turns();
        }
        for id in relieved {
            self.serve(id);
        }
    }
}

/// Whether the event loop of a member waits for something to do.
fn is_idle(workers: &HashMap<super::WorkerId, Worker>, member: &Member) -> bool {
    let Way::Handoff { ready: true, slot: Some(slot), .. } = member.way else { return false };
    workers.get(&member.worker).is_some_and(|worker| {
        let is_free = worker.load.is_asleep() && worker.load.turns(slot).given == 0;
        is_free && !worker.ended && !worker.paused
    })
}
