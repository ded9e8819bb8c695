//! Calls to stations: queued before they are sent, and never without an end.
//!
//! ```text
//! queued ─▶ sent ─▶ answered · call-error · timeout
//!    │        └────▶ unknown          the connection or the daemon ended before the answer
//!    └─────────────▶ not-connected · withdrawn    never sent
//! ```
//! After a restart a call that was sent is `unknown`: the station may have done it. Only one that is harmless is asked again, once,
//! as a call of its own that names the first. An answer that comes after all counts, whatever the state is by then.
//! Limit: [`super::jobs::MAX_OPEN`] calls of a station that have not ended.

use rusqlite::{OptionalExtension, params};
use tracing::warn;

use super::StoreError;
use super::audit::{Change, OURSELVES};
use super::checksum::Text;
use super::jobs::{CallEnd, CallText, MAX_OPEN, NewCall, QueuedCall, TooManyCalls};
use super::writer::Writer;
use crate::fact::Request;
use crate::units::{StationId, Time, Version, time};

/// A new row.
struct Row {
    station: i64,
    version: String,
    action: String,
    payload: String,
    shown: String,
    harmless: bool,
    repeats: Option<i64>,
    actor: String,
    reason: String,
    at: Time,
}

impl Writer {
    /// Puts a call on record before it is sent, and who asked for it into the audit.
    pub(super) fn call(&mut self, call: &NewCall) -> Result<Result<QueuedCall, TooManyCalls>, StoreError> {
        let station = self.station(&call.station, call.at)?.number;
        let open = "SELECT count(*) FROM call WHERE station = ?1 AND state IN ('queued', 'sent')";
        let open: i64 = self.connection.prepare_cached(open)?.query_row([station], |row| row.get(0))?;
        if open >= MAX_OPEN {
            return Ok(Err(TooManyCalls { station: call.station.clone() }));
        }
        let queued = self.queue(&Row {
            station,
            version: call.version.number().to_owned(),
            action: call.action.to_owned(),
            payload: call.payload.clone(),
            shown: call.shown.clone(),
            harmless: call.harmless,
            repeats: None,
            actor: call.actor.clone(),
            reason: call.reason.clone(),
            at: call.at,
        })?;
        self.audit(&Change {
            actor: &call.actor,
            action: "station call",
            object: call.station.as_str(),
            before: None,
            after: &format!("{} {}", call.action, call.shown),
            reason: &call.reason,
            at: call.at,
        })?;
        Ok(Ok(queued))
    }

    /// Puts calls on record that the machine asks for.
    pub(super) fn ask(
        &mut self,
        station: &StationId,
        version: Version,
        requests: &[Request],
        at: Time,
    ) -> Result<Vec<QueuedCall>, StoreError> {
        let mut queued = Vec::new();
        let calls = self.calls;
        for CallText { action, payload, shown, harmless } in requests.iter().flat_map(|request| calls(version, request)) {
            let (actor, reason) = (OURSELVES.to_owned(), "onboarding".to_owned());
            let call = NewCall { station: station.clone(), version, action, payload, shown, harmless, actor, reason, at };
            match self.call(&call)? {
                Ok(call) => queued.push(call),
                Err(too_many) => {
                    warn!(%station, action, error = %too_many, "not asked, nor what should follow");
                    break;
                }
            }
        }
        Ok(queued)
    }

    fn queue(&self, row: &Row) -> Result<QueuedCall, StoreError> {
        let last = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'call'), 0)";
        let number: i64 = self.connection.prepare_cached(last)?.query_row([], |row| row.get::<_, i64>(0))? + 1;
        let message_id = format!("{}-{number}", self.epoch);
        let Row { station, version, action, payload, shown, harmless, repeats, actor, reason, at } = row;
        let at = time::to_millis(*at);
        self.connection
            .prepare_cached(
                "INSERT INTO call (number, station, message_id, action, payload, shown, harmless, repeats, actor, reason, version, \
                 state, requested_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued', ?12)",
            )?
            .execute(params![number, station, message_id, action, payload, shown, harmless, repeats, actor, reason, version, at])?;
        let is_ours = actor == OURSELVES;
        Ok(QueuedCall { number, message_id, action: action.clone(), payload: payload.clone(), is_ours })
    }

    /// The frame leaves now: from here on nobody can say that it was not sent.
    pub(super) fn call_sent(&self, number: i64, at: Time) -> Result<(), StoreError> {
        let sql = "UPDATE call SET state = 'sent', sent_at = ?2, sent_after = (SELECT coalesce(max(id), 0) FROM message) \
                   WHERE number = ?1 AND state = 'queued'";
        Ok(self.connection.prepare_cached(sql)?.execute(params![number, time::to_millis(at)]).map(drop)?)
    }

    /// Ends a call; whether it had not ended so before. An answer overrules an end without one, for it is what the station did.
    pub(super) fn call_ended(&self, number: i64, end: &CallEnd, at: Time) -> Result<bool, StoreError> {
        let (status, answer, shown) = match end {
            CallEnd::Answered { payload, shown, status } => (status.as_deref(), Some(payload), Some(shown)),
            CallEnd::CallError { error, shown } => (None, Some(error), Some(shown)),
            CallEnd::Timeout | CallEnd::NotConnected | CallEnd::Withdrawn | CallEnd::Unknown => (None, None, None),
        };
        let sql = "UPDATE call SET state = ?2, ended_at = ?3, status = ?4, answer = ?5, answer_shown = ?6 \
                   WHERE number = ?1 AND (state IN ('queued', 'sent') OR (?5 IS NOT NULL AND answer IS NULL)) \
                   AND (sent_at IS NOT NULL OR ?5 IS NULL)";
        let values = params![number, end.state(), time::to_millis(at), status, answer, shown];
        Ok(self.connection.prepare_cached(sql)?.execute(values)? > 0)
    }

    /// An answer that no connection waits for: to a call that timed out, or of the connection before.
    pub(super) fn late_answer(&self, station: &StationId, message_id: &str, end: &CallEnd, at: Time) -> Result<bool, StoreError> {
        let sql = "SELECT c.number FROM call c JOIN station st ON st.number = c.station WHERE c.message_id = ?1 AND st.name = ?2";
        let number: Option<i64> =
            self.connection.prepare_cached(sql)?.query_row([message_id, station.as_str()], |row| row.get(0)).optional()?;
        number.map_or(Ok(false), |number| self.call_ended(number, end, at))
    }

    /// The calls of a station that wait to be sent, now that it is connected.
    pub(super) fn waiting_calls(&self, station: &StationId, version: Version) -> Result<Vec<QueuedCall>, StoreError> {
        // Those that the program asked for over a connection that has gone before it took them.
        let gone = "UPDATE call SET state = 'not-connected', ended_at = ?3 WHERE state = 'queued' AND repeats IS NULL AND actor = ?2 \
                    AND station = (SELECT number FROM station WHERE name = ?1)";
        self.connection.prepare_cached(gone)?.execute(params![station.as_str(), OURSELVES, time::to_millis((self.now)())])?;
        let sql = "SELECT c.number, c.message_id, c.action, c.payload, c.actor FROM call c JOIN station st ON st.number = c.station \
                   WHERE c.state = 'queued' AND c.repeats IS NOT NULL AND st.name = ?1 AND c.version = ?2 \
                   ORDER BY c.number";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([station.as_str(), version.number()], |row| {
            let text = |column| row.get::<_, Text>(column).map(|text| text.0);
            let is_ours = text(4)? == OURSELVES;
            Ok(QueuedCall { number: row.get(0)?, message_id: text(1)?, action: text(2)?, payload: text(3)?, is_ours })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What the daemon before left: a call that was sent may have been done, one that was not is over. A harmless one is asked again.
    pub(super) fn end_calls_of_the_last_run(&self, now: Time) -> Result<(), StoreError> {
        let millis = time::to_millis(now);
        let mut statement = self.connection.prepare(
            "SELECT number, station, action, payload, shown, actor, reason, version FROM call WHERE state = 'sent' AND harmless AND repeats IS NULL \
             ORDER BY number",
        )?;
        let mut rows = statement.query([])?;
        let mut again = Vec::new();
        while let Some(row) = rows.next()? {
            let text = |column| row.get::<_, Text>(column).map(|text| text.0);
            again.push(Row {
                repeats: Some(row.get(0)?),
                station: row.get(1)?,
                action: text(2)?,
                payload: text(3)?,
                shown: text(4)?,
                harmless: true,
                actor: text(5)?,
                reason: text(6)?,
                version: text(7)?,
                at: now,
            });
        }
        drop(rows);
        self.connection.execute("UPDATE call SET state = 'unknown', ended_at = ?1 WHERE state = 'sent'", [millis])?;
        self.connection.execute("UPDATE call SET state = 'not-connected', ended_at = ?1 WHERE state = 'queued'", [millis])?;
        again.iter().try_for_each(|row| {
            self.queue(row)?;
            self.audit_again(row)
        })
    }

    /// Nobody asked for the second attempt but the program.
    fn audit_again(&self, row: &Row) -> Result<(), StoreError> {
        let name = "SELECT name FROM station WHERE number = ?1";
        let station: String = self.connection.prepare_cached(name)?.query_row([row.station], |found| found.get(0))?;
        let first = row.repeats.unwrap_or_default();
        self.audit(&Change {
            actor: OURSELVES,
            action: "station call",
            object: &station,
            before: None,
            after: &format!("{} {}", row.action, row.shown),
            reason: &format!("asked again after a restart: the answer to call {first} of {} is not known", row.actor),
            at: row.at,
        })
    }
}
