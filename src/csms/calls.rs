//! Calls to stations. Each is on disk before it leaves, and its end is, before anybody hears of it.
//!
//! ```text
//! Csms::call ─ check ─▶ store: queued ─▶ connection: store: sent ─▶ CALL ─▶ station
//!                                                    CALLRESULT, CALLERROR, time-out, connection lost ─▶ store: ended ─▶ Csms::call
//! ```
//! A station has one call of ours outstanding (OCPP-J 1.6 §4.1.1, 2.0.1 Part 4 §4.1.1); what people ask for goes before what the
//! program asks for by itself. After a time-out the next one is sent; an answer that comes after all is kept.
//! Limit: [`MAX_WAITING`] calls wait at a connection.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::Csms;
use crate::ocpp::call::{self, NotSent};
use crate::store::{CallEnd, Job, NewCall, QueuedCall, WriterHandle};
use crate::units::{Clock, StationId};

/// As many as the store takes for one station.
pub const MAX_WAITING: usize = 32;
/// Longer ids are not ours (OCPP-J 2.0.1 Part 4 §4.1.4).
const MAX_ID: usize = 36;
/// Between answers that nobody waits for; those that come faster are not kept.
const LATE_PAUSE: Duration = Duration::from_secs(1);
/// For calls that nobody waits for.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(60);

/// What somebody asks for.
pub struct CallRequest {
    pub station: String,
    pub action: String,
    pub payload: Value,
    /// How long the station may take to answer.
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
    Ended(CallEnd),
}

/// A call on its way to the connection of its station.
pub struct OutgoingCall {
    pub call: QueuedCall,
    pub timeout: Duration,
    /// `None`: nobody waits for it.
    pub ended: Option<oneshot::Sender<CallEnd>>,
}

impl Csms {
    /// Asks a station, and waits for its answer.
    pub async fn call(&self, request: CallRequest) -> CallOutcome {
        let CallRequest { station, action, payload, timeout, actor, reason } = request;
        let Some(callee) = self.registry.callee(&station) else {
            let known = self.registry.canonical(&station).is_some();
            return if known { CallOutcome::NotConnected } else { CallOutcome::UnknownStation };
        };
        let outgoing = match call::check(callee.version, &action, &payload) {
            Ok(outgoing) => outgoing,
            Err(not_sent) => return CallOutcome::NotSent(not_sent),
        };
        let (action, harmless, at) = (outgoing.action, outgoing.harmless, (self.clock)().at);
        let station = callee.station.clone();
        let shown = call::masked(&payload).to_string();
        let new = NewCall { station: station.clone(), action, payload: payload.to_string(), shown, harmless, actor, reason, at };
        let call = match self.store.call(new).await {
            Ok(Ok(call)) => call,
            Ok(Err(too_many)) => return CallOutcome::TooMany(too_many.to_string()),
            Err(_) => return CallOutcome::Unavailable,
        };
        let number = call.number;
        let (ended, end) = oneshot::channel();
        if callee.calls.send(OutgoingCall { call, timeout, ended: Some(ended) }).await.is_err() {
            self.store.submit(Job::CallEnded { number, end: CallEnd::NotConnected, at: (self.clock)().at });
        }
        let end = match end.await {
            Ok(end) => end,
            // The connection went before it took the call, or failed with it in hand: the row says which.
            Err(_) => {
                self.store.submit(Job::CallEnded { number, end: CallEnd::Unknown, at: (self.clock)().at });
                CallEnd::Unknown
            }
        };
        if self.store.flush().await.is_err() {
            warn!(%station, action, "the end of a call is not on disk");
        }
        CallOutcome::Ended(end)
    }
}

/// The calls of one connection.
pub struct Calls {
    station: StationId,
    store: WriterHandle,
    clock: Clock,
    queue: mpsc::Receiver<OutgoingCall>,
    background: VecDeque<OutgoingCall>,
    /// Calls that wait since before the connection began.
    waiting: Option<oneshot::Receiver<Vec<QueuedCall>>>,
    outstanding: Option<(OutgoingCall, Instant)>,
    /// When the last answer came that nobody waited for.
    late_at: Option<Instant>,
}

/// What is to be done about calls.
pub enum CallEvent {
    Send(OutgoingCall),
    Overdue,
}

impl Calls {
    pub fn new(station: StationId, store: WriterHandle, clock: Clock, queue: mpsc::Receiver<OutgoingCall>) -> Self {
        Self { station, store, clock, queue, background: VecDeque::new(), waiting: None, outstanding: None, late_at: None }
    }

    /// The station has said something valid, so it can be called.
    pub fn begin(&mut self) {
        let (reply, waiting) = oneshot::channel();
        self.store.submit(Job::WaitingCalls(self.station.clone(), reply));
        self.waiting = Some(waiting);
    }

    /// Completes with the next thing to do. It may be dropped and asked again at any time.
    pub async fn event(&mut self) -> CallEvent {
        if let Some((_, until)) = &self.outstanding {
            sleep_until(*until).await;
            return CallEvent::Overdue;
        }
        loop {
            if let Ok(call) = self.queue.try_recv() {
                return CallEvent::Send(call);
            }
            if let Some(call) = self.background.pop_front() {
                return CallEvent::Send(call);
            }
            let Some(waiting) = &mut self.waiting else {
                return match self.queue.recv().await {
                    Some(call) => CallEvent::Send(call),
                    None => std::future::pending().await,
                };
            };
            tokio::select! {
                biased;
                call = self.queue.recv() => match call {
                    Some(call) => return CallEvent::Send(call),
                    None => return std::future::pending().await,
                },
                calls = waiting => {
                    self.waiting = None;
                    let background = |call| OutgoingCall { call, timeout: BACKGROUND_TIMEOUT, ended: None };
                    self.background.extend(calls.unwrap_or_default().into_iter().map(background));
                }
            }
        }
    }

    /// The frame to send, once the store has it that it was sent; `None`: it cannot be sent.
    pub async fn send(&mut self, call: OutgoingCall) -> Option<String> {
        let (reply, sent) = oneshot::channel();
        self.store.submit(Job::CallSent { number: call.call.number, at: (self.clock)().at, reply });
        if sent.await.is_err() {
            self.end(call, CallEnd::NotConnected);
            return None;
        }
        let QueuedCall { message_id, action, payload, .. } = &call.call;
        let frame = call::frame(message_id, action, payload);
        let until = Instant::now() + call.timeout;
        self.outstanding = Some((call, until));
        Some(frame)
    }

    /// The station did not answer in time.
    pub fn overdue(&mut self) {
        if let Some((call, _)) = self.outstanding.take() {
            self.end(call, CallEnd::Timeout);
        }
    }

    /// The station answered a call.
    pub fn result(&mut self, id: &str, payload: &RawValue) {
        let value: Value = serde_json::from_str(payload.get()).unwrap_or_default();
        let status = call::status_of(&value).map(str::to_owned);
        self.answered(id, CallEnd::Answered { payload: payload.get().to_owned(), status });
    }

    /// The station answered a call with a CALLERROR.
    pub fn error(&mut self, id: &str, code: &str, description: &str, details: &RawValue) {
        let details: Value = serde_json::from_str(details.get()).unwrap_or_default();
        let error = serde_json::json!({"code": code, "description": description, "details": details}).to_string();
        self.answered(id, CallEnd::CallError { error });
    }

    fn answered(&mut self, id: &str, end: CallEnd) {
        match self.outstanding.take_if(|(call, _)| call.call.message_id == id) {
            Some((call, _)) => self.end(call, end),
            // The store knows whether there was such a call at all.
            None if self.may_be_late(id) => {
                let (station, message_id, at) = (self.station.clone(), id.to_owned(), (self.clock)().at);
                self.store.submit(Job::LateAnswer { station, message_id, end, at });
            }
            None => debug!(station = %self.station, "an answer to a call that was never made"),
        }
    }

    /// A station owes one answer at most, so those that nobody waits for need not come fast; our ids are numbers.
    fn may_be_late(&mut self, id: &str) -> bool {
        let now = Instant::now();
        let is_ours = id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let is_slow = self.late_at.is_none_or(|last| now - last >= LATE_PAUSE);
        if is_ours && is_slow {
            self.late_at = Some(now);
        }
        is_ours && is_slow
    }

    fn end(&self, call: OutgoingCall, end: CallEnd) {
        let action = &call.call.action;
        let status = if let CallEnd::Answered { status, .. } = &end { status.as_deref() } else { None };
        info!(station = %self.station, action, state = end.state(), status, "call");
        self.store.submit(Job::CallEnded { number: call.call.number, end: end.clone(), at: (self.clock)().at });
        if let Some(ended) = call.ended {
            let _ = ended.send(end);
        }
    }
}

impl Drop for Calls {
    /// The connection has ended: a call that was sent may have been done, those that wait were not sent.
    fn drop(&mut self) {
        if let Some((call, _)) = self.outstanding.take() {
            self.end(call, CallEnd::Unknown);
        }
        self.queue.close();
        while let Ok(call) = self.queue.try_recv() {
            self.end(call, CallEnd::NotConnected);
        }
        while let Some(call) = self.background.pop_front() {
            self.end(call, CallEnd::NotConnected);
        }
    }
}
