//! The state of each connector, and which of two statuses is the later one.
//!
//! Statuses count in the order in which they arrive. A station's clock decides nothing while it is connected: "Faulted" stamped
//! 1970 is shown. One case is different: after a connection begins, some stations deliver what they could not send before, and
//! what happened then must not hide what is. A status is such a replay, and changes nothing, when all of this holds:
//! - its time lies before this connection, by more than [`TOLERANCE_MS`], and no more than [`OLDEST_REPLAY_MS`] before now (an older
//!   time is a clock without a battery, not a queue);
//! - it arrives within [`REPLAY_MS`] of the connection's begin, or of the replayed status before it;
//! - the station's last status of that connector is later, by the station's own clock where it could be believed.
//!
//! Limit: [`MAX_CONNECTORS`] rows per station. Statuses of connectors beyond it stay in the journal only.

use rusqlite::{OptionalExtension, params};
use tracing::debug;

use super::StoreError;
use super::writer::Writer;
use crate::fact::Status;
use crate::units::{StationId, Time, time};

/// Clocks of stations that are kept right differ from ours by less.
const TOLERANCE_MS: i64 = 60_000;
const REPLAY_MS: i64 = 10 * 60_000;
const OLDEST_REPLAY_MS: i64 = 30 * 86_400_000;
/// More than any station has.
const MAX_CONNECTORS: i64 = 256;

/// What is known of a connector.
struct Known {
    since: i64,
    reported_at: Option<i64>,
}

impl Writer {
    pub(super) fn connector(&mut self, id: &StationId, station: i64, status: &Status, at: Time) -> Result<(), StoreError> {
        let now = time::to_millis(at);
        let reported = status.reported_at.map(time::to_millis).filter(|reported| now - reported <= OLDEST_REPLAY_MS);
        let known = self
            .connection
            .prepare_cached("SELECT since, reported_at FROM connector WHERE station = ?1 AND evse = ?2 AND connector = ?3")?
            .query_row(params![station, status.evse, status.connector], |row| {
                Ok(Known { since: row.get(0)?, reported_at: row.get(1)? })
            })
            .optional()?;
        match (&known, reported) {
            (Some(known), Some(reported)) if self.is_replay(id, station, known, reported, now)? => {
                self.connection
                    .prepare_cached("UPDATE connector SET last_state = ?4 WHERE station = ?1 AND evse = ?2 AND connector = ?3")?
                    .execute(params![station, status.evse, status.connector, status.state])?;
                debug!(station = %id, evse = status.evse, state = status.state, "a status from before this connection changes nothing");
                return Ok(());
            }
            (None, _) if self.connectors_of(station)? >= MAX_CONNECTORS => {
                let detail = format!("{MAX_CONNECTORS} are known; the states of others are in the journal only");
                return self.problem("connectors-too-many", Some(station), "", &detail, at);
            }
            _ => {}
        }
        let since = reported.filter(|reported| *reported <= now).unwrap_or(now);
        self.connection
            .prepare_cached(
                "INSERT INTO connector (station, evse, connector, state, error, since, reported_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT DO UPDATE SET state = excluded.state, error = excluded.error, since = excluded.since, reported_at = excluded.reported_at, \
                 last_state = NULL",
            )?
            .execute(params![station, status.evse, status.connector, status.state, status.error, since, reported])?;
        Ok(())
    }

    fn is_replay(&mut self, id: &StationId, station: i64, known: &Known, reported: i64, now: i64) -> Result<bool, StoreError> {
        let connected: Option<i64> = self
            .connection
            .prepare_cached("SELECT connected_at FROM station WHERE number = ?1")?
            .query_row([station], |row| row.get(0))?;
        let Some(connected) = connected.filter(|connected| reported < connected - TOLERANCE_MS) else { return Ok(false) };
        let last_replay = self.stations.get_mut(id).map(|known| &mut known.last_replay);
        let from = last_replay.as_deref().copied().flatten().unwrap_or(connected).max(connected);
        if now - from > REPLAY_MS {
            return Ok(false);
        }
        if let Some(last) = last_replay {
            *last = Some(now);
        }
        Ok(reported < known.reported_at.unwrap_or(known.since))
    }

    fn connectors_of(&self, station: i64) -> Result<i64, StoreError> {
        let count = "SELECT count(*) FROM connector WHERE station = ?1";
        Ok(self.connection.prepare_cached(count)?.query_row([station], |row| row.get(0))?)
    }
}
