//! Simulated time. Every wait of a scenario goes through here, and every timestamp a station sends comes from here.
//!
//! ```text
//! now = base + elapsed × speed          (speed 1 = real time, 60 = an hour in a minute)
//! ```
//! The *instant* clock does not follow real time at all: a sleep moves it forward and returns at once. Clones share it.
//! Limits: speed 1 to 100,000. The clock never runs backwards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::time::Instant;

/// Fastest pace; beyond it a scenario is bound by the network anyway. Use [`Clock::instant`].
pub const MAX_SPEED: u32 = 100_000;

#[derive(Clone, Debug)]
pub struct Clock {
    base: DateTime<Utc>,
    pace: Pace,
}

#[derive(Clone, Debug)]
enum Pace {
    Times { speed: u32, since: Instant },
    Instant { now_ms: Arc<AtomicI64> },
}

impl Clock {
    /// Real time.
    pub fn real() -> Self {
        Self::starting(Utc::now(), 1)
    }

    /// Shows `base` now and runs `speed` times as fast as real time.
    pub fn starting(base: DateTime<Utc>, speed: u32) -> Self {
        Self { base, pace: Pace::Times { speed: speed.clamp(1, MAX_SPEED), since: Instant::now() } }
    }

    /// Shows `base` and moves only when someone sleeps: then at once.
    pub fn instant(base: DateTime<Utc>) -> Self {
        Self { base, pace: Pace::Instant { now_ms: Arc::new(AtomicI64::new(base.timestamp_millis())) } }
    }

    pub fn base(&self) -> DateTime<Utc> {
        self.base
    }

    /// How much faster than real time; 0 for the instant clock.
    pub fn speed(&self) -> u32 {
        match &self.pace {
            Pace::Times { speed, .. } => *speed,
            Pace::Instant { .. } => 0,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        match &self.pace {
            Pace::Times { speed, since } => {
                let elapsed = since.elapsed().saturating_mul(*speed);
                self.base + TimeDelta::from_std(elapsed).unwrap_or(TimeDelta::MAX)
            }
            Pace::Instant { now_ms } => DateTime::from_timestamp_millis(now_ms.load(Ordering::SeqCst)).unwrap_or(self.base),
        }
    }

    /// Now, cut to the whole second: stations stamp in seconds.
    pub fn now_s(&self) -> DateTime<Utc> {
        self.now().trunc_subsecs(0)
    }

    pub async fn sleep(&self, simulated: Duration) {
        let end = self.now() + TimeDelta::from_std(simulated).unwrap_or(TimeDelta::MAX);
        self.sleep_until(end).await;
    }

    /// Returns at once when `at` has passed.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        match &self.pace {
            Pace::Times { speed, since } => {
                let simulated = (at - self.base).to_std().unwrap_or(Duration::ZERO);
                tokio::time::sleep_until(*since + simulated / *speed).await;
            }
            Pace::Instant { now_ms } => {
                now_ms.fetch_max(at.timestamp_millis(), Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_784_721_600, 0).unwrap()
    }

    #[tokio::test]
    async fn the_instant_clock_moves_by_what_was_slept() {
        let clock = Clock::instant(noon());
        clock.sleep(Duration::from_secs(900)).await;
        clock.clone().sleep_until(noon() + TimeDelta::hours(2)).await;
        clock.sleep_until(noon()).await;
        assert_eq!(clock.now(), noon() + TimeDelta::hours(2));
    }

    #[tokio::test]
    async fn a_fast_clock_sleeps_a_fraction() {
        let clock = Clock::starting(noon(), 36_000);
        let began = std::time::Instant::now();
        clock.sleep_until(noon() + TimeDelta::hours(1)).await;
        assert!(began.elapsed() >= Duration::from_millis(90), "an hour at 36,000 is a tenth of a second");
        assert!(clock.now() >= noon() + TimeDelta::hours(1));
    }
}
