//! Whether there are always as many connections, because their clients wait for their answers.
//!
//! A worker that accepts several connections at once spends less on each, but what it does for the first holds up the
//! others, and those are its own from then on. So a worker that requests hold up takes one at a time, and the rest can go to
//! others. Not where so many clients wait, each for its answer before it comes again, that none of the workers is ever
//! without one: how long they wait is their number by what is done in a second, whoever waits behind whom, and where some
//! wait behind the same request fewer wait for all the others.
//!
//! Where clients come on their own, there are moments without many of them, and as many as that are there only in a rush,
//! and soon more, or fewer. So it goes by how many were there in all but the emptiest tenth of some time. Not by the most: a
//! worker that deals with many at once tells late which it is done with, and their clients have come again by then. Nor by
//! the fewest, as those that are done with come again together.

use super::{Acceptor, ListenerId, Way};

/// Nanoseconds for which they are counted together, and how many of such times are looked at.
const WINDOW: u64 = 100_000_000;
const WINDOWS: usize = 4;

/// The share of that time in which there may be fewer.
const EMPTIEST: u64 = 10;
/// How far these times are apart, if it is always the same clients: by a fourth. From then on until they are by more than twice
/// that number: some are counted twice once workers deal with many at a time.
const SAME: (u64, u64) = (5, 4);
const STILL_SAME: (u64, u64) = (2, 1);
/// Numbers of connections that are told apart: all of the least, then eight between each and its double.
const STEPS: usize = 8;
const LEVELS: usize = 16 * STEPS;

/// For how long there were how many connections in the current window.
#[derive(Debug)]
struct Window {
    since: u64,
    /// Nanoseconds at each level, up to `noted`.
    times: [u64; LEVELS],
    /// When it was last noted how many are there, and how many those were.
    noted: (u64, u64),
}

impl Default for Window {
    fn default() -> Self {
        Self::from(0)
    }
}

impl Window {
    fn from(since: u64) -> Self {
        Self { since, times: [0; LEVELS], noted: (0, 0) }
    }

    /// How many connections were there in all but the emptiest tenth of the time.
    fn usual(&self) -> u64 {
        let enough = self.times.iter().sum::<u64>() / EMPTIEST;
        let mut passed = 0;
        let level = self.times.iter().position(|time| {
            passed += time;
            passed > enough
        });
        level.map_or(0, least_of)
    }
}

/// The level of so many connections.
fn level_of(connections: u64) -> usize {
    let doubled = (connections / STEPS as u64).checked_ilog2().unwrap_or(0) as usize;
    (doubled * STEPS + (connections >> doubled) as usize).min(LEVELS - 1)
}

/// The fewest connections of a level.
fn least_of(level: usize) -> u64 {
    let doubled = (level / STEPS).saturating_sub(1);
    ((level - doubled * STEPS) as u64) << doubled
}

/// Connections of one listener in the last while.
#[derive(Debug, Default)]
pub(super) struct Steadiness {
    window: Window,
    /// How many were there usually in the windows before, the last one first.
    before: [u64; WINDOWS],
    /// What all workers have been told.
    told: Option<bool>,
}

impl Steadiness {
    /// So many are there, at `now`.
    fn note(&mut self, now: u64, present: u64) {
        let window = &mut self.window;
        let passed = now.saturating_sub(window.since);
        if passed >= 2 * WINDOW {
            // Nobody came.
            self.before = Default::default();
            *window = Window::from(now);
        } else {
            let (at, were) = window.noted;
            window.times[level_of(were)] += now.saturating_sub(at);
            if passed >= WINDOW {
                self.before.rotate_right(1);
                self.before[0] = window.usual();
                *window = Window::from(now);
            }
        }
        self.window.noted = (now, present);
    }

    /// Whether there were never fewer than `workers`, and always the same clients.
    fn is_steady(&self, workers: u64) -> bool {
        let (fewest, most) = self
            .before
            .iter()
            .fold((u64::MAX, 0), |(fewest, most), &usual| (fewest.min(usual), most.max(usual)));
        let same = if self.told == Some(true) { STILL_SAME } else { SAME };
        fewest >= workers && most * same.1 <= fewest * same.0
    }

    /// There is a worker that has not been told.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
    }
}

impl Acceptor {
    /// Notes how many connections of a listener there are: those that the candidates have, and `unassigned`, for which nobody
    /// has the turn. Tells its workers whether to accept one at a time, where that changes.
    pub(super) fn note_clients(&mut self, id: ListenerId, unassigned: Option<u64>) {
        // Under round robin workers that accept several at once make the longest waits longer.
        if !self.listeners.get(&id).is_some_and(|listener| listener.policy.minds_load()) {
            return;
        }
        let unassigned = unassigned.unwrap_or_else(|| self.unassigned(id));
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

    /// What is noted when so many are there each millisecond of some windows.
    fn windows_of(connections: impl Fn(u64, u64) -> u64) -> Steadiness {
        let mut seen = Steadiness::default();
        for millisecond in 0..=500 {
            let now = 5 * WINDOW + millisecond * 1_000_000;
            seen.note(now, connections(millisecond / 100, millisecond % 100));
        }
        seen
    }

    #[test]
    fn levels_are_an_eighth_apart() {
        for connections in 0..100_000 {
            let level = level_of(connections);
            let least = least_of(level);
            assert!(least <= connections && connections - least <= connections / 8, "{connections}");
            assert_eq!(level_of(least), level);
        }
        assert_eq!(level_of(u64::MAX), LEVELS - 1);
    }

    #[test]
    fn clients_that_wait_for_their_answers_are_as_many_at_all_times() {
        assert!(windows_of(|_, _| 16).is_steady(4));
        // Those that are done with are counted for a while, and some come together.
        assert!(windows_of(|window, at| if at < 40 + window * 10 { 31 } else { 16 }).is_steady(4));
        assert!(windows_of(|_, at| if at < 9 { 2 } else { 17 }).is_steady(4));
        // Workers are without any for a time, once in the last four windows.
        for empty in 1..5 {
            assert!(!windows_of(|window, at| if window == empty && at < 15 { 3 } else { 17 }).is_steady(4));
        }
        assert!(windows_of(|window, at| if window == 0 && at < 15 { 3 } else { 17 }).is_steady(4));
        assert!(!windows_of(|_, _| 3).is_steady(4));
    }

    #[test]
    fn clients_that_come_on_their_own_are_now_more_and_now_fewer() {
        let rush = [20, 83, 63, 119, 35, 50];
        assert!(!windows_of(|window, _| rush[window as usize]).is_steady(4));
        // Those of a rush that is dealt with.
        assert!(!windows_of(|window, at| 200_u64.saturating_sub(window * 40 + at / 3)).is_steady(4));
        // Nobody came for a while.
        let mut seen = windows_of(|_, _| 17);
        seen.note(13 * WINDOW, 17);
        assert!(!seen.is_steady(4));
    }
}
