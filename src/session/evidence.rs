//! What one message contributes to a session, as the journal keeps it.

use crate::fact::{ChargingState, Phase, Reading, TxFact};
use crate::units::{Received, Time};

/// One message's contribution to a session, as kept in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    pub session: Option<i64>,
    pub phase: Phase,
    pub seq_no: Option<i64>,
    /// The station's time, as it said it; metering corrects it. `None`: missing or unreadable.
    pub reported_at: Option<Time>,
    pub evse: u32,
    pub charging: Option<ChargingState>,
    pub readings: Vec<Reading>,
}

impl Evidence {
    /// Takes it out of a fact.
    pub(super) fn of(session: Option<i64>, fact: &mut TxFact) -> Self {
        Self {
            session,
            phase: fact.phase,
            seq_no: fact.seq_no,
            reported_at: fact.reported_at,
            evse: fact.evse.unwrap_or(0),
            charging: fact.charging,
            readings: std::mem::take(&mut fact.readings),
        }
    }

    /// When the station says that this happened: MeterValues have no time but that of their samples.
    pub fn said_at(&self) -> Option<Time> {
        self.reported_at.or_else(|| self.readings.iter().filter_map(|reading| reading.measured_at).max())
    }
}

/// What the store knows of one contribution when a session is metered.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    /// Its place in the journal: the order of arrival, whatever any clock says.
    pub row: i64,
    pub evidence: Evidence,
    pub received: Received,
}
