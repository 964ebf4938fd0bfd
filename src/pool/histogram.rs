//! Durations in microseconds, counted with three significant digits, as HdrHistogram counts them.

/// Values below this have a bucket each; above, a doubling of the value has half as many.
const EXACT: u64 = 2048;
const HALF: u64 = EXACT / 2;

/// Counts durations; grows with the greatest it has seen.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    min: u64,
    max: u64,
    sum: f64,
    squares: f64,
}

impl Histogram {
    /// Counts one duration; none is shorter than a microsecond.
    pub fn record(&mut self, microseconds: u64) {
        let value = microseconds.max(1);
        let bucket = bucket(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        let value = value as f64;
        self.sum += value;
        self.squares += value * value;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The mean, the standard deviation, the least and the greatest.
    pub fn moments(&self) -> [f64; 4] {
        if self.count == 0 {
            return [f64::NAN, f64::NAN, 9_223_372_036_854_776_000.0, 0.0];
        }
        let mean = self.sum / self.count as f64;
        let variance = (self.squares / self.count as f64 - mean * mean).max(0.0);
        [mean, variance.sqrt(), self.min as f64, self.max as f64]
    }

    /// The value that `percent` of all do not exceed, as far as the digits go.
    pub fn percentile(&self, percent: f64) -> f64 {
        let rank = ((percent / 100.0 * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return greatest(bucket).min(self.max) as f64;
            }
        }
        0.0
    }
}

/// Which bucket counts a value.
fn bucket(value: u64) -> usize {
    let doublings = (value / EXACT).checked_ilog2().map_or(0, |log| u64::from(log) + 1);
    (doublings * HALF + (value >> doublings)) as usize
}

/// The greatest value of a bucket.
fn greatest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let doublings = (bucket - EXACT) / HALF + 1;
    let rest = bucket - doublings * HALF;
    ((rest + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_its_bucket() {
        let mut value = 1;
        while value < 1 << 40 {
            for near in [value - 1, value, value + 1] {
                let greatest = greatest(bucket(near));
                assert!(greatest >= near && greatest - near <= near / 1000, "{near} counts as {greatest}");
            }
            value = value * 3 / 2 + 1;
        }
    }

    #[test]
    fn buckets_follow_each_other() {
        for index in 0..20_000 {
            assert_eq!(bucket(greatest(index)), index);
            assert_eq!(bucket(greatest(index) + 1), index + 1);
        }
    }

    #[test]
    fn summary_of_one_to_a_hundred() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|value| histogram.record(value));
        let [mean, deviation, min, max] = histogram.moments();
        assert_eq!((mean, min, max), (50.5, 1.0, 100.0));
        assert!((deviation - 28.866).abs() < 0.001);
        assert_eq!(
            [1.0, 50.0, 99.0, 100.0].map(|percent| histogram.percentile(percent)),
            [1.0, 50.0, 99.0, 100.0]
        );
    }
}
