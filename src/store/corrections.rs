//! A bill is corrected: its charge is taken back, and perhaps its session charged anew, in one transaction.
//!
//! Both are records like any other, at the end of the chain; nothing that was sealed is changed. `session.settled` names the charge
//! that was made last: after a write-off it is one that a credit has taken back, and the session is billed no more.

use rusqlite::{OptionalExtension, params};
use tracing::info;

use super::audit::Change;
use super::jobs::{CorrectError, Corrected, Correction, Replacement};
use super::writer::{Outcome, Writer};
use super::{StoreError, sessions};
use crate::billing::Bill;
use crate::session::overlap;
use crate::units::{StationId, time};

impl Writer {
    /// All of it, or nothing and why.
    pub(super) fn correct(
        &mut self,
        correction: Correction,
        outcome: &mut Outcome,
    ) -> Result<Result<Corrected, CorrectError>, StoreError> {
        if let Err(why) = self.correctable(&correction)? {
            return Ok(Err(why));
        }
        self.connection.execute_batch("SAVEPOINT correction")?;
        let corrected = self.append_correction(correction, outcome)?;
        self.connection.execute_batch(match corrected {
            Ok(_) => "RELEASE correction",
            Err(_) => "ROLLBACK TO correction; RELEASE correction",
        })?;
        Ok(corrected)
    }

    /// The charge stands, and what replaces it rests on all that there is.
    fn correctable(&self, correction: &Correction) -> Result<Result<(), CorrectError>, StoreError> {
        let Correction { session, epoch, seq, replacement, .. } = correction;
        let sql = "SELECT 1 FROM session s JOIN record r ON r.epoch = s.settled_epoch AND r.seq = s.settled \
             WHERE s.number = ?1 AND r.epoch = ?2 AND r.seq = ?3 AND r.kind = 'charge' AND NOT EXISTS (\
                 SELECT 1 FROM record k WHERE k.session = s.number AND k.kind = 'credit' AND k.reference = r.record_id)";
        let stands = self.connection.prepare_cached(sql)?.query_row(params![session, epoch, seq], |_| Ok(())).optional()?;
        if stands.is_none() {
            return Ok(Err(CorrectError::NotStanding(*seq)));
        }
        let Some(Replacement { bill, is_stated, last_message, .. }) = replacement else { return Ok(Ok(())) };
        if sessions::last_message(&self.connection, *session)? != *last_message {
            return Ok(Err(CorrectError::Changed));
        }
        if *is_stated {
            // A person knows better than the meter: its registers say nothing about this energy.
            return Ok(Ok(()));
        }
        let neighbours = sessions::neighbours(&self.connection, *session, bill.span.end)?;
        Ok(overlap::check(&bill.span, &neighbours).map_err(|(code, detail)| CorrectError::Overlap(code, detail)))
    }

    /// A finding on the session's row says that its registers are not the meter's: other sessions are not compared with them
    /// ([`sessions::neighbours`]). Memory has the row as it is after that.
    fn note_stated(&mut self, session: i64, is_stated: bool) -> Result<(), StoreError> {
        let others = "SELECT json_group_array(json(value)) FROM json_each(coalesce(findings, '[]')) WHERE value ->> 'code' <> ?2";
        let sql = format!("UPDATE session SET findings = nullif(({others}), '[]') WHERE number = ?1");
        self.connection.prepare_cached(&sql)?.execute(params![session, sessions::ENERGY_STATED])?;
        if is_stated {
            let sql = "UPDATE session SET findings = json_insert(coalesce(findings, '[]'), '$[#]', json_object('code', ?2, 'detail', ?3)) \
                 WHERE number = ?1";
            let detail = "a person stated the energy; the registers follow from it";
            self.connection.prepare_cached(sql)?.execute(params![session, sessions::ENERGY_STATED, detail])?;
        }
        let sql = "SELECT st.name FROM session s JOIN station st ON st.number = s.station WHERE s.number = ?1";
        let station: String = self.connection.prepare_cached(sql)?.query_row([session], |row| row.get(0))?;
        self.reload(&StationId::new(&station))
    }

    fn append_correction(
        &mut self,
        correction: Correction,
        outcome: &mut Outcome,
    ) -> Result<Result<Corrected, CorrectError>, StoreError> {
        let Correction { session, seq, credit, replacement, actor, reason, note, at, .. } = correction;
        self.note_correction(session, &note, at)?;
        let credit = match self.append(credit, Some(session), at, outcome)? {
            Ok(credit) => credit,
            Err(why) => return Ok(Err(why.into())),
        };
        let mut charge = None;
        if let Some(Replacement { bill: Bill { body, span, .. }, is_stated, tariff, .. }) = replacement {
            match self.append(body, Some(session), at, outcome)? {
                Ok(seq) => charge = Some(seq),
                Err(why) => return Ok(Err(why.into())),
            }
            let sql =
                "UPDATE session SET start_register = ?2, stop_register = ?3, started_at = ?4, stopped_at = ?5 WHERE number = ?1";
            let (start, end) = (time::to_millis(span.start), time::to_millis(span.end));
            self.connection.prepare_cached(sql)?.execute(params![session, span.first.0, span.last.0, start, end])?;
            self.note_stated(session, is_stated)?;
            sessions::set_tariff(&self.connection, session, &tariff)?;
        }
        let sql = "SELECT id FROM session WHERE number = ?1";
        let id: String = self.connection.prepare_cached(sql)?.query_row([session], |row| row.get(0))?;
        let after = charge.map_or_else(
            || format!("taken back by record {credit}"),
            |charge| format!("taken back by record {credit}, charged anew by record {charge}"),
        );
        let (before, action) = (format!("record {seq}"), "correct");
        self.audit(&Change { actor: &actor, action, object: &id, before: Some(&before), after: &after, reason: &reason, at })?;
        info!(session = id, seq, credit, charge, actor, "bill corrected");
        Ok(Ok(Corrected { credit, charge }))
    }
}
