//! Who may charge while the station is offline, and for whom an EVSE is kept free.

use serde_json::json;

use super::asked::Asked;
use super::table::{EVSE, Kind, Make, Message, Verb, arg};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "local-list send",
        about: "Give the station the list of tokens for when it is offline: those of our list that may charge there, under the next version",
        args: &[arg(Kind::Option, "chunk", "N", "Tokens in one message [default: what the station says it takes, else 50]")],
        make: Make::LocalList,
        actions: [&["GetLocalListVersion", "SendLocalList"], &["GetLocalListVersion", "SendLocalList"]],
        shows: false,
    },
    Verb {
        name: "local-list version",
        about: "Which list of tokens the station has; 0: none, -1: it keeps none (1.6)",
        args: &[],
        make: Make::One(|_| Ok(("GetLocalListVersion", json!({})))),
        actions: [&["GetLocalListVersion"], &["GetLocalListVersion"]],
        shows: true,
    },
    Verb {
        name: "reserve",
        about: "Keep an EVSE, or any, free for a token",
        args: &[
            arg(Kind::Token, "token", "TOKEN", "As stations send it; - reads it from standard input"),
            arg(Kind::NeededOption, "until", "WHEN", "30m, 2h, or RFC 3339"),
            EVSE,
            arg(Kind::Option, "id", "N", "Number of the reservation [default: of the time]"),
            arg(Kind::Option, "type", "TYPE", "OCPP token type (2.x) [default: Central]"),
            arg(Kind::Option, "group", "G", "Group of the token"),
        ],
        make: Make::One(reserve),
        actions: [&["ReserveNow"], &["ReserveNow"]],
        shows: false,
    },
    Verb {
        name: "cancel-reservation",
        about: "Keep it free no longer",
        args: &[arg(Kind::Needed, "id", "N", "Number of the reservation")],
        make: Make::One(|asked| Ok(("CancelReservation", json!({"reservationId": asked.needed_number("id")?})))),
        actions: [&["CancelReservation"], &["CancelReservation"]],
        shows: false,
    },
];

fn reserve(asked: &Asked<'_>) -> Result<Message, String> {
    let (id, until, evse) = (asked.id("id")?, asked.time("until")?, asked.number("evse")?);
    if asked.is_16() {
        let payload = json!({"reservationId": id, "connectorId": evse.unwrap_or(0), "expiryDate": until, "idTag": asked.text("token")?,
            "parentIdTag": asked.maybe("group")});
        return Ok(("ReserveNow", payload));
    }
    let payload =
        json!({"id": id, "expiryDateTime": until, "evseId": evse, "idToken": asked.token()?, "groupIdToken": asked.group()});
    Ok(("ReserveNow", payload))
}
