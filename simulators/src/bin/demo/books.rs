//! The demo's verdict: every session that a station had is billed once, verified, as it happened, at the right price.
//!
//! Two heaps that must vanish against each other: sessions without a record yet, and records without a session yet. What
//! is left of either at the end, and every pair that disagrees, is a problem in words.

use std::{collections::HashSet, sync::Arc};

use rust_decimal::Decimal;
use simulators::{account::Account, office::Record, scenario::ExpectedSession};

use super::price::{Price, Tariff};

#[derive(Debug, Default)]
pub struct Books {
    /// Ended at a station, no record yet.
    pending: Vec<(ExpectedSession, Tariff)>,
    /// Verified charge records of our stations whose session has not been told yet.
    unclaimed: Vec<Arc<Record>>,
    /// Station and transaction of everything billed.
    billed: HashSet<(String, String)>,
    pub totals: Totals,
    pub problems: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ended, as the stations know.
    pub sessions: usize,
    /// Charge records that head office verified.
    pub records: usize,
    /// Pairs that agree in everything.
    pub settled: usize,
    pub lost: usize,
    pub unverified: usize,
    pub mispriced: usize,
    /// By the stations' meters.
    pub energy_wh: i64,
    /// As billed, incl. VAT.
    pub billed: Decimal,
}

/// A record with nothing to say against it.
#[derive(Debug)]
pub struct Agreed {
    pub record: Arc<Record>,
    pub price: Price,
}

impl Books {
    /// A station tells of a session of its own. One without an end is nobody's bill.
    pub fn happened(&mut self, session: ExpectedSession, tariff: Tariff) {
        if session.stopped_at.is_some() {
            self.totals.sessions += 1;
            self.totals.energy_wh += session.delivered_wh;
            self.pending.push((session, tariff));
        }
    }

    /// Head office verified a charge record of one of our stations.
    pub fn verified(&mut self, record: Arc<Record>) {
        self.totals.records += 1;
        let Some(name) = name(&record) else {
            self.problem(format!("record {} names no station or transaction", record.seq));
            return;
        };
        if self.billed.contains(&name) {
            self.problem(format!("{} transaction {} is billed a second time by record {}", name.0, name.1, record.seq));
        } else {
            self.unclaimed.push(record);
        }
    }

    /// Head office refused something.
    pub fn refused(&mut self, reason: &str) {
        self.totals.unverified += 1;
        self.problem(format!("head office could not verify: {reason}"));
    }

    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Pairs up what can be paired, and returns the pairs that agree; the others become problems.
    pub fn settle(&mut self) -> Vec<Agreed> {
        let mut agreed = Vec::new();
        for (session, tariff) in std::mem::take(&mut self.pending) {
            let tx = session.tx.clone().map(|tx| (session.station.clone(), tx));
            match self.unclaimed.iter().position(|record| tx.is_some() && name(record) == tx) {
                Some(at) => {
                    let record = self.unclaimed.remove(at);
                    self.billed.extend(tx);
                    agreed.extend(self.compare(&session, tariff, record));
                }
                None => self.pending.push((session, tariff)),
            }
        }
        agreed
    }

    fn compare(&mut self, session: &ExpectedSession, tariff: Tariff, record: Arc<Record>) -> Option<Agreed> {
        let account = Account::of(std::slice::from_ref(session), std::slice::from_ref(&record));
        let price = tariff.price(session);
        let total = |of: &str| record.decimal(&format!("/cdr/total_cost/{of}"));
        let is = (total("excl_vat"), total("incl_vat"));
        let right = price.is_some_and(|price| is == (Some(price.excl_vat), Some(price.incl_vat)));
        let agrees = account.balances() && right;
        if !right {
            self.totals.mispriced += 1;
            let show = |amount: Option<Decimal>| amount.map_or("nothing".to_owned(), |amount| amount.to_string());
            let (excl, incl) = (price.map(|price| price.excl_vat), price.map(|price| price.incl_vat));
            self.problem(format!(
                "record {} of {} says {} EUR excl. and {} EUR incl. VAT; by tariff {} it is {} and {}",
                record.seq,
                session.station,
                show(is.0),
                show(is.1),
                tariff.id,
                show(excl),
                show(incl)
            ));
        }
        self.problems.extend(account.differences);
        self.totals.settled += usize::from(agrees);
        self.totals.billed += is.1.unwrap_or_default();
        price.filter(|_| agrees).map(|price| Agreed { record, price })
    }

    /// Nothing waits for its counterpart.
    pub fn is_even(&self) -> bool {
        self.pending.is_empty() && self.unclaimed.is_empty()
    }

    pub fn waiting(&self) -> impl Iterator<Item = &ExpectedSession> {
        self.pending.iter().map(|(session, _)| session)
    }

    /// What is left over is lost, or was never had. `interrupted`: a session may have been billed that its station, stopped
    /// in the middle of a scenario, did not get to tell.
    pub fn close(&mut self, interrupted: bool) {
        let left: Vec<_> = self.pending.drain(..).map(|(session, _)| session).collect();
        let records = if interrupted { Vec::new() } else { std::mem::take(&mut self.unclaimed) };
        let account = Account::of(&left, &records);
        self.totals.lost += account.unbilled.len();
        for session in account.unbilled {
            let tx = session.tx.as_deref().unwrap_or("without a number");
            self.problem(format!("{} transaction {tx}, {} Wh, has no verified record", session.station, session.delivered_wh));
        }
        for record in account.unexpected {
            self.problem(format!("record {} bills what no station had: {}", record.seq, record.summary()));
        }
    }

    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

fn name(record: &Record) -> Option<(String, String)> {
    record.text("/session/station").zip(record.text("/session/transaction_id"))
}

#[cfg(test)]
pub mod tests {
    use chrono::{DateTime, Utc};
    use simulators::Version;

    use super::*;
    use crate::price::AC;

    pub fn session(energy_wh: i64) -> ExpectedSession {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        ExpectedSession {
            station: "demo-16".into(),
            version: Version::V16,
            connector: 1,
            tx: Some("4711".into()),
            token: "A".into(),
            started_at: at("2026-11-20T12:00:00Z"),
            start_register_wh: 1000,
            stopped_at: Some(at("2026-11-20T12:20:00Z")),
            stop_register_wh: Some(1000 + energy_wh),
            last_register_wh: 1000 + energy_wh,
            last_at: at("2026-11-20T12:20:00Z"),
            delivered_wh: energy_wh,
            idle_s: 0,
            parked_s: 0,
            offline: false,
            start_message_id: "a".into(),
            stop_message_id: Some("b".into()),
        }
    }

    const PAYLOAD: &str = r#"{"session":{"station":"demo-16","transaction_id":"4711"},
        "cdr":{"start_date_time":"2026-11-20T12:00:00Z","end_date_time":"2026-11-20T12:20:00Z","total_energy":3.6,
               "currency":"EUR","total_cost":{"excl_vat":2.08,"incl_vat":2.48}},
        "meter":{"start_register_wh":"1000","stop_register_wh":"4600"}}"#;

    fn record(payload: &str) -> Arc<Record> {
        Arc::new(Record {
            site: "demo".into(),
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

    /// Sessions and records in, the closed books out.
    fn books(sessions: &[ExpectedSession], payloads: &[&str]) -> Books {
        let mut books = Books::default();
        payloads.iter().for_each(|payload| books.verified(record(payload)));
        sessions.iter().for_each(|session| books.happened(session.clone(), AC));
        books.settle();
        books.close(false);
        books
    }

    #[test]
    fn the_same_story_is_good() {
        let books = books(&[session(3600)], &[PAYLOAD]);
        assert!(books.is_good() && books.is_even(), "{books:?}");
        let billed = Decimal::new(248, 2);
        assert_eq!(books.totals, Totals { sessions: 1, records: 1, settled: 1, energy_wh: 3600, billed, ..Totals::default() });
    }

    #[test]
    fn a_missing_record_is_a_loss() {
        let books = books(&[session(3600)], &[]);
        assert_eq!((books.totals.lost, books.problems.len()), (1, 1), "{books:?}");
    }

    #[test]
    fn a_wrong_cent_is_found_in_either_total() {
        for (from, to) in [("2.08", "2.07"), ("2.48", "2.49"), (r#""incl_vat":2.48"#, r#""incl_vat":null"#)] {
            let books = books(&[session(3600)], &[&PAYLOAD.replace(from, to)]);
            assert_eq!((books.totals.mispriced, books.problems.len()), (1, 1), "{books:?}");
        }
    }

    #[test]
    fn wrong_energy_is_a_problem_though_the_price_be_right() {
        let books = books(&[session(3600)], &[&PAYLOAD.replace("3.6,", "3.601,")]);
        assert_eq!((books.totals.settled, books.totals.mispriced, books.problems.len()), (0, 0, 1), "{books:?}");
    }

    #[test]
    fn what_nobody_had_or_had_twice_is_a_problem() {
        assert_eq!(books(&[], &[PAYLOAD]).problems.len(), 1);
        assert_eq!(books(&[session(3600)], &[PAYLOAD, PAYLOAD]).problems.len(), 1);
        let mut late = books(&[session(3600)], &[PAYLOAD]);
        late.verified(record(PAYLOAD));
        assert!(!late.is_good());
        assert!(!late.problems[0].is_empty() && late.problems[0].contains("second time"));
    }

    #[test]
    fn an_interrupted_station_is_excused_but_not_a_lost_session() {
        let mut books = Books::default();
        books.verified(record(PAYLOAD));
        books.close(true);
        assert!(books.is_good());
        books.happened(session(3600), AC);
        books.close(true);
        assert!(!books.is_good());
    }

    #[test]
    fn what_head_office_refused_counts() {
        let mut books = books(&[session(3600)], &[PAYLOAD]);
        books.refused("signature");
        assert_eq!((books.totals.unverified, books.is_good()), (1, false));
    }
}
