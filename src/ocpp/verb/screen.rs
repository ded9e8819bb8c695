//! What the station shows to drivers (2.x).

use serde_json::json;

use super::asked::Asked;
use super::table::{Kind, Make, Message, REQUEST, Verb, arg};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "message set",
        about: "Show a text (2.x)",
        args: &[
            arg(Kind::Needed, "text", "TEXT", "What is shown"),
            arg(Kind::Option, "id", "N", "Number of the message; one of the same number is replaced [default: of the time]"),
            arg(Kind::Option, "priority", "P", "normal-cycle, in-front or always-front [default: normal-cycle]"),
            arg(Kind::Option, "state", "STATE", "Only while charging, faulted, idle or unavailable"),
            arg(Kind::Option, "language", "CODE", "Such as en"),
            arg(Kind::Option, "from", "WHEN", "From then: 30m, 2h or RFC 3339"),
            arg(Kind::Option, "until", "WHEN", "Until then"),
            arg(Kind::Option, "transaction", "ID", "Only during this transaction"),
        ],
        make: Make::One(set),
        actions: [&[], &["SetDisplayMessage"]],
        shows: false,
    },
    Verb {
        name: "message get",
        about: "Have the station say its texts, in NotifyDisplayMessages messages that follow (2.x)",
        args: &[arg(Kind::Option, "state", "STATE", "Only for this state"), REQUEST],
        make: Make::One(|asked| {
            Ok(("GetDisplayMessages", json!({"requestId": asked.id("request")?, "state": asked.maybe("state")})))
        }),
        actions: [&[], &["GetDisplayMessages"]],
        shows: false,
    },
    Verb {
        name: "message clear",
        about: "Show a text no longer (2.x)",
        args: &[arg(Kind::Needed, "id", "N", "Number of the message")],
        make: Make::One(|asked| Ok(("ClearDisplayMessage", json!({"id": asked.needed_number("id")?})))),
        actions: [&[], &["ClearDisplayMessage"]],
        shows: false,
    },
    Verb {
        name: "cost",
        about: "Show what a transaction costs so far (2.x); bills do not follow it",
        args: &[
            arg(Kind::Session, "session", "SESSION", "Session id, transaction id or number of the EVSE"),
            arg(Kind::NeededOption, "total", "AMOUNT", "Including VAT, such as 4.20"),
        ],
        make: Make::One(|asked| {
            Ok(("CostUpdated", json!({"transactionId": asked.text("session")?, "totalCost": asked.decimal("total")?})))
        }),
        actions: [&[], &["CostUpdated"]],
        shows: false,
    },
];

fn set(asked: &Asked<'_>) -> Result<Message, String> {
    let text = asked.text("text")?;
    let content = json!({"format": "UTF8", "content": text, "language": asked.maybe("language")});
    let message = json!({"id": asked.id("id")?, "priority": asked.maybe("priority").unwrap_or("NormalCycle"), "state": asked.maybe("state"),
        "startDateTime": asked.time("from")?, "endDateTime": asked.time("until")?, "transactionId": asked.maybe("transaction"),
        "message": content});
    Ok(("SetDisplayMessage", json!({"message": message})))
}
