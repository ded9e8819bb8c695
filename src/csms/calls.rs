//! Calls to stations. Each is on disk before it leaves, and its end is, before anybody hears of it.
//!
//! ```text
//! Csms::call (request.rs) ─ check ─▶ store: queued ─▶ connection: store: sent ─▶ CALL ─▶ station
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
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info};

use crate::fact::Fact;
use crate::ocpp::{call, masked, station_settings, verdict};
use crate::store::{CallEnd, Job, QueuedCall, Said, WriterHandle};
use crate::units::{Clock, Received, StationId, Version};

/// How often calls whose time has passed, or whose author has gone, are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// As many as the store takes for one station.
pub const MAX_WAITING: usize = 32;
/// Longer ids are not ours (OCPP-J 2.0.1 Part 4 §4.1.4).
const MAX_ID: usize = 36;
/// Between answers that nobody waits for; those that come faster are not kept.
const LATE_PAUSE: Duration = Duration::from_secs(1);
/// For calls that nobody waits for.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(60);

/// A call on its way to the connection of its station.
pub struct OutgoingCall {
    pub call: QueuedCall,
    pub until: Instant,
    /// `None`: nobody waits for it.
    pub ended: Option<oneshot::Sender<CallEnd>>,
}

/// The calls of one connection.
pub struct Calls {
    station: StationId,
    store: WriterHandle,
    clock: Clock,
    version: Version,
    queue: mpsc::Receiver<OutgoingCall>,
    /// What people ask for, and what the program does.
    asked: VecDeque<OutgoingCall>,
    background: VecDeque<OutgoingCall>,
    /// Calls that the store will say: those that wait since before the connection began, and what follows from an answer.
    expected: VecDeque<oneshot::Receiver<Vec<QueuedCall>>>,
    outstanding: Option<OutgoingCall>,
    /// When the last answer came that nobody waited for.
    late_at: Option<Instant>,
}

/// What is to be done about calls.
pub enum CallEvent {
    Send(OutgoingCall),
    Overdue,
}

impl Calls {
    pub fn new(
        station: StationId,
        version: Version,
        store: WriterHandle,
        clock: Clock,
        queue: mpsc::Receiver<OutgoingCall>,
    ) -> Self {
        let (asked, background) = (VecDeque::new(), VecDeque::new());
        Self {
            station,
            store,
            clock,
            version,
            queue,
            asked,
            background,
            expected: VecDeque::new(),
            outstanding: None,
            late_at: None,
        }
    }

    /// The station has said something valid, so it can be called.
    pub fn begin(&mut self) {
        let (reply, waiting) = oneshot::channel();
        self.store.submit(Job::WaitingCalls(self.station.clone(), self.version, reply));
        self.expected.push_back(waiting);
    }

    /// Takes up calls that the program makes by itself.
    pub fn ask(&mut self, calls: Vec<QueuedCall>) {
        // Their time begins when they are sent.
        let until = Instant::now();
        self.background.extend(calls.into_iter().map(|call| OutgoingCall { call, until, ended: None }));
    }

    /// Completes with the next thing to do. It may be dropped and asked again at any time.
    pub async fn event(&mut self) -> CallEvent {
        loop {
            while let Ok(call) = self.queue.try_recv() {
                self.asked.push_back(call);
            }
            self.withdraw();
            if self.outstanding.is_none()
                && let Some(call) = self.asked.pop_front().or_else(|| self.background.pop_front())
            {
                return CallEvent::Send(call);
            }
            let until = self.outstanding.as_ref().map(|call| call.until);
            let look = !self.asked.is_empty();
            // Timers in blocks of their own are made only where they are waited for; this is polled with every frame of the station.
            tokio::select! {
                biased;
                () = async { if let Some(until) = until { sleep_until(until).await } }, if until.is_some() => return CallEvent::Overdue,
                call = self.queue.recv() => match call {
                    Some(call) => self.asked.push_back(call),
                    None => return std::future::pending().await,
                },
                calls = next_of(&mut self.expected), if !self.expected.is_empty() => {
                    self.expected.pop_front();
                    self.ask(calls);
                }
                () = async { sleep(LOOK_EVERY).await }, if look => {}
            }
        }
    }

    /// Calls that nobody waits for any more, or whose time has passed, are not sent.
    fn withdraw(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let now = Instant::now();
        let is_over = |call: &OutgoingCall| call.until <= now || call.ended.as_ref().is_some_and(oneshot::Sender::is_closed);
        for _ in 0..self.asked.len() {
            match self.asked.pop_front() {
                Some(call) if is_over(&call) => self.end(call, CallEnd::Withdrawn),
                Some(call) => self.asked.push_back(call),
                None => {}
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
        if call.ended.is_none() {
            // What the program does by itself waited for nobody.
            self.outstanding = Some(OutgoingCall { until: Instant::now() + BACKGROUND_TIMEOUT, ..call });
        } else {
            self.outstanding = Some(call);
        }
        Some(frame)
    }

    /// The station did not answer in time.
    pub fn overdue(&mut self) {
        if let Some(call) = self.outstanding.take() {
            self.end(call, CallEnd::Timeout);
        }
    }

    /// The station answered a call.
    pub fn result(&mut self, id: &str, payload: &RawValue) {
        let action = self.outstanding.as_ref().map_or("", |call| &call.call.action);
        let status = verdict(self.version, action, payload.get()).status;
        let (payload, shown) = (payload.get().to_owned(), masked(payload.get()));
        self.answered(id, CallEnd::Answered { payload, shown, status });
    }

    /// The station answered a call with a CALLERROR.
    pub fn error(&mut self, id: &str, code: &str, description: &str, details: &RawValue) {
        let [code, description] = [code, description].map(|text| Value::from(text).to_string());
        let with = |details: &str| format!("{{\"code\":{code},\"description\":{description},\"details\":{details}}}");
        let (error, shown) = (with(details.get()), with(&masked(details.get())));
        self.answered(id, CallEnd::CallError { error, shown });
    }

    fn answered(&mut self, id: &str, end: CallEnd) {
        match self.outstanding.take_if(|call| call.call.message_id == id) {
            Some(call) => self.end(call, end),
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
        let is_slow = self.store.available() && self.late_at.is_none_or(|last| now - last >= LATE_PAUSE);
        if is_ours && is_slow {
            self.late_at = Some(now);
        }
        is_ours && is_slow
    }

    fn end(&mut self, call: OutgoingCall, end: CallEnd) {
        let action = &call.call.action;
        let status = if let CallEnd::Answered { status, .. } = &end { status.as_deref() } else { None };
        info!(station = %self.station, action, state = end.state(), status, "call");
        let received = (self.clock)();
        let said = self.said(&call.call, &end, received);
        self.store.submit(Job::CallEnded { number: call.call.number, end: end.clone(), at: received.at, said });
        if let Some(ended) = call.ended {
            let _ = ended.send(end);
        }
    }

    /// What the answer to a call of our own says, or that there is none, and where to say what follows from it.
    fn said(&mut self, call: &QueuedCall, end: &CallEnd, received: Received) -> Option<Box<Said>> {
        let unknown = |why: &str| Fact::SettingsUnknown { why: format!("the station {why} {}", call.action) };
        let fact = match end {
            _ if !call.is_ours => return None,
            CallEnd::Answered { payload, .. } => {
                let fact = station_settings::answer(self.version, &call.action, &call.payload, payload);
                fact.unwrap_or_else(|| unknown("gives an answer that cannot be read to"))
            }
            CallEnd::CallError { .. } => unknown("answers with an error to"),
            CallEnd::Timeout => unknown("does not answer"),
            // It is asked again after its next boot.
            CallEnd::NotConnected | CallEnd::Withdrawn | CallEnd::Unknown => return None,
        };
        let (reply, calls) = oneshot::channel();
        self.expected.push_back(calls);
        Some(Box::new(Said { station: self.station.clone(), version: self.version, fact, received, reply }))
    }
}

impl Drop for Calls {
    /// The connection has ended: a call that was sent may have been done, those that wait were not sent.
    fn drop(&mut self) {
        if let Some(call) = self.outstanding.take() {
            self.end(call, CallEnd::Unknown);
        }
        self.queue.close();
        while let Ok(call) = self.queue.try_recv() {
            self.end(call, CallEnd::NotConnected);
        }
        while let Some(call) = self.asked.pop_front().or_else(|| self.background.pop_front()) {
            self.end(call, CallEnd::NotConnected);
        }
    }
}

/// The calls of the first receiver; none when the store could not say.
async fn next_of(expected: &mut VecDeque<oneshot::Receiver<Vec<QueuedCall>>>) -> Vec<QueuedCall> {
    match expected.front_mut() {
        Some(calls) => calls.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}
