//! Frames on a station's socket: text in, text out, and the goodbye.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::SinkExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::inbound::Inbound;
use crate::ocpp;
use crate::units::Finding;

/// How long a station may take to read one frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection runs over: TCP, and pipes in memory for scripts.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

pub type Socket<S> = WebSocketStream<Inbound<S>>;

/// A data frame as text.
pub struct Text<'a> {
    pub text: Cow<'a, str>,
    /// As received, when that was not UTF-8, and what was made of it.
    pub mended: Option<(&'a [u8], Finding)>,
}

/// Whether a frame answers a call of ours, or is no message at all: neither has to wait for the message in hand.
pub fn is_result(frame: &Frame) -> bool {
    let Some(text) = text_of(frame) else { return true };
    use ocpp::Frame::{CallError, CallResult, CallResultError};
    matches!(ocpp::read(&text.text), Ok(CallResult { .. } | CallError { .. } | CallResultError { .. }))
}

/// The text of a data frame; `None` for control frames and empty ones. Text frames arrive as binary ones (`inbound.rs`), and
/// binary frames count as text anyway (docs/quirks.md Q14).
pub fn text_of(frame: &Frame) -> Option<Text<'_>> {
    let bytes: &[u8] = match frame {
        Frame::Text(text) => text.as_bytes(),
        Frame::Binary(bytes) => bytes,
        _ => return None,
    };
    let (text, finding) = ocpp::text(bytes);
    (!text.trim().is_empty()).then_some(Text { text, mended: finding.map(|finding| (bytes, finding)) })
}

pub async fn send<S: Stream>(socket: &mut Socket<S>, frame: Frame) -> Result<(), Cow<'static, str>> {
    match timeout(SEND_TIMEOUT, socket.send(frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string().into()),
        Err(_) => Err("the station does not read our answers".into()),
    }
}

pub async fn close<S: Stream>(mut socket: Socket<S>, code: CloseCode, why: &'static str) -> Cow<'static, str> {
    let frame = CloseFrame { code, reason: why.into() };
    // The other side may be gone; then there is nobody to be polite to.
    let _ = timeout(SEND_TIMEOUT, socket.close(Some(frame))).await;
    why.into()
}
