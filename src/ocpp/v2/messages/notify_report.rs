//! NotifyReport (OCPP 2.0.1 B07, B08). The journal has it; nothing reads it yet.

use crate::ocpp::incoming::{Decode, Incoming, acknowledge};

pub(super) const NOTIFY_REPORT: Incoming = Incoming {
    action: "NotifyReport",
    decode: Decode::Noted,
    encode: acknowledge,
    examples: &[(r#"{"requestId":1,"seqNo":0,"reportData":[]}"#, "Noted")],
};
