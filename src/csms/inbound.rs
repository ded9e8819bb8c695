//! What arrives on a station's socket, before the WebSocket library sees it.
//!
//! Two things cannot be had from the library (tungstenite 0.30), so this wrapper reads along the frame headers (RFC 6455 §5.2):
//! - A text frame that is not UTF-8 fails the connection there, and its bytes are gone. Here the opcode of text frames becomes
//!   that of binary frames, one nibble in place; `ocpp::text` reads the bytes, and what is not UTF-8 is journaled and mended.
//! - Its size limits are fixed per connection, and hold for each alone. Here the limit grows when an unknown station turns out to be a
//!   station, and what all large messages together may occupy is bounded by a [`Budget`].
//!
//! Invariants: no byte is copied or held back; bytes before a header that is refused are still delivered; RSV bits, masks,
//! control and continuation frames pass as they are. Cost: a few comparisons per frame and read.
//! Limits: [`FREE`] bytes of a message need no budget. A message counts from its header until it is answered ([`Inbound::done`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Nearly all OCPP messages are smaller: this much of a message is not counted.
pub const FREE: usize = 16 * 1024;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const OPCODE: u8 = 0x0f;
/// Close, ping, pong: at most 125 bytes, and no part of a message.
const CONTROL: u8 = 8;
const MAX_HEADER: usize = 14;

/// Bytes that large messages of one class of stations may occupy together.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

impl Budget {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(bytes) })
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::AcqRel);
    }
}

/// Why a message is not taken; travels as the source of an `io::Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    #[error("a message of {size} bytes; at most {max} are allowed")]
    TooLong { size: usize, max: usize },
    #[error("no memory is left for a message of {size} bytes while other large ones are on their way")]
    NoRoom { size: usize },
}

impl TooMuch {
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

pub struct Inbound<S> {
    socket: S,
    /// Largest message in bytes; `None` until the upgrade is done: what comes before is HTTP.
    limit: Option<usize>,
    budget: Arc<Budget>,
    /// Bytes taken from the budget.
    taken: usize,
    /// When the budget was first used for what is in hand.
    taken_since: Option<Instant>,
    /// Header bytes of the frame that is being read.
    header: [u8; MAX_HEADER],
    have: usize,
    /// Payload bytes of this frame that are still to come.
    payload_left: u64,
    /// Bytes of the data message that is being read, by the headers of its frames so far; 0 when it is complete.
    message: usize,
    last_fragment: bool,
    /// Bytes of all messages since the last one was done.
    in_hand: usize,
    refused: Option<TooMuch>,
}

impl<S> Inbound<S> {
    pub fn new(socket: S, budget: Arc<Budget>) -> Self {
        Self {
            socket,
            limit: None,
            budget,
            taken: 0,
            taken_since: None,
            header: [0; MAX_HEADER],
            have: 0,
            payload_left: 0,
            message: 0,
            last_fragment: true,
            in_hand: 0,
            refused: None,
        }
    }

    /// From now on frames come, and messages up to this size are taken, from this budget.
    pub fn allow(&mut self, limit: usize, budget: &Arc<Budget>) {
        self.limit = Some(limit);
        if !Arc::ptr_eq(&self.budget, budget) && (self.taken == 0 || budget.take(self.taken)) {
            self.budget.give(self.taken);
            self.budget = Arc::clone(budget);
        }
    }

    /// A message was answered, or needs no answer: only what is still on its way occupies memory.
    pub fn done(&mut self) {
        self.in_hand = self.message;
        if self.taken > 0 {
            let keep = if self.in_hand > FREE { self.in_hand.min(self.taken) } else { 0 };
            self.budget.give(self.taken - keep);
            self.taken = keep;
            self.taken_since = (keep > 0).then(Instant::now);
        }
    }

    /// Since when a large message is on its way.
    pub fn large_since(&self) -> Option<Instant> {
        self.taken_since.filter(|_| self.message > 0)
    }

    /// Reads along; the count of bytes that may be delivered.
    fn follow(&mut self, bytes: &mut [u8]) -> usize {
        let Some(limit) = self.limit else { return bytes.len() };
        let mut at = 0;
        while at < bytes.len() {
            if self.payload_left > 0 {
                let skip = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += skip;
                self.payload_left -= skip as u64;
            } else {
                if self.have == 0 && bytes[at] & OPCODE == TEXT {
                    bytes[at] = (bytes[at] & !OPCODE) | BINARY;
                }
                self.header[self.have] = bytes[at];
                self.have += 1;
                at += 1;
                let Some(length) = self.payload_length() else { continue };
                if let Err(refused) = self.begin(length, limit) {
                    self.refused = Some(refused);
                    // Without its end the header means nothing to the library; it keeps waiting for it.
                    return at - 1;
                }
                self.have = 0;
                self.payload_left = length;
            }
            if self.payload_left == 0 && self.have == 0 && self.last_fragment {
                self.message = 0;
            }
        }
        at
    }

    /// The payload length once the header is complete.
    fn payload_length(&self) -> Option<u64> {
        let [_, second, ..] = self.header;
        if self.have < 2 {
            return None;
        }
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 + extended + mask {
            return None;
        }
        Some(match extended {
            0 => u64::from(second & 0x7f),
            _ => self.header[2..2 + extended].iter().fold(0, |length, byte| (length << 8) | u64::from(*byte)),
        })
    }

    /// A frame begins: does its message still fit?
    fn begin(&mut self, length: u64, limit: usize) -> Result<(), TooMuch> {
        let opcode = self.header[0] & OPCODE;
        if opcode >= CONTROL {
            return Ok(());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let before = if opcode == 0 { self.message } else { 0 };
        let size = before.saturating_add(length);
        if size > limit {
            return Err(TooMuch::TooLong { size, max: limit });
        }
        let in_hand = self.in_hand.saturating_add(length);
        if in_hand > FREE {
            if !self.budget.take(in_hand - self.taken) {
                return Err(TooMuch::NoRoom { size });
            }
            self.taken = in_hand;
            self.taken_since.get_or_insert_with(Instant::now);
        }
        (self.in_hand, self.message) = (in_hand, size);
        self.last_fragment = self.header[0] & 0x80 != 0;
        Ok(())
    }
}

impl<S> Drop for Inbound<S> {
    fn drop(&mut self) {
        self.budget.give(self.taken);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inbound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(refused) = this.refused {
            return Poll::Ready(Err(io::Error::other(refused)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        let delivered = this.follow(&mut buffer.filled_mut()[before..]);
        let refused = this.refused.filter(|_| delivered == 0);
        buffer.set_filled(before + delivered);
        Poll::Ready(refused.map_or(Ok(()), |refused| Err(io::Error::other(refused))))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inbound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
