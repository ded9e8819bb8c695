//! Latencies in microseconds, in buckets no wider than 1/32 of what they hold.
//!
//! Values below 64 have a bucket each; above, each power of two is cut in 32. The answer is a bucket's middle.

const SUB: u64 = 32;
const SUB_BITS: u32 = 5;
const EXACT: u64 = 2 * SUB;
/// Enough for 2^37 us, a day and a half; what is longer falls in the last bucket.
const BUCKETS: usize = (EXACT + (37 - SUB_BITS as u64 - 1) * SUB) as usize;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, value: u64) {
        let bucket = bucket_of(value).min(BUCKETS - 1);
        self.counts[bucket] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that `per_mille` of 1000 do not exceed; 0 when nothing was recorded.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let rank = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle_of(bucket).min(self.max);
            }
        }
        0
    }
}

fn bucket_of(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    (u64::from(shift) * SUB + (value >> shift)) as usize
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let shift = bucket / SUB - 1;
    let low = (bucket - shift * SUB) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_in_order() {
        let mut last = 0;
        for value in 0..200_000u64 {
            let bucket = bucket_of(value);
            assert!(bucket == last || bucket == last + 1, "gap at {value}");
            last = bucket;
            assert!(middle_of(bucket).abs_diff(value) <= value / 32, "{value} became {}", middle_of(bucket));
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.record(value));
        assert!(histogram.quantile(500).abs_diff(500) <= 16);
        assert!(histogram.quantile(990).abs_diff(990) <= 31);
        assert_eq!((histogram.total(), histogram.max()), (1000, 1000));
        assert_eq!(Histogram::default().quantile(990), 0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.max(), u64::MAX);
    }
}
