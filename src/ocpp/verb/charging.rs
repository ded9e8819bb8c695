//! Limits of charging: profiles.

use serde_json::{Value, json};

use super::asked::{Asked, decimal};
use super::table::{EVSE, Kind, Make, Message, REQUEST, Verb, arg};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "profile set",
        about: "Limit how fast is charged; setting the same purpose, EVSE and level again replaces it",
        args: &[
            arg(Kind::NeededOption, "limit", "LIMIT", "16A, 11000W or 11kW, for the EVSE or the whole station"),
            arg(Kind::Option, "purpose", "PURPOSE", "default, tx (with --transaction) or station-max [default: default]"),
            EVSE,
            arg(Kind::Option, "phases", "N", "Number of phases"),
            arg(Kind::Option, "level", "N", "Stack level; the higher one counts [default: 0]"),
            arg(Kind::Option, "id", "N", "Number of the profile [default: of purpose, EVSE and level]"),
            arg(Kind::Option, "transaction", "ID", "Transaction that it is for"),
            arg(Kind::Option, "from", "WHEN", "Valid from: 30m, 2h, 7d or RFC 3339"),
            arg(Kind::Option, "until", "WHEN", "Valid until"),
            arg(Kind::Option, "duration", "S", "Seconds that it lasts"),
        ],
        make: Make::One(set),
        actions: [&["SetChargingProfile"], &["SetChargingProfile"]],
        shows: false,
    },
    Verb {
        name: "profile get",
        about: "Have the station say its profiles, in ReportChargingProfiles messages that follow (2.x; in 1.6 see profile composite)",
        args: &[
            EVSE,
            arg(Kind::Option, "id", "N", "Only this one"),
            arg(Kind::Option, "purpose", "PURPOSE", "Only these: default, tx, station-max"),
            arg(Kind::Option, "level", "N", "Only of this stack level"),
            REQUEST,
        ],
        make: Make::One(get),
        actions: [&[], &["GetChargingProfiles"]],
        shows: false,
    },
    Verb {
        name: "profile clear",
        about: "Delete profiles: one, or all that fit",
        args: &[
            EVSE,
            arg(Kind::Option, "id", "N", "Only this one"),
            arg(Kind::Option, "purpose", "PURPOSE", "Only these: default, tx, station-max"),
            arg(Kind::Option, "level", "N", "Only of this stack level"),
        ],
        make: Make::One(clear),
        actions: [&["ClearChargingProfile"], &["ClearChargingProfile"]],
        shows: false,
    },
    Verb {
        name: "profile composite",
        about: "What the station will allow, all profiles taken together",
        args: &[
            arg(
                Kind::Option,
                "evse",
                "N",
                "Number of the EVSE; in 1.6 that of the connector; 0: the grid connection [default: 0]",
            ),
            arg(Kind::Option, "duration", "S", "For so many seconds from now [default: 3600]"),
            arg(Kind::Option, "unit", "A|W", "In which unit"),
        ],
        make: Make::One(composite),
        actions: [&["GetCompositeSchedule"], &["GetCompositeSchedule"]],
        shows: true,
    },
];

/// The purpose as the version calls it, and its number in ids of ours.
fn purpose(asked: &Asked<'_>, default: Option<&str>) -> Result<Option<(&'static str, i64)>, String> {
    let Some(word) = asked.maybe("purpose").or(default) else { return Ok(None) };
    Ok(Some(match word.to_ascii_lowercase().as_str() {
        "default" | "tx-default" => ("TxDefaultProfile", 1),
        "tx" => ("TxProfile", 2),
        "station-max" | "max" if asked.is_16() => ("ChargePointMaxProfile", 3),
        "station-max" | "max" => ("ChargingStationMaxProfile", 3),
        _ => return Err(format!("purpose {word:?} is none of default, tx, station-max")),
    }))
}

/// `16A`, `11000W`, `11kW`: the number and the unit of OCPP.
fn limit(text: &str) -> Result<(Value, &'static str), String> {
    let wrong = || format!("limit {text:?} is no limit such as 16A, 11000W or 11kW");
    let lower = text.to_ascii_lowercase();
    let (number, unit, kilo) = match lower.trim_end_matches(['a', 'w', 'k']) {
        number if lower.ends_with("kw") => (number, "W", true),
        number if lower.ends_with('w') => (number, "W", false),
        number if lower.ends_with('a') => (number, "A", false),
        _ => return Err(wrong()),
    };
    let exact: crate::units::Decimal = number.trim().parse().map_err(|_| wrong())?;
    let exact = if kilo { exact.checked_mul(1000.into()).ok_or_else(wrong)? } else { exact };
    Ok((decimal(&exact.to_string()).ok_or_else(wrong)?, unit))
}

fn set(asked: &Asked<'_>) -> Result<Message, String> {
    let (limit, unit) = limit(asked.text("limit")?)?;
    let default = if asked.maybe("transaction").is_some() { "tx" } else { "default" };
    let (purpose, kind) = purpose(asked, Some(default))?.ok_or("a purpose is missing")?;
    let evse = asked.number("evse")?.unwrap_or(0);
    let level = asked.number("level")?.unwrap_or(0);
    let id = asked
        .number("id")?
        .unwrap_or_else(|| evse.saturating_mul(100).saturating_add(level.saturating_mul(10)).saturating_add(kind));
    let is_max = purpose.ends_with("MaxProfile");
    let period = json!({"startPeriod": 0, "limit": limit, "numberPhases": asked.number("phases")?});
    let schedule = json!({"chargingRateUnit": unit, "chargingSchedulePeriod": [period], "duration": asked.number("duration")?,
        "startSchedule": is_max.then(|| asked.now())});
    let (valid_from, valid_to) = (asked.time("from")?, asked.time("until")?);
    let kind = if is_max { "Absolute" } else { "Relative" };
    if asked.is_16() {
        let profile = json!({"chargingProfileId": id, "transactionId": asked.number("transaction")?, "stackLevel": level,
            "chargingProfilePurpose": purpose, "chargingProfileKind": kind, "validFrom": valid_from, "validTo": valid_to,
            "chargingSchedule": schedule});
        return Ok(("SetChargingProfile", json!({"connectorId": evse, "csChargingProfiles": profile})));
    }
    let mut schedule = schedule;
    schedule["id"] = id.into();
    let profile = json!({"id": id, "transactionId": asked.maybe("transaction"), "stackLevel": level, "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind, "validFrom": valid_from, "validTo": valid_to, "chargingSchedule": [schedule]});
    Ok(("SetChargingProfile", json!({"evseId": evse, "chargingProfile": profile})))
}

fn get(asked: &Asked<'_>) -> Result<Message, String> {
    let purpose = purpose(asked, None)?.map(|(purpose, _)| purpose);
    let ids = asked.number("id")?.map(|id| vec![id]);
    let profile = json!({"chargingProfileId": ids, "chargingProfilePurpose": purpose, "stackLevel": asked.number("level")?});
    let payload = json!({"requestId": asked.id("request")?, "evseId": asked.number("evse")?, "chargingProfile": profile});
    Ok(("GetChargingProfiles", payload))
}

fn clear(asked: &Asked<'_>) -> Result<Message, String> {
    let purpose = purpose(asked, None)?.map(|(purpose, _)| purpose);
    let (id, evse, level) = (asked.number("id")?, asked.number("evse")?, asked.number("level")?);
    if asked.is_16() {
        let payload = json!({"id": id, "connectorId": evse, "chargingProfilePurpose": purpose, "stackLevel": level});
        return Ok(("ClearChargingProfile", payload));
    }
    let fits = json!({"evseId": evse, "chargingProfilePurpose": purpose, "stackLevel": level});
    // Either one by its number, or all that fit (K10.FR.02).
    let fits = if id.is_some() || (purpose.is_none() && evse.is_none() && level.is_none()) { Value::Null } else { fits };
    Ok(("ClearChargingProfile", json!({"chargingProfileId": id, "chargingProfileCriteria": fits})))
}

fn composite(asked: &Asked<'_>) -> Result<Message, String> {
    let evse = asked.number("evse")?.unwrap_or(0);
    let member = if asked.is_16() { "connectorId" } else { "evseId" };
    let mut payload = json!({"duration": asked.number("duration")?.unwrap_or(3_600), "chargingRateUnit": asked.maybe("unit")});
    payload[member] = evse.into();
    Ok(("GetCompositeSchedule", payload))
}
