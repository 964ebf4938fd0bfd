//! Whether there is always somebody who waits, or now and then nobody.
//!
//! A worker that accepts several connections at once spends less on each, but what it does for the first holds up the
//! others, and those are its own from then on. Where a server keeps up, and connections wait only for a moment, each worker
//! takes one at a time, so that the rest can go to others. Where it does not, all wait anyway, and what counts is how
//! much is done.

use super::{Acceptor, ListenerId, Way};

/// For how long there must have been more connections than workers, at least; twice that at most. Nanoseconds.
const WINDOW: u64 = 100_000_000;

/// The smallest number of connections in a while.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// When this window began.
    since: u64,
    lowest: u64,
    /// In the window before.
    lowest_before: u64,
    /// What the workers have been told.
    is_told: bool,
}

impl Crowd {
    /// So many are there, at `now`.
    fn note(&mut self, now: u64, present: u64) {
        if now.saturating_sub(self.since) < WINDOW {
            self.lowest = self.lowest.min(present);
            return;
        }
        // What nobody has looked at for longer was quiet.
        let was_watched = now.saturating_sub(self.since) < 2 * WINDOW;
        self.lowest_before = if was_watched { self.lowest } else { 0 };
        (self.since, self.lowest) = (now, present);
    }

    fn lowest(&self) -> u64 {
        self.lowest.min(self.lowest_before)
    }

    /// There is a worker that has not been told.
    pub(super) fn forget_told(&mut self) {
        self.is_told = false;
    }
}

impl Acceptor {
    /// Notes that so many connections of a listener wait for which nobody has the turn, beside those that the candidates
    /// have; tells its workers whether to accept one at a time, where that changes.
    pub(super) fn note_crowd(&mut self, id: ListenerId, unassigned: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let theirs: u64 = self.candidates.iter().map(|candidate| candidate.connections).sum();
        listener.crowd.note(self.moment, theirs + unassigned);
        let is_crowded = listener.crowd.lowest() >= listener.members.len() as u64;
        if std::mem::replace(&mut listener.crowd.is_told, is_crowded) == is_crowded {
            return;
        }
        for member in &listener.members {
            if let Way::Handoff { slot: Some(slot), .. } = member.way
                && let Some(worker) = self.workers.get(&member.worker)
            {
                worker.load.set_crowded(slot, is_crowded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_one_that_has_been_there_for_a_while() {
        let mut crowd = Crowd::default();
        let mut now = 5 * WINDOW;
        crowd.note(now, 9);
        assert_eq!(crowd.lowest(), 0);
        now += WINDOW;
        crowd.note(now, 8);
        assert_eq!(crowd.lowest(), 8);
        crowd.note(now + 1, 7);
        assert_eq!(crowd.lowest(), 7);
        now += WINDOW;
        crowd.note(now, 10);
        assert_eq!(crowd.lowest(), 7);
        // Gone for a moment: that counts for a window at least.
        crowd.note(now + 1, 1);
        now += WINDOW;
        crowd.note(now, 10);
        assert_eq!(crowd.lowest(), 1);
        now += WINDOW;
        crowd.note(now, 10);
        assert_eq!(crowd.lowest(), 10);
        crowd.note(now + 3 * WINDOW, 10);
        assert_eq!(crowd.lowest(), 0);
    }
}
