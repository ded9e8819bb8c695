//! What a right answer looks like. Every answer is checked: a CALLRESULT, with our id, with the fields OCPP requires,
//! and `Accepted` wherever something is decided.

use std::borrow::Cow;

use serde::Deserialize;

use super::script::Kind;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    current_time: Option<Cow<'a, str>>,
    interval: Option<i64>,
    #[serde(borrow)]
    id_tag_info: Option<Decision<'a>>,
    #[serde(borrow)]
    id_token_info: Option<Decision<'a>>,
    transaction_id: Option<i64>,
}

#[derive(Deserialize)]
struct Decision<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

/// Checks the answer to a message of `kind` with the id `id`; gives the transaction id of a 1.6 StartTransaction.
///
/// # Errors
/// Says what is wrong with the answer.
pub fn check(kind: Kind, id: &str, text: &str) -> Result<Option<i64>, String> {
    let wrong = |what: &str| format!("{what} in the answer to {}: {text:.300}", kind.action());
    let (frame, echoed, payload): (u8, &str, Payload<'_>) =
        serde_json::from_str(text).map_err(|error| wrong(&format!("no CALLRESULT ({error})")))?;
    if frame != 3 {
        return Err(wrong("frame type is not 3"));
    }
    if echoed != id {
        return Err(wrong(&format!("id is not {id}")));
    }
    // serde would also take an array for the payload; a frame whose payload is an object ends like this.
    if !text.trim_end().strip_suffix(']').is_some_and(|inner| inner.trim_end().ends_with('}')) {
        return Err(wrong("payload is no object"));
    }
    let accepted = |decision: &Option<Decision<'_>>| decision.as_ref().is_some_and(|decision| decision.status == "Accepted");
    let has_time = payload.current_time.as_ref().is_some_and(|time| time.len() >= 19 && time.as_bytes()[10] == b'T');
    match kind {
        Kind::Boot if !has_time => Err(wrong("no currentTime")),
        Kind::Boot if payload.interval.is_none_or(|interval| interval < 0) => Err(wrong("no interval")),
        Kind::Boot if payload.status.as_deref() != Some("Accepted") => Err(wrong("not Accepted")),
        Kind::Heartbeat if !has_time => Err(wrong("no currentTime")),
        Kind::Authorize16 | Kind::Start16 if !accepted(&payload.id_tag_info) => Err(wrong("idTagInfo not Accepted")),
        Kind::Authorize201 | Kind::Started201 if !accepted(&payload.id_token_info) => Err(wrong("idTokenInfo not Accepted")),
        // Optional in these, and Accepted when given.
        Kind::Stop16 if payload.id_tag_info.is_some() && !accepted(&payload.id_tag_info) => Err(wrong("idTagInfo not Accepted")),
        Kind::Updated201 | Kind::Ended201 if payload.id_token_info.is_some() && !accepted(&payload.id_token_info) => {
            Err(wrong("idTokenInfo not Accepted"))
        }
        Kind::Start16 => match payload.transaction_id {
            Some(number) if number > 0 => Ok(Some(number)),
            _ => Err(wrong("no positive transactionId")),
        },
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_answers_pass() {
        let boot = r#"[3,"a",{"status":"Accepted","currentTime":"2026-01-01T00:00:00.000Z","interval":300}]"#;
        assert_eq!(check(Kind::Boot, "a", boot), Ok(None));
        assert_eq!(check(Kind::Status, "a", r#"[3, "a", {} ]"#), Ok(None));
        let start = r#"[3,"a",{"transactionId":7,"idTagInfo":{"status":"Accepted","expiryDate":"x"}}]"#;
        assert_eq!(check(Kind::Start16, "a", start), Ok(Some(7)));
        assert_eq!(check(Kind::Ended201, "a", r#"[3,"a",{"totalCost":1.5}]"#), Ok(None));
    }

    #[test]
    fn wrong_answers_do_not() {
        for (kind, text) in [
            (Kind::Status, r#"[3,"b",{}]"#),
            (Kind::Status, r#"[2,"a",{}]"#),
            (Kind::Status, r#"[3,"a",[]]"#),
            (Kind::Status, r#"[3,"a",[{}]]"#),
            (Kind::Status, r#"[3,"a"]"#),
            (Kind::Status, r#"[4,"a","GenericError","",{}]"#),
            (Kind::Status, "nonsense"),
            (Kind::Boot, r#"[3,"a",{"status":"Pending","currentTime":"2026-01-01T00:00:00Z","interval":1}]"#),
            (Kind::Boot, r#"[3,"a",{"status":"Accepted","interval":1}]"#),
            (Kind::Heartbeat, r#"[3,"a",{}]"#),
            (Kind::Authorize16, r#"[3,"a",{"idTagInfo":{"status":"Invalid"}}]"#),
            (Kind::Authorize201, r#"[3,"a",{"idTagInfo":{"status":"Accepted"}}]"#),
            (Kind::Start16, r#"[3,"a",{"idTagInfo":{"status":"Accepted"},"transactionId":0}]"#),
            (Kind::Stop16, r#"[3,"a",{"idTagInfo":{"status":"Blocked"}}]"#),
        ] {
            assert!(check(kind, "a", text).is_err(), "{text} passed as {kind:?}");
        }
    }
}
