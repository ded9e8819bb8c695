//! What a station's live messages say about its clock. Pure.
//!
//! A lag is the time of receipt less the time that the station gives. A queue is sent at once, so its lags shrink; a lag that
//! stays the same over messages which came apart is a clock that is off.

use chrono::TimeDelta;

use crate::fact::plausible_time::{CLOCK_TOLERANCE, EARLIEST, QUEUE_PAUSE, is_live};
use crate::units::{Received, Time};

/// Messages remembered.
const MAX_LAGS: usize = 8;

/// The latest lags of a station, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct StationClock {
    lags: Vec<(Time, TimeDelta)>,
    /// Receipt of the last message that had waited in a queue.
    queued_at: Option<Time>,
}

impl StationClock {
    /// A message came; `said` is the time that the station gave it.
    pub(super) fn hear(&mut self, said: Time, received: Received) {
        if !received.proven {
            return;
        }
        if self.lags.len() == MAX_LAGS {
            self.lags.remove(0);
        }
        self.lags.push((received.at, received.at - said));
        let has_clock = said.timestamp() >= EARLIEST;
        let is_late = has_clock && received.at - said > CLOCK_TOLERANCE && self.steady_lag().is_none();
        self.queued_at = is_late.then_some(received.at);
    }

    /// A message without a time of its own came right after one from the station's queue: so it waited, too.
    pub(super) fn is_in_queue(&self, received: Received) -> bool {
        self.queued_at.is_some_and(|at| received.at - at <= QUEUE_PAUSE)
    }

    /// By how much the station's clock is off, as of its last message; `None`: it is right, or nobody can tell.
    pub(super) fn steady_lag(&self) -> Option<TimeDelta> {
        let ((last_at, lag), before) = self.lags.split_last()?;
        if lag.abs() <= CLOCK_TOLERANCE {
            return None;
        }
        let known = before.iter().rev().take_while(|(_, other)| (*other - *lag).abs() <= CLOCK_TOLERANCE);
        known.into_iter().any(|(at, other)| is_live(*last_at - *at, *other - *lag)).then_some(*lag)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;

    #[test]
    fn a_clock_that_is_off_shows_in_live_messages_only() {
        let at = |seconds: i64| Utc.timestamp_opt(1_800_000_000 + seconds, 0).single().unwrap_or_default();
        for (messages, expected) in [
            // (received, said)
            (&[(0, 0), (60, 60)][..], None),
            (&[(3600, 0), (3660, 60)], Some(3600)),
            (&[(0, 3600), (60, 3660)], Some(-3600)),
            // A queue of an hour, sent at once.
            (&[(7200, 0), (7201, 1800), (7202, 3600)], None),
            // One message alone may have waited.
            (&[(0, 0), (7200, 3600)], None),
            // It was set right meanwhile.
            (&[(3600, 0), (3660, 60), (3720, 3720)], None),
        ] {
            let mut clock = StationClock::default();
            for (received, said) in messages {
                clock.hear(at(*said), Received { at: at(*received), proven: true });
            }
            assert_eq!(clock.steady_lag().map(|lag| lag.num_seconds()), expected, "{messages:?}");
        }
    }
}
