//! SecurityEventNotification (OCPP 1.6 security whitepaper A04, 2.0.1 A04). Stations send it unasked at boot.

use crate::fact::{Fact, Refusal};
use crate::ocpp::incoming::{Incoming, Kind, acknowledge};
use crate::ocpp::lenient::{Field, PayloadReader};

pub(in crate::ocpp) const SECURITY_EVENT_NOTIFICATION: Incoming = Incoming {
    action: "SecurityEventNotification",
    kind: Kind::Message { decode, encode: acknowledge },
    examples: &[
        (
            r#"{"type":"StartupOfTheDevice","timestamp":"2026-11-21T13:07:00.123456Z","techInfo":""}"#,
            r#"SecurityEvent { kind: "StartupOfTheDevice", detail: None, reported_at: Some(2026-11-21T13:07:00.123Z) }"#,
        ),
        ("{}", "refused Missing: type is required"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut kind = Field::Absent;
    let (mut detail, mut reported_at) = (None, None);
    r.object("SecurityEventNotification", |r, key| match key {
        "type" => kind = r.text(key),
        "techInfo" => detail = r.text(key).filled(),
        "timestamp" => reported_at = r.time(key).ok(),
        _ => r.skip(),
    });
    Ok(Fact::SecurityEvent { kind: kind.required("type")?.into_owned(), detail, reported_at })
}
