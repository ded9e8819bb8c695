//! Settings of a station: how they are read and changed (1.6 GetConfiguration, ChangeConfiguration; 2.x GetVariables,
//! SetVariables), and what the answers say.
//!
//! Limit: `MAX_ITEMS` (4) variables in a call. How many a station takes is a variable itself (2.0.1 B05, B06,
//! ItemsPerMessage); any station takes so few.

use serde::{Deserialize, Serialize};

use super::call;
use super::facts::Outgoing;
use crate::fact::{Fact, Request, Setting, SettingName, SettingState};
use crate::units::Version;

const MAX_ITEMS: usize = 4;

/// The calls that a request takes, each with its payload as JSON text.
pub fn calls(version: Version, request: &Request) -> Vec<(&'static Outgoing, String)> {
    match (version, request) {
        (Version::V16, Request::ReadSettings(names)) => {
            let key = names.iter().map(|name| name.name.to_string()).collect();
            one(version, "GetConfiguration", &Keys { key }).into_iter().collect()
        }
        (Version::V16, Request::ChangeSettings(settings)) => {
            let change = |setting: &Setting| {
                let key = Key { key: setting.name.name.to_string(), value: Some(setting.value.clone()), readonly: None };
                one(version, "ChangeConfiguration", &key)
            };
            settings.iter().filter_map(change).collect()
        }
        (_, Request::ReadSettings(names)) => {
            let read = |names: &[SettingName]| {
                let get_variable_data = names.iter().map(|name| Item::of(name, None)).collect();
                one(version, "GetVariables", &GetVariables { get_variable_data })
            };
            names.chunks(MAX_ITEMS).filter_map(read).collect()
        }
        (_, Request::ChangeSettings(settings)) => {
            let change = |settings: &[Setting]| {
                let set_variable_data =
                    settings.iter().map(|setting| Item::of(&setting.name, Some(setting.value.clone()))).collect();
                one(version, "SetVariables", &SetVariables { set_variable_data })
            };
            settings.chunks(MAX_ITEMS).filter_map(change).collect()
        }
    }
}

/// `None`, if it does not fit the schema: that is our mistake, and a test of all settings would show it.
fn one(version: Version, action: &str, payload: &impl Serialize) -> Option<(&'static Outgoing, String)> {
    let payload = serde_json::to_string(payload).ok()?;
    let outgoing = call::check(version, action, &payload).ok()?;
    Some((outgoing, payload))
}

/// What the answer to a call of [`calls`] says. `sent`: its payload. A setting that was asked for and is not in the answer is one that the
/// station does not know. `None`: the answer cannot be read.
pub fn answer(version: Version, action: &str, sent: &str, answer: &str) -> Option<Fact> {
    // A list would be read as the members of an object in their order.
    if !answer.trim_start().starts_with('{') {
        return None;
    }
    match (version, action) {
        (Version::V16, "GetConfiguration") => {
            let Configuration { configuration_key } = serde_json::from_str(answer).ok()?;
            let known = configuration_key.into_iter().map(|key| SettingState {
                name: key_name(key.key),
                value: key.value,
                is_fixed: key.readonly.unwrap_or_default(),
            });
            let Keys { key } = serde_json::from_str(sent).ok()?;
            Some(states(known.collect(), key.into_iter().map(key_name)))
        }
        (Version::V16, "ChangeConfiguration") => {
            let key: Key = serde_json::from_str(sent).ok()?;
            let Status { status } = serde_json::from_str(answer).ok()?;
            Some(Fact::SettingsChanged(vec![(Setting { name: key_name(key.key), value: key.value? }, status)]))
        }
        (Version::V201 | Version::V21, "GetVariables") => {
            let GetVariablesAnswer { get_variable_result } = serde_json::from_str(answer).ok()?;
            let state = |item: Item| SettingState {
                is_fixed: item.attribute_status.as_deref() != Some("Accepted"),
                name: item.name(),
                value: item.attribute_value,
            };
            let GetVariables { get_variable_data } = serde_json::from_str(sent).ok()?;
            Some(states(get_variable_result.into_iter().map(state).collect(), get_variable_data.iter().map(Item::name)))
        }
        (Version::V201 | Version::V21, "SetVariables") => {
            let SetVariables { set_variable_data } = serde_json::from_str(sent).ok()?;
            let SetVariablesAnswer { set_variable_result } = serde_json::from_str(answer).ok()?;
            let changed = |result: Item| {
                let (name, status) = (result.name(), result.attribute_status?);
                let sent = set_variable_data.iter().find(|item| item.name().is(&name))?;
                Some((Setting { name, value: sent.attribute_value.clone()? }, status))
            };
            Some(Fact::SettingsChanged(set_variable_result.into_iter().filter_map(changed).collect()))
        }
        _ => None,
    }
}

/// What the station said, and what it was asked for and left out.
fn states(mut said: Vec<SettingState>, asked: impl Iterator<Item = SettingName>) -> Fact {
    let missing: Vec<SettingName> = asked.filter(|name| !said.iter().any(|state| state.name.is(name))).collect();
    said.extend(missing.into_iter().map(|name| SettingState { name, value: None, is_fixed: true }));
    Fact::Settings(said)
}

fn key_name(key: String) -> SettingName {
    SettingName { component: "".into(), name: key.into() }
}

#[derive(Serialize, Deserialize)]
struct Keys {
    key: Vec<String>,
}

/// KeyValue of 1.6, and the payload of ChangeConfiguration.
#[derive(Serialize, Deserialize)]
struct Key {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readonly: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(default)]
    configuration_key: Vec<Key>,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetVariables {
    get_variable_data: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetVariables {
    set_variable_data: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetVariablesAnswer {
    get_variable_result: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetVariablesAnswer {
    set_variable_result: Vec<Item>,
}

/// A component's variable, as asked for, set, or answered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attribute_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attribute_status: Option<String>,
    component: Named,
    variable: Named,
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
}

impl Item {
    fn of(name: &SettingName, value: Option<String>) -> Self {
        let named = |name: &str| Named { name: name.to_owned() };
        Self { attribute_value: value, attribute_status: None, component: named(&name.component), variable: named(&name.name) }
    }

    fn name(&self) -> SettingName {
        SettingName { component: self.component.name.clone().into(), name: self.variable.name.clone().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_changed_and_answered() {
        let name = |component: &'static str, name: &'static str| SettingName::known(component, name);
        let interval = Setting { name: name("", "MeterValueSampleInterval"), value: "60".to_owned() };
        let started = Setting { name: name("SampledDataCtrlr", "TxStartedMeasurands"), value: "a,b".to_owned() };
        let sent = |version, request: &Request| {
            calls(version, request)
                .into_iter()
                .map(|(message, payload)| format!("{} {payload}", message.action))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            sent(Version::V16, &Request::ReadSettings(vec![interval.name.clone()])),
            [r#"GetConfiguration {"key":["MeterValueSampleInterval"]}"#]
        );
        let change = sent(Version::V16, &Request::ChangeSettings(vec![interval.clone(), interval.clone()]));
        assert_eq!(change, [r#"ChangeConfiguration {"key":"MeterValueSampleInterval","value":"60"}"#; 2]);
        let five = sent(Version::V201, &Request::ReadSettings(vec![started.name.clone(); 5]));
        assert_eq!(five.len(), 2, "{five:?}");
        let set = calls(Version::V201, &Request::ChangeSettings(vec![started.clone()])).remove(0).1;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&set).expect("JSON"),
            serde_json::json!({"setVariableData": [{"component": {"name": "SampledDataCtrlr"},
                "variable": {"name": "TxStartedMeasurands"}, "attributeValue": "a,b"}]})
        );

        let state = |setting: &Setting, value: Option<&str>, is_fixed| {
            let (name, value) = (setting.name.clone(), value.map(str::to_owned));
            Some(Fact::Settings(vec![SettingState { name, value, is_fixed }]))
        };
        let asked = r#"{"key":["MeterValueSampleInterval"]}"#;
        let interval_key = r#"{"configurationKey":[{"key":"MeterValueSampleInterval","readonly":true,"value":"9"}]}"#;
        assert_eq!(answer(Version::V16, "GetConfiguration", asked, interval_key), state(&interval, Some("9"), true));
        // Named as unknown, or left out.
        let unknown = r#"{"unknownKey":["MeterValueSampleInterval"]}"#;
        assert_eq!(answer(Version::V16, "GetConfiguration", asked, "{}"), state(&interval, None, true));
        assert_eq!(answer(Version::V16, "GetConfiguration", asked, "[]"), None);
        assert_eq!(answer(Version::V16, "GetConfiguration", asked, unknown), state(&interval, None, true));
        let changed = |setting: &Setting, status: &str| Some(Fact::SettingsChanged(vec![(setting.clone(), status.to_owned())]));
        let key = r#"{"key":"MeterValueSampleInterval","value":"60"}"#;
        assert_eq!(answer(Version::V16, "ChangeConfiguration", key, r#"{"status":"Rejected"}"#), changed(&interval, "Rejected"));
        let result = |status: &str, name: &str| {
            format!(
                r#"{{"{name}":[{{"attributeStatus":"{status}","attributeType":"Actual","component":{{"name":"SampledDataCtrlr"}},
                    "variable":{{"name":"TxStartedMeasurands"}}}}]}}"#
            )
        };
        let ask = calls(Version::V21, &Request::ReadSettings(vec![started.name.clone()])).remove(0).1;
        let get = result("UnknownVariable", "getVariableResult");
        assert_eq!(answer(Version::V21, "GetVariables", &ask, &get), state(&started, None, true));
        let got = result("Accepted", "setVariableResult");
        assert_eq!(answer(Version::V201, "SetVariables", &set, &got), changed(&started, "Accepted"));
        assert_eq!(answer(Version::V201, "SetVariables", &set, "[]"), None);
        assert_eq!(answer(Version::V201, "Reset", "{}", r#"{"status":"Accepted"}"#), None);
    }
}
