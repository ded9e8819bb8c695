//! Stations that charge by a script, and the bills that come of it. Times are seconds after [`Site`] was opened; the site's clock
//! stands where the script puts it, so that a message can come live, late, or ahead of its time.

#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

use std::rc::Rc;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::clock::SystemClock;
use super::socket::Socket;
use super::{Plan, Site};

pub const MIN: i64 = 60;
pub const HOUR: i64 = 3_600;

/// 0.40 EUR/kWh, 1.20 EUR/h of charging, 6.00 EUR/h of parking in begun minutes.
const TARIFF: &str = r#"{"country_code":"DE","party_id":"TST","id":"plain","currency":"EUR","last_updated":"2020-01-01T00:00:00Z",
"elements":[{"price_components":[{"type":"ENERGY","price":0.40,"vat":19,"step_size":1},
{"type":"TIME","price":1.20,"vat":19,"step_size":1},{"type":"PARKING_TIME","price":6.00,"vat":19,"step_size":60}]}]}"#;

pub struct ScriptedSite {
    pub inner: Site,
    time: Rc<ScriptTime>,
}

struct ScriptTime {
    clock: SystemClock,
    noon: DateTime<Utc>,
}

impl ScriptTime {
    fn stamp(&self, at: i64) -> String {
        (self.noon + TimeDelta::seconds(at)).to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

/// What became of a session.
pub struct Outcome {
    /// `AAAA: 4000 Wh, parked 0.25 h`, `BBBB: held stop-missing`, `-: open`: the last four characters of its token come first.
    pub text: String,
    /// Codes, also those of the record.
    pub findings: String,
    /// Of the bill, in seconds.
    pub span: Option<(i64, i64)>,
    pub charging_h: String,
}

impl ScriptedSite {
    /// A site of which nothing is configured but a tariff.
    pub async fn open() -> Self {
        let mut site = Site::new(&Plan { tariffs: vec![("plain.json".into(), TARIFF.into())], ..Plan::default() });
        let time = Rc::new(ScriptTime { clock: SystemClock::of(&mut site), noon: Utc::now().trunc_subsecs(0) });
        site.start().await;
        Self { inner: site, time }
    }

    /// The site's clock goes on to this second.
    pub fn at(&self, second: i64) {
        let ahead = self.time.noon + TimeDelta::seconds(second + 1) - Utc::now();
        self.time.clock.set(ahead.num_seconds());
    }

    pub async fn station(&self, id: &str, version: &str) -> Station {
        let socket = Socket::station(self.inner.port, id, version).await;
        Station { socket, time: Rc::clone(&self.time), calls: 0 }
    }

    /// The sessions of a station, in the order in which they became known.
    pub async fn sessions(&self, station: &str) -> Vec<Outcome> {
        self.inner.settled().await;
        let rows = self.inner.query(
            "SELECT coalesce(substr(token, -4), '-'), state, hold_reason, record_seq, findings FROM v_session \
             WHERE station = ?1 ORDER BY session_id",
            &[&station],
        );
        rows.iter().map(|row| self.outcome(row)).collect()
    }

    fn outcome(&self, row: &[Option<String>]) -> Outcome {
        let [token, state, reason, seq, findings] = [0, 1, 2, 3, 4].map(|column| row[column].clone().unwrap_or_default());
        if seq.is_empty() {
            let text = format!("{token}: {state} {reason}").trim_end().to_owned();
            return Outcome { text, findings, span: None, charging_h: String::new() };
        }
        let record = self.inner.forecourt(&["record", "show", &seq, "--json"]).ok().json();
        let hours = |dimension: &str| {
            let sum = "SELECT round(total(quantity), 3) FROM v_price_line WHERE seq = ?1 AND dimension = ?2";
            self.inner.value(sum, &[&seq, &dimension]).unwrap_or_default()
        };
        let mut text = format!("{token}: {} Wh", record["meter"]["energy_wh"].to_string().trim_matches('"'));
        let parked = hours("PARKING_TIME");
        if parked != "0" {
            text.push_str(&format!(", parked {parked} h"));
        }
        let second = |field: &str| {
            let at: DateTime<Utc> = record["session"][field].as_str().unwrap().parse().unwrap();
            (at - self.time.noon).num_seconds()
        };
        let span = Some((second("started_at"), second("ended_at")));
        Outcome { text, findings: record["findings"].to_string(), span, charging_h: hours("TIME") }
    }

    /// What became of the sessions of a station, and nothing more.
    pub async fn bills(&self, station: &str) -> Vec<String> {
        self.sessions(station).await.into_iter().map(|session| session.text).collect()
    }
}

pub struct Station {
    socket: Socket,
    time: Rc<ScriptTime>,
    calls: u32,
}

impl Station {
    pub async fn call(&mut self, action: &str, payload: Value) -> Value {
        self.calls += 1;
        self.socket.call(&format!("{}-{}", self.calls, fastrand::u64(..)), action, payload).await
    }

    pub fn stamp(&self, at: i64) -> String {
        self.time.stamp(at)
    }

    pub async fn boot_16(&mut self) {
        self.call("BootNotification", json!({"chargePointVendor": "V", "chargePointModel": "M"})).await;
    }

    pub async fn boot_2(&mut self) {
        let payload = json!({"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}});
        self.call("BootNotification", payload).await;
    }

    /// 1.6 StartTransaction; the id that it got.
    pub async fn start(&mut self, at: i64, connector: u32, tag: &str, register: i64) -> i64 {
        let payload = json!({"connectorId": connector, "idTag": tag, "meterStart": register, "timestamp": self.stamp(at)});
        self.call("StartTransaction", payload).await["transactionId"].as_i64().unwrap()
    }

    /// 1.6 StopTransaction. `tag` may be empty.
    pub async fn stop(&mut self, at: i64, tx: i64, tag: &str, register: i64) {
        self.stop_for(at, tx, tag, register, "Local").await;
    }

    pub async fn stop_for(&mut self, at: i64, tx: i64, tag: &str, register: i64, reason: &str) {
        let mut payload = json!({"transactionId": tx, "meterStop": register, "timestamp": self.stamp(at), "reason": reason});
        if !tag.is_empty() {
            payload["idTag"] = json!(tag);
        }
        self.call("StopTransaction", payload).await;
    }

    /// 1.6 MeterValues with one sample.
    pub async fn value(&mut self, at: i64, connector: u32, tx: Option<i64>, measurand: &str, value: i64) {
        let sample = json!({"value": value.to_string(), "measurand": measurand});
        let mut payload =
            json!({"connectorId": connector, "meterValue": [{"timestamp": self.stamp(at), "sampledValue": [sample]}]});
        if let Some(tx) = tx {
            payload["transactionId"] = json!(tx);
        }
        self.call("MeterValues", payload).await;
    }

    pub async fn register(&mut self, at: i64, connector: u32, tx: Option<i64>, register: i64) {
        self.value(at, connector, tx, REGISTER, register).await;
    }

    /// 1.6 StatusNotification.
    pub async fn status(&mut self, at: i64, connector: u32, status: &str) {
        let payload = json!({"connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": self.stamp(at)});
        self.call("StatusNotification", payload).await;
    }

    /// 2.x TransactionEvent on EVSE 1. `more` goes over the payload, its `state` into transactionInfo, its `tag` into idToken.
    pub async fn event(&mut self, at: i64, (kind, tx, seq): (&str, &str, i64), register: Option<i64>, more: Value) {
        let (trigger, context) = match kind {
            "Started" => ("CablePluggedIn", "Transaction.Begin"),
            "Ended" => ("StopAuthorized", "Transaction.End"),
            _ => ("MeterValuePeriodic", "Sample.Periodic"),
        };
        let mut payload = json!({
            "eventType": kind, "timestamp": self.stamp(at), "triggerReason": trigger, "seqNo": seq,
            "transactionInfo": {"transactionId": tx}, "evse": {"id": 1, "connectorId": 1},
        });
        if let Some(register) = register {
            let sample = json!({"value": register, "context": context, "measurand": REGISTER});
            payload["meterValue"] = json!([{"timestamp": self.stamp(at), "sampledValue": [sample]}]);
        }
        let more: Map<String, Value> = more.as_object().cloned().unwrap_or_default();
        for (name, value) in more {
            match name.as_str() {
                "state" => payload["transactionInfo"]["chargingState"] = value,
                "reason" => payload["transactionInfo"]["stoppedReason"] = value,
                "tag" => payload["idToken"] = json!({"idToken": value, "type": "ISO14443"}),
                _ => payload[name] = value,
            }
        }
        self.call("TransactionEvent", payload).await;
    }
}

pub const REGISTER: &str = "Energy.Active.Import.Register";
pub const INTERVAL: &str = "Energy.Active.Import.Interval";
