//! The end of the chain: appending a record of any kind, within the running transaction.

use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;
use rusqlite::params;
use tracing::{error, info};

use super::jobs::AppendError;
use super::record_columns::Copies;
use super::writer::{Outcome, Writer};
use super::{StoreError, epochs, restore};
use crate::record::{Body, GatewayChange, Header, Place, Record};
use crate::units::{Finding, Time, time};

/// A UUIDv7 of the time at which the record is made, not of the system clock.
fn uuid_of(at: Time) -> uuid::Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, at.timestamp_subsec_nanos()))
}

impl Writer {
    /// Numbers, links, signs and stores a record of any kind at the end of the chain, in the running transaction. Returns its
    /// number, or why nothing was written of it.
    pub(super) fn append(
        &mut self,
        body: Body,
        session: Option<i64>,
        at: Time,
        outcome: &mut Outcome,
    ) -> Result<Result<u64, AppendError>, StoreError> {
        if restore::chain_tail(&self.connection, self.epoch)?.0 == 0
            && let Some((reason, detail)) = epochs::reason(&self.connection, self.epoch)?
        {
            // An epoch that did not begin with the store begins with a record that says why.
            let change = Body::GatewayChange(GatewayChange { findings: vec![Finding { code: reason.into(), detail }] });
            match self.append_here(change, None, at)? {
                Ok(_) => outcome.sealed = true,
                // The problem says it, too; bills do not wait for it.
                Err(failure) => error!(error = %failure, "the first record of the epoch cannot be made"),
            }
        }
        let appended = self.append_here(body, session, at)?;
        outcome.sealed |= appended.is_ok();
        Ok(appended)
    }

    fn append_here(&self, body: Body, session: Option<i64>, at: Time) -> Result<Result<u64, AppendError>, StoreError> {
        let (last, prev) = restore::chain_tail(&self.connection, self.epoch)?;
        let (epoch, record_id) = (self.epoch.unsigned_abs(), uuid_of(at));
        let place = Place { site: self.site.clone(), epoch, seq: last + 1, prev, record_id, created_at: at };
        let record = match body.seal(&place, self.signing.signer.as_ref()) {
            Ok(record) => record,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let (kind, seq) = (&record.payload.header.kind, place.seq);
        match self.insert_record(&record, session) {
            Err(rusqlite::Error::SqliteFailure(error, why)) if error.extended_code == SQLITE_CONSTRAINT_TRIGGER => {
                return Ok(Err(AppendError::Refused(why.unwrap_or_default())));
            }
            inserted => inserted?,
        }
        if let (Some(session), true) = (session, record.payload.charge().is_some()) {
            self.connection
                .prepare_cached("UPDATE session SET settled_epoch = ?2, settled = ?3 WHERE number = ?1")?
                .execute(params![session, self.epoch, seq])?;
        }
        info!(seq, kind, "record sealed");
        Ok(Ok(seq))
    }

    fn insert_record(&self, record: &Record, session: Option<i64>) -> rusqlite::Result<()> {
        let Header { kind, seq, record_id, created_at, .. } = &record.payload.header;
        let copies = Copies::of(&record.payload);
        let reference = record.payload.bill().and_then(|bill| bill.corrects.as_ref()).map(|corrects| &corrects.record_id);
        self.connection
            .prepare_cached(
                "INSERT INTO record (epoch, seq, kind, record_id, session, created_at, hash, station, energy_wh, cost_excl_vat, cost_incl_vat, \
                 currency, prev, lines, jws, reference) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                self.epoch,
                seq,
                kind,
                record_id,
                session,
                time::to_millis(created_at.0),
                record.hash.to_string(),
                copies.station,
                copies.energy_wh,
                copies.cost_excl_vat,
                copies.cost_incl_vat,
                copies.currency,
                copies.prev,
                copies.lines,
                record.jws,
                reference
            ])
            .map(drop)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails where it stands")]
mod tests {
    use rusqlite::Connection;
    use tokio::sync::oneshot;

    use super::*;
    use crate::record::examples::{at, example, rated};
    use crate::store::tests::{NOW, Script};
    use crate::store::{Job, Reply};

    /// Appends in a transaction of its own.
    fn append(writer: &mut Writer, body: Body, session: Option<i64>) -> Result<u64, String> {
        let (reply, mut appended) = oneshot::channel();
        let mut outcome = Outcome::default();
        writer.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        writer.apply(Job::Append { body: Box::new(body), session, at: at(NOW), reply }, &mut outcome).unwrap();
        writer.connection.execute_batch("COMMIT").unwrap();
        outcome.released.into_iter().for_each(Reply::send);
        appended.try_recv().unwrap().map_err(|failure| failure.to_string())
    }

    #[test]
    fn any_kind_is_appended_and_a_second_charge_is_refused_and_disturbs_nobody() {
        let mut script = Script::new();
        let writer = &mut script.writer;
        let session = "INSERT INTO station (number, name, first_seen_at) VALUES (1, 'CP-07', 0); \
             INSERT INTO session (number, id, station, version, tx, evse, connector, opened_at, state) \
             VALUES (42, 'S-20261121-0042', 1, '2.0.1', 'a7f0', 1, 1, 0, 'ended')";
        writer.connection.execute_batch(session).unwrap();
        let charge = || example().body(&rated());
        let change = || Body::GatewayChange(GatewayChange { findings: Vec::new() });
        assert_eq!(append(writer, charge(), Some(42)), Ok(1));
        let refused = "the record is refused: the session has a charge that no credit takes back";
        assert_eq!(append(writer, charge(), Some(42)), Err(refused.to_owned()));
        assert_eq!(append(writer, charge(), None), Err("the record is refused: a charge is of a session".to_owned()));
        assert_eq!(append(writer, change(), None), Ok(2));
        let settled: (i64, i64) = writer
            .connection
            .query_row("SELECT settled_epoch, settled FROM session", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(settled, (writer.epoch, 1));
        let linked = "SELECT count(*) FROM record a JOIN record b ON b.seq = a.seq + 1 AND b.prev = a.hash";
        assert_eq!(writer.connection.query_row(linked, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn what_was_billed_before_schema_4_knows_its_epoch() {
        let store = Connection::open_in_memory().unwrap();
        for schema in [include_str!("schema.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")] {
            store.execute_batch(schema).unwrap();
        }
        store
            .execute_batch(
                "INSERT INTO station (number, name, first_seen_at) VALUES (1, 'CP-1', 0);
                 INSERT INTO session (number, id, station, version, tx, evse, connector, opened_at, state, settled) VALUES
                     (1, 'S-1', 1, '1.6', '1', 1, 1, 0, 'ended', 7), (2, 'S-2', 1, '1.6', '2', 1, 1, 0, 'ended', 7),
                     (3, 'S-3', 1, '1.6', '3', 1, 1, 0, 'open', NULL);
                 INSERT INTO record (epoch, seq, kind, record_id, session, created_at, hash, jws) VALUES
                     (100, 7, 'charge', 'a', 1, 0, '', ''), (200, 7, 'charge', 'b', 2, 0, '', '');",
            )
            .unwrap();
        store.execute_batch(include_str!("schema_4.sql")).unwrap();
        let epoch = |number: i64| -> Option<i64> {
            store.query_row("SELECT settled_epoch FROM session WHERE number = ?1", [number], |row| row.get(0)).unwrap()
        };
        assert_eq!([epoch(1), epoch(2), epoch(3)], [Some(100), Some(200), None]);
    }
}
