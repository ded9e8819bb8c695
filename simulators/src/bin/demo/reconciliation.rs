//! What the demo checks: every session that a station had is billed once, verified, as it happened, at the right price.
//!
//! The library pairs sessions with records and compares them; here every pair is priced as well. What is left without a
//! counterpart at the end, and every pair that disagrees, is a problem in words.

use std::{collections::HashMap, sync::Arc};

use rust_decimal::Decimal;
use simulators::{
    office::Record,
    reconciliation::{self, Pair},
    scenario::ExpectedSession,
};

use super::price::{Price, Tariff};

#[derive(Debug, Default)]
pub struct Reconciliation {
    pairs: reconciliation::Reconciliation,
    /// By station.
    tariffs: HashMap<String, Tariff>,
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
    pub agreed: usize,
    pub lost: usize,
    pub unverified: usize,
    pub mispriced: usize,
    /// By the stations' meters.
    pub energy_wh: i64,
    /// As billed, incl. VAT.
    pub billed: Decimal,
}

/// A record that agrees with station and tariff.
#[derive(Debug)]
pub struct Agreed {
    pub record: Arc<Record>,
    pub price: Price,
}

impl Reconciliation {
    /// A station had this session. One without an end has no bill. The record that agrees with it, if it is known already.
    pub fn happened(&mut self, session: ExpectedSession, tariff: Tariff) -> Option<Agreed> {
        session.stopped_at?;
        self.totals.sessions += 1;
        self.totals.energy_wh += session.delivered_wh;
        self.tariffs.insert(session.station.clone(), tariff);
        let pair = self.pairs.session(session)?;
        self.compare(pair)
    }

    /// Head office verified this charge record of one of our stations, and it agrees with a session that is known already.
    pub fn verified(&mut self, record: Arc<Record>) -> Option<Agreed> {
        self.totals.records += 1;
        let Some((station, tx)) = reconciliation::name(&record) else {
            self.problem(format!("record {} names no station or transaction", record.seq));
            return None;
        };
        if self.pairs.is_billed(&record) {
            self.problem(format!("{station} transaction {tx} is billed a second time by record {}", record.seq));
            return None;
        }
        let pair = self.pairs.record(record)?;
        self.compare(pair)
    }

    /// Head office refused something.
    pub fn refused(&mut self, reason: &str) {
        self.totals.unverified += 1;
        self.problem(format!("head office could not verify: {reason}"));
    }

    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The price of a pair. A pair that disagrees in anything is a problem.
    fn compare(&mut self, Pair { session, record, agrees }: Pair) -> Option<Agreed> {
        self.problems.append(&mut self.pairs.differences);
        let tariff = self.tariffs.get(&session.station)?;
        let price = tariff.price(&session);
        let total = |of: &str| record.decimal(&format!("/cdr/total_cost/{of}"));
        let is = (total("excl_vat"), total("incl_vat"));
        let right = price.is_some_and(|price| is == (Some(price.excl_vat), Some(price.incl_vat)));
        self.totals.billed += is.1.unwrap_or_default();
        if !right {
            self.totals.mispriced += 1;
            let show = |amount: Option<Decimal>| amount.map_or("nothing".to_owned(), |amount| amount.to_string());
            let (excl, incl) = (price.map(|price| price.excl_vat), price.map(|price| price.incl_vat));
            let problem = format!(
                "record {} of {} says {} EUR excl. and {} EUR incl. VAT; by tariff {} it is {} and {}",
                record.seq,
                session.station,
                show(is.0),
                show(is.1),
                tariff.id,
                show(excl),
                show(incl)
            );
            self.problem(problem);
        }
        let price = price.filter(|_| agrees && right)?;
        self.totals.agreed += 1;
        Some(Agreed { record, price })
    }

    /// Nothing waits for its counterpart.
    pub fn is_even(&self) -> bool {
        self.pairs.is_even()
    }

    /// Sessions without a record so far.
    pub fn waiting(&self) -> impl Iterator<Item = &ExpectedSession> {
        self.pairs.unbilled.iter()
    }

    /// What is left over is lost, or was never had. `interrupted`: a session may have been billed that its station, stopped
    /// in the middle of a scenario, could not report.
    pub fn close(&mut self, interrupted: bool) {
        let (unbilled, unexpected) = (&mut self.pairs.unbilled, &mut self.pairs.unexpected);
        let (unbilled, unexpected) = (std::mem::take(unbilled), std::mem::take(unexpected));
        self.totals.lost += unbilled.len();
        for session in unbilled {
            let tx = session.tx.as_deref().unwrap_or("without a number");
            self.problem(format!("{} transaction {tx}, {} Wh, has no verified record", session.station, session.delivered_wh));
        }
        for record in unexpected.iter().filter(|_| !interrupted) {
            self.problem(format!("record {} bills what no station had: {}", record.seq, record.summary()));
        }
    }

    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
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

    /// Sessions and records in, the closed reconciliation out.
    fn reconciliation(sessions: &[ExpectedSession], payloads: &[&str]) -> Reconciliation {
        let mut reconciliation = Reconciliation::default();
        for payload in payloads {
            reconciliation.verified(record(payload));
        }
        for session in sessions {
            reconciliation.happened(session.clone(), AC);
        }
        reconciliation.close(false);
        reconciliation
    }

    #[test]
    fn equal_session_and_record_are_good() {
        let reconciliation = reconciliation(&[session(3600)], &[PAYLOAD]);
        assert!(reconciliation.is_good() && reconciliation.is_even(), "{reconciliation:?}");
        let billed = Decimal::new(248, 2);
        assert_eq!(
            reconciliation.totals,
            Totals { sessions: 1, records: 1, agreed: 1, energy_wh: 3600, billed, ..Totals::default() }
        );
    }

    #[test]
    fn a_missing_record_is_a_loss() {
        let reconciliation = reconciliation(&[session(3600)], &[]);
        assert_eq!((reconciliation.totals.lost, reconciliation.problems.len()), (1, 1), "{reconciliation:?}");
    }

    #[test]
    fn a_wrong_cent_is_found_in_either_total() {
        for (from, to) in [("2.08", "2.07"), ("2.48", "2.49"), (r#""incl_vat":2.48"#, r#""incl_vat":null"#)] {
            let reconciliation = reconciliation(&[session(3600)], &[&PAYLOAD.replace(from, to)]);
            assert_eq!((reconciliation.totals.mispriced, reconciliation.problems.len()), (1, 1), "{reconciliation:?}");
        }
    }

    #[test]
    fn wrong_energy_is_a_problem_though_the_price_be_right() {
        let reconciliation = reconciliation(&[session(3600)], &[&PAYLOAD.replace("3.6,", "3.601,")]);
        assert_eq!(
            (reconciliation.totals.agreed, reconciliation.totals.mispriced, reconciliation.problems.len()),
            (0, 0, 1),
            "{reconciliation:?}"
        );
    }

    #[test]
    fn what_nobody_had_or_had_twice_is_a_problem() {
        assert_eq!(reconciliation(&[], &[PAYLOAD]).problems.len(), 1);
        assert_eq!(reconciliation(&[session(3600)], &[PAYLOAD, PAYLOAD]).problems.len(), 1);
        let mut late = reconciliation(&[session(3600)], &[PAYLOAD]);
        late.verified(record(PAYLOAD));
        assert!(!late.is_good());
        assert!(!late.problems[0].is_empty() && late.problems[0].contains("second time"));
    }

    #[test]
    fn an_interrupted_station_is_excused_but_not_a_lost_session() {
        let mut reconciliation = Reconciliation::default();
        reconciliation.verified(record(PAYLOAD));
        reconciliation.close(true);
        assert!(reconciliation.is_good());
        reconciliation.happened(session(3600), AC);
        reconciliation.close(true);
        assert!(!reconciliation.is_good());
    }

    #[test]
    fn what_head_office_refused_counts() {
        let mut reconciliation = reconciliation(&[session(3600)], &[PAYLOAD]);
        reconciliation.refused("signature");
        assert_eq!((reconciliation.totals.unverified, reconciliation.is_good()), (1, false));
    }
}
