//! A call that somebody asks for: checked, put on disk, handed to the connection of its station, waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use super::calls::OutgoingCall;
use super::shared::Csms;
use crate::ocpp::call::{self, NotSent};
use crate::ocpp::masked;
use crate::store::{CallEnd, Job, NewCall, WriterHandle};
use crate::units::{Clock, Version};

/// How long a store that cannot commit is waited for when a call has ended.
const FLUSH_PATIENCE: Duration = Duration::from_secs(20);
const FLUSH_PAUSE: Duration = Duration::from_millis(500);

/// What somebody asks for.
pub struct CallRequest {
    pub station: String,
    pub action: String,
    /// JSON text, sent as it is.
    pub payload: String,
    /// From now until the answer; a call that has not left by then is withdrawn.
    pub timeout: Duration,
    pub actor: String,
    pub reason: String,
}

/// What came of it.
pub enum CallOutcome {
    /// No station of that name is known.
    UnknownStation,
    NotConnected,
    /// It breaks the schema of the station's version.
    NotSent(NotSent),
    TooMany(String),
    /// The store cannot commit, so nothing was sent.
    Unavailable,
    Ended(Ended),
    /// It has ended, but that is not on disk: the store cannot commit.
    Unrecorded,
}

/// A call that is over.
pub struct Ended {
    pub end: CallEnd,
    /// As the version spells it.
    pub action: &'static str,
    pub version: Version,
}

impl Csms {
    /// The version that a station speaks which can be called, else why it cannot.
    pub fn version_of(&self, station: &str) -> Result<Version, CallOutcome> {
        match self.registry.callee(station) {
            Some(callee) => Ok(callee.version),
            None if self.registry.canonical(station).is_some() => Err(CallOutcome::NotConnected),
            None => Err(CallOutcome::UnknownStation),
        }
    }

    /// Asks a station, and waits for its answer.
    pub async fn call(&self, request: CallRequest) -> CallOutcome {
        let CallRequest { station, action, payload, timeout, actor, reason } = request;
        let Some(callee) = self.registry.callee(&station) else {
            let known = self.registry.canonical(&station).is_some();
            return if known { CallOutcome::NotConnected } else { CallOutcome::UnknownStation };
        };
        let until = Instant::now() + timeout;
        let outgoing = match call::check(callee.version, &action, &payload) {
            Ok(outgoing) => outgoing,
            Err(not_sent) => return CallOutcome::NotSent(not_sent),
        };
        let (action, harmless, at) = (outgoing.action, outgoing.harmless, (self.clock)().at);
        let station = callee.station.clone();
        let (version, shown) = (callee.version, masked(&payload));
        let new = NewCall { station: station.clone(), version, action, payload, shown, harmless, actor, reason, at };
        let (ended, end) = oneshot::channel();
        let (store, clock, calls) = (self.store.clone(), Arc::clone(&self.clock), callee.calls);
        // In a task of its own: whoever asks may go at any time, and a call that is on disk must reach its connection all the same.
        let queued = tokio::spawn(async move { queue(&store, &clock, new, &calls, until, ended).await });
        let number = match queued.await {
            Ok(Ok(number)) => number,
            Ok(Err(outcome)) => return outcome,
            Err(_) => return CallOutcome::Unavailable,
        };
        let end = match end.await {
            Ok(end) => end,
            // The connection went before it took the call, or failed with it in hand: the row says which.
            Err(_) => {
                self.store.submit(Job::CallEnded { number, end: CallEnd::Unknown, at: (self.clock)().at, said: None });
                CallEnd::Unknown
            }
        };
        // Its end is told only when it is on disk.
        let recorded = async {
            while self.store.flush().await.is_err() {
                sleep(FLUSH_PAUSE).await;
            }
        };
        if timeout_at(Instant::now() + FLUSH_PATIENCE, recorded).await.is_err() {
            warn!(%station, action, "the end of a call is not on disk");
            return CallOutcome::Unrecorded;
        }
        CallOutcome::Ended(Ended { end, action, version })
    }
}

/// Puts a call on disk, then into the hands of its connection; its number.
async fn queue(
    store: &WriterHandle,
    clock: &Clock,
    new: NewCall,
    calls: &mpsc::Sender<OutgoingCall>,
    until: Instant,
    ended: oneshot::Sender<CallEnd>,
) -> Result<i64, CallOutcome> {
    let call = match store.call(new).await {
        Ok(Ok(call)) => call,
        Ok(Err(too_many)) => return Err(CallOutcome::TooMany(too_many.to_string())),
        Err(_) => return Err(CallOutcome::Unavailable),
    };
    let number = call.number;
    if let Err(refused) = calls.send(OutgoingCall { call, until, ended: Some(ended) }).await {
        // The connection has gone meanwhile.
        store.submit(Job::CallEnded { number, end: CallEnd::NotConnected, at: clock().at, said: None });
        refused.0.ended.map(|ended| ended.send(CallEnd::NotConnected));
    }
    Ok(number)
}
