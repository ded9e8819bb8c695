//! One station's connection: messages in, store, answers out; calls out, results in.
//!
//! One message of the station is in hand at a time: it waits for its commit, then it is answered. Meanwhile the socket is read on,
//! because a result of a call of ours may come; the next message is kept until its turn, and nothing more is read then.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame};
use tracing::{debug, trace, warn};

use super::calls::{CallEvent, Calls, OutgoingCall};
use super::in_hand::{Begun, Counted, InHand, Next, stored};
use super::inbound::TooMuch;
use super::reading::{self, Fault, Read};
use super::registry::{Claim, Ousted, Standing};
use super::settings::Settings;
use super::shared::{Csms, stopped};
use super::socket::{Socket, Stream, Text, close, is_result, send, text_of};
use crate::observe::MessageOutcome;
use crate::store::{Content, Job, Message, Stored, WriterHandle};
use crate::units::{Clock, Finding, StationId, Time, Version};

/// Bytes beyond the largest message that may wait to be sent to one station: an answer echoes the message id.
pub const OUT_BUFFER: usize = 256 * 1024;
/// A station that only sends heartbeats costs one write in this time.
const SEEN_EVERY: Duration = Duration::from_secs(300);

/// Largest message of a station that never said anything valid.
pub const UNKNOWN_MESSAGE: usize = 64 * 1024;
/// A large message occupies memory that others need, so it must be complete by then: 1 MiB at 70 kbit/s.
const LARGE_MESSAGE: Duration = Duration::from_secs(120);
/// How often a connection is looked at: who is silent, whose message never ends.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Frames in a row that are no valid message; then an unknown station is not a station.
const MAX_NOISE: u32 = 100;
/// Of what a station says, in a line of the log.
const MAX_LOGGED: usize = 60;
/// Such frames of a connection that are logged as warnings.
const LOGGED_NOISE: u32 = 10;

pub struct Connection<'a> {
    csms: &'a Csms,
    settings: &'a Settings,
    store: &'a WriterHandle,
    clock: &'a Clock,
    claim: &'a Claim,
    station: StationId,
    version: Version,
    peer: SocketAddr,
    since: Time,
    /// It has said something valid, now or at some time before.
    proven: bool,
    /// Frames since the last valid message.
    noise: u32,
    /// When the store last heard of a heartbeat.
    seen_at: Option<Instant>,
    calls: Calls,
}

/// The largest message that is taken from such a station.
pub fn message_limit(settings: &Settings, standing: Standing) -> usize {
    match standing {
        Standing::Unknown => settings.max_message_bytes.min(UNKNOWN_MESSAGE),
        Standing::Configured | Standing::Proven => settings.max_message_bytes,
    }
}

impl<'a> Connection<'a> {
    pub fn new(
        csms: &'a Csms,
        claim: &'a Claim,
        version: Version,
        peer: SocketAddr,
        calls: mpsc::Receiver<OutgoingCall>,
    ) -> Self {
        let calls = Calls::new(claim.station.clone(), version, csms.store.clone(), csms.clock.clone(), calls);
        Self {
            csms,
            settings: &csms.settings,
            store: &csms.store,
            clock: &csms.clock,
            claim,
            station: claim.station.clone(),
            version,
            peer,
            since: (csms.clock)().at,
            proven: claim.standing != Standing::Unknown,
            noise: 0,
            seen_at: None,
            calls,
        }
    }

    /// Serves the connection until it ends; the text says why it did.
    pub async fn run<S: Stream>(
        mut self,
        mut socket: Socket<S>,
        ousted: oneshot::Receiver<Ousted>,
        mut stop: watch::Receiver<bool>,
    ) -> Cow<'static, str> {
        if self.proven {
            self.introduce();
        }
        let mut allowed = self.proven;
        // These outlive the loop: arming timers and a waiter anew for each frame would cost more than decoding it.
        let mut look = pin!(sleep(LOOK_EVERY.min(self.settings.unknown_silence).min(self.settings.quiet_after)));
        let mut ended = pin!(async {
            tokio::select! {
                biased;
                Ok(ousted) = ousted => match ousted {
                    Ousted::Newer => (CloseCode::Policy, "a newer connection of this station"),
                    Ousted::Displaced => (CloseCode::Again, "an unknown station; a known one needs its place"),
                },
                () = stopped(&mut stop) => (CloseCode::Away, "forecourt is stopping"),
            }
        });
        let connected = Instant::now();
        let mut heard = connected;
        let mut pinged = false;
        let mut in_hand: Option<InHand> = None;
        let mut waiting: Option<Frame> = None;
        loop {
            let next = if in_hand.is_none()
                && let Some(frame) = waiting.take()
            {
                self.begin(frame, &mut in_hand)
            } else {
                tokio::select! {
                    biased;
                    (code, why) = &mut ended => return close(socket, code, why).await,
                    stored = stored(&mut in_hand), if in_hand.is_some() => self.stored(stored, &mut in_hand),
                    call = self.calls.event(), if self.proven => match call {
                        CallEvent::Overdue => {
                            self.calls.overdue();
                            continue;
                        }
                        CallEvent::Send(call) => match self.calls.send(call).await {
                            Some(frame) => Next::Answer(frame),
                            None => continue,
                        },
                    },
                    received = socket.next(), if waiting.is_none() => {
                        let frame = match received {
                            Some(Ok(frame)) => frame,
                            Some(Err(error)) => return self.broken_socket(socket, error).await,
                            None => return "closed by the station".into(),
                        };
                        heard = Instant::now();
                        pinged = false;
                        if in_hand.is_some() && !is_result(&frame) {
                            waiting = Some(frame);
                            continue;
                        }
                        self.begin(frame, &mut in_hand)
                    }
                    () = &mut look => {
                        let now = Instant::now();
                        if let Some((code, why)) = self.overdue(&socket, now, connected) {
                            return close(socket, code, why).await;
                        }
                        // A pong may lie behind the message that waits.
                        if waiting.is_some() {
                            heard = now;
                        }
                        if now < heard + self.settings.quiet_after {
                            look.as_mut().reset(self.next_look(now, heard, connected));
                            continue;
                        }
                        if pinged {
                            return close(socket, CloseCode::Policy, "silent, and no answer to a ping").await;
                        }
                        (pinged, heard) = (true, now);
                        look.as_mut().reset(self.next_look(now, heard, connected));
                        match send(&mut socket, Frame::Ping(Bytes::new())).await {
                            Ok(()) => continue,
                            Err(why) => return why,
                        }
                    }
                }
            };
            match next {
                Next::Answer(answer) => {
                    if let Err(why) = send(&mut socket, Frame::text(answer)).await {
                        return why;
                    }
                }
                Next::Nothing => {}
                Next::Close(code, why) => return close(socket, code, why).await,
            }
            // What a message occupied is free again only now: its answer may have been as long as itself.
            if in_hand.is_none() && waiting.is_none() {
                socket.get_mut().done();
            }
            if self.proven != allowed {
                allowed = self.proven;
                socket.get_mut().allow(message_limit(self.settings, Standing::Proven), self.csms.budgets.of(Standing::Proven));
            }
        }
    }

    /// Takes a frame into hand: a message goes to the store, all else is done at once.
    fn begin(&mut self, frame: Frame, in_hand: &mut Option<InHand>) -> Next {
        let was_proven = self.proven;
        let begun = match text_of(&frame) {
            Some(text) => self.frame(text),
            None => {
                if frame.is_text() || frame.is_binary() {
                    debug!(station = %self.station, "empty frame ignored");
                }
                Begun::Next(Next::Nothing)
            }
        };
        match begun {
            Begun::Stored(stored, counted) => {
                *in_hand = Some(InHand { counted, stored, was_proven, frame });
                Next::Nothing
            }
            Begun::Next(next) => next,
        }
    }

    /// The message in hand is on disk, or cannot be stored.
    fn stored(&mut self, stored: Result<Stored, RecvError>, in_hand: &mut Option<InHand>) -> Next {
        let Some(InHand { counted: (message, outcome), was_proven, frame, .. }) = in_hand.take() else { return Next::Nothing };
        drop(frame);
        self.csms.live.count_message(message, if stored.is_ok() { outcome } else { MessageOutcome::NotStored });
        if stored.is_ok() && self.proven && !was_proven {
            self.csms.registry.prove(self.claim);
        }
        match stored {
            _ if !self.proven && self.noise >= MAX_NOISE => {
                Next::Close(CloseCode::Policy, "an unknown station that says nothing valid")
            }
            Ok(Stored { answer, calls }) => {
                self.calls.ask(calls);
                answer.map_or(Next::Nothing, Next::Answer)
            }
            // Unanswered, the station keeps the message and tries again; a CALLERROR could make it forget it.
            Err(_) => Next::Close(CloseCode::Error, "the message could not be stored"),
        }
    }

    /// What has taken too long.
    fn overdue<S: Stream>(&self, socket: &Socket<S>, now: Instant, connected: Instant) -> Option<(CloseCode, &'static str)> {
        if !self.proven && now >= connected + self.settings.unknown_silence {
            return Some((CloseCode::Policy, "an unknown station that says nothing valid"));
        }
        let since = socket.get_ref().large_since()?;
        (now >= since + LARGE_MESSAGE).then_some((CloseCode::Policy, "a large message took too long"))
    }

    fn next_look(&self, now: Instant, heard: Instant, connected: Instant) -> Instant {
        let next = (now + LOOK_EVERY).min(heard + self.settings.quiet_after);
        if self.proven { next } else { next.min(connected + self.settings.unknown_silence) }
    }

    /// The store learns of the connection. Of an unknown station only when it says something valid: invented names leave no trace.
    fn introduce(&mut self) {
        let (station, version, peer) = (self.station.clone(), self.version, self.peer.to_string());
        self.store.submit(Job::Connected { station, version, peer, at: self.since });
        self.calls.begin();
    }

    /// The station says something valid.
    fn valid(&mut self) {
        self.noise = 0;
        if !self.proven {
            self.introduce();
            self.proven = true;
        }
    }

    /// The station says something that is no valid message; whether that deserves a line in the log.
    fn noise(&mut self) -> bool {
        self.noise = self.noise.saturating_add(1);
        self.noise <= LOGGED_NOISE
    }

    fn frame(&mut self, Text { text, mended }: Text<'_>) -> Begun {
        trace!(station = %self.station, text = &*text, "frame");
        let was_proven = self.proven;
        let mut message = match self.read(&text, mended.as_ref().map(|(_, finding)| finding)) {
            Ok(message) => message,
            Err(next) => {
                if self.proven && !was_proven {
                    self.csms.registry.prove(self.claim);
                }
                return Begun::Next(next);
            }
        };
        message.bytes = mended.map(|(bytes, _)| Box::from(bytes));
        let counted = self.counted(&message);
        Begun::Stored(self.store.store(message), counted)
    }

    /// Names that a station invents are not counted by name.
    fn counted(&self, message: &Message) -> Counted {
        let (understood, outcome) = match &message.content {
            Content::Fact { .. } => (true, MessageOutcome::Answered),
            Content::Fixed { .. } if message.findings.iter().any(|finding| finding.code == reading::BROKEN) => {
                (false, MessageOutcome::Broken)
            }
            Content::Fixed { .. } => (false, MessageOutcome::Refused),
        };
        (self.csms.live.message(self.version, message.action.as_deref(), understood), outcome)
    }

    /// What to store of a frame; `Err`: what to do with one that needs no storing.
    fn read(&mut self, text: &str, mended: Option<&Finding>) -> Result<Box<Message>, Next> {
        match reading::read(&self.station, self.version, text, mended, (self.clock)()) {
            Read::Message { message, fault: None } => {
                self.valid();
                Ok(message)
            }
            Read::Message { message, fault: Some(fault) } => {
                self.log_fault(message.action.as_deref(), &fault);
                Ok(message)
            }
            // A heartbeat says nothing worth a write to flash.
            Read::Heartbeat { answer } => {
                self.valid();
                self.seen();
                let live = &self.csms.live;
                live.count_message(live.message(self.version, Some("Heartbeat"), true), MessageOutcome::Answered);
                Err(answer.map_or(Next::Nothing, Next::Answer))
            }
            Read::Result { id, payload } => {
                if self.proven {
                    self.calls.result(&id.text(), &payload);
                }
                Err(Next::Nothing)
            }
            Read::Error { id, code, description, details } => {
                if self.proven {
                    self.calls.error(&id.text(), &code, &description, &details);
                }
                Err(Next::Nothing)
            }
            // 2.1: the station could not use an answer of ours, which is on disk with its message.
            Read::ResultError { code } => {
                if self.noise() {
                    let code: String = code.chars().take(MAX_LOGGED).collect();
                    warn!(station = %self.station, code, "the station cannot use our answer");
                }
                Err(Next::Nothing)
            }
            Read::Nothing => Err(Next::Nothing),
        }
    }

    fn log_fault(&mut self, action: Option<&str>, fault: &Fault) {
        let is_warning = self.noise();
        let station = &self.station;
        match (fault, is_warning) {
            (Fault::Broken(error), true) => warn!(%station, %error, "broken frame"),
            (Fault::Broken(error), false) => debug!(%station, %error, "broken frame"),
            (Fault::Refused(refusal), true) => warn!(%station, action, refusal, "message refused"),
            (Fault::Refused(refusal), false) => debug!(%station, action, refusal, "message refused"),
        }
    }

    /// Tells the store now and then that a station which only sends heartbeats is alive.
    fn seen(&mut self) {
        let now = Instant::now();
        if self.seen_at.is_none_or(|seen| now - seen >= SEEN_EVERY) {
            self.seen_at = Some(now);
            self.store.submit(Job::Seen { station: self.station.clone(), at: (self.clock)().at });
        }
    }

    fn report(&self, kind: &'static str, detail: &str) {
        let station = Some(self.station.clone());
        self.store.submit(Job::Problem {
            kind,
            station,
            subject: String::new(),
            detail: detail.to_owned(),
            at: (self.clock)().at,
        });
    }

    async fn broken_socket<S: Stream>(&self, socket: Socket<S>, error: Error) -> Cow<'static, str> {
        let too_much = match &error {
            Error::Io(error) => TooMuch::of(error),
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                Some(TooMuch::TooLong { size: *size, max: *max_size })
            }
            _ => None,
        };
        match (too_much, error) {
            (Some(TooMuch::TooLong { size, max }), _) => {
                let hint = if self.proven { "ocpp.max_message_kb" } else { "until it has said something valid" };
                warn!(station = %self.station, size, max, "frame too large");
                self.report("frame-too-large", &format!("a frame of {size} bytes; at most {max} are allowed ({hint})"));
                close(socket, CloseCode::Size, "message too large").await
            }
            (Some(TooMuch::NoRoom { size }), _) => {
                warn!(station = %self.station, size, "no memory for another large message now");
                self.report(
                    "frame-no-room",
                    &format!("a frame of {size} bytes came while the memory for large messages was in use"),
                );
                close(socket, CloseCode::Again, "too many large messages at once; send it again").await
            }
            (None, Error::ConnectionClosed | Error::AlreadyClosed) => "closed by the station".into(),
            (None, error) => error.to_string().into(),
        }
    }
}
