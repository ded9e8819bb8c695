//! Heartbeat (OCPP 1.6 §6.29, 2.0.1 G02).

use serde::Serialize;

use crate::fact::{Answer, Fact, Refusal};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::PayloadReader;
use crate::ocpp::message_id::MessageId;
use crate::units::time::rfc3339_seconds;

pub(in crate::ocpp) const HEARTBEAT: Incoming = Incoming {
    action: "Heartbeat",
    kind: Kind::Message { decode, encode },
    examples: &[
        ("{}", "Heartbeat"),
        ("null", "Heartbeat"),
        (r#"{"extra":[1,2]}"#, "Heartbeat"),
        ("[]", "refused Format: the payload is not an object"),
    ],
};

fn decode(_: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    Ok(Fact::Heartbeat)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    current_time: String,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let Answer::Heartbeat { now } = answer else { return None };
    result(id, &Response { current_time: rfc3339_seconds(*now) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::time::from_millis;

    #[test]
    fn the_time_is_in_whole_seconds() {
        let answer = Answer::Heartbeat { now: from_millis(1_795_266_420_750) };
        assert_eq!(HEARTBEAT.answer(&answer), r#"{"currentTime":"2026-11-21T13:07:00Z"}"#);
    }
}
