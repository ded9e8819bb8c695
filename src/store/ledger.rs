//! From a bill to its record, and what head office confirmed of the records.

use rusqlite::{OptionalExtension, params};
use tracing::{info, warn};

use super::jobs::{ReceiptOutcome, Refusal, Settlement};
use super::writer::{Outcome, Writer};
use super::{StoreError, epochs, restore, sessions};
use crate::billing::Bill;
use crate::record::Hash;
use crate::session::{hold, overlap};
use crate::units::{Decimal, Time, time};

impl Writer {
    /// Writes the record of an ended session, or holds it. Running twice has the same result as running once.
    pub(super) fn settle(&mut self, settlement: Settlement, outcome: &mut Outcome) -> Result<(), StoreError> {
        let Settlement { session, outcome: judged, last_message, at } = settlement;
        let waiting: Option<(String, String)> = self
            .connection
            .prepare_cached(
                "SELECT s.id, st.name FROM session s JOIN station st ON st.number = s.station \
                 WHERE s.number = ?1 AND s.state = 'ended' AND s.settled IS NULL",
            )?
            .query_row([session], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, station)) = waiting else { return Ok(()) };
        if sessions::last_message(&self.connection, session)? != last_message {
            return Ok(());
        }
        self.note_verdict(session, at)?;
        // Compared and sealed before anything is written: a bill that is not sound holds its session and disturbs nobody else.
        let judged = match judged {
            Ok(bill) => {
                overlap::check(&bill.span, &sessions::neighbours(&self.connection, session, bill.span.end)?).map(|()| bill)
            }
            held => held,
        };
        let sealed = match judged {
            Ok(Bill { body, span, highest_kw }) => match self.append(body, Some(session), at, outcome)? {
                Ok(seq) => Ok((seq, span, highest_kw)),
                Err(failure) => Err((hold::INTERNAL, failure.to_string())),
            },
            Err(held) => Err(held),
        };
        let (seq, span, highest_kw) = match sealed {
            Ok(sealed) => sealed,
            Err((code, detail)) => {
                warn!(station, session = id, reason = code, detail, "session held");
                self.connection
                    .prepare_cached("UPDATE session SET state = 'held', hold_reason = ?2, hold_detail = ?3, settle_after = NULL WHERE number = ?1")?
                    .execute(params![session, code, detail])?;
                self.machine.held(session, code);
                return Ok(());
            }
        };
        self.connection
            .prepare_cached(
                // Mostly they are those of the row already: three indexes have nothing to change then.
                "UPDATE session SET start_register = ?2, stop_register = ?3, started_at = ?4, stopped_at = ?5 WHERE number = ?1 \
                 AND (start_register, stop_register, started_at, stopped_at) IS NOT (?2, ?3, ?4, ?5)",
            )?
            .execute(params![session, span.first.0, span.last.0, time::to_millis(span.start), time::to_millis(span.end)])?;
        self.learn_power(session, highest_kw)?;
        info!(station, session = id, seq, "session billed");
        Ok(())
    }

    /// What a station delivered at its best bounds what its later sessions can have taken.
    fn learn_power(&self, session: i64, highest_kw: Option<Decimal>) -> Result<(), StoreError> {
        let Some(kw) = highest_kw else { return Ok(()) };
        let sql = "SELECT number, learned_kw FROM station WHERE number = (SELECT station FROM session WHERE number = ?1)";
        let (station, known): (i64, Option<String>) =
            self.connection.prepare_cached(sql)?.query_row([session], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if known.and_then(|known| known.parse::<Decimal>().ok()).is_none_or(|known| known < kw) {
            self.connection
                .prepare_cached("UPDATE station SET learned_kw = ?2 WHERE number = ?1")?
                .execute(params![station, kw.normalize().to_string()])?;
        }
        Ok(())
    }

    /// Head office says that it has committed everything up to `through`; believed only when it names the same bytes.
    pub(super) fn receipt(
        &mut self,
        epoch: i64,
        through: u64,
        root: &str,
        rejected: &[(u64, String)],
        at: Time,
        outcome: &mut Outcome,
    ) -> Result<ReceiptOutcome, StoreError> {
        let refuse = |why: String| Ok(ReceiptOutcome::Refused { why });
        if epoch > self.epoch {
            return refuse(format!("it is for epoch {epoch}, ours is {}", self.epoch));
        }
        if i64::try_from(through).is_err() {
            return refuse(format!("{through} is no record number"));
        }
        let (last, end) = restore::chain_tail(&self.connection, epoch)?;
        match (through > last, end) {
            (true, _) if epoch == self.epoch => return self.receipt_beyond(through, last, at, outcome),
            // Of an earlier life of this site, still retained by the broker: nothing to do, nothing wrong.
            (_, None) if epoch < self.epoch => return Ok(ReceiptOutcome::Accepted { through: 0 }),
            // Of an older copy that was put back, and its epoch closed: head office has all that we have of it, and more.
            (true, Some(hash)) => return self.receipt_of_closed(epoch, (last, hash), rejected, at),
            _ => {}
        }
        let known: Option<String> = self
            .connection
            .query_row("SELECT hash FROM record WHERE epoch = ?1 AND seq = ?2", params![epoch, through], |row| row.get(0))
            .optional()?;
        match known {
            _ if through == 0 => {}
            None => return refuse(format!("it confirms record {through}, which we never made")),
            Some(hash) if hash != root => {
                let why = format!("its root {root} is not the hash of our record {through} of epoch {epoch}");
                self.problem("receipt-refused", None, &format!("epoch {epoch}"), &why, at)?;
                return refuse(why);
            }
            Some(_) => {}
        }
        self.reject(epoch, through, rejected, at)?;
        self.confirm(epoch, through, root, at)?;
        Ok(ReceiptOutcome::Accepted { through })
    }

    fn confirm(&self, epoch: i64, through: u64, root: &str, at: Time) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO receipt (epoch, through, root, received_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (epoch) DO UPDATE \
             SET through = excluded.through, root = excluded.root, received_at = excluded.received_at WHERE excluded.through > through",
            params![epoch, through, root, time::to_millis(at)],
        )?;
        // Taken or not: head office has them.
        self.connection.execute("DELETE FROM undelivered WHERE epoch = ?1 AND seq <= ?2", params![epoch, through])?;
        Ok(())
    }

    /// Head office has records of our epoch that we never made: this is an older copy of the store. Its epoch is closed. Records
    /// that head office has not confirmed to this copy may stand there under the same numbers with other bytes: they stay here
    /// for a person. Believed once per life, so that receipts that make no sense cannot wear out epochs.
    fn receipt_beyond(&mut self, through: u64, last: u64, at: Time, outcome: &mut Outcome) -> Result<ReceiptOutcome, StoreError> {
        let epoch = self.epoch;
        let why = format!("head office confirms record {through} of epoch {epoch}, this store ends at {last}");
        if self.closed_by_receipt {
            self.problem("receipt-refused", None, &format!("epoch {epoch}"), &why, at)?;
            return Ok(ReceiptOutcome::Refused { why });
        }
        let after: u64 =
            self.connection
                .query_row("SELECT coalesce(max(through), 0) FROM receipt WHERE epoch = ?1", [epoch], |row| row.get(0))?;
        self.connection
            .execute("UPDATE epoch SET doubtful_after = ?2, doubt = ?3 WHERE epoch = ?1", params![epoch, after, why])?;
        self.connection.execute("DELETE FROM undelivered WHERE epoch = ?1 AND seq > ?2", params![epoch, after])?;
        epochs::renew(&self.connection, &("older-copy", format!("an older copy of the store was put back: {why}")), 0, None, at)?;
        self.closed_by_receipt = true;
        self.restore()?;
        outcome.sealed = true;
        Ok(ReceiptOutcome::Accepted { through: 0 })
    }

    fn receipt_of_closed(
        &self,
        epoch: i64,
        (last, end): (u64, Hash),
        rejected: &[(u64, String)],
        at: Time,
    ) -> Result<ReceiptOutcome, StoreError> {
        let doubtful = "SELECT count(*) FROM epoch e LEFT JOIN receipt c ON c.epoch = e.epoch \
             WHERE e.epoch = ?1 AND max(e.doubtful_after, coalesce(c.through, 0)) < ?2";
        if self.connection.query_row(doubtful, params![epoch, last], |row| row.get::<_, i64>(0))? > 0 {
            return Ok(ReceiptOutcome::Accepted { through: 0 });
        }
        self.reject(epoch, last, rejected, at)?;
        self.confirm(epoch, last, &end.to_string(), at)?;
        Ok(ReceiptOutcome::Accepted { through: last })
    }

    /// Head office can only reject what it has. It repeats itself with each receipt; that is logged once.
    fn reject(&self, epoch: i64, through: u64, rejected: &[(u64, String)], at: Time) -> Result<(), StoreError> {
        for (seq, code) in rejected.iter().filter(|(seq, _)| (1..=through).contains(seq)) {
            let rows = self.connection.execute(
                "INSERT INTO record_fault (epoch, seq, code, detail, at) VALUES (?1, ?2, ?3, 'rejected by head office', ?4) \
                 ON CONFLICT DO NOTHING",
                params![epoch, seq, code, time::to_millis(at)],
            )?;
            if rows > 0 {
                warn!(epoch, seq, code, "head office rejected a record");
            }
        }
        Ok(())
    }

    /// The broker refused a record once more, or has taken it after all.
    pub(super) fn undelivered(&self, epoch: i64, seq: u64, refusal: Option<&Refusal>) -> Result<(), StoreError> {
        match refusal {
            Some(Refusal { reason, at, next_try_at }) => self.connection.execute(
                "INSERT INTO undelivered (epoch, seq, reason, attempts, first_at, last_at, next_try_at) \
                 SELECT ?1, ?2, ?3, 1, ?4, ?4, ?5 \
                 WHERE NOT EXISTS (SELECT 1 FROM epoch WHERE epoch = ?1 AND ?2 > doubtful_after) \
                 ON CONFLICT DO UPDATE SET reason = excluded.reason, attempts = attempts + 1, last_at = excluded.last_at, \
                 next_try_at = excluded.next_try_at",
                params![epoch, seq, reason, time::to_millis(*at), time::to_millis(*next_try_at)],
            )?,
            None => self.connection.execute("DELETE FROM undelivered WHERE epoch = ?1 AND seq = ?2", params![epoch, seq])?,
        };
        Ok(())
    }
}
