//! One station's connection: frame in, judgement, store, answer out.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::pin;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame};
use tracing::{debug, trace, warn};

use super::Settings;
use crate::ocpp;
use crate::session::{Answer, Fact};
use crate::store::{Content, Job, Message, WriterHandle};
use crate::units::{Finding, Now, StationId, Version};

/// Bytes beyond the largest message that may wait to be sent to one station: an answer echoes the message id.
pub const OUT_BUFFER: usize = 256 * 1024;
/// A station that only sends heartbeats costs one write in this time.
const SEEN_EVERY: std::time::Duration = std::time::Duration::from_secs(300);
/// How long a station may take to read one answer.
const SEND_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

type Socket = WebSocketStream<TcpStream>;

pub struct Connection<'a> {
    settings: &'a Settings,
    store: &'a WriterHandle,
    now: Now,
    station: StationId,
    version: Version,
    /// When the store was last told of a heartbeat.
    told: Option<Instant>,
}

/// What to do after a frame.
enum Next {
    Answer(String),
    Nothing,
    Close(CloseCode, &'static str),
}

impl<'a> Connection<'a> {
    pub fn new(settings: &'a Settings, store: &'a WriterHandle, now: Now, station: StationId, version: Version) -> Self {
        Self { settings, store, now, station, version, told: None }
    }

    /// Serves the connection until it ends; the text says why it did.
    pub async fn run(
        mut self,
        mut socket: Socket,
        peer: SocketAddr,
        replaced: &Notify,
        mut stop: watch::Receiver<bool>,
    ) -> Cow<'static, str> {
        let (station, version) = (self.station.clone(), self.version);
        self.store.submit(Job::Connected { station, version, peer: peer.to_string(), at: (self.now)() });
        // Both outlive the loop: arming a timer and a waiter anew for each frame would cost more than decoding it.
        let mut quiet = pin!(sleep(self.settings.quiet_after));
        let mut told = pin!(async {
            tokio::select! {
                biased;
                () = replaced.notified() => (CloseCode::Policy, "a newer connection of this station"),
                () = super::stopped(&mut stop) => (CloseCode::Away, "forecourt is stopping"),
            }
        });
        let mut heard = Instant::now();
        let mut pinged = false;
        loop {
            let received = tokio::select! {
                biased;
                (code, why) = &mut told => return close(socket, code, why).await,
                received = socket.next() => received,
                () = &mut quiet => {
                    let next = heard + self.settings.quiet_after;
                    if next > Instant::now() {
                        quiet.as_mut().reset(next);
                        continue;
                    }
                    if pinged {
                        return close(socket, CloseCode::Policy, "silent, and no answer to a ping").await;
                    }
                    pinged = true;
                    quiet.as_mut().reset(Instant::now() + self.settings.quiet_after);
                    match send(&mut socket, Frame::Ping(Bytes::new())).await {
                        Ok(()) => continue,
                        Err(why) => return why,
                    }
                }
            };
            let frame = match received {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return self.broken_socket(socket, error).await,
                None => return "closed by the station".into(),
            };
            heard = Instant::now();
            pinged = false;
            let Some(text) = text_of(&frame) else {
                if frame.is_text() || frame.is_binary() {
                    debug!(station = %self.station, "empty frame ignored");
                }
                continue;
            };
            match self.frame(&text).await {
                Next::Answer(answer) => {
                    if let Err(why) = send(&mut socket, Frame::text(answer)).await {
                        return why;
                    }
                }
                Next::Nothing => {}
                Next::Close(code, why) => return close(socket, code, why).await,
            }
        }
    }

    async fn frame(&mut self, text: &str) -> Next {
        trace!(station = %self.station, text, "frame");
        let message = match ocpp::read(text) {
            Ok(ocpp::Frame::Call { id, action, payload, findings }) => {
                match self.call(&id, &action, &payload, findings, text, true) {
                    Ok(message) => message,
                    Err(answer) => return Next::Answer(answer),
                }
            }
            Ok(ocpp::Frame::Send { id, action, payload, findings }) => {
                match self.call(&id, &action, &payload, findings, text, false) {
                    Ok(message) => message,
                    Err(_) => return Next::Nothing,
                }
            }
            Ok(_) => {
                debug!(station = %self.station, "an answer to a call we do not wait for");
                return Next::Nothing;
            }
            Err(broken) if broken.flaw == ocpp::Flaw::Empty => return Next::Nothing,
            Err(broken) => {
                warn!(station = %self.station, error = %broken, "broken frame");
                let finding = Finding::new("broken-frame", broken.to_string());
                self.report("broken-frame", &finding.detail);
                let action = broken.action.as_deref().map(Box::from);
                self.message(action, None, text, Content::Fixed { answer: self.answer_broken(&broken) }, vec![finding])
            }
        };
        match self.store.store(Box::new(message)).await {
            Ok(Some(answer)) => Next::Answer(answer),
            Ok(None) => Next::Nothing,
            // Unanswered, the station keeps the message and tries again; a CALLERROR could make it forget it.
            Err(_) => Next::Close(CloseCode::Error, "the message could not be stored"),
        }
    }

    /// A transaction message that cannot be read is in the journal now; a CALLERROR would make the station forget it or block its
    /// queue with it. StartTransaction is the exception: its answer needs a transaction we could not open.
    fn answer_broken(&self, broken: &ocpp::Broken) -> Option<String> {
        match (&broken.id, broken.action.as_deref()) {
            (Some(id), Some(action)) if ocpp::is_transaction(self.version, action) && action != "StartTransaction" => {
                Some(ocpp::answer(self.version, action, id, &Answer::Empty))
            }
            _ => broken.answer(self.version),
        }
    }

    /// What to store of a CALL or SEND; `Err`: the answer to a frame that needs no storing.
    fn call(
        &mut self,
        id: &ocpp::MessageId<'_>,
        action: &str,
        payload: &serde_json::value::RawValue,
        mut findings: Vec<Finding>,
        text: &str,
        answered: bool,
    ) -> Result<Message, String> {
        let version = self.version;
        let repeatable = ocpp::is_transaction(version, action).then(|| Box::from(id.as_json()));
        let content = match ocpp::to_fact(version, action, payload) {
            // A heartbeat says nothing worth a write to flash.
            Ok(decoded) if decoded.fact == Fact::Heartbeat => {
                self.seen();
                return Err(ocpp::answer(version, action, id, &Answer::Heartbeat { now: (self.now)() }));
            }
            Ok(decoded) => {
                findings.extend(decoded.findings);
                let (id, action) = (id.clone().into_owned(), action.to_owned());
                let encode = move |answer: &Answer| answered.then(|| ocpp::answer(version, &action, &id, answer));
                Content::Fact { fact: decoded.fact, encode: Box::new(encode) }
            }
            Err(refusal) => {
                warn!(station = %self.station, action, refusal = refusal.text, "message refused");
                findings.push(Finding::new("refused", refusal.text.clone()));
                Content::Fixed { answer: answered.then(|| ocpp::refuse(version, id, &refusal)) }
            }
        };
        Ok(self.message(Some(action.into()), repeatable, text, content, findings))
    }

    fn message(
        &self,
        action: Option<Box<str>>,
        repeatable: Option<Box<str>>,
        text: &str,
        content: Content,
        findings: Vec<Finding>,
    ) -> Message {
        Message {
            station: self.station.clone(),
            version: self.version,
            received_at: (self.now)(),
            action,
            repeatable,
            text: text.to_owned(),
            content,
            findings,
        }
    }

    /// Tells the store now and then that a station which only sends heartbeats is alive.
    fn seen(&mut self) {
        let now = Instant::now();
        if self.told.is_none_or(|told| now - told >= SEEN_EVERY) {
            self.told = Some(now);
            self.store.submit(Job::Seen { station: self.station.clone(), at: (self.now)() });
        }
    }

    fn report(&self, kind: &'static str, detail: &str) {
        let station = Some(self.station.clone());
        self.store.submit(Job::Problem { kind, station, subject: String::new(), detail: detail.to_owned(), at: (self.now)() });
    }

    async fn broken_socket(&self, socket: Socket, error: Error) -> Cow<'static, str> {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                let detail = format!("a frame of {size} bytes; at most {max_size} are allowed (ocpp.max_message_kb)");
                warn!(station = %self.station, size, max_size, "frame too large");
                self.report("frame-too-large", &detail);
                close(socket, CloseCode::Size, "message too large").await
            }
            Error::ConnectionClosed | Error::AlreadyClosed => "closed by the station".into(),
            error => error.to_string().into(),
        }
    }
}

/// The text of a data frame; `None` for control frames and empty ones. Binary frames count as text (seen in the field); bytes
/// that are not UTF-8 make a broken frame, which is journaled and answered like any other.
fn text_of(frame: &Frame) -> Option<Cow<'_, str>> {
    let text = match frame {
        Frame::Text(text) => Cow::Borrowed(text.as_str()),
        Frame::Binary(bytes) => String::from_utf8_lossy(bytes),
        _ => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

async fn send(socket: &mut Socket, frame: Frame) -> Result<(), Cow<'static, str>> {
    match timeout(SEND_TIMEOUT, socket.send(frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string().into()),
        Err(_) => Err("the station does not read our answers".into()),
    }
}

async fn close(mut socket: Socket, code: CloseCode, why: &'static str) -> Cow<'static, str> {
    let frame = CloseFrame { code, reason: why.into() };
    // The other side may be gone; then there is nobody to be polite to.
    let _ = timeout(SEND_TIMEOUT, socket.close(Some(frame))).await;
    why.into()
}
