//! The message of a station that is in hand, and what comes of a frame.

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::observe::{Label, MessageOutcome};
use crate::store::Stored;
use crate::units::Version;

/// A message that waits for its commit.
pub(super) struct InHand {
    pub(super) counted: Counted,
    pub(super) stored: oneshot::Receiver<Stored>,
    pub(super) was_proven: bool,
    /// What it occupies counts until it is answered.
    pub(super) frame: Frame,
}

/// Where a message is counted, and as what once it is stored.
pub(super) type Counted = ((Version, Label), MessageOutcome);

/// What a frame comes to at once.
pub(super) enum Begun {
    Stored(oneshot::Receiver<Stored>, Counted),
    Next(Next),
}

/// What to do after a frame.
pub(super) enum Next {
    Answer(String),
    Nothing,
    Close(CloseCode, &'static str),
}

/// Completes when the message in hand is on disk; the receiver fails when it cannot be stored.
pub(super) async fn stored(in_hand: &mut Option<InHand>) -> Result<Stored, RecvError> {
    match in_hand {
        Some(message) => (&mut message.stored).await,
        None => std::future::pending().await,
    }
}
