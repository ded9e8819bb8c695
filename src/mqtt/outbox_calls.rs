//! Everything the uplink says to the [`Outbox`], off the async threads, and the one place that reports the state of the link.
//!
//! A change of state is logged and passed on once; the thousandth failed attempt with the same error is silent.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::commands::Commands;
use super::outbox::{Identity, LinkState, Outbox, OutboxError, Outgoing, Receipt, ReceiptOutcome, StatusFacts};
use super::quarantine::Quarantined;

pub struct OutboxCalls {
    outbox: Arc<dyn Outbox>,
    reported: Option<LinkState>,
    sent: u64,
    /// The last refused receipt, which the broker repeats at every connection.
    refused: Option<String>,
}

impl OutboxCalls {
    pub fn new(outbox: Arc<dyn Outbox>) -> Self {
        Self { outbox, reported: None, sent: 0, refused: None }
    }

    async fn ask<T: Send + 'static>(
        &self,
        attempted: &'static str,
        question: impl FnOnce(&dyn Outbox) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let outbox = Arc::clone(&self.outbox);
        match tokio::task::spawn_blocking(move || question(outbox.as_ref())).await {
            Ok(answer) => answer,
            Err(panic) => Err(OutboxError { attempted, source: Box::new(panic) }),
        }
    }

    pub fn identity(&self) -> Identity {
        self.outbox.identity()
    }

    pub fn commands(&self) -> Option<Commands> {
        self.outbox.commands()
    }

    pub async fn after(&self, seq: u64, limit: usize) -> Result<Vec<Outgoing>, OutboxError> {
        self.ask("read records", move |outbox| outbox.after(seq, limit)).await
    }

    pub async fn receipted(&self) -> Result<u64, OutboxError> {
        self.ask("read the receipted number", |outbox| outbox.receipted()).await
    }

    pub async fn status(&self) -> Result<StatusFacts, OutboxError> {
        self.ask("read the status", |outbox| outbox.status()).await
    }

    pub async fn jwks(&self) -> Result<String, OutboxError> {
        self.ask("read the public keys", |outbox| outbox.jwks()).await
    }

    pub async fn quarantine(&self, quarantine: Quarantined, reason: String) -> Result<(), OutboxError> {
        let Quarantined { seq, tries, wait } = quarantine;
        if tries == 1 {
            error!(seq, reason, "the broker does not take a record; the others go on, and it is offered again");
        } else {
            debug!(seq, reason, tries, wait_s = wait.as_secs(), "the broker still does not take a record");
        }
        self.ask("quarantine a record", move |outbox| outbox.quarantine(seq, &reason, wait)).await
    }

    pub async fn taken_after_all(&self, seq: u64) -> Result<(), OutboxError> {
        info!(seq, "the broker has taken the record that it refused before");
        self.ask("clear a record's fault", move |outbox| outbox.taken_after_all(seq)).await
    }

    pub async fn quarantined(&self) -> Result<Vec<(u64, u32)>, OutboxError> {
        self.ask("read what was quarantined", |outbox| outbox.quarantined()).await
    }

    pub fn rests(&self, wait: Duration) {
        self.outbox.rests(wait);
    }

    /// Unseals, reads and applies one receipt. Whatever is wrong with it is a refusal, logged once.
    pub async fn receipt(&mut self, payload: Vec<u8>) -> Result<ReceiptOutcome, OutboxError> {
        let verdict = self
            .ask("apply a receipt", move |outbox| {
                let json = match outbox.unseal(&payload) {
                    Ok(json) => json,
                    Err(reason) => return Ok(ReceiptOutcome::Refused(reason)),
                };
                match serde_json::from_slice::<Receipt>(&json) {
                    Ok(receipt) => outbox.receipt(receipt),
                    Err(error) => Ok(ReceiptOutcome::Refused(format!("not a receipt: {error}"))),
                }
            })
            .await?;
        if let ReceiptOutcome::Refused(reason) = &verdict
            && self.refused.as_ref() != Some(reason)
        {
            error!(reason, "receipt refused: nothing is retired");
            self.refused = Some(reason.clone());
        }
        Ok(verdict)
    }

    /// How far records were sent. Passed on with the next report; call it seldom, as each new number is one.
    pub async fn sent(&mut self, seq: u64) {
        self.sent = seq;
        if let Some(LinkState { up, error, .. }) = self.reported.clone() {
            self.report(up, error).await;
        }
    }

    pub async fn report(&mut self, up: bool, error: Option<String>) {
        let state = LinkState { up, error, sent: self.sent };
        if self.reported.as_ref() == Some(&state) {
            return;
        }
        let same = self.reported.as_ref().is_some_and(|reported| (reported.up, &reported.error) == (up, &state.error));
        let was_up = self.reported.as_ref().is_some_and(|reported| reported.up);
        match (&state.error, was_up == up) {
            _ if same => {}
            (Some(error), false) if !up => warn!(error, "uplink lost"),
            (Some(error), _) if up => warn!(error, "uplink impaired"),
            (Some(error), _) => warn!(error, "uplink down"),
            (None, _) if up => info!("uplink up"),
            (None, _) => info!("uplink closed"),
        }
        self.reported = Some(state.clone());
        // A report that cannot be passed on was at least logged.
        let reported = move |outbox: &dyn Outbox| {
            outbox.link_changed(state);
            Ok(())
        };
        let _ = self.ask("report the link", reported).await;
    }
}
