//! Live state and counters of the running daemon, and the one snapshot of them that edges read.
//!
//! ```text
//! csms, store (through daemon), uplink ─ count ─▶ Live ─┐
//! what has one owner (connections, queue, clock)  ──────┴─▶ Snapshot ─▶ `forecourt status`, metrics
//! ```
//! Counting is for the hot path: a relaxed add, no lock. A [`Snapshot`] is made when somebody asks: plain values that serialise, so an
//! edge needs neither the store nor a lock of the daemon, and an answer is there when the store cannot commit. Counters begin with the
//! daemon; what must survive it is in the store. Counts of one snapshot may be a few messages apart from each other.
//!
//! Deliberately absent: identities in counters, tokens, rates, averages (whoever reads twice can divide).

mod counter;
mod snapshot;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use counter::{BOUNDS_MS, Counter, Durations, Label, Labels, OTHER};
pub use snapshot::{ClockState, CommitTimes, Connected, MessageCounts, Snapshot, Stations, StoreState, UplinkState};

use crate::units::Version;

/// What became of a message from a station: a column of [`Live::messages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// By a CALLRESULT, or by nothing where none is due.
    Answered,
    /// Understood as a message, refused by a CALLERROR.
    Refused,
    /// No message of OCPP.
    Broken,
    /// Neither stored nor answered: the station keeps it.
    NotStored,
}

const VERSIONS: [Version; 3] = [Version::V16, Version::V201, Version::V21];

/// What the daemon counts while it runs.
#[derive(Debug, Default)]
pub struct Live {
    /// WebSocket connections that were opened.
    pub connections: Counter,
    /// Upgrades that were turned away, by HTTP status.
    pub turned_away: Labels<1>,
    /// By action, one set for each version.
    messages: [Labels<4>; 3],
    /// Transaction messages that came again and got the stored answer.
    pub repeats: Counter,
    /// Frames beyond the limits of noise.
    pub left_out: Counter,
    /// Oddities, by code.
    pub findings: Labels<1>,
    pub sessions_opened: Counter,
    /// Calls to stations that ended, by state.
    pub calls: Labels<1>,
    /// Groups on disk, and the jobs in them.
    pub commits: Counter,
    pub jobs: Counter,
    /// From the beginning of a transaction to the end of its fsync.
    pub commit_times: Durations,
    pub commits_failed: Counter,
    /// Receipts that retired records, and those that were refused.
    pub receipts: Counter,
    pub receipts_refused: Counter,
    /// Records that the broker did not take.
    pub undelivered: Counter,
    uplink: Mutex<Option<UplinkState>>,
    /// Epoch and number of the last record that head office confirmed.
    acknowledged: Mutex<(i64, u64)>,
    /// And of the last one that was signed.
    sealed: Mutex<(i64, u64)>,
}

impl Live {
    /// Where a message is counted. `understood`: its action is one that we know.
    pub fn message(&self, version: Version, action: Option<&str>, understood: bool) -> (Version, Label) {
        let labels = self.of(version);
        let action = action.unwrap_or(OTHER);
        (version, if understood { labels.label(action) } else { labels.known(action) })
    }

    pub fn count_message(&self, (version, action): (Version, Label), outcome: MessageOutcome) {
        self.of(version).count(action, outcome as usize);
    }

    fn of(&self, version: Version) -> &Labels<4> {
        let [v16, v201, v21] = &self.messages;
        match version {
            Version::V16 => v16,
            Version::V201 => v201,
            Version::V21 => v21,
        }
    }

    /// The uplink says how it stands.
    pub fn uplink_is(&self, state: UplinkState) {
        *locked(&self.uplink) = Some(state);
    }

    pub fn uplink(&self) -> Option<UplinkState> {
        locked(&self.uplink).clone()
    }

    /// Head office has confirmed records of this epoch up to this number.
    pub fn acknowledge(&self, epoch: i64, through: u64) {
        *locked(&self.acknowledged) = (epoch, through);
    }

    /// The last number of this epoch that is confirmed; 0: none.
    pub fn acknowledged(&self, epoch: i64) -> u64 {
        of_epoch(*locked(&self.acknowledged), epoch)
    }

    /// Records of this epoch are signed and stored up to this number.
    pub fn sealed(&self, epoch: i64, seq: u64) {
        *locked(&self.sealed) = (epoch, seq);
    }

    /// The last number of this epoch that was signed since the start; 0: none.
    pub fn last_sealed(&self, epoch: i64) -> u64 {
        of_epoch(*locked(&self.sealed), epoch)
    }

    /// Messages by version and action.
    pub fn messages(&self) -> Vec<MessageCounts> {
        let rows = VERSIONS.into_iter().flat_map(|version| self.of(version).read().into_iter().map(move |row| (version, row)));
        rows.map(|(version, (action, [answered, refused, broken, not_stored]))| MessageCounts {
            ocpp_version: version.number().to_owned(),
            action,
            answered,
            refused,
            broken,
            not_stored,
        })
        .collect()
    }
}

/// Every change is one assignment, so a panic leaves nothing half-done.
fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn of_epoch((epoch, seq): (i64, u64), wanted: i64) -> u64 {
    if epoch == wanted { seq } else { 0 }
}
