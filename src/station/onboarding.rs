//! What billing needs a station to send, and how it is brought to that: the settings are read after each accepted boot, and what
//! differs is changed. A station that refuses is a problem, because its sessions will be held.
//!
//! Names are those of OCPP: 1.6 §9 configuration keys, 2.0.1 Part 2 appendix 3.1 components and variables.
//! Limits: once in [`PAUSE`] per station that answers, however often it boots; [`MAX_VALUE`] characters of a value.

use chrono::TimeDelta;

use crate::fact::{Request, Setting, SettingName, SettingState};
use crate::units::{Finding, Version};

/// A station that has answered, and boots all the time, is not asked each time.
pub(super) const PAUSE: TimeDelta = TimeDelta::minutes(10);

/// 1.6 ChangeConfiguration (§6.9); 2.x stations take more.
const MAX_VALUE: usize = 500;

const REGISTER: &str = "Energy.Active.Import.Register";
const POWER: &str = "Power.Active.Import";
/// What happens to the sessions of a station that does not do it.
const HELD: &str = "its sessions will be held (register-missing)";
const COARSE: &str = "when energy flowed within a session is known coarsely";

enum Value {
    /// A list that names these, whatever else it names.
    Includes(&'static [&'static str]),
    /// The configured interval of samples, in seconds.
    Interval,
}

struct Wanted {
    name: SettingName,
    value: Value,
    consequence: &'static str,
}

const fn key(name: &'static str, value: Value, consequence: &'static str) -> Wanted {
    Wanted { name: SettingName::known("", name), value, consequence }
}

const fn sampled(name: &'static str, value: Value, consequence: &'static str) -> Wanted {
    Wanted { name: SettingName::known("SampledDataCtrlr", name), value, consequence }
}

/// 1.6 tells registers at start and stop by itself.
const WANTED_16: &[Wanted] = &[
    key("MeterValuesSampledData", Value::Includes(&[REGISTER, POWER]), COARSE),
    key("MeterValueSampleInterval", Value::Interval, COARSE),
];
const WANTED_2X: &[Wanted] = &[
    sampled("TxStartedMeasurands", Value::Includes(&[REGISTER]), HELD),
    sampled("TxEndedMeasurands", Value::Includes(&[REGISTER]), HELD),
    sampled("TxUpdatedMeasurands", Value::Includes(&[REGISTER, POWER]), COARSE),
    sampled("TxUpdatedInterval", Value::Interval, COARSE),
];

fn wanted(version: Version) -> &'static [Wanted] {
    match version {
        Version::V16 => WANTED_16,
        Version::V201 | Version::V21 => WANTED_2X,
    }
}

/// What to ask first.
pub(super) fn begin(version: Version) -> Request {
    Request::ReadSettings(wanted(version).iter().map(|wanted| wanted.name.clone()).collect())
}

/// What to change, given what the station says, and what it cannot do.
pub(super) fn compare(version: Version, interval_s: u32, states: &[SettingState]) -> (Option<Request>, Vec<Finding>) {
    let (mut changes, mut refused) = (Vec::new(), Vec::new());
    // Each setting once, however often the station names it.
    for wanted in wanted(version) {
        let Some(state) = states.iter().find(|state| wanted.name.is(&state.name)) else { continue };
        let actual = state.value.as_deref();
        let Some(value) = wanted.value.change(actual, interval_s) else { continue };
        if value.chars().count() > MAX_VALUE {
            refused.push(
                wanted.refused(&wanted.value.needed(interval_s), "with what it sends already the list is too long to be sent"),
            );
        } else if state.is_fixed {
            let actual = actual.unwrap_or("unknown to it");
            refused.push(wanted.refused(&value, &format!("it is {actual} and cannot be changed")));
        } else {
            changes.push(Setting { name: wanted.name.clone(), value });
        }
    }
    ((!changes.is_empty()).then_some(Request::ChangeSettings(changes)), refused)
}

/// The station did not say how it measures, or whether it will.
pub(super) fn unknown(version: Version, why: &str) -> Finding {
    let consequence = match version {
        Version::V16 => COARSE,
        Version::V201 | Version::V21 => HELD,
    };
    Finding {
        code: "how it measures".into(),
        detail: format!("not known, because {why}; unless it does by itself what is needed, {consequence}"),
    }
}

/// What the station answered to a change.
pub(super) fn refused(version: Version, setting: &Setting, status: &str) -> Option<Finding> {
    let wanted = wanted(version).iter().find(|wanted| wanted.name.is(&setting.name))?;
    Some(wanted.refused(&setting.value, &format!("the station answers {status}")))
}

impl Wanted {
    fn refused(&self, value: &str, why: &str) -> Finding {
        Finding { code: self.name.to_string().into(), detail: format!("should be {value}: {why}; {}", self.consequence) }
    }
}

impl Value {
    /// What it has to have, for a person.
    fn needed(&self, interval_s: u32) -> String {
        match self {
            Self::Interval => interval_s.to_string(),
            Self::Includes(names) => names.join(","),
        }
    }

    /// The value to set; `None`: the actual one does.
    fn change(&self, actual: Option<&str>, interval_s: u32) -> Option<String> {
        match self {
            Self::Interval => {
                let interval = self.needed(interval_s);
                (actual.map(str::trim) != Some(&interval)).then_some(interval)
            }
            Self::Includes(names) => {
                let mut items: Vec<&str> =
                    actual.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
                let is_there = |items: &[&str], name: &str| items.iter().any(|item| item.eq_ignore_ascii_case(name));
                let missing: Vec<&str> = names.iter().copied().filter(|name| !is_there(&items, name)).collect();
                items.extend(&missing);
                (!missing.is_empty()).then(|| items.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: SettingName, value: Option<&str>, is_fixed: bool) -> SettingState {
        SettingState { name, value: value.map(str::to_owned), is_fixed }
    }

    #[test]
    fn what_differs_is_changed_and_nothing_else() {
        let sampled = |name| SettingName::known("SampledDataCtrlr", name);
        let key = |name| SettingName::known("", name);
        for (version, states, changes, refused) in [
            (Version::V201, vec![state(sampled("TxStartedMeasurands"), Some(REGISTER), false)], vec![], 0),
            (
                Version::V201,
                vec![state(sampled("TxEndedMeasurands"), Some("Voltage, energy.active.import.register"), true)],
                vec![],
                0,
            ),
            (
                Version::V21,
                vec![
                    state(sampled("TxStartedMeasurands"), Some("Voltage"), false),
                    state(sampled("TxUpdatedInterval"), Some("900"), false),
                ],
                vec!["Voltage,Energy.Active.Import.Register", "60"],
                0,
            ),
            (Version::V201, vec![state(sampled("TxEndedMeasurands"), None, true)], vec![], 1),
            (Version::V16, vec![state(key("MeterValueSampleInterval"), Some("0"), false); 5_000], vec!["60"], 0),
            (Version::V16, vec![state(key("MeterValuesSampledData"), Some(&"Voltage,".repeat(62)), false)], vec![], 1),
            (
                Version::V16,
                vec![
                    state(key("MeterValuesSampledData"), Some(""), false),
                    state(key("MeterValueSampleInterval"), Some("60"), true),
                    state(key("HeartbeatInterval"), Some("5"), false),
                ],
                vec!["Energy.Active.Import.Register,Power.Active.Import"],
                0,
            ),
        ] {
            let (request, findings) = compare(version, 60, &states);
            let values = match &request {
                Some(Request::ChangeSettings(settings)) => settings.iter().map(|setting| setting.value.as_str()).collect(),
                _ => Vec::new(),
            };
            assert_eq!((values, findings.len()), (changes, refused), "{states:?}");
        }
    }
}
