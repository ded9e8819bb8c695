//! The uplink's view of the store: reads through a reader of its own, changes through the one writer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::mqtt::{Identity, LinkState, Outbox, OutboxError, Outgoing, Receipt, StatusFacts, Verdict};
use crate::store::{self, Job, Reader, WriterHandle};
use crate::units::{Now, Time};

pub struct StoreOutbox {
    pub site: String,
    pub epoch: i64,
    pub kid: String,
    pub since: Time,
    pub reader: Mutex<Reader>,
    pub store: WriterHandle,
    pub now: Now,
}

impl StoreOutbox {
    /// A panic while reading leaves nothing half-done in a read-only connection.
    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(attempted: &'static str) -> impl FnOnce(E) -> OutboxError {
    move |source| OutboxError { attempted, source: Box::new(source) }
}

impl Outbox for StoreOutbox {
    fn identity(&self) -> Identity {
        Identity { site: self.site.clone(), epoch: self.epoch.unsigned_abs() }
    }

    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Outgoing>, OutboxError> {
        let rows = self.reader().outgoing(self.epoch, seq, limit).map_err(failed("read records"))?;
        let outgoing = rows.into_iter().map(|row| Outgoing {
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

    fn receipt(&self, receipt: Receipt) -> Result<Verdict, OutboxError> {
        if receipt.site != self.site {
            return Ok(Verdict::Refused(format!("it is for site {}", receipt.site)));
        }
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
            store::Verdict::Accepted { through } if through > before => Ok(Verdict::Retired(through)),
            store::Verdict::Accepted { .. } => Ok(Verdict::Known),
            store::Verdict::Refused { why } => Ok(Verdict::Refused(why)),
        }
    }

    fn quarantine(&self, seq: u64, reason: &str) -> Result<(), OutboxError> {
        let (reply, done) = oneshot::channel();
        let (code, detail) = ("not-sendable".to_owned(), reason.to_owned());
        self.store.submit(Job::Fault { seq, code, detail, at: (self.now)(), reply });
        done.blocking_recv().map_err(failed("set a record aside"))
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
        self.store.submit(Job::Link { up: state.up, error: state.error, at: (self.now)() });
    }
}
