//! An OCPI CDR of another system, priced again and compared line by line. OCPI 2.1.1, 2.2.1 and 2.3.0. Pure.
//!
//! The CDR's periods are taken as they are: their energy, and TIME or PARKING_TIME as what the vehicle did. Where a period spans a
//! boundary of the tariff, energy inside it lies on a straight line, and a remark says so. Power is POWER, or MIN_POWER where MAX_POWER
//! is the same, else the period's average; current is CURRENT, or MIN_CURRENT where MAX_CURRENT is the same, else unknown.
//!
//! Not here: signatures, several tariffs in one CDR, reservations.

use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::rating::{self, Activity, LoadSample, Metered, Price, Rated, Tariff};
use crate::record::{Number, hours};
use crate::units::{Decimal, MicroA, MilliW, MilliWh, Time};

/// OCPI numbers have four decimals.
const DIGITS: u32 = 4;
/// Hours of a period with four decimals are right to half of the last: 0.18 s.
const HOURS_SLACK_MS: i64 = 200;

/// Why a CDR cannot be priced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    #[error("not a CDR: {0}")]
    Unreadable(String),
    #[error("the CDR has no tariff; name a file with --tariff")]
    NoTariff,
    #[error("the CDR's tariff {id}: {why}")]
    Tariff { id: String, why: String },
    #[error("its periods are priced by several tariffs ({0}), which is not supported")]
    SeveralTariffs(String),
    #[error("{0}")]
    Periods(String),
    #[error("{0}")]
    Rating(#[from] rating::RatingError),
}

/// One figure of the CDR beside ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// As in `total_cost.excl_vat`.
    pub item: &'static str,
    /// `None`: the CDR does not say.
    pub stated: Option<Decimal>,
    pub computed: Decimal,
}

impl Compared {
    /// `None`: the CDR does not say it.
    pub fn difference(&self) -> Option<Decimal> {
        self.stated.map(|stated| stated - self.computed)
    }
}

/// A CDR, priced again.
#[derive(Debug)]
pub struct Verdict {
    pub cdr_id: String,
    pub tariff_id: String,
    pub compared: Vec<Compared>,
    pub rated: Rated,
    /// What is odd about the CDR itself.
    pub remarks: Vec<String>,
}

#[derive(Deserialize)]
struct ForeignCdr<'a> {
    #[serde(default)]
    id: String,
    start_date_time: String,
    #[serde(alias = "stop_date_time")]
    end_date_time: String,
    #[serde(borrow, default)]
    tariffs: Vec<&'a RawValue>,
    charging_periods: Vec<ForeignPeriod>,
    #[serde(default)]
    credit: bool,
    #[serde(borrow)]
    total_cost: Option<&'a RawValue>,
    #[serde(borrow)]
    total_fixed_cost: Option<&'a RawValue>,
    #[serde(borrow)]
    total_energy_cost: Option<&'a RawValue>,
    #[serde(borrow)]
    total_time_cost: Option<&'a RawValue>,
    #[serde(borrow)]
    total_parking_cost: Option<&'a RawValue>,
    total_energy: Option<Number>,
    total_time: Option<Number>,
    total_parking_time: Option<Number>,
}

#[derive(Deserialize)]
struct ForeignPeriod {
    start_date_time: String,
    dimensions: Vec<ForeignDimension>,
    tariff_id: Option<String>,
}

#[derive(Deserialize)]
struct ForeignDimension {
    #[serde(rename = "type")]
    kind: String,
    volume: Number,
}

impl ForeignPeriod {
    fn volume(&self, kind: &str) -> Option<Decimal> {
        self.dimensions.iter().find(|dimension| dimension.kind == kind).map(|dimension| dimension.volume.0)
    }
}

/// Prices a CDR by `tariff`, else by its own, in the time zone of its location.
pub fn verify(json: &str, tariff: Option<&Tariff>, zone: Tz) -> Result<Verdict, ForeignError> {
    let cdr: ForeignCdr<'_> = serde_json::from_str(json).map_err(|error| ForeignError::Unreadable(error.to_string()))?;
    let own = tariff.map_or_else(|| own_tariff(&cdr).map(Some), |_| Ok(None))?;
    let tariff = tariff.or(own.as_ref()).ok_or(ForeignError::NoTariff)?;
    let mut remarks = Vec::new();
    let metered = metered(&cdr, &mut remarks)?;
    let rated = rating::price(tariff, &metered, zone, DIGITS)?;
    let starts: Vec<Time> = cdr.charging_periods.iter().filter_map(|period| instant(&period.start_date_time).ok()).collect();
    for period in rated.periods.iter().filter(|period| !starts.contains(&period.start)) {
        let at = crate::units::time::rfc3339(period.start);
        remarks.push(format!(
            "the price changes at {at} ({}), and no period begins there: energy was interpolated",
            period.boundary
        ));
    }
    let compared = compare(&cdr, &rated);
    Ok(Verdict { cdr_id: cdr.id.clone(), tariff_id: tariff.id.clone(), compared, rated, remarks })
}

/// The one that its periods name; without names the only one.
fn own_tariff(cdr: &ForeignCdr<'_>) -> Result<Tariff, ForeignError> {
    let mut named: Vec<&str> = cdr.charging_periods.iter().filter_map(|period| period.tariff_id.as_deref()).collect();
    named.sort_unstable();
    named.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    if named.len() > 1 {
        return Err(ForeignError::SeveralTariffs(named.join(", ")));
    }
    let mut parsed = cdr.tariffs.iter().map(|raw| {
        Tariff::parse_stored(raw.get()).map_err(|error| {
            #[derive(Deserialize)]
            struct Id {
                id: String,
            }
            let id = serde_json::from_str(raw.get()).map_or_else(|_| "without id".to_owned(), |Id { id }| id);
            ForeignError::Tariff { id, why: error.to_string() }
        })
    });
    let wanted = |tariff: &Tariff| named.first().is_none_or(|name| tariff.id.eq_ignore_ascii_case(name));
    match parsed.find(|tariff| tariff.as_ref().map_or(true, wanted)) {
        Some(tariff) => tariff,
        None => Err(ForeignError::NoTariff),
    }
}

fn instant(text: &str) -> Result<Time, ForeignError> {
    let text_utc = if text.ends_with('Z') || text.get(10..).is_some_and(|rest| rest.contains(['+', '-'])) {
        text.to_owned()
    } else {
        format!("{text}Z")
    };
    text_utc.parse().map_err(|_| ForeignError::Unreadable(format!("{text:?} is no instant")))
}

/// The session that its periods describe.
fn metered(cdr: &ForeignCdr<'_>, remarks: &mut Vec<String>) -> Result<Metered, ForeignError> {
    let (start, end) = (instant(&cdr.start_date_time)?, instant(&cdr.end_date_time)?);
    if end < start {
        return Err(ForeignError::Periods("it ends before it begins".to_owned()));
    }
    let mut periods = Vec::with_capacity(cdr.charging_periods.len());
    for period in &cdr.charging_periods {
        periods.push((instant(&period.start_date_time)?, period));
    }
    if !periods.is_sorted_by_key(|(at, _)| *at) {
        remarks.push("the periods are not in order of time; they were sorted".to_owned());
        periods.sort_by_key(|(at, _)| *at);
    }
    if periods.first().is_none_or(|(at, _)| *at != start) {
        remarks.push("the first period does not begin with the session".to_owned());
    }
    let mut register = MilliWh(0);
    let (mut registers, mut activity, mut loads) = (vec![(start, register)], Vec::new(), Vec::new());
    for (index, (from, period)) in periods.iter().enumerate() {
        let from = (*from).clamp(start, end);
        let until = periods.get(index + 1).map_or(end, |(next, _)| (*next).clamp(start, end));
        activity.extend(activities(index, from, until, period, remarks));
        let out_of_range = || ForeignError::Periods(format!("period {}: its energy cannot be read", index + 1));
        let kwh = period.volume("ENERGY").unwrap_or_default();
        let energy = kwh.checked_mul(Decimal::ONE_THOUSAND).and_then(MilliWh::from_wh).ok_or_else(out_of_range)?;
        if energy.0 < 0 {
            return Err(ForeignError::Periods(format!("period {}: negative energy cannot be priced", index + 1)));
        }
        register = MilliWh(register.0.checked_add(energy.0).ok_or_else(out_of_range)?);
        registers.push((until, register));
        let same = |least: &str, most: &str| period.volume(least).filter(|value| period.volume(most) == Some(*value));
        let power = period.volume("POWER").or_else(|| same("MIN_POWER", "MAX_POWER")).and_then(MilliW::from_kw);
        let current = period.volume("CURRENT").or_else(|| same("MIN_CURRENT", "MAX_CURRENT")).and_then(MicroA::from_amperes);
        if power.is_some() || current.is_some() {
            loads.push(LoadSample { at: from, power, current });
        }
    }
    if activity.first().is_none_or(|(at, _)| *at != start) {
        activity.insert(0, (start, Activity::Paused));
    }
    Metered::new(start, end, registers, activity, loads).map_err(|error| ForeignError::Periods(error.to_string()))
}

/// What the vehicle did in a period: TIME first, then PARKING_TIME, then nothing that is priced.
fn activities(index: usize, from: Time, until: Time, period: &ForeignPeriod, remarks: &mut Vec<String>) -> Vec<(Time, Activity)> {
    let length = (until - from).num_milliseconds();
    let (mut at, mut left) = (from, length);
    let mut found = Vec::new();
    for (kind, activity) in [("TIME", Activity::Charging), ("PARKING_TIME", Activity::Idle)] {
        let Some(stated) = period.volume(kind).filter(|volume| !volume.is_zero()) else { continue };
        let ms = millis(stated);
        let ms = if (ms - left).abs() <= HOURS_SLACK_MS { left } else { ms };
        if ms > left {
            remarks.push(format!("period {}: {kind} of {stated} h, the period has {} h", index + 1, hours(length)));
        }
        let ms = ms.clamp(0, left);
        found.push((at, activity));
        at += chrono::Duration::milliseconds(ms);
        left -= ms;
    }
    if left > 0 {
        found.push((at, Activity::Paused));
    }
    found
}

fn millis(hours: Decimal) -> i64 {
    use rust_decimal::prelude::ToPrimitive;
    hours.checked_mul(Decimal::from(3_600_000)).and_then(|ms| ms.round().to_i64()).unwrap_or(i64::MAX / 2)
}

/// What a price says: a number (2.1.1), `excl_vat` and `incl_vat` (2.2.1), or `before_taxes` and `taxes` (2.3.0).
fn price(raw: Option<&RawValue>) -> (Option<Decimal>, Option<Decimal>) {
    #[derive(Deserialize)]
    struct Excl {
        excl_vat: Number,
        incl_vat: Option<Number>,
    }
    #[derive(Deserialize)]
    struct Before {
        before_taxes: Number,
        #[serde(default)]
        taxes: Vec<Tax>,
    }
    #[derive(Deserialize)]
    struct Tax {
        amount: Number,
    }
    let Some(text) = raw.map(RawValue::get) else { return (None, None) };
    if let Ok(Number(amount)) = serde_json::from_str(text) {
        return (Some(amount), None);
    }
    if let Ok(Excl { excl_vat, incl_vat }) = serde_json::from_str(text) {
        return (Some(excl_vat.0), incl_vat.map(|incl| incl.0));
    }
    match serde_json::from_str(text) {
        Ok(Before { before_taxes, taxes }) => {
            (Some(before_taxes.0), Some(before_taxes.0 + taxes.iter().map(|tax| tax.amount.0).sum::<Decimal>()))
        }
        Err(_) => (None, None),
    }
}

fn compare(cdr: &ForeignCdr<'_>, rated: &Rated) -> Vec<Compared> {
    let sign = if cdr.credit { Decimal::NEGATIVE_ONE } else { Decimal::ONE };
    let totals = &rated.totals;
    let mut compared = Vec::new();
    let mut add = |item, stated, computed| compared.push(Compared { item, stated, computed });
    let (excl, incl) = price(cdr.total_cost);
    add("total_cost excl. VAT", excl, totals.cost.excl_vat * sign);
    add("total_cost incl. VAT", incl, totals.cost.incl_vat * sign);
    let parts: [(&'static str, _, Option<Price>); 4] = [
        ("total_fixed_cost excl. VAT", cdr.total_fixed_cost, totals.fixed),
        ("total_energy_cost excl. VAT", cdr.total_energy_cost, totals.energy),
        ("total_time_cost excl. VAT", cdr.total_time_cost, totals.time),
        ("total_parking_cost excl. VAT", cdr.total_parking_cost, totals.parking),
    ];
    for (item, stated, ours) in parts {
        let stated = price(stated).0;
        if stated.is_some() || ours.is_some() {
            add(item, stated, ours.unwrap_or_default().excl_vat);
        }
    }
    let number = |number: Option<Number>| number.map(|number| number.0);
    add("total_energy kWh", number(cdr.total_energy), totals.energy_delivered.kwh());
    add("total_time h", number(cdr.total_time), hours(totals.duration_ms));
    add("total_parking_time h", number(cdr.total_parking_time), hours(totals.idle_ms));
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_of_a_foreign_cdr() {
        // 10 kWh in an hour at 1.00 from 16 kW on and 0.50 below: the average is 10 kW.
        let cost = |power: &str| {
            let cdr = format!(
                r#"{{"start_date_time":"2026-06-01T10:00:00","end_date_time":"2026-06-01T11:00:00Z","tariffs":[{{"id":"T","currency":"EUR",
                "elements":[{{"price_components":[{{"type":"ENERGY","price":1,"step_size":1}}],"restrictions":{{"min_power":16}}}},
                {{"price_components":[{{"type":"ENERGY","price":0.5,"step_size":1}}]}}]}}],"charging_periods":[
                {{"start_date_time":"2026-06-01T10:00:00Z","dimensions":[{power}{{"type":"ENERGY","volume":10}}]}}]}}"#
            );
            verify(&cdr, None, Tz::UTC).expect("priced").rated.totals.cost.excl_vat.normalize().to_string()
        };
        let dimension = |kind: &str, kw: u32| format!(r#"{{"type":"{kind}","volume":{kw}}},"#);
        assert_eq!(cost(""), "5");
        assert_eq!(cost(&dimension("POWER", 22)), "10");
        assert_eq!(cost(&dimension("MAX_POWER", 40)), "5", "one of them alone says nothing");
        assert_eq!(cost(&[dimension("MIN_POWER", 10), dimension("MAX_POWER", 40)].concat()), "5");
        assert_eq!(cost(&[dimension("MIN_POWER", 22), dimension("MAX_POWER", 22)].concat()), "10");
    }
}
