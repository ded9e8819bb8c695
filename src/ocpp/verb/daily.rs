//! What is asked daily.

use serde_json::{Value, json};

use super::asked::Asked;
use super::spelled::meant;
use super::table::{CONNECTOR, EVSE, Kind, Make, Message, NEEDED_EVSE, Verb, arg};
use crate::units::Version;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "start",
        about: "Start charging for a token, as if it were held to the station; what the station reports under it is billed to it",
        args: &[
            arg(Kind::Token, "token", "TOKEN", "As stations send it; - reads it from standard input"),
            EVSE,
            arg(Kind::Option, "type", "TYPE", "OCPP token type (2.x) [default: Central]"),
            arg(Kind::Option, "group", "G", "Group of the token (2.x)"),
        ],
        make: Make::One(start),
        actions: [&["RemoteStartTransaction"], &["RequestStartTransaction"]],
        shows: false,
    },
    Verb {
        name: "stop",
        about: "Stop a session that runs",
        args: &[arg(
            Kind::Session,
            "session",
            "SESSION",
            "Session id, transaction id or number of the EVSE [default: the only one that runs]",
        )],
        make: Make::One(stop),
        actions: [&["RemoteStopTransaction"], &["RequestStopTransaction"]],
        shows: false,
    },
    Verb {
        name: "reset",
        about: "Restart the station: gently (1.6 Soft; 2.x OnIdle, which waits for running transactions), or at once",
        args: &[
            arg(Kind::Flag, "hard", "", "At once (1.6 Hard, 2.x Immediate); transactions are cut off"),
            arg(Kind::Option, "evse", "N", "Only this EVSE (2.x)"),
        ],
        make: Make::One(reset),
        actions: [&["Reset"], &["Reset"]],
        shows: false,
    },
    Verb {
        name: "unlock",
        about: "Release a plug that is stuck",
        args: &[NEEDED_EVSE, arg(Kind::Option, "connector", "N", "Number of the connector of that EVSE (2.x) [default: 1]")],
        make: Make::One(unlock),
        actions: [&["UnlockConnector"], &["UnlockConnector"]],
        shows: false,
    },
    Verb {
        name: "availability",
        about: "Put the station, or one EVSE, into or out of service",
        args: &[arg(Kind::Needed, "state", "operative|inoperative", "What it shall be"), EVSE, CONNECTOR],
        make: Make::One(availability),
        actions: [&["ChangeAvailability"], &["ChangeAvailability"]],
        shows: false,
    },
    Verb {
        name: "trigger",
        about: "Have a message sent now",
        args: &[
            arg(Kind::Needed, "message", "MESSAGE", "Such as BootNotification, StatusNotification, MeterValues"),
            EVSE,
            CONNECTOR,
        ],
        make: Make::One(trigger),
        actions: [&["TriggerMessage", "ExtendedTriggerMessage"], &["TriggerMessage"]],
        shows: false,
    },
    Verb {
        name: "clear-cache",
        about: "Have the station forget the tokens that it remembers",
        args: &[],
        make: Make::One(|_| Ok(("ClearCache", json!({})))),
        actions: [&["ClearCache"], &["ClearCache"]],
        shows: false,
    },
    Verb {
        name: "data-transfer",
        about: "Send a message of a vendor",
        args: &[
            arg(Kind::Needed, "vendor", "VENDOR", "Such as org.example"),
            arg(Kind::Optional, "message", "MESSAGE", "Its name for the message"),
            arg(Kind::Option, "data", "TEXT", "What it carries; in 2.x JSON, where it is any"),
        ],
        make: Make::One(data_transfer),
        actions: [&["DataTransfer"], &["DataTransfer"]],
        shows: true,
    },
];

fn start(asked: &Asked<'_>) -> Result<Message, String> {
    if asked.is_16() {
        let payload = json!({"idTag": asked.text("token")?, "connectorId": asked.number("evse")?});
        return Ok(("RemoteStartTransaction", payload));
    }
    let payload = json!({"remoteStartId": asked.id("request")?, "idToken": asked.token()?, "evseId": asked.number("evse")?,
        "groupIdToken": asked.group()});
    Ok(("RequestStartTransaction", payload))
}

fn stop(asked: &Asked<'_>) -> Result<Message, String> {
    if asked.is_16() {
        return Ok(("RemoteStopTransaction", json!({"transactionId": asked.needed_number("session")?})));
    }
    Ok(("RequestStopTransaction", json!({"transactionId": asked.text("session")?})))
}

fn reset(asked: &Asked<'_>) -> Result<Message, String> {
    let kind = match (asked.is_16(), asked.flag("hard")) {
        (true, true) => "Hard",
        (true, false) => "Soft",
        (false, true) => "Immediate",
        (false, false) => "OnIdle",
    };
    match asked.number("evse")? {
        Some(_) if asked.is_16() => Err("OCPP 1.6 can only reset a whole station, without --evse".to_owned()),
        evse => Ok(("Reset", json!({"type": kind, "evseId": evse}))),
    }
}

fn unlock(asked: &Asked<'_>) -> Result<Message, String> {
    let evse = asked.needed_number("evse")?;
    if asked.is_16() {
        return Ok(("UnlockConnector", json!({"connectorId": evse})));
    }
    Ok(("UnlockConnector", json!({"evseId": evse, "connectorId": asked.number("connector")?.unwrap_or(1)})))
}

fn availability(asked: &Asked<'_>) -> Result<Message, String> {
    let state = asked.text("state")?;
    if asked.is_16() {
        return Ok(("ChangeAvailability", json!({"connectorId": asked.connector()?.unwrap_or(0), "type": state})));
    }
    Ok(("ChangeAvailability", json!({"operationalStatus": state, "evse": asked.evse()?})))
}

fn trigger(asked: &Asked<'_>) -> Result<Message, String> {
    let message = asked.text("message")?;
    if !asked.is_16() {
        return Ok(("TriggerMessage", json!({"requestedMessage": message, "evse": asked.evse()?})));
    }
    let knows = |action: &str| meant(Version::V16, action, "requestedMessage", message).is_some();
    let is_new = knows("ExtendedTriggerMessage") && !knows("TriggerMessage");
    let action = if is_new { "ExtendedTriggerMessage" } else { "TriggerMessage" };
    Ok((action, json!({"requestedMessage": message, "connectorId": asked.connector()?})))
}

fn data_transfer(asked: &Asked<'_>) -> Result<Message, String> {
    let data = match asked.maybe("data") {
        Some(text) if !asked.is_16() => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        data => json!(data),
    };
    Ok(("DataTransfer", json!({"vendorId": asked.text("vendor")?, "messageId": asked.maybe("message"), "data": data})))
}
