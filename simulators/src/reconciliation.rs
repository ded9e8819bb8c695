//! Compares the sessions that stations know they had with the records that head office holds.
//!
//! A session and a bill belong together by station and transaction. Compared: times, registers, energy, idle time. Not
//! compared: prices, for which the tariff is needed. The payload is read by the names of its members alone.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::{office::Record, scenario::ExpectedSession};

/// Durations in a CDR are hours, rounded; a second is well above that.
const IDLE_TOLERANCE_S: i64 = 1;

/// Sessions and records may come in any order; each is paired with its counterpart as soon as both are known.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// Pairs in which the record says the same as the station.
    pub agreeing: usize,
    /// What a record says otherwise than the station.
    pub differences: Vec<String>,
    /// Ended sessions without a charge record.
    pub unbilled: Vec<ExpectedSession>,
    /// Charge records of a transaction that no station had, or a second one for the same.
    pub unexpected: Vec<Arc<Record>>,
    /// Sessions whose end was never reported: held or billed by its last reading, a person's choice.
    pub open_ended: usize,
    /// Of these, those without a record so far.
    open: HashSet<Name>,
    billed: HashSet<Name>,
}

/// Station and transaction.
type Name = (String, String);

/// A session and its record.
#[derive(Debug)]
pub struct Pair {
    pub session: ExpectedSession,
    pub record: Arc<Record>,
    pub agrees: bool,
}

impl Reconciliation {
    /// Of all sessions and all charge records; other kinds are passed over.
    pub fn of(sessions: &[ExpectedSession], records: &[Arc<Record>]) -> Self {
        let mut reconciliation = Self::default();
        for session in sessions {
            reconciliation.session(session.clone());
        }
        for record in records {
            reconciliation.record(Arc::clone(record));
        }
        reconciliation
    }

    /// A station had this session.
    pub fn session(&mut self, session: ExpectedSession) -> Option<Pair> {
        let at = self.unexpected.iter().position(|record| is_of(record, &session));
        let record = at.map(|at| self.unexpected.remove(at));
        if session.stopped_at.is_none() {
            self.open_ended += 1;
            let names = if record.is_some() { &mut self.billed } else { &mut self.open };
            names.extend(session.tx.map(|tx| (session.station, tx)));
            return None;
        }
        match record {
            Some(record) => Some(self.pair(session, record)),
            None => {
                self.unbilled.push(session);
                None
            }
        }
    }

    /// Head office verified this record.
    pub fn record(&mut self, record: Arc<Record>) -> Option<Pair> {
        if record.kind != "charge" {
            return None;
        }
        if let Some(name) = name(&record).and_then(|name| self.open.take(&name)) {
            self.billed.insert(name);
            return None;
        }
        match self.unbilled.iter().position(|session| is_of(&record, session)) {
            Some(at) => {
                let session = self.unbilled.remove(at);
                Some(self.pair(session, record))
            }
            None => {
                self.unexpected.push(record);
                None
            }
        }
    }

    fn pair(&mut self, session: ExpectedSession, record: Arc<Record>) -> Pair {
        let differences = differences(&record, &session);
        let agrees = differences.is_empty();
        self.agreeing += usize::from(agrees);
        self.differences.extend(differences);
        self.billed.extend(name(&record));
        Pair { session, record, agrees }
    }

    /// Whether another record bills this transaction already.
    pub fn is_billed(&self, record: &Record) -> bool {
        name(record).is_some_and(|name| self.billed.contains(&name))
    }

    /// No session without a record, no record without a session.
    pub fn is_even(&self) -> bool {
        self.unbilled.is_empty() && self.unexpected.is_empty()
    }

    /// Even, and no difference.
    pub fn balances(&self) -> bool {
        self.differences.is_empty() && self.is_even()
    }
}

/// The station and transaction that a record bills.
pub fn name(record: &Record) -> Option<Name> {
    record.text("/session/station").zip(record.text("/session/transaction_id"))
}

fn is_of(record: &Record, session: &ExpectedSession) -> bool {
    name(record).is_some_and(|(station, tx)| station == session.station && Some(tx) == session.tx)
}

/// What this record says otherwise than the station; empty when they agree.
fn differences(record: &Record, session: &ExpectedSession) -> Vec<String> {
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
    fn equal_session_and_record_balance() {
        let reconciliation = Reconciliation::of(&[session()], &[record(GOOD)]);
        assert_eq!((reconciliation.agreeing, reconciliation.balances()), (1, true), "{reconciliation:?}");
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
            let reconciliation = Reconciliation::of(&[session()], &[record(&GOOD.replace(from, to))]);
            assert_eq!((reconciliation.agreeing, reconciliation.differences.len()), (0, 1), "{to}: {reconciliation:?}");
        }
    }

    #[test]
    fn lost_doubled_and_foreign_bills_are_found() {
        let [good, foreign] = [record(GOOD), record(&GOOD.replace("4711", "4712"))];
        assert_eq!(Reconciliation::of(&[session()], &[]).unbilled.len(), 1);
        assert_eq!(Reconciliation::of(&[session()], &[good.clone(), good.clone()]).unexpected.len(), 1);
        assert_eq!(Reconciliation::of(&[session()], &[good.clone(), foreign]).unexpected.len(), 1);
        let mut reconciliation = Reconciliation::default();
        assert!(reconciliation.record(good.clone()).is_none() && !reconciliation.is_billed(&good));
        assert!(reconciliation.session(session()).is_some_and(|pair| pair.agrees));
        assert!(reconciliation.is_billed(&good) && reconciliation.balances());
        reconciliation.record(good);
        assert!(!reconciliation.balances());
    }

    #[test]
    fn a_session_without_an_end_may_have_one_record_or_none() {
        let open = ExpectedSession { stopped_at: None, stop_register_wh: None, ..session() };
        for records in [vec![], vec![record(GOOD)]] {
            let reconciliation = Reconciliation::of(std::slice::from_ref(&open), &records);
            assert_eq!((reconciliation.open_ended, reconciliation.balances()), (1, true), "{reconciliation:?}");
        }
        assert_eq!(Reconciliation::of(&[open], &[record(GOOD), record(GOOD)]).unexpected.len(), 1);
    }
}
