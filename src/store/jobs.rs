//! What the writer is asked to do, and what it replies.

use tokio::sync::oneshot;

use super::append::AppendError;
use super::bounds::Keep;
use super::calls::{CallEnd, NewCall, QueuedCall, TooManyCalls};
use super::clock::ClockNews;
use super::ledger::{ReceiptOutcome, Refusal};
use super::tokens::{TokenChanges, TokenCounts};
use crate::billing::{Bill, Held};
use crate::fact::{Answer, Fact};
use crate::record::Body;
use crate::station::Policy;
use crate::units::{Finding, Received, StationId, Time, Version};

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

/// The verdict on an ended session.
pub struct Settlement {
    pub session: i64,
    pub outcome: Result<Bill, Held>,
    /// The last message the verdict rests on: when another came since, the session is judged again.
    pub last_message: Option<i64>,
    pub at: Time,
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
            Self::Flush(reply) => drop(reply.send(())),
        }
    }
}
