//! A message that we send: its schema, its examples, and whether it may be sent twice.
//!
//! One file per message in `v16/calls` and `v2/calls`, each with one [`Outgoing`]; `call.rs` finds them.

use super::schema::Member;

/// A message that a CSMS sends.
#[derive(Debug)]
pub struct Outgoing {
    pub action: &'static str,
    pub(super) request: &'static [Member],
    /// It only reads: a station that gets it twice does nothing twice.
    pub harmless: bool,
    /// Payloads, and for wrong ones the place and the rule that they break; a test goes through them.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of all actions"))]
    pub(super) examples: &'static [(&'static str, Option<&'static str>)],
}
