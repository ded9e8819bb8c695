//! Held against each other: the sessions that stations know they had, and the records that head office holds.
//!
//! A session and a bill belong together by station and transaction. Compared: times, registers, energy, idle time. Not
//! compared: prices, for which the tariff is needed. Members of the payload are read by name, as any outsider would.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::{office::Record, scenario::ExpectedSession};

/// Durations in a CDR are hours, rounded; a second is well above that.
const IDLE_TOLERANCE_S: i64 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Sessions with a record that says the same.
    pub settled: usize,
    /// What a record says otherwise than the station.
    pub differences: Vec<String>,
    /// Ended sessions without a charge record.
    pub unbilled: Vec<ExpectedSession>,
    /// Charge records of a transaction that no station had, or a second one for the same.
    pub unexpected: Vec<Arc<Record>>,
    /// Sessions whose end was never reported: held or billed by its last reading, a person's choice.
    pub open_ended: usize,
}

impl Account {
    /// Of all sessions and all charge records; other kinds are passed over.
    pub fn of(sessions: &[ExpectedSession], records: &[Arc<Record>]) -> Self {
        let mut account = Self::default();
        let mut charges: Vec<_> = records.iter().filter(|record| record.kind == "charge").collect();
        for session in sessions {
            let at = charges.iter().position(|record| is_of(record, session));
            let record = at.map(|at| charges.remove(at));
            match (record, session.stopped_at) {
                (_, None) => account.open_ended += 1,
                (None, Some(_)) => account.unbilled.push(session.clone()),
                (Some(record), Some(_)) => {
                    let differences = differences(record, session);
                    account.settled += usize::from(differences.is_empty());
                    account.differences.extend(differences);
                }
            }
        }
        account.unexpected = charges.into_iter().cloned().collect();
        account
    }

    /// Nothing lost, nothing invented, nothing different.
    pub fn balances(&self) -> bool {
        self.differences.is_empty() && self.unbilled.is_empty() && self.unexpected.is_empty()
    }
}

fn is_of(record: &Record, session: &ExpectedSession) -> bool {
    let transaction = record.text("/session/transaction_id");
    record.text("/session/station").as_deref() == Some(&session.station) && transaction.is_some() && transaction == session.tx
}

/// What this record says otherwise than the station; empty when they agree.
pub fn differences(record: &Record, session: &ExpectedSession) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, billed: String, happened: String| {
        if billed != happened {
            let tx = session.tx.as_deref().unwrap_or_default();
            found.push(format!("#{} {} {tx}: {what} is {billed}, was {happened}", record.seq, session.station));
        }
    };
    let time = |pointer: &str| record.text(pointer).and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let number = |decimal: Option<Decimal>| decimal.map_or("nothing".to_owned(), |decimal| decimal.normalize().to_string());
    let whole = |wh: Option<i64>| number(wh.map(Decimal::from));
    differ("start", format!("{:?}", time("/cdr/start_date_time")), format!("{:?}", Some(session.started_at)));
    differ("end", format!("{:?}", time("/cdr/end_date_time")), format!("{:?}", session.stopped_at));
    differ("start register", number(record.decimal("/meter/start_register_wh")), whole(Some(session.start_register_wh)));
    differ("stop register", number(record.decimal("/meter/stop_register_wh")), whole(session.stop_register_wh));
    let kwh = record.decimal("/cdr/total_energy");
    differ("energy", number(kwh.map(|kwh| kwh * Decimal::ONE_THOUSAND)), whole(session.energy_wh()));
    if session.parked_s == 0 {
        let hours = record.decimal("/cdr/total_parking_time").unwrap_or_default();
        let off = hours * Decimal::from(3600) - Decimal::from(session.idle_s);
        if off.abs() > Decimal::from(IDLE_TOLERANCE_S) {
            differ("idle time", format!("{} h", hours.normalize()), format!("{} s", session.idle_s));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    fn session() -> ExpectedSession {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        ExpectedSession {
            station: "CP01".into(),
            version: Version::V16,
            connector: 1,
            tx: Some("4711".into()),
            token: "A".into(),
            started_at: at("2026-07-22T12:00:00Z"),
            start_register_wh: 1000,
            stopped_at: Some(at("2026-07-22T13:00:00Z")),
            stop_register_wh: Some(4500),
            last_register_wh: 4500,
            last_at: at("2026-07-22T13:00:00Z"),
            delivered_wh: 3500,
            idle_s: 1200,
            parked_s: 0,
            offline: false,
            start_message_id: "a".into(),
            stop_message_id: Some("b".into()),
        }
    }

    fn record(payload: &str) -> Arc<Record> {
        Arc::new(Record {
            site: "S1".into(),
            epoch: 1,
            seq: 1,
            kind: "charge".into(),
            record_id: String::new(),
            created_at: DateTime::UNIX_EPOCH,
            prev: None,
            hash: String::new(),
            jws: String::new(),
            payload: payload.into(),
        })
    }

    const GOOD: &str = r#"{"session":{"station":"CP01","transaction_id":"4711"},
        "cdr":{"start_date_time":"2026-07-22T12:00:00Z","end_date_time":"2026-07-22T13:00:00Z","total_energy":3.5,"total_parking_time":0.333333},
        "meter":{"start_register_wh":"1000","stop_register_wh":"4500.0"}}"#;

    #[test]
    fn the_same_story_balances() {
        let account = Account::of(&[session()], &[record(GOOD)]);
        assert_eq!((account.settled, account.balances()), (1, true), "{account:?}");
    }

    #[test]
    fn every_difference_is_found() {
        for (from, to) in [
            ("12:00:00Z", "12:00:01Z"),
            ("13:00:00Z", "13:00:00.5Z"),
            ("3.5,", "3.501,"),
            ("0.333333", "0.33"),
            ("\"1000\"", "\"1001\""),
            ("\"stop_register_wh\"", "\"no_register_wh\""),
        ] {
            let account = Account::of(&[session()], &[record(&GOOD.replace(from, to))]);
            assert_eq!((account.settled, account.differences.len()), (0, 1), "{to}: {account:?}");
        }
    }

    #[test]
    fn lost_doubled_and_foreign_bills_are_found() {
        let [good, foreign] = [record(GOOD), record(&GOOD.replace("4711", "4712"))];
        assert_eq!(Account::of(&[session()], &[]).unbilled.len(), 1);
        assert_eq!(Account::of(&[session()], &[good.clone(), good.clone()]).unexpected.len(), 1);
        assert_eq!(Account::of(&[session()], &[good, foreign]).unexpected.len(), 1);
    }
}
