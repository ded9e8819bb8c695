//! Instants are UTC to the millisecond; civil time appears only in rating and for the eye.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};

/// An instant in UTC.
pub type Time = DateTime<Utc>;

/// Where a module that may not read a clock gets the time from; the shell hands it in.
pub type Now = Arc<dyn Fn() -> Time + Send + Sync>;

/// A reading of our own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The time, or the best estimate of it. It goes back only when our clock was ahead before; order what was stored by its row.
    pub at: Time,
    /// False: the system clock has shown itself to be wrong, and `at` is the last time known to be true plus what has passed since.
    /// No other clock can be judged by it, and nothing may be sealed with it.
    pub proven: bool,
}

impl Received {
    pub const fn proven(at: Time) -> Self {
        Self { at, proven: true }
    }
}

/// Our own clock, for those who must know whether it can be right.
pub type Clock = Arc<dyn Fn() -> Received + Send + Sync>;

/// Milliseconds since 1970, the store's form of an instant.
pub fn to_millis(time: Time) -> i64 {
    time.timestamp_millis()
}

/// The instant of a stored number of milliseconds; numbers out of chrono's range become 1970, which no caller stores.
pub fn from_millis(millis: i64) -> Time {
    Utc.timestamp_millis_opt(millis).single().unwrap_or_default()
}

/// The instant as it is after it was stored.
pub fn cut_to_millis(time: Time) -> Time {
    from_millis(to_millis(time))
}

/// `2026-11-21T13:07:00Z`, with `.mmm` when there are milliseconds (RFC 3339; OCPP 2.0.1 Part 2 §2.1.2 allows at most three digits).
pub fn rfc3339(time: Time) -> String {
    let format = if time.timestamp_subsec_millis() == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
    time.to_rfc3339_opts(format, true)
}

/// Whole seconds and `Z`: the only form in which stations are told a time (docs/quirks.md Q35).
pub fn rfc3339_seconds(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
