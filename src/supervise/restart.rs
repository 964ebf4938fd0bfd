//! Whether and when a worker that has ended is started again. Pure: no clock, no randomness of its own.
//!
//! In Erlang's words: so many restarts (`intensity`) within a time (`period`) are borne, one more is not. Short of that
//! each restart waits longer than the one before.

use std::collections::VecDeque;

/// Which ends are followed by a new start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// All that nobody asked for.
    Permanent,
    /// Only failures.
    Transient,
    /// None.
    Temporary,
}

/// How long to wait before a restart; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first wait.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// By how much each is longer than the one before.
    pub factor: f64,
    /// How far each may deviate, as a share of it.
    pub jitter: f64,
}

/// The rules for the workers of one application.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Which ends are followed by a new start.
    pub restart: Restart,
    /// Restarts of one place within the period.
    pub intensity: u32,
    /// Restarts of all places within the period.
    pub app_intensity: u32,
    /// The time for which a restart counts, in milliseconds.
    pub period: u64,
    /// The waits.
    pub backoff: Backoff,
}

/// When there were restarts, the oldest first; as many as matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(VecDeque<u64>);

impl History {
    /// Restarts that count at this time.
    pub fn count(&self, now: u64, period: u64) -> u32 {
        self.0.iter().filter(|&&at| now.saturating_sub(at) < period).count() as u32
    }

    fn note(&mut self, now: u64, period: u64) {
        self.0.retain(|&at| now.saturating_sub(at) < period);
        self.0.push_back(now);
    }
}

/// The end of a worker that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// By exit code 0.
    pub is_normal: bool,
    /// It had been ready to work.
    pub was_ready: bool,
    /// A number from 0 to 1 for the jitter.
    pub random: f64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start again after so many milliseconds.
    Start(u64),
    /// It has done what it was for.
    Leave,
    /// This place has been started too often.
    GiveUpPlace,
    /// Workers have been started too often in all places together.
    GiveUpApp,
}

/// Decides about one place, by its history and by that of all places, and notes the restart in both.
pub fn decide(policy: &Policy, place: &mut History, app: &mut History, event: Ended, now: u64) -> Decision {
    match (policy.restart, event.is_normal) {
        (Restart::Temporary, _) | (Restart::Transient, true) => return Decision::Leave,
        _ => {}
    }
    let before = place.count(now, policy.period);
    if before >= policy.intensity {
        return Decision::GiveUpPlace;
    }
    if app.count(now, policy.period) >= policy.app_intensity {
        return Decision::GiveUpApp;
    }
    place.note(now, policy.period);
    app.note(now, policy.period);
    Decision::Start(delay(&policy.backoff, before, event))
}

/// The wait before a restart, by how many there were in the period. A first failure of what worked costs none.
fn delay(backoff: &Backoff, before: u32, event: Ended) -> u64 {
    let step = match (before, event.was_ready) {
        (0, true) => return 0,
        (0, false) => 0,
        (before, true) => before - 1,
        (before, false) => before,
    };
    let plain = backoff.min as f64 * backoff.factor.max(1.0).powi(step.min(1000) as i32);
    let capped = plain.min(backoff.max as f64);
    let deviation = capped * backoff.jitter.clamp(0.0, 1.0) * (event.random * 2.0 - 1.0);
    (capped + deviation).max(0.0).min(backoff.max as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { min: 100, max: 10_000, factor: 2.0, jitter: 0.0 };
    const POLICY: Policy = Policy {
        restart: Restart::Permanent,
        intensity: 5,
        app_intensity: 20,
        period: 30_000,
        backoff: BACKOFF,
    };
    const CRASH: Ended = Ended { is_normal: false, was_ready: false, random: 0.5 };
    const LATE_CRASH: Ended = Ended { was_ready: true, ..CRASH };
    const NORMAL: Ended = Ended { is_normal: true, was_ready: true, random: 0.5 };

    /// What is decided about a place that ends again and again, each time at once.
    fn run(policy: &Policy, event: Ended, count: usize) -> Vec<Decision> {
        let (mut place, mut app, mut now) = (History::default(), History::default(), 0);
        (0..count)
            .map(|_| {
                let decision = decide(policy, &mut place, &mut app, event, now);
                if let Decision::Start(after) = decision {
                    now += after;
                }
                decision
            })
            .collect()
    }

    #[test]
    fn a_crash_loop_waits_longer_each_time_and_ends() {
        use Decision::{GiveUpPlace, Start};
        assert_eq!(
            run(&POLICY, CRASH, 7),
            [Start(100), Start(200), Start(400), Start(800), Start(1600), GiveUpPlace, GiveUpPlace]
        );
    }

    #[test]
    fn the_first_failure_of_what_worked_costs_no_time() {
        use Decision::Start;
        assert_eq!(run(&POLICY, LATE_CRASH, 3), [Start(0), Start(100), Start(200)]);
    }

    #[test]
    fn what_is_seldom_enough_goes_on_for_good() {
        let (mut place, mut app) = (History::default(), History::default());
        for turn in 0..1000 {
            let now = turn * 30_000;
            assert_eq!(decide(&POLICY, &mut place, &mut app, LATE_CRASH, now), Decision::Start(0));
        }
        assert_eq!(place.0.len(), 1, "and is not remembered for good");
    }

    #[test]
    fn only_what_the_policy_names_is_started_again() {
        let with = |restart, event| run(&Policy { restart, ..POLICY }, event, 1)[0];
        assert_eq!(with(Restart::Permanent, NORMAL), Decision::Start(0));
        assert_eq!(with(Restart::Transient, NORMAL), Decision::Leave);
        assert_eq!(with(Restart::Transient, LATE_CRASH), Decision::Start(0));
        assert_eq!(with(Restart::Temporary, LATE_CRASH), Decision::Leave);
        assert_eq!(with(Restart::Temporary, NORMAL), Decision::Leave);
    }

    #[test]
    fn failures_spread_over_all_places_end_too() {
        let policy = Policy { app_intensity: 8, ..POLICY };
        let mut places = vec![History::default(); 4];
        let mut app = History::default();
        let decisions: Vec<_> = (0..12)
            .map(|turn| decide(&policy, &mut places[turn % 4], &mut app, CRASH, turn as u64))
            .collect();
        assert!(decisions[..8].iter().all(|decision| matches!(decision, Decision::Start(_))));
        assert_eq!(decisions[8], Decision::GiveUpApp);
    }

    /// A small generator of numbers, so that the property tests need no clock and no crate.
    fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
        move |below| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        }
    }

    #[test]
    fn whatever_happens_waits_are_bounded_and_no_period_holds_more_restarts_than_allowed() {
        for seed in 0..300 {
            let mut number = numbers(seed);
            let policy = Policy {
                restart: [Restart::Permanent, Restart::Transient, Restart::Temporary][number(3) as usize],
                intensity: number(8) as u32,
                app_intensity: number(20) as u32,
                period: 1 + number(5000),
                backoff: Backoff {
                    min: number(500),
                    max: 500 + number(2000),
                    factor: 1.0 + number(4) as f64 / 2.0,
                    jitter: number(11) as f64 / 10.0,
                },
            };
            let mut places = vec![History::default(); 1 + number(4) as usize];
            let (mut app, mut now) = (History::default(), 0);
            let mut starts: Vec<(usize, u64)> = Vec::new();
            for _ in 0..400 {
                now += number(700);
                let at = number(places.len() as u64) as usize;
                let event = Ended {
                    is_normal: number(3) == 0,
                    was_ready: number(2) == 0,
                    random: number(1001) as f64 / 1000.0,
                };
                let before = (places[at].clone(), app.clone());
                let decision = decide(&policy, &mut places[at], &mut app, event, now);
                match decision {
                    Decision::Start(after) => {
                        assert!(after <= policy.backoff.max);
                        starts.push((at, now));
                    }
                    _ => assert_eq!(before, (places[at].clone(), app.clone()), "only a start is noted"),
                }
                if policy.restart == Restart::Temporary {
                    assert_eq!(decision, Decision::Leave);
                }
                let within = |place: Option<usize>| {
                    let counts = |&&(other, at): &&(usize, u64)| {
                        place.is_none_or(|place| place == other) && now - at < policy.period
                    };
                    starts.iter().filter(counts).count() as u32
                };
                assert!(within(Some(at)) <= policy.intensity && within(None) <= policy.app_intensity);
            }
        }
    }
}
