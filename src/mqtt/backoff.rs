//! Waiting times between attempts: exponential ceiling, full jitter.
//!
//! A fleet that lost its broker at one instant must not come back at one instant. Each wait is drawn evenly from zero to
//! a ceiling that doubles up to a cap, and that is short again after a connection that was good: one that carried something, or
//! lasted ([`Pacing::worked`](super::pacing::Pacing::worked)). A line that is up for seconds at a time is used each time it is
//! up. The random number is an argument, so a test can script it.

use std::time::Duration;

/// Doublings after which the ceiling stops growing whatever the cap says; keeps the shift in range.
const MOST_DOUBLINGS: u32 = 20;

#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// The longest the next wait can be.
    pub fn ceiling(&self) -> Duration {
        doubled(self.base, self.failures).min(self.cap)
    }

    /// A connection, or an attempt at one, has ended: the wait before the next.
    pub fn ended(&mut self, good: bool, random: u64) -> Duration {
        if good {
            self.failures = 0;
        }
        self.failed(random)
    }

    /// Notes one more failure and gives the wait before the next attempt.
    fn failed(&mut self, random: u64) -> Duration {
        let ceiling = u64::try_from(self.ceiling().as_millis()).unwrap_or(u64::MAX);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(random % ceiling.saturating_add(1))
    }
}

/// `base` doubled `times` times, saturating.
pub fn doubled(base: Duration, times: u32) -> Duration {
    base.saturating_mul(1 << times.min(MOST_DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_to_the_cap_and_start_again_after_success() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        let ceilings: Vec<u64> = (0..9)
            .map(|_| {
                let ceiling = backoff.ceiling();
                assert_eq!(backoff.failed(0), Duration::ZERO);
                u64::try_from(ceiling.as_millis()).expect("small")
            })
            .collect();
        assert_eq!(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        backoff.ended(true, 0);
        assert_eq!(backoff.ceiling(), Duration::from_millis(1_000), "one failure");
    }

    /// A line that is up for 20 s and down for 5 s, for a quarter of an hour, with the longest wait each time: every time it is
    /// up it is used, and no record waits longer than the line was down and once more.
    #[test]
    fn a_line_that_comes_and_goes_is_used_each_time_it_is_up() {
        const UP: u64 = 20_000;
        const PERIOD: u64 = 25_000;
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        let longest = |backoff: &Backoff| u64::try_from(backoff.ceiling().as_millis()).expect("small");
        let (mut now, mut used) = (0, Vec::new());
        while now < 36 * PERIOD {
            let up = now % PERIOD < UP;
            if up {
                used.push((now / PERIOD, now % PERIOD));
                now += UP - now % PERIOD;
            }
            let random = longest(&backoff);
            let random = if up { longest(&Backoff { failures: 0, ..backoff.clone() }) } else { random };
            now += u64::try_from(backoff.ended(up, random).as_millis()).expect("small");
        }
        assert_eq!(used.iter().map(|(window, _)| *window).collect::<Vec<_>>(), (0..36).collect::<Vec<_>>());
        assert!(used.iter().all(|(_, late)| *late <= 5_000), "{used:?}");
    }

    #[test]
    fn no_random_number_and_no_number_of_failures_exceeds_the_cap() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        for step in 0..10_000_u64 {
            assert!(backoff.ended(false, u64::MAX - step) <= Duration::from_secs(60));
        }
    }
}
