//! The daemon's clock: the system's, or one that runs faster for a simulation. No room below the shell reads a clock itself.

use std::sync::Arc;
use std::time::Instant;

use chrono::{TimeDelta, Utc};

use crate::units::Now;

/// The system's wall clock.
pub fn system() -> Now {
    Arc::new(Utc::now)
}

/// Begins at the present and runs `speed` times as fast. For simulation only.
pub fn simulated(speed: u32) -> Now {
    let (origin, started) = (Utc::now(), Instant::now());
    Arc::new(move || {
        let elapsed = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        origin + TimeDelta::milliseconds(elapsed.saturating_mul(i64::from(speed)))
    })
}
