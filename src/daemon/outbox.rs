//! The uplink's view of the store: reads through a reader of its own, changes through the one writer.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{oneshot, watch};

use crate::mqtt::{self, Identity, LinkState, Outbox, OutboxError, Outgoing, Receipt, ReceiptOutcome, StatusFacts};
use crate::observe::{Live, UplinkState};
use crate::store::{self, Job, Reader, Refusal, WriterHandle};
use crate::units::{Now, Time, time};

pub struct StoreOutbox {
    pub site: String,
    pub epoch: i64,
    pub kid: String,
    pub since: Time,
    pub reader: Arc<Mutex<Reader>>,
    pub store: WriterHandle,
    pub live: Arc<Live>,
    pub now: Now,
    /// The epoch in use; ours is closed when it is another.
    pub current: watch::Receiver<i64>,
    /// Records of the epoch in use up to this one may leave.
    pub in_epoch_file: watch::Receiver<u64>,
    /// Told when a closed epoch has nothing left to send for now.
    pub drained: watch::Sender<bool>,
    /// Set when it has something to send later: what the broker refused.
    pub rest: Arc<OnceLock<Duration>>,
    pub commands: mqtt::Commands,
}

impl StoreOutbox {
    fn is_closed(&self) -> bool {
        *self.current.borrow() != self.epoch
    }

    fn leave_when_drained(&self) {
        let drained = || self.reader().waiting_epochs(self.epoch + 1).is_ok_and(|waiting| !waiting.contains(&self.epoch));
        if self.is_closed() && drained() {
            self.drained.send_replace(true);
        }
    }

    /// A panic while reading leaves nothing half-done in a read-only connection.
    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn undelivered(&self, seq: u64, refusal: Option<Refusal>) -> Result<(), OutboxError> {
        let (reply, done) = oneshot::channel();
        self.store.submit(Job::Undelivered { epoch: self.epoch, seq, refusal, reply });
        done.blocking_recv().map_err(failed("note what became of a record"))
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(attempted: &'static str) -> impl FnOnce(E) -> OutboxError {
    move |source| OutboxError { attempted, source: Box::new(source) }
}

impl Outbox for StoreOutbox {
    fn identity(&self) -> Identity {
        Identity { site: self.site.clone(), epoch: self.epoch.unsigned_abs() }
    }

    fn commands(&self) -> Option<mqtt::Commands> {
        (!self.is_closed()).then(|| self.commands.clone())
    }

    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Outgoing>, OutboxError> {
        let rows = self.reader().outgoing(self.epoch, seq, limit).map_err(failed("read records"))?;
        // Nothing leaves that the epoch file beside the key does not name: a store that is put back could sign its number again.
        let limit = if self.is_closed() { u64::MAX } else { *self.in_epoch_file.borrow() };
        let outgoing = rows.into_iter().filter(|row| row.seq <= limit).map(|row| Outgoing {
            epoch: row.epoch.unsigned_abs(),
            seq: row.seq,
            kind: row.kind,
            record_id: row.record_id,
            jws: row.jws,
        });
        Ok(outgoing.collect())
    }

    fn receipted(&self) -> Result<u64, OutboxError> {
        self.reader().receipted(self.epoch).map_err(failed("read the last receipt"))
    }

    fn receipt(&self, receipt: Receipt) -> Result<ReceiptOutcome, OutboxError> {
        if receipt.site != self.site {
            return Ok(ReceiptOutcome::Refused(format!("it is for site {}", receipt.site)));
        }
        // The broker keeps one receipt: it may be for another epoch than the one that is sent now, and says nothing of its numbers.
        let ours = i64::try_from(receipt.epoch).is_ok_and(|epoch| epoch == self.epoch);
        let before = self.receipted()?;
        let (reply, verdict) = oneshot::channel();
        self.store.submit(Job::Receipt {
            epoch: i64::try_from(receipt.epoch).unwrap_or(i64::MAX),
            through: receipt.through,
            root: receipt.root,
            rejected: receipt.rejected.into_iter().map(|rejected| (rejected.seq, rejected.code)).collect(),
            at: (self.now)(),
            reply,
        });
        match verdict.blocking_recv().map_err(failed("store a receipt"))? {
            store::ReceiptOutcome::Accepted { through } if ours && through > before => {
                self.live.receipts.one();
                if !self.is_closed() {
                    self.live.acknowledge(self.epoch, through);
                }
                self.leave_when_drained();
                Ok(ReceiptOutcome::Retired(through))
            }
            store::ReceiptOutcome::Accepted { .. } => Ok(ReceiptOutcome::Known),
            store::ReceiptOutcome::Refused { why } => {
                self.live.receipts_refused.one();
                Ok(ReceiptOutcome::Refused(why))
            }
        }
    }

    fn quarantine(&self, seq: u64, reason: &str, wait: Duration) -> Result<(), OutboxError> {
        self.live.undelivered.one();
        let at = (self.now)();
        let next_try_at = TimeDelta::from_std(wait).ok().and_then(|wait| at.checked_add_signed(wait)).unwrap_or(at);
        self.undelivered(seq, Some(Refusal { reason: reason.to_owned(), at, next_try_at }))
    }

    fn taken_after_all(&self, seq: u64) -> Result<(), OutboxError> {
        self.undelivered(seq, None)
    }

    fn quarantined(&self) -> Result<Vec<(u64, u32)>, OutboxError> {
        self.reader().undelivered(self.epoch).map_err(failed("read what was quarantined"))
    }

    /// A closed epoch does not hold up those that follow it.
    fn rests(&self, wait: Duration) {
        if self.is_closed() && self.rest.set(wait).is_ok() {
            self.drained.send_replace(true);
        }
    }

    fn status(&self) -> Result<StatusFacts, OutboxError> {
        let reader = self.reader();
        let last_seq = reader.last_seq(self.epoch).map_err(failed("read the last record"))?;
        let receipted = reader.receipted(self.epoch).map_err(failed("read the last receipt"))?;
        Ok(StatusFacts {
            last_seq,
            outbox: last_seq.saturating_sub(receipted),
            kid: self.kid.clone(),
            since: self.since,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    fn jwks(&self) -> Result<String, OutboxError> {
        self.reader().jwks().map_err(failed("read the public keys"))
    }

    fn link_changed(&self, state: LinkState) {
        // Shown beside the numbers of the epoch in use.
        let sent = if self.is_closed() { 0 } else { state.sent };
        let at = (self.now)();
        let since = match self.live.uplink() {
            Some(before) if before.up == state.up => before.since,
            _ => time::rfc3339(at),
        };
        self.live.uplink_is(UplinkState { up: state.up, since, error: state.error.clone(), sent_seq: sent });
        self.store.submit(Job::Link { up: state.up, error: state.error, sent, at });
    }
}
