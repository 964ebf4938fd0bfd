//! Whether there are always as many connections, because their clients wait for their answers.
//!
//! A worker that accepts several connections at once spends less on each, but what it does for the first holds up the
//! others, and those are its own from then on. So a worker that requests hold up takes one at a time, and the rest can go to
//! others. Not where so many clients wait, each for its answer before it comes again, that none of the workers is ever
//! without one: how long they wait is their number by what is done in a second, whoever waits behind whom, and where some
//! wait behind the same request fewer wait for all the others.
//!
//! Where clients come on their own, as many as that are there only in a rush, and soon more, or fewer.

use super::{Acceptor, ListenerId, Way};

/// Nanoseconds for which the least and the most are kept together, and how many of such times are looked at.
const WINDOW: u64 = 100_000_000;
const WINDOWS: usize = 4;

/// How far the most connections of these times are apart, if it is always the same clients: by a fourth.
const SAME: (u64, u64) = (5, 4);

/// Connections that were there in some time.
#[derive(Debug, Default, Clone, Copy)]
struct Extent {
    least: u64,
    most: u64,
}

/// Connections of one listener in the last while.
#[derive(Debug, Default)]
pub(super) struct Steadiness {
    /// When this window began.
    since: u64,
    /// This one's, and those before.
    windows: [Extent; WINDOWS],
    /// What all workers have been told.
    told: Option<bool>,
}

impl Steadiness {
    /// So many are there, at `now`.
    fn note(&mut self, now: u64, present: u64) {
        let passed = now.saturating_sub(self.since);
        if passed < WINDOW {
            let window = &mut self.windows[0];
            window.least = window.least.min(present);
            window.most = window.most.max(present);
            return;
        }
        if passed < 2 * WINDOW {
            self.windows.rotate_right(1);
        } else {
            // Nobody came.
            self.windows = Default::default();
        }
        (self.since, self.windows[0]) = (now, Extent { least: present, most: present });
    }

    /// Whether there were never fewer than `workers`, and always the same clients. This window is not over, so it counts
    /// only where that was otherwise.
    fn is_steady(&self, workers: u64) -> bool {
        let [current, before @ ..] = self.windows;
        let mosts = before.iter().map(|window| window.most);
        let (highest, lowest) =
            (mosts.clone().max().unwrap_or_default().max(current.most), mosts.min().unwrap_or_default());
        let never_few = self.windows.iter().all(|window| window.least >= workers);
        never_few && highest * SAME.1 <= lowest * SAME.0
    }

    /// There is a worker that has not been told.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
    }
}

impl Acceptor {
    /// Notes that so many connections of a listener wait for which nobody has the turn, beside those that the candidates
    /// have; tells its workers whether to accept one at a time, where that changes.
    pub(super) fn note_clients(&mut self, id: ListenerId, unassigned: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let theirs: u64 = self.candidates.iter().map(|candidate| candidate.connections).sum();
        listener.steadiness.note(self.moment, theirs + unassigned);
        let is_steady = listener.steadiness.is_steady(listener.members.len() as u64);
        if listener.steadiness.told.replace(is_steady) == Some(is_steady) {
            return;
        }
        for member in &listener.members {
            if let Way::Handoff { slot: Some(slot), .. } = member.way
                && let Some(worker) = self.workers.get(&member.worker)
            {
                worker.load.set_steady(slot, is_steady);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows_of(extents: &[(u64, u64)]) -> Steadiness {
        let mut seen = Steadiness::default();
        for (at, &(least, most)) in extents.iter().enumerate() {
            let start = (at as u64 + 5) * WINDOW;
            seen.note(start, most);
            seen.note(start + 1, least);
        }
        seen
    }

    #[test]
    fn clients_that_wait_for_their_answers_are_as_many_at_all_times() {
        assert!(windows_of(&[(9, 17), (11, 17), (5, 18), (13, 16)]).is_steady(4));
        assert!(!windows_of(&[(9, 17), (11, 17), (5, 18)]).is_steady(4));
        // One worker was without any, in this window or another.
        for at in 0..4 {
            let mut extents = [(9, 17), (11, 17), (5, 18), (13, 16)];
            extents[at].0 = 3;
            assert!(!windows_of(&extents).is_steady(4));
        }
    }

    #[test]
    fn clients_that_come_on_their_own_are_now_more_and_now_fewer() {
        assert!(!windows_of(&[(20, 83), (21, 69), (63, 119), (35, 127)]).is_steady(4));
        // It may become as many as before.
        assert!(windows_of(&[(9, 60), (9, 60), (9, 60), (9, 20)]).is_steady(4));
        assert!(!windows_of(&[(9, 60), (9, 60), (9, 60), (9, 76)]).is_steady(4));
        let mut seen = windows_of(&[(9, 17), (11, 17), (5, 18), (13, 16)]);
        seen.note(11 * WINDOW, 17);
        assert!(!seen.is_steady(4));
    }
}
