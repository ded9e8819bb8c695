//! Records: the end of the chain, and what head office confirmed of it.

use rusqlite::{OptionalExtension, params};
use tracing::{info, warn};

use super::copies::Copies;
use super::writer::{Outcome, Settlement, Verdict, Writer};
use super::{StoreError, restore, sessions};
use crate::record::{Draft, Hash, Place, Record, SealError};
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
        // Compared and sealed before anything is written: a bill that is not sound holds its session and disturbs nobody else.
        let tail = restore::chain_tail(&self.connection, self.epoch)?;
        let judged = match judged {
            Ok(bill) => {
                overlap::check(&bill.span, &sessions::neighbours(&self.connection, session, bill.span.end)?).map(|()| bill)
            }
            held => held,
        };
        let sealed = judged.and_then(|bill| {
            let (span, highest_kw) = (bill.span, bill.highest_kw);
            let sealed = self.seal(bill.draft, tail, at);
            sealed.map(|record| (record, span, highest_kw)).map_err(|error| (hold::INTERNAL, error.to_string()))
        });
        let (record, span, highest_kw) = match sealed {
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
        let seq = self.append(&record, Some(session), at)?;
        self.connection
            .prepare_cached(
                "UPDATE session SET settled = ?2, start_register = ?3, stop_register = ?4, started_at = ?5, stopped_at = ?6 WHERE number = ?1",
            )?
            .execute(params![session, seq, span.first.0, span.last.0, time::to_millis(span.start), time::to_millis(span.end)])?;
        self.learn_power(session, highest_kw)?;
        info!(station, session = id, seq, kind = record.kind.as_str(), "record sealed");
        outcome.last_seq = Some(seq);
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

    /// Numbers, links and signs a draft for the end of the chain.
    fn seal(&self, draft: Draft, (last, prev): (u64, Option<Hash>), at: Time) -> Result<Record, SealError> {
        let (epoch, record_id) = (self.epoch.unsigned_abs(), (self.new_uuid)());
        let place = Place { site: self.site.clone(), epoch, seq: last + 1, prev, record_id, created_at: at };
        draft.seal(&place, self.signing.signer.as_ref())
    }

    /// Writes a record into the running transaction.
    fn append(&self, record: &Record, session: Option<i64>, at: Time) -> Result<u64, StoreError> {
        let copies = Copies::of(&record.payload);
        self.connection
            .prepare_cached(
                "INSERT INTO record (epoch, seq, kind, record_id, session, created_at, hash, station, energy_wh, cost_excl_vat, cost_incl_vat, \
                 currency, prev, lines, jws) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                self.epoch,
                record.seq,
                record.kind.as_str(),
                record.record_id.to_string(),
                session,
                time::to_millis(at),
                record.hash.to_string(),
                copies.station,
                copies.energy_wh,
                copies.cost_excl_vat,
                copies.cost_incl_vat,
                copies.currency,
                copies.prev,
                copies.lines,
                record.jws
            ])?;
        Ok(record.seq)
    }

    /// Head office says that it has committed everything up to `through`; believed only when it names the same bytes.
    pub(super) fn receipt(
        &self,
        epoch: i64,
        through: u64,
        root: &str,
        rejected: &[(u64, String)],
        at: Time,
    ) -> Result<Verdict, StoreError> {
        let refuse = |why: String| Ok(Verdict::Refused { why });
        if epoch < self.epoch {
            // Of an earlier life of this store, still retained by the broker: nothing to do, nothing wrong.
            return Ok(Verdict::Accepted { through: 0 });
        }
        if epoch != self.epoch {
            return refuse(format!("it is for epoch {epoch}, ours is {}", self.epoch));
        }
        if i64::try_from(through).is_err() {
            return refuse(format!("{through} is no record number"));
        }
        let known: Option<String> = self
            .connection
            .query_row("SELECT hash FROM record WHERE epoch = ?1 AND seq = ?2", params![epoch, through], |row| row.get(0))
            .optional()?;
        match known {
            _ if through == 0 => {}
            None => return refuse(format!("it confirms record {through}, which we never made")),
            Some(hash) if hash != root => return refuse(format!("its root {root} is not the hash of our record {through}")),
            Some(_) => {}
        }
        // Head office can only reject what it has.
        for (seq, code) in rejected.iter().filter(|(seq, _)| (1..=through).contains(seq)) {
            warn!(seq, code, "head office rejected a record");
            self.fault(*seq, code, "rejected by head office", at)?;
        }
        self.connection.execute(
            "INSERT INTO receipt (epoch, through, root, received_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (epoch) DO UPDATE \
             SET through = excluded.through, root = excluded.root, received_at = excluded.received_at WHERE excluded.through > through",
            params![epoch, through, root, time::to_millis(at)],
        )?;
        Ok(Verdict::Accepted { through })
    }

    pub(super) fn fault(&self, seq: u64, code: &str, detail: &str, at: Time) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO record_fault (epoch, seq, code, detail, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            params![self.epoch, seq, code, detail, time::to_millis(at)],
        )?;
        Ok(())
    }
}
