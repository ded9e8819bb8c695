//! When a station was heard, to know how long it can have been running before a reboot.

use chrono::TimeDelta;

use crate::units::Time;

/// A station that said nothing for this long may have rebooted meanwhile.
const SILENCE: TimeDelta = TimeDelta::minutes(1);
/// How soon after its first message a rebooted station sends its BootNotification.
const SETTLING: TimeDelta = TimeDelta::minutes(2);

/// When it was heard last, and last before it began to speak again after a silence.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    heard_at: Option<Time>,
    before_silence: Option<Time>,
    speaks_since: Option<Time>,
}

impl Presence {
    /// Of a station that was heard last at that time.
    pub(super) fn until(heard_at: Option<Time>) -> Self {
        Self { heard_at, ..Self::default() }
    }

    /// The station said something.
    pub(super) fn heard(&mut self, at: Time) {
        if self.heard_at.is_none_or(|heard| at - heard > SILENCE) {
            self.before_silence = self.heard_at;
            self.speaks_since = Some(at);
        }
        self.heard_at = self.heard_at.max(Some(at));
    }

    /// The last sign of life before a reboot: what a station says shortly before its BootNotification, it says after the reboot.
    pub(super) fn before_boot(&self, boot: Time) -> Option<Time> {
        if self.speaks_since.is_some_and(|since| boot - since <= SETTLING) { self.before_silence } else { self.heard_at }
    }
}
