//! What the stations say: one session of each version, as templates.
//!
//! 1.6 (27 messages): Preparing, Authorize, StartTransaction, Charging, 20 MeterValues, Finishing, StopTransaction,
//! Available. 2.0.1 (25): Occupied, Authorize, TransactionEvent Started, 20 Updated, Ended, Available.

use anyhow::Result;

use super::Version;
use super::template::Template;

/// A message by what is expected of its answer and what it does to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boot,
    Heartbeat,
    Status,
    Authorize16,
    Start16,
    Meter16,
    Stop16,
    Authorize201,
    Started201,
    Updated201,
    Ended201,
}

impl Kind {
    pub const COUNT: usize = 11;
    pub const ALL: [Self; Self::COUNT] = [
        Self::Boot,
        Self::Heartbeat,
        Self::Status,
        Self::Authorize16,
        Self::Start16,
        Self::Meter16,
        Self::Stop16,
        Self::Authorize201,
        Self::Started201,
        Self::Updated201,
        Self::Ended201,
    ];

    /// OCPP's name of the action.
    pub fn action(self) -> &'static str {
        match self {
            Self::Boot => "BootNotification",
            Self::Heartbeat => "Heartbeat",
            Self::Status => "StatusNotification",
            Self::Authorize16 | Self::Authorize201 => "Authorize",
            Self::Start16 => "StartTransaction",
            Self::Meter16 => "MeterValues",
            Self::Stop16 => "StopTransaction",
            Self::Started201 | Self::Updated201 | Self::Ended201 => "TransactionEvent",
        }
    }

    pub fn starts(self) -> bool {
        matches!(self, Self::Start16 | Self::Started201)
    }

    pub fn ends(self) -> bool {
        matches!(self, Self::Stop16 | Self::Ended201)
    }

    /// Energy flowed since the message before.
    pub fn meters(self) -> bool {
        matches!(self, Self::Meter16 | Self::Updated201) || self.ends()
    }
}

pub struct Step {
    pub kind: Kind,
    template: usize,
}

pub struct Script {
    pub version: Version,
    pub boot: Template,
    pub heartbeat: Template,
    pub session: Vec<Step>,
    templates: Vec<Template>,
}

impl Script {
    pub fn new(version: Version, samples: u8, meter_values: u32) -> Result<Self> {
        let mut script = Self {
            version,
            boot: Template::parse(match version {
                Version::V16 => {
                    r#"[2,"<id>","BootNotification",{"chargePointVendor":"Loadmaker","chargePointModel":"L16","firmwareVersion":"1.0"}]"#
                }
                Version::V201 => {
                    r#"[2,"<id>","BootNotification",{"reason":"PowerUp","chargingStation":{"vendorName":"Loadmaker","model":"L201"}}]"#
                }
            })?,
            heartbeat: Template::parse(r#"[2,"<id>","Heartbeat",{}]"#)?,
            session: Vec::new(),
            templates: Vec::new(),
        };
        match version {
            Version::V16 => script.write_16(samples, meter_values)?,
            Version::V201 => script.write_201(samples, meter_values)?,
        }
        Ok(script)
    }

    pub fn template(&self, step: &Step) -> &Template {
        &self.templates[step.template]
    }

    fn say(&mut self, kind: Kind, times: u32, text: &str) -> Result<()> {
        let template = self.templates.len();
        self.templates.push(Template::parse(text)?);
        self.session.extend((0..times).map(|_| Step { kind, template }));
        Ok(())
    }

    fn write_16(&mut self, samples: u8, meter_values: u32) -> Result<()> {
        let status = |status: &str| {
            format!(
                r#"[2,"<id>","StatusNotification",{{"connectorId":1,"errorCode":"NoError","status":"{status}","timestamp":"<time>"}}]"#
            )
        };
        let sampled: Vec<String> = (0..samples).map(sampled_16).collect();
        self.say(Kind::Status, 1, &status("Preparing"))?;
        self.say(Kind::Authorize16, 1, r#"[2,"<id>","Authorize",{"idTag":"<token>"}]"#)?;
        self.say(
            Kind::Start16,
            1,
            r#"[2,"<id>","StartTransaction",{"connectorId":1,"idTag":"<token>","meterStart":<register>,"timestamp":"<time>"}]"#,
        )?;
        self.say(Kind::Status, 1, &status("Charging"))?;
        self.say(
            Kind::Meter16,
            meter_values,
            &format!(
                r#"[2,"<id>","MeterValues",{{"connectorId":1,"transactionId":<transaction>,"meterValue":[{{"timestamp":"<time>","sampledValue":[{}]}}]}}]"#,
                sampled.join(",")
            ),
        )?;
        self.say(Kind::Status, 1, &status("Finishing"))?;
        self.say(
            Kind::Stop16,
            1,
            r#"[2,"<id>","StopTransaction",{"transactionId":<transaction>,"idTag":"<token>","meterStop":<register>,"timestamp":"<time>","reason":"Local"}]"#,
        )?;
        self.say(Kind::Status, 1, &status("Available"))
    }

    fn write_201(&mut self, samples: u8, meter_values: u32) -> Result<()> {
        let status = |status: &str| {
            format!(
                r#"[2,"<id>","StatusNotification",{{"timestamp":"<time>","connectorStatus":"{status}","evseId":1,"connectorId":1}}]"#
            )
        };
        let event = |kind: &str, trigger: &str, transaction: &str, rest: &str, values: &str| {
            format!(
                r#"[2,"<id>","TransactionEvent",{{"eventType":"{kind}","timestamp":"<time>","triggerReason":"{trigger}","seqNo":<sequence>,"transactionInfo":{{"transactionId":"<transaction>",{transaction}}},"evse":{{"id":1,"connectorId":1}},{rest}"meterValue":[{{"timestamp":"<time>","sampledValue":[{values}]}}]}}]"#
            )
        };
        let token = r#""idToken":{"idToken":"<token>","type":"ISO14443"},"#;
        let sampled: Vec<String> = (0..samples).map(|index| sampled_201(index, "Sample.Periodic")).collect();
        self.say(Kind::Status, 1, &status("Occupied"))?;
        self.say(Kind::Authorize201, 1, r#"[2,"<id>","Authorize",{"idToken":{"idToken":"<token>","type":"ISO14443"}}]"#)?;
        self.say(
            Kind::Started201,
            1,
            &event("Started", "Authorized", r#""chargingState":"Charging""#, token, &sampled_201(0, "Transaction.Begin")),
        )?;
        self.say(
            Kind::Updated201,
            meter_values,
            &event("Updated", "MeterValuePeriodic", r#""chargingState":"Charging""#, "", &sampled.join(",")),
        )?;
        self.say(
            Kind::Ended201,
            1,
            &event(
                "Ended",
                "StopAuthorized",
                r#""chargingState":"EVConnected","stoppedReason":"Local""#,
                token,
                &sampled_201(0, "Transaction.End"),
            ),
        )?;
        self.say(Kind::Status, 1, &status("Available"))
    }
}

/// The sampled values by number: measurand, phase (or none), unit, value. 30 Wh in 10 s is 10.8 kW, 15.65 A a phase.
const SAMPLES: [(&str, Option<&str>, &str, &str); 8] = [
    ("Energy.Active.Import.Register", None, "Wh", "<register>"),
    ("Power.Active.Import", None, "W", "10800"),
    ("Current.Import", Some("L1"), "A", "15.65"),
    ("Current.Import", Some("L2"), "A", "15.64"),
    ("Current.Import", Some("L3"), "A", "15.66"),
    ("Voltage", Some("L1-N"), "V", "230.1"),
    ("Voltage", Some("L2-N"), "V", "229.8"),
    ("Voltage", Some("L3-N"), "V", "230.4"),
];

fn sampled_16(index: u8) -> String {
    let (measurand, phase, unit, value) = SAMPLES[usize::from(index) % SAMPLES.len()];
    let phase = phase.map(|phase| format!(r#""phase":"{phase}","#)).unwrap_or_default();
    format!(
        r#"{{"value":"{value}","context":"Sample.Periodic","format":"Raw","measurand":"{measurand}",{phase}"location":"Outlet","unit":"{unit}"}}"#
    )
}

fn sampled_201(index: u8, context: &str) -> String {
    let (measurand, phase, unit, value) = SAMPLES[usize::from(index) % SAMPLES.len()];
    let phase = phase.map(|phase| format!(r#""phase":"{phase}","#)).unwrap_or_default();
    format!(
        r#"{{"value":{value},"context":"{context}","measurand":"{measurand}",{phase}"location":"Outlet","unitOfMeasure":{{"unit":"{unit}","multiplier":0}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::template::Fields;

    #[test]
    fn sessions_have_the_agreed_shape_and_are_json() -> Result<()> {
        for (version, messages, transaction, largest) in
            [(Version::V16, 27, "17", 1_150..1_300), (Version::V201, 25, "L-1", 1_300..1_550)]
        {
            let script = Script::new(version, 8, 20)?;
            assert_eq!(script.session.len(), messages);
            assert_eq!(script.session.iter().filter(|step| step.kind.starts()).count(), 1);
            assert_eq!(script.session.iter().filter(|step| step.kind.meters()).count(), 21);
            let fields = Fields {
                id: "L0001-000001",
                time: 1_800_000_000,
                register_wh: 1_234_567,
                transaction,
                sequence: 9,
                token: "TAG0001",
            };
            let mut longest = 0;
            for step in &script.session {
                let text = script.template(step).fill(&fields);
                longest = longest.max(text.len());
                let (frame, id, action, _): (u8, String, String, serde_json::Value) = serde_json::from_str(&text)?;
                assert_eq!((frame, id.as_str(), action.as_str()), (2, "L0001-000001", step.kind.action()));
            }
            assert!(largest.contains(&longest), "{version:?}: {longest} bytes");
        }
        Ok(())
    }
}
