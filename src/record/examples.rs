//! Examples for the tests: one session of two hours, its rating by hand, records in a row.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Body, ChargeBody, Hash, JwkSet, Place, Record, SigningKey};
use crate::billing::{self, Due, SiteTerms};
use crate::fact::Context;
use crate::rating::{Activity, Dimension, Line, LineSource, Metered, Period, Price, Rated, Tariff, Totals};
use crate::session::Session;
use crate::session::metering::{Metering, Signed};
use crate::units::{Decimal, Finding, MilliWh, SessionId, StationId, Time, Token, TokenKind, TxRef, Version};

pub const EPOCH: u64 = 1_795_000_000_000;
pub const PEM: &str = include_str!("golden/test-only-p256.pem");

/// White space inside is part of it.
pub const TARIFF: &str = r#"{"id":"T1",  "currency":"EUR", "elements":[{"price_components":[
  {"type":"FLAT","price":0.50,"vat":21.0,"step_size":1},
  {"type":"ENERGY","price":0.30,"vat":21.0,"step_size":1},
  {"type":"PARKING_TIME","price":1.200,"vat":21.0,"step_size":60}]}]}"#;

pub fn key() -> SigningKey {
    SigningKey::from_pem(PEM).expect("test key")
}

pub fn keys() -> JwkSet {
    JwkSet::from(key().jwk().clone())
}

pub fn dec(text: &str) -> Decimal {
    text.parse().expect("decimal")
}

pub fn at(text: &str) -> Time {
    text.parse().expect("time")
}

/// A session and what was metered in it.
pub struct Example {
    pub session: Session,
    pub start: Time,
    pub end: Time,
    pub energy: MilliWh,
    pub signed: Vec<Signed>,
}

pub fn example() -> Example {
    let (start, end) = (at("2026-11-21T10:00:00Z"), at("2026-11-21T12:00:00Z"));
    let id = SessionId::new("S-20261121-0042");
    let mut session = Session::new(42, id, StationId::new("CP-07"), Version::V201, TxRef::new("a7f0"), start);
    session.evse = 1;
    session.token = Some(Token::new(TokenKind::Named("ISO14443".into()), "04A1B2C3D4A1F3"));
    session.stop_reason = Some("EVDisconnected".to_owned());
    session.findings = vec![Finding::new("clock-offset", "the station's clock is 3 s ahead")];
    let data = "OCMF|{\"FV\":\"1.0\"}|{\"SD\":\"30\"}".to_owned();
    Example {
        session,
        start,
        end,
        energy: MilliWh(10_500_250),
        signed: vec![Signed { at: start, context: Context::TransactionBegin, data }],
    }
}

impl Example {
    pub fn charge(self, rated: &Rated) -> ChargeBody {
        let Self { session, start, end, energy, signed } = self;
        let first = MilliWh(1_000_000_000);
        let registers = vec![(start, first), (end, first + energy)];
        let metered = Metered::new(start, end, registers, vec![(start, Activity::Charging)], Vec::new()).expect("metered");
        let metering = Metering { metered, highest_kw: None, source: "transaction-samples", signed, findings: Vec::new() };
        let meter_serial = Some("EM-1234".to_owned());
        let due = Due { session, entries: Vec::new(), last_message: None, damaged: Vec::new(), meter_serial, learned_kw: None };
        let site = SiteTerms {
            id: "site-1".to_owned(),
            name: "Forecourt \"West\"".to_owned(),
            country_code: "NL".to_owned(),
            party_id: "FCT".to_owned(),
            time_zone: chrono_tz::Europe::Amsterdam,
            currency: "EUR".to_owned(),
            minor_digits: 2,
        };
        let tariff = Tariff::parse(&format!("\n{TARIFF}\n")).expect("tariff");
        billing::charge(&due, &metering, rated, &tariff, &site, &["NL*FCT*E07*1".to_owned()])
    }

    pub fn body(self, rated: &Rated) -> Body {
        Body::Charge(Box::new(self.charge(rated)))
    }
}

pub fn period(start: &str, end: &str, energy: i64, activity: Activity) -> Period {
    Period { start: at(start), end: at(end), energy: MilliWh(energy), activity, boundary: "state", interpolated: false }
}

pub fn line(source: LineSource, quantity: &str, unit_price: &str, excl: &str, vat: &str, incl: &str) -> Line {
    Line {
        source,
        start: at("2026-11-21T10:00:00Z"),
        end: at("2026-11-21T12:00:00Z"),
        measured: dec(quantity),
        billed: dec(quantity),
        unit_price: dec(unit_price),
        vat_percent: Some(dec("21.0")),
        exact: dec(quantity) * dec(unit_price),
        amount_excl_vat: dec(excl),
        vat: dec(vat),
        amount_incl_vat: dec(incl),
        reason: "always".to_owned(),
    }
}

/// A line worth what the caller says next.
pub fn line_of(quantity: Decimal) -> Line {
    Line { measured: quantity, billed: quantity, ..line(LineSource::PriceLimit, "1", "0", "0", "0", "0") }
}

fn price(excl: &str, incl: &str) -> Price {
    Price { excl_vat: dec(excl), incl_vat: dec(incl) }
}

/// 40 minutes charging, 20 paused by the station, 40 charging, 20 idle.
pub fn rated() -> Rated {
    let component = |dimension, component| LineSource::Component { dimension, element: 0, component };
    Rated {
        currency: "EUR".to_owned(),
        rounding: "line-half-up-2",
        periods: vec![
            period("2026-11-21T10:00:00Z", "2026-11-21T10:40:00Z", 6_000_000, Activity::Charging),
            period("2026-11-21T10:40:00Z", "2026-11-21T11:00:00Z", 0, Activity::Paused),
            period("2026-11-21T11:00:00Z", "2026-11-21T11:40:00Z", 4_500_250, Activity::Charging),
            period("2026-11-21T11:40:00Z", "2026-11-21T12:00:00Z", 0, Activity::Idle),
        ],
        lines: vec![
            line(component(Dimension::Flat, 0), "1", "0.50", "0.50", "0.11", "0.61"),
            line(component(Dimension::Energy, 1), "10.50025", "0.30", "3.15", "0.66", "3.81"),
            line(component(Dimension::ParkingTime, 2), "0.333333", "1.200", "0.40", "0.08", "0.48"),
            line(LineSource::PriceLimit, "1", "0.95", "0.95", "0.20", "1.15"),
        ],
        totals: Totals {
            cost: price("5.00", "6.05"),
            fixed: Some(price("0.50", "0.61")),
            energy: Some(price("3.15", "3.81")),
            time: None,
            parking: Some(price("0.40", "0.48")),
            energy_delivered: MilliWh(10_500_250),
            duration_ms: 7_200_000,
            idle_ms: 1_200_000,
        },
        findings: vec![Finding::new("price-limit", "raised to min_price")],
    }
}

pub fn place(epoch: u64, seq: u64, prev: Option<Hash>) -> Place {
    Place {
        site: "site-1".to_owned(),
        epoch,
        seq,
        prev,
        record_id: Uuid::from_u128(0x0199_aa00_0000_7000_8000_0000_0000_0000 + u128::from(seq)),
        created_at: at("2026-11-21T12:00:01.250Z") + TimeDelta::seconds(i64::try_from(seq).expect("small")),
    }
}

pub fn seal(epoch: u64, seq: u64, prev: Option<Hash>) -> Record {
    example().body(&rated()).seal(&place(epoch, seq, prev), &key()).expect("sealed")
}

/// Records 1 to `count` of one epoch.
pub fn records(epoch: u64, count: u64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for seq in 1..=count {
        let prev = records.last().map(|record| record.hash);
        records.push(seal(epoch, seq, prev));
    }
    records
}
