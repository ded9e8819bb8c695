//! Frames as stations send them, whole and broken: what is read, what is repaired, what is answered.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use Version::{V16, V21, V201};

/// A frame as a line: kind, id, words, payload; then the finding codes.
fn line(text: &str) -> String {
    let (mut line, findings) = match read(text) {
        Ok(Frame::Call { id, action, payload, findings }) => {
            (format!("call {} {action} {}", id.as_json(), payload.get()), findings)
        }
        Ok(Frame::Send { id, action, payload, findings }) => {
            (format!("send {} {action} {}", id.as_json(), payload.get()), findings)
        }
        Ok(Frame::CallResult { id, payload, findings }) => (format!("result {} {}", id.as_json(), payload.get()), findings),
        Ok(Frame::CallError { id, code, description, details, findings }) => {
            (format!("error {} {code} ({description}) {}", id.as_json(), details.get()), findings)
        }
        Ok(Frame::CallResultError { id, code, .. }) => (format!("result-error {} {code}", id.as_json()), Vec::new()),
        Err(broken) => (format!("{:?}: {broken}", broken.flaw), Vec::new()),
    };
    for finding in findings {
        line.push_str(&format!(" !{}", finding.detail));
    }
    line
}

#[test]
fn frames_in_every_shape() {
    for (text, expected) in [
        (r#"[2,"a","Heartbeat",{}]"#, r#"call "a" Heartbeat {}"#),
        ("\u{feff} [ 2 ,\t\"a\" , \"Heartbeat\" ,\n{ }\n]\r\n\0", r#"call "a" Heartbeat { }"#),
        (r#"[2,"a","Heartbeat",null]"#, r#"call "a" Heartbeat null"#),
        (r#"[2,"a","Heartbeat"]"#, r#"call "a" Heartbeat null !3 elements instead of 4"#),
        (r#"[2,"a","Heartbeat",{},"signature"]"#, r#"call "a" Heartbeat {} !5 elements instead of 4"#),
        (r#"[2,0042,"Heartbeat",{}]"#, "NotJson: not JSON: invalid number at line 1 column 5 (byte 4)"),
        (r#"[2,42,"Heartbeat",{}]"#, "call 42 Heartbeat {}"),
        (r#"["2","a","Heart\u0062eat",{}]"#, r#"call "a" Heartbeat {}"#),
        (r#"[3,"a",{"status":"Accepted"}]"#, r#"result "a" {"status":"Accepted"}"#),
        (r#"[3,"a"]"#, r#"result "a" null !2 elements instead of 3"#),
        (r#"[4,"a","NotSupported","no",{}]"#, r#"error "a" NotSupported (no) {}"#),
        (r#"[4,"a","NotSupported",""]"#, r#"error "a" NotSupported () null"#),
        (r#"[4,"a","NotSupported"]"#, r#"error "a" NotSupported () null"#),
        (r#"[4,"a",17,null,"text"]"#, r#"error "a" 17 () "text""#),
        (r#"[5,"a","FormatViolation","",{}]"#, r#"result-error "a" FormatViolation"#),
        (r#"[6,"a","NotifyPeriodicEventStream",{}]"#, r#"send "a" NotifyPeriodicEventStream {}"#),
        // Repairs.
        (
            r#"[2,"a","MeterValues",{"meterValue":[ , {"sampledValue":[,{"value":"[,"}]}]}]"#,
            r#"call "a" MeterValues {"meterValue":[  {"sampledValue":[{"value":"[,"}]}]} !2 × comma before the first element"#,
        ),
        (
            r#"[2,"a","StopTransaction",{"transactionId":,"reason":"\\\":,","meterStop": }]"#,
            r#"call "a" StopTransaction {"transactionId":null,"reason":"\\\":,","meterStop": null} !2 × name without a value"#,
        ),
        // Beyond repair.
        ("", "Empty: empty frame (byte 0)"),
        (" \n\0", "Empty: empty frame (byte 0)"),
        ("hello", "NotJson: not JSON: expected value at line 1 column 1 (byte 0)"),
        (r#"[3,"a",{"x":[]"#, "NotJson: not JSON: EOF while parsing an object at line 1 column 14 (byte 13)"),
        (r#"[2,"a","Heartbeat",{}] []"#, "NotJson: not JSON: trailing characters at line 1 column 24 (byte 23)"),
        ("[2,\"a\",\n\"Authorize\",{\"a\":1 \"b\":2}]", "NotJson: not JSON: expected `,` or `}` at line 2 column 20 (byte 27)"),
        (r#"{"a":1}"#, "NotAFrame: not a JSON array (byte 0)"),
        ("17", "NotAFrame: not a JSON array (byte 0)"),
        ("[]", "NotAFrame: no message type (byte 0)"),
        (r#"[{},"a"]"#, "NotAFrame: no message type (byte 0)"),
        ("[2]", "NotAFrame: no message id (byte 0)"),
        (r#"[2,null,"Heartbeat",{}]"#, "NotAFrame: no message id (byte 0)"),
        (r#"[2,"a"]"#, "NotAFrame: too few elements (byte 0)"),
        (r#"[2,"a",7,{}]"#, "NotAFrame: no action (byte 0)"),
        (r#"[1,"a","Heartbeat",{}]"#, "MessageType: unknown message type 1 (byte 0)"),
    ] {
        assert_eq!(line(text), expected, "{text}");
    }
}

#[test]
fn broken_frames_are_answered_by_the_book() {
    let framing = |id: &str, what: &str| Some(format!(r#"[4,"{id}","RpcFrameworkError","{what}",{{}}]"#));
    let formation = |id: &str, what: &str| Some(format!(r#"[4,"{id}","FormationViolation","{what}",{{}}]"#));
    let no_value = "not JSON: expected value at line 1 column 1";
    let cut = "not JSON: EOF while parsing a value at line 1 column 19";
    for (text, v16, v201, v21) in [
        ("?", None, framing("-1", no_value), framing("-1", no_value)),
        (r#"[2,"a","Heartbeat","#, formation("a", cut), framing("a", cut), framing("a", cut)),
        (r#"{"a":1}"#, None, framing("-1", "not a JSON array"), framing("-1", "not a JSON array")),
        (r#"[2,"a"]"#, formation("a", "too few elements"), framing("a", "too few elements"), framing("a", "too few elements")),
        (r#"[3,"a",{"#, None, None, None),
        (r#"[6,"a","X",{"#, None, None, None),
        ("", None, None, None),
        (r#"[9,"a","X",{}]"#, None, Some(r#"[4,"a","MessageTypeNotSupported","unknown message type 9",{}]"#.to_owned()), None),
    ] {
        let broken = read(text).unwrap_err();
        assert_eq!([V16, V201, V21].map(|version| broken.answer(version)), [v16, v201, v21], "{text}");
    }
}

#[test]
fn the_head_of_a_broken_frame_is_salvaged() {
    let broken = read(r#"[2,"17","StopTransaction",{"transactionId":1 "x":2}]"#).unwrap_err();
    assert_eq!(broken.message_type, Some(2));
    assert_eq!(broken.id.as_ref().map(|id| id.text().into_owned()).as_deref(), Some("17"));
    assert_eq!(broken.action.as_deref(), Some("StopTransaction"));
    // An id cut in the middle is no id.
    assert_eq!(read(r#"[2,"17"#).unwrap_err().id, None);
    assert_eq!(read(r#"[2,"17\""#).unwrap_err().id, None);
}

#[test]
fn too_much_damage_is_not_repaired() {
    let text = format!(r#"[2,"a","X",{{"a":[{}]}}]"#, "[,1],".repeat(17) + "1");
    assert_eq!(read(&text).unwrap_err().flaw, Flaw::NotJson);
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!(r#"[2,"a","MeterValues",{{"x":{}1{}}}]"#, "[".repeat(400_000), "]".repeat(400_000));
    let Ok(Frame::Call { action, payload, .. }) = read(&deep) else { panic!("a frame") };
    assert!(crate::ocpp::to_fact(V16, &action, &payload, crate::units::time::from_millis(0)).is_ok());
    assert_eq!(read(&"[".repeat(1_000_000)).unwrap_err().flaw, Flaw::NotJson);
}

#[test]
fn ids_are_echoed_as_they_came() {
    for (token, text) in [(r#""a\u0062""#, "ab"), ("1e5", "1e5"), (r#""""#, ""), ("85785142359137614861", "85785142359137614861")]
    {
        let frame = format!(r#"[2,{token},"Heartbeat",{{}}]"#);
        let Ok(Frame::Call { id, .. }) = read(&frame) else { panic!("a frame") };
        assert_eq!((id.as_json(), id.text().as_ref()), (token, text));
        assert_eq!(id.clone().into_owned(), id);
    }
    assert_eq!(MessageId::from_text("a\"b").as_json(), r#""a\"b""#);
    assert_eq!(MessageId::from_text("a\"b").text(), "a\"b");
}

proptest! {
    #[test]
    fn any_text_is_a_frame_or_broken(text in ".*") {
        let _ = read(&text).map_err(|broken| broken.answer(V201));
    }

    #[test]
    fn text_of_json_pieces_is_a_frame_or_broken(pieces in proptest::collection::vec(
        prop::sample::select(vec!["[", "]", "{", "}", ",", ":", "2", "3", "\"a\"", "\"", "\\", "null", "-1.5e", " ", "\u{feff}", "ü"]), 0..40,
    )) {
        let text = pieces.concat();
        for version in [V16, V201, V21] {
            if let Err(broken) = read(&text) && let Some(answer) = broken.answer(version) {
                prop_assert!(is_json(&answer), "{}", answer);
            }
        }
    }
}
