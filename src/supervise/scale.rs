//! How many workers there should be, by how much those that run are used. Pure.
//!
//! Hysteresis twice over: what calls for a change must hold for a time, and the way down begins well below the target,
//! so that a number is not left again at once.

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// How much of its time an event loop should be used, 0 to 1.
    pub target: f64,
    /// More workers once the use has been above the target for so many milliseconds.
    pub up_after: u64,
    /// One fewer once that would have been enough for so many milliseconds.
    pub down_after: u64,
}

/// Since when the use has called for a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    above_since: Option<u64>,
    below_since: Option<u64>,
}

/// What one worker fewer may be used after the change, as a share of the target.
const SLACK: f64 = 0.8;

/// The number of workers there should be instead of `workers`, which are used by so much on average; `None` to leave it.
pub fn decide(rule: &Rule, history: &mut History, workers: u32, utilisation: f64, now: u64) -> Option<u32> {
    let (least, most) = (rule.min.max(1), rule.max.max(rule.min).max(1));
    if workers < least || workers > most {
        *history = History::default();
        return Some(workers.clamp(least, most));
    }
    let work = utilisation * f64::from(workers);
    let is_above = utilisation > rule.target && workers < most;
    let is_below = workers > least && work / f64::from(workers - 1) < rule.target * SLACK;
    history.above_since = if is_above { history.above_since.or(Some(now)) } else { None };
    history.below_since = if is_below { history.below_since.or(Some(now)) } else { None };
    let lasted = |since: Option<u64>, long: u64| since.is_some_and(|since| now.saturating_sub(since) >= long);
    let wanted = if lasted(history.above_since, rule.up_after) {
        // All at once: a surge does not wait for one worker after the other.
        ((work / rule.target).ceil() as u32).clamp(workers + 1, most)
    } else if lasted(history.below_since, rule.down_after) {
        workers - 1
    } else {
        return None;
    };
    *history = History::default();
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { min: 1, max: 8, target: 0.7, up_after: 5000, down_after: 60_000 };

    #[test]
    fn a_surge_is_met_after_a_time_and_at_once() {
        let mut history = History::default();
        assert_eq!(decide(&RULE, &mut history, 2, 1.0, 0), None);
        assert_eq!(decide(&RULE, &mut history, 2, 1.0, 4999), None);
        assert_eq!(decide(&RULE, &mut history, 2, 1.0, 5000), Some(3));
        decide(&RULE, &mut history, 6, 1.0, 6000);
        assert_eq!(decide(&RULE, &mut history, 6, 1.0, 11_000), Some(8));
        decide(&RULE, &mut history, 8, 1.0, 12_000);
        assert_eq!(decide(&RULE, &mut history, 8, 1.0, 60_000), None);
    }

    #[test]
    fn a_peak_that_does_not_last_changes_nothing() {
        let mut history = History::default();
        for turn in 0..100 {
            let utilisation = if turn % 4 == 3 { 0.5 } else { 0.9 };
            assert_eq!(decide(&RULE, &mut history, 2, utilisation, turn * 1500), None);
        }
    }

    #[test]
    fn idle_workers_leave_one_by_one_down_to_the_least() {
        let (mut history, mut workers) = (History::default(), 4);
        for turn in 0..400 {
            if let Some(wanted) = decide(&RULE, &mut history, workers, 0.01, turn * 1000) {
                assert_eq!(wanted, workers - 1);
                workers = wanted;
            }
        }
        assert_eq!(workers, 1);
    }

    #[test]
    fn a_number_outside_the_bounds_is_put_right_at_once() {
        assert_eq!(decide(&RULE, &mut History::default(), 9, 0.5, 0), Some(8));
        assert_eq!(decide(&Rule { min: 3, ..RULE }, &mut History::default(), 2, 0.5, 0), Some(3));
    }

    #[test]
    fn steady_work_of_any_amount_settles_and_stays_within_bounds() {
        for percent in 0..1000 {
            let work = f64::from(percent) / 100.0;
            let (mut history, mut workers, mut changed_at) = (History::default(), 1, 0);
            for second in 0..3000 {
                let utilisation = (work / f64::from(workers)).min(1.0);
                if let Some(wanted) = decide(&RULE, &mut history, workers, utilisation, second * 1000) {
                    assert!((RULE.min..=RULE.max).contains(&wanted) && wanted != workers);
                    (workers, changed_at) = (wanted, second);
                }
            }
            assert!(changed_at < 1500, "{work} erlangs never settle");
        }
    }
}
