//! The answer to a BootNotification, the same in all versions (OCPP 1.6 §6.4, 2.0.1 B01).

use serde::Serialize;

use crate::fact::Answer;
use crate::ocpp::answer::result;
use crate::ocpp::message_id::MessageId;
use crate::units::time::rfc3339_seconds;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: &'static str,
    current_time: String,
    interval: u32,
}

pub(in crate::ocpp) fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let Answer::Boot { registration, now, interval_s } = answer else { return None };
    result(id, &Response { status: registration.as_str(), current_time: rfc3339_seconds(*now), interval: *interval_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Registration;
    use crate::units::time::from_millis;

    #[test]
    fn a_station_gets_time_and_interval() {
        let answer = Answer::Boot { registration: Registration::Pending, now: from_millis(1_795_266_420_750), interval_s: 300 };
        let frame = r#"[3,"1",{"status":"Pending","currentTime":"2026-11-21T13:07:00Z","interval":300}]"#;
        assert_eq!(encode(&MessageId::from_text("1"), &answer).as_deref(), Some(frame));
    }
}
