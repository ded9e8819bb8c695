//! What the writer is asked to do, and what it replies.

use tokio::sync::oneshot;

use crate::billing::{Bill, Held};
use crate::fact::{Answer, Fact, Registration, Request};
use crate::record::{Body, SealError};
use crate::station::{ListedToken, Policy};
use crate::units::{Finding, Received, StationId, Time, Token, Version};

/// Jobs per transaction.
pub const MAX_GROUP: usize = 512;
/// Calls of a station that have not ended: more than a person asks for at once; a station answers them one by one.
pub const MAX_OPEN: i64 = 32;

/// Turns the machine's answer into the frame to send; `None` when none is due.
pub type Encode = Box<dyn FnOnce(&Answer) -> Option<String> + Send>;

/// A frame from a station.
pub struct Message {
    pub station: StationId,
    pub version: Version,
    pub received: Received,
    /// `None`: not readable as a CALL.
    pub action: Option<Box<str>>,
    /// The message id of a transaction message: the same id with the same text again is a repeat and gets the same answer.
    pub repeatable: Option<Box<str>>,
    pub text: String,
    /// As received, when that was not UTF-8.
    pub bytes: Option<Box<[u8]>>,
    pub content: Content,
    pub findings: Vec<Finding>,
}

pub enum Content {
    Fact {
        fact: Fact,
        encode: Encode,
    },
    /// Nothing to decide: journaled with the answer it gets.
    Fixed {
        answer: Option<String>,
        keep: Keep,
    },
}

/// How a message is answered.
#[derive(Clone, Debug, Default)]
pub(super) enum Answered {
    /// By this frame, which is sent when the message is on disk.
    Frame(String),
    /// By nothing: none is due (SEND, frames that OCPP does not answer).
    Silence,
    /// Not at all, because of a fault of ours or a bound: the connection closes, and the station repeats it later.
    #[default]
    Unanswered,
}

impl Answered {
    pub(super) fn of(frame: Option<String>) -> Self {
        frame.map_or(Self::Silence, Self::Frame)
    }

    pub(super) fn frame(&self) -> Option<&str> {
        match self {
            Self::Frame(frame) => Some(frame),
            Self::Silence | Self::Unanswered => None,
        }
    }
}

/// A message that is on disk.
#[derive(Debug, Default)]
pub struct Stored {
    /// The frame to answer with; `None` when no answer is due.
    pub answer: Option<String>,
    /// What to ask the station after that.
    pub calls: Vec<QueuedCall>,
}

/// What a station's answer to a call of our own says.
pub struct Said {
    pub station: StationId,
    pub version: Version,
    pub fact: Fact,
    pub received: Received,
    /// What to ask next.
    pub reply: oneshot::Sender<Vec<QueuedCall>>,
}

/// Whether a frame that was not understood must be in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// A broken transaction message.
    Always,
    /// Within the limits of `bounds.rs`.
    Sparingly,
}

/// What is kept of a message while it is tried alone.
pub(super) struct Raw {
    pub(super) station: StationId,
    pub(super) version: Version,
    pub(super) received: Received,
    pub(super) action: Option<Box<str>>,
    pub(super) text: String,
}

impl Raw {
    pub(super) fn of(job: &Job) -> Option<Self> {
        let Job::Message(message, _) = job else { return None };
        let Message { station, version, received, action, text, .. } = message.as_ref();
        let (station, action, text) = (station.clone(), action.clone(), text.clone());
        Some(Self { station, version: *version, received: *received, action, text })
    }
}

/// Why a record does not leave.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub reason: String,
    pub at: Time,
    pub next_try_at: Time,
}

/// What the store made of a receipt from head office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Records up to and including this sequence number are retired.
    Accepted {
        through: u64,
    },
    Refused {
        why: String,
    },
}

/// Why a record was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A mistake of ours.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The schema forbids it: a second charge of a session while the first stands.
    #[error("the record is refused: {0}")]
    Refused(String),
}

/// What to do with tokens, who wants it, and why.
pub struct TokenChanges {
    pub set: Vec<ListedToken>,
    /// Only their status changes; one that is not listed is put on the list.
    pub block: Vec<Token>,
    pub remove: Vec<Token>,
    pub actor: String,
    pub reason: String,
    pub at: Time,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    pub added: u64,
    pub changed: u64,
    pub unchanged: u64,
    pub removed: u64,
    /// Were to be removed, and are not on the list.
    pub absent: u64,
}

/// A person decides whether a station is served.
pub struct Registering {
    pub station: String,
    pub to: Registration,
    pub actor: String,
    pub reason: String,
    pub at: Time,
}

/// What came of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationOutcome {
    /// It has never connected, nor was it turned away.
    UnknownStation,
    /// As the station is called, and what it was.
    Registered { station: StationId, before: Registration },
}

/// The verdict on an ended session.
pub struct Settlement {
    pub session: i64,
    pub outcome: Result<Bill, Held>,
    /// The last message the verdict rests on: when another came since, the session is judged again.
    pub last_message: Option<i64>,
    pub at: Time,
}

/// A charge is taken back, and perhaps its session charged anew; all of it or nothing.
pub struct Correction {
    pub session: i64,
    /// The charge that stands.
    pub epoch: u64,
    pub seq: u64,
    pub credit: Body,
    pub replacement: Option<Replacement>,
    pub actor: String,
    pub reason: String,
    /// What a replay makes the same records of (`notes.rs`).
    pub note: String,
    pub at: Time,
}

/// The charge in the place of one that is taken back.
pub struct Replacement {
    pub bill: Bill,
    /// A person stated the energy; the meter showed other registers.
    pub is_stated: bool,
    /// Hash of the tariff that it is priced by.
    pub tariff: String,
    /// The last message that it rests on.
    pub last_message: Option<i64>,
}

/// The records of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrected {
    pub credit: u64,
    pub charge: Option<u64>,
}

/// Why nothing was corrected.
#[derive(Debug, thiserror::Error)]
pub enum CorrectError {
    #[error("record {0} is no charge that stands")]
    NotStanding(u64),
    #[error("a message of the session came meanwhile; ask again")]
    Changed,
    #[error("{1} ({0})")]
    Overlap(&'static str, String),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Tariff versions, and why they are used.
pub struct NewTariffs {
    /// Hash, id, JSON text.
    pub versions: Vec<(String, String, String)>,
    pub actor: String,
    pub reason: String,
    /// What was in use before, and is now.
    pub before: String,
    pub after: String,
    pub at: Time,
}

/// Something about our own clock: its state, and what a person should read.
#[derive(Clone, Debug)]
pub struct ClockNews {
    pub proven: bool,
    /// What the system clock reads.
    pub system: Time,
    /// Our time has gone back: what was written before may be ahead of it.
    pub went_back: bool,
    /// It was wrong and is right again.
    pub recovered: Option<String>,
    /// Subject and detail of a problem.
    pub problem: Option<(&'static str, String)>,
    pub at: Time,
}

/// A call that somebody asks for; its payload fits the schema of its action.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub station: StationId,
    pub version: Version,
    pub action: &'static str,
    /// JSON text.
    pub payload: String,
    /// The same as people may see it.
    pub shown: String,
    pub harmless: bool,
    pub actor: String,
    pub reason: String,
    pub at: Time,
}

/// What a request of ours takes, in a version.
pub type Calls = fn(Version, &Request) -> Vec<CallText>;

/// A call as it is sent.
pub struct CallText {
    pub action: &'static str,
    /// JSON text.
    pub payload: String,
    /// The same as people may see it.
    pub shown: String,
    pub harmless: bool,
}

/// A call whose row is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCall {
    pub number: i64,
    /// Of OCPP-J, at most 36 characters: never used again, in no life of the store.
    pub message_id: String,
    pub action: String,
    pub payload: String,
    /// Nobody asked for it but the program.
    pub is_ours: bool,
}

/// What became of a call. The names are promises (`v_call.state`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The payload of the CALLRESULT, and what it says.
    Answered { payload: String, shown: String, status: Option<String> },
    /// `{"code", "description", "details"}`.
    CallError { error: String, shown: String },
    /// No answer in time.
    Timeout,
    /// Never sent.
    NotConnected,
    /// Never sent: its time had passed while others were before it, or who asked had gone.
    Withdrawn,
    /// Sent, and the connection ended before the answer.
    Unknown,
}

impl CallEnd {
    pub const fn state(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::CallError { .. } => "call-error",
            Self::Timeout => "timeout",
            Self::NotConnected => "not-connected",
            Self::Withdrawn => "withdrawn",
            Self::Unknown => "unknown",
        }
    }
}

/// Too many calls of the station wait.
#[derive(Debug, thiserror::Error)]
#[error("{MAX_OPEN} calls to this station have not ended yet; `forecourt calls --station {station}` shows them")]
pub struct TooManyCalls {
    pub(super) station: StationId,
}

pub enum Job {
    Message(Box<Message>, oneshot::Sender<Stored>),
    Connected {
        station: StationId,
        version: Version,
        peer: String,
        at: Time,
    },
    Disconnected {
        station: StationId,
        at: Time,
    },
    /// A sign of life that is not worth a journal row.
    Seen {
        station: StationId,
        at: Time,
    },
    Problem {
        kind: &'static str,
        station: Option<StationId>,
        subject: String,
        detail: String,
        at: Time,
    },
    Settle(Box<Settlement>),
    /// A record of any kind, of a session or not; the reply is its number. Its author makes sure that the clock is right.
    Append {
        body: Box<Body>,
        session: Option<i64>,
        at: Time,
        reply: oneshot::Sender<Result<u64, AppendError>>,
    },
    Receipt {
        epoch: i64,
        through: u64,
        root: String,
        rejected: Vec<(u64, String)>,
        at: Time,
        reply: oneshot::Sender<ReceiptOutcome>,
    },
    /// The broker refused this record, or (`None`) has taken it after all; completes when that is on disk.
    Undelivered {
        epoch: i64,
        seq: u64,
        refusal: Option<Refusal>,
        reply: oneshot::Sender<()>,
    },
    Link {
        up: bool,
        error: Option<String>,
        /// Highest record number that the broker has taken.
        sent: u64,
        at: Time,
    },
    /// Somebody asks for a call; the reply comes when it is on disk and may be sent.
    Call(Box<NewCall>, oneshot::Sender<Result<QueuedCall, TooManyCalls>>),
    /// The frame may leave when this is on disk.
    CallSent {
        number: i64,
        at: Time,
        reply: oneshot::Sender<()>,
    },
    CallEnded {
        number: i64,
        end: CallEnd,
        at: Time,
        /// What the answer says to us, when we asked by ourselves.
        said: Option<Box<Said>>,
    },
    /// An answer to a call that nobody waits for any more.
    LateAnswer {
        station: StationId,
        message_id: String,
        end: CallEnd,
        at: Time,
    },
    /// Calls of a station that wait since before it connected.
    WaitingCalls(StationId, Version, oneshot::Sender<Vec<QueuedCall>>),
    /// Tariff versions that may be used from now on, and who changed them; completes when they are on disk.
    Tariffs(Box<NewTariffs>, oneshot::Sender<()>),
    /// The list of tokens changes; completes when that is on disk and holds.
    Tokens(Box<TokenChanges>, oneshot::Sender<TokenCounts>),
    /// A person decides on a station; completes when that is on disk and holds.
    Register(Box<Registering>, oneshot::Sender<RegistrationOutcome>),
    /// A person corrects a bill; completes when that is on disk.
    Correct(Box<Correction>, oneshot::Sender<Result<Corrected, CorrectError>>),
    /// What the site decides from now on; completes when it holds.
    Policy(Box<Policy>, oneshot::Sender<()>),
    /// Completes when it is on disk.
    Clock(Box<ClockNews>, oneshot::Sender<()>),
    /// Completes when everything submitted before it is on disk.
    Flush(oneshot::Sender<()>),
}

/// A reply whose transaction is on disk, and who waits for it.
pub enum Reply {
    Message(oneshot::Sender<Stored>, Stored),
    Append(oneshot::Sender<Result<u64, AppendError>>, Result<u64, AppendError>),
    Receipt(oneshot::Sender<ReceiptOutcome>, ReceiptOutcome),
    Call(oneshot::Sender<Result<QueuedCall, TooManyCalls>>, Result<QueuedCall, TooManyCalls>),
    Calls(oneshot::Sender<Vec<QueuedCall>>, Vec<QueuedCall>),
    Tokens(oneshot::Sender<TokenCounts>, TokenCounts),
    Registered(oneshot::Sender<RegistrationOutcome>, RegistrationOutcome),
    Correct(oneshot::Sender<Result<Corrected, CorrectError>>, Result<Corrected, CorrectError>),
    Flush(oneshot::Sender<()>),
}

impl Reply {
    /// Hands the reply over; one that nobody waits for any more is dropped, which is what a closed connection means.
    pub fn send(self) {
        match self {
            Self::Message(reply, answer) => drop(reply.send(answer)),
            Self::Append(reply, appended) => drop(reply.send(appended)),
            Self::Receipt(reply, verdict) => drop(reply.send(verdict)),
            Self::Call(reply, call) => drop(reply.send(call)),
            Self::Calls(reply, calls) => drop(reply.send(calls)),
            Self::Tokens(reply, counts) => drop(reply.send(counts)),
            Self::Registered(reply, outcome) => drop(reply.send(outcome)),
            Self::Correct(reply, corrected) => drop(reply.send(corrected)),
            Self::Flush(reply) => drop(reply.send(())),
        }
    }
}
