//! OCPP 2.0.1 edition 3 and 2.1 edition 1, each with errata.
//!
//! One tree for both: what 2.1 adds to a message is read wherever it occurs, and made obligatory nowhere.

mod messages;

pub(super) use messages::{MESSAGES, MESSAGES_SINCE_21};
