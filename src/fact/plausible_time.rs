//! When something happened, as far as a station's clock can be believed.

use chrono::TimeDelta;

use crate::units::{Finding, Received, Time, time};

/// A station's clock is not believed before this day: no station ran then, so the clock was never set.
pub const EARLIEST: i64 = 1_577_836_800; // 2020-01-01T00:00:00Z
/// Clocks of stations drift by minutes; what is said further ahead cannot be true.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// The messages of a queue come at once, each after the answer to the one before.
pub const QUEUE_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// The station's time if it can be true, else the time of receipt, with a finding that says so. What happened cannot have happened
/// after it was told; only a gateway whose own clock is wrong does not know.
pub fn plausible_time(reported: Option<Time>, received: Received) -> (Time, Option<Finding>) {
    match reported {
        None => (received.at, Some(Finding::new("time-missing", "no readable time; the time of receipt stands in"))),
        Some(at) if at.timestamp() < EARLIEST || (received.proven && at > received.at + CLOCK_TOLERANCE) => {
            let detail = format!("station says {}; the time of receipt stands in", time::rfc3339(at));
            (received.at, Some(Finding::new("clock-implausible", detail)))
        }
        Some(at) => (at, None),
    }
}

/// Whether two messages that came `apart` from each other, and whose lags differ by `drift`, both came live. A lag is the time of
/// receipt less the time that the station gives.
pub fn is_live(apart: TimeDelta, drift: TimeDelta) -> bool {
    let (apart, drift) = (apart.abs(), drift.abs());
    (apart >= TimeDelta::minutes(5) && drift <= TimeDelta::minutes(2))
        || (apart >= TimeDelta::seconds(30) && drift <= TimeDelta::seconds(5))
}
