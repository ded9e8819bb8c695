//! What a station is set to, and what it says of itself.

use serde_json::{Value, json};

use super::asked::Asked;
use super::table::{Kind, Make, Message, REQUEST, Verb, arg};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "configure",
        about: "Read settings and change those that differ: 1.6 keys, 2.x variables; they are read back",
        args: &[arg(
            Kind::Many,
            "setting",
            "KEY[=VALUE]",
            "1.6 HeartbeatInterval=300; 2.x OCPPCommCtrlr.HeartbeatInterval=300; without a value it is only read",
        )],
        make: Make::Settings,
        actions: [&["GetConfiguration", "ChangeConfiguration"], &["GetVariables", "SetVariables"]],
        shows: true,
    },
    Verb {
        name: "report",
        about: "Have the station say all it is set to: in 1.6 in its answer, in 2.x in NotifyReport messages that follow",
        args: &[arg(Kind::Option, "base", "WHAT", "2.x: configuration, full or summary [default: full]"), REQUEST],
        make: Make::One(report),
        actions: [&["GetConfiguration"], &["GetBaseReport"]],
        shows: true,
    },
    Verb {
        name: "monitor set",
        about: "Have the station watch a variable (2.x)",
        args: &[
            arg(Kind::Needed, "variable", "COMPONENT.VARIABLE", "Which"),
            arg(Kind::Needed, "kind", "KIND", "upper, lower, delta, periodic or periodic-clock-aligned"),
            arg(Kind::Needed, "value", "VALUE", "Threshold, difference or seconds"),
            arg(Kind::Option, "severity", "N", "0 danger to 9 debug [default: 5]"),
            arg(Kind::Option, "id", "N", "Number of a monitor to replace"),
            arg(Kind::Flag, "transaction", "", "Only while a transaction runs"),
        ],
        make: Make::One(monitor_set),
        actions: [&[], &["SetVariableMonitoring"]],
        shows: true,
    },
    Verb {
        name: "monitor clear",
        about: "Have the station no longer watch (2.x)",
        args: &[arg(Kind::Many, "id", "N", "Numbers of monitors")],
        make: Make::One(|asked| {
            let ids: Result<Vec<i64>, String> =
                asked.all("id").iter().map(|id| id.parse().map_err(|_| format!("{id:?} is no number"))).collect();
            Ok(("ClearVariableMonitoring", json!({"id": ids?})))
        }),
        actions: [&[], &["ClearVariableMonitoring"]],
        shows: true,
    },
    Verb {
        name: "monitor report",
        about: "Have the station say what it watches, in NotifyMonitoringReport messages that follow (2.x)",
        args: &[REQUEST],
        make: Make::One(|asked| Ok(("GetMonitoringReport", json!({"requestId": asked.id("request")?})))),
        actions: [&[], &["GetMonitoringReport"]],
        shows: false,
    },
    Verb {
        name: "monitor base",
        about: "Choose a set of monitors (2.x)",
        args: &[arg(Kind::Needed, "base", "BASE", "all, factory-default or hard-wired-only")],
        make: Make::One(|asked| Ok(("SetMonitoringBase", json!({"monitoringBase": asked.text("base")?})))),
        actions: [&[], &["SetMonitoringBase"]],
        shows: false,
    },
    Verb {
        name: "monitor level",
        about: "Choose how severe an event must be to be reported (2.x)",
        args: &[arg(Kind::Needed, "severity", "N", "0 danger to 9 debug")],
        make: Make::One(|asked| Ok(("SetMonitoringLevel", json!({"severity": asked.needed_number("severity")?})))),
        actions: [&[], &["SetMonitoringLevel"]],
        shows: false,
    },
    Verb {
        name: "customer-information",
        about: "Have the station report or delete what it keeps about a customer (2.x)",
        args: &[
            arg(Kind::Option, "token", "TOKEN", "Whose"),
            arg(Kind::Option, "type", "TYPE", "OCPP token type [default: Central]"),
            arg(Kind::Option, "customer", "TEXT", "Whose, by the vendor's identifier"),
            arg(Kind::Flag, "clear", "", "Delete it"),
            REQUEST,
        ],
        make: Make::One(customer_information),
        actions: [&[], &["CustomerInformation"]],
        shows: false,
    },
];

fn report(asked: &Asked<'_>) -> Result<Message, String> {
    if asked.is_16() {
        return Ok(("GetConfiguration", json!({})));
    }
    let base = asked.maybe("base").unwrap_or("full");
    Ok(("GetBaseReport", json!({"requestId": asked.id("request")?, "reportBase": base})))
}

fn monitor_set(asked: &Asked<'_>) -> Result<Message, String> {
    let (component, variable) =
        asked.text("variable")?.split_once('.').ok_or("a variable is named COMPONENT.VARIABLE".to_owned())?;
    let monitor = json!({"component": {"name": component}, "variable": {"name": variable}, "type": asked.text("kind")?,
        "value": asked.decimal("value")?, "severity": asked.number("severity")?.unwrap_or(5), "id": asked.number("id")?,
        "transaction": asked.flag("transaction").then_some(true)});
    Ok(("SetVariableMonitoring", json!({"setMonitoringData": [monitor]})))
}

fn customer_information(asked: &Asked<'_>) -> Result<Message, String> {
    let token = if asked.maybe("token").is_some() { asked.token()? } else { Value::Null };
    let clear = asked.flag("clear");
    let payload = json!({"requestId": asked.id("request")?, "report": true, "clear": clear, "idToken": token,
        "customerIdentifier": asked.maybe("customer")});
    Ok(("CustomerInformation", payload))
}
