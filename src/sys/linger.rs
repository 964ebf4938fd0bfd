//! Whether to look for more work for a moment before going to sleep: waking a processor that sleeps takes longer than
//! a small message or task. Only the decision: who lingers looks, and says what came of it.

use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// Processors that this process may use.
pub static PROCESSORS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, |processors| processors.get()));

/// Decides by what it would have been good for lately.
#[derive(Debug)]
pub struct Linger {
    /// How long to look.
    patience: Duration,
    /// Since when there has been nothing to do.
    since: Option<Instant>,
    /// Times in a row that it was, or would have been, for nothing.
    misses: u32,
}

impl Default for Linger {
    fn default() -> Self {
        Self { patience: Self::SHORTEST, since: None, misses: 0 }
    }
}

impl Linger {
    /// Longer than the other side needs to answer, and to send what comes next.
    const SHORTEST: Duration = Duration::from_micros(50);
    /// What is large takes time to be looked at and to be sent back: so many bytes a microsecond.
    const BYTES_PER_MICROSECOND: u64 = 1024;
    const LONGEST: Duration = Duration::from_micros(1000);
    /// Fewer than this, and it goes on.
    const MISSES: u32 = 2;

    /// There is work: `now`, for the first time since `rests`, of so many bytes.
    pub fn works(&mut self, now: Instant, bytes: usize) {
        if let Some(since) = self.since.take() {
            // Waking up takes the other half.
            let is_hit = now.duration_since(since) < 2 * self.patience;
            self.misses = if is_hit { 0 } else { self.misses.saturating_add(1) };
        }
        let more = Duration::from_micros(bytes as u64 / Self::BYTES_PER_MICROSECOND);
        self.patience = (Self::SHORTEST + more).min(Self::LONGEST);
    }

    /// How long to look for more, if at all.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// There is no more work. Whether to linger: only where another processor can work meanwhile.
    pub fn rests(&mut self, now: Instant, processors: usize) -> bool {
        self.since.get_or_insert(now);
        processors > 1 && self.misses < Self::MISSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_while_work_comes_soon_and_gives_up_where_it_does_not() {
        let (mut linger, mut now) = (Linger::default(), Instant::now());
        for (pause, expected) in [
            (10, true),
            (10, true),
            (500, true),
            (10, true),
            (500, true),
            (500, false),
            (500, false),
            (60, true),
        ] {
            linger.rests(now, 2);
            now += Duration::from_micros(pause);
            linger.works(now, 100);
            assert_eq!(linger.rests(now, 2), expected, "after {pause} us");
            assert!(!linger.rests(now, 1));
        }
    }

    #[test]
    fn waits_longer_for_an_answer_to_what_is_large() {
        let (mut linger, mut now) = (Linger::default(), Instant::now());
        for (bytes, pause, expected) in
            [(1_000_000, 990, true), (1 << 30, 990, true), (0, 990, true), (0, 990, true), (0, 990, false)]
        {
            linger.works(now, bytes);
            assert!(linger.patience() <= Linger::LONGEST);
            assert_eq!(linger.rests(now, 2), expected);
            now += Duration::from_micros(pause);
        }
    }
}
