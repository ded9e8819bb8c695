//! Arithmetic of a payload: a record must not contradict itself. Run before sealing and after verifying.
//!
//! | code | rule |
//! |---|---|
//! | `line-vat` | each line: excl. VAT + VAT = incl. VAT |
//! | `lines-total` | the lines sum up to `total_cost` |
//! | `lines-dimension` | the lines of a dimension sum up to its total (fixed, energy, time, parking); no line, no total |
//! | `period-order` | charging periods ascend, the first starts with the session, none starts after its end |
//! | `period-energy` | ENERGY volumes sum up to `total_energy` |
//! | `period-time` | TIME and PARKING_TIME are the lengths of their periods; PARKING_TIME sums up to `total_parking_time` |
//! | `session-time` | `total_time` is the time from start to end |
//! | `meter-energy` | stop - start register = `energy_wh` = `total_energy` |
//! | `tariff-hash` | `rating.tariff_sha256` is that of the tariff in the CDR |
//! | `cdr-id` | the CDR goes by the record's id |
//! | `credit-reference` | a credit says so in its CDR, and names the CDR that it takes back; a charge does not |
//!
//! A credit has the times, energies and dimension totals of its charge; its lines and its `total_cost` are negative (OCPI 2.2.1 cdrs,
//! credit CDRs).
//!
//! Sums are exact. Only single period volumes are allowed a millionth of an hour, to which they are rounded.
//!
//! Not here: whether quantity times unit price is the amount (that is the rounding policy's to say), and whether the tariff
//! was the right one.

use super::body::Body;
use super::cdr::{Cdr, CdrPrice};
use super::charge::{BillLine, ChargeBody, Meter, PRICE_LIMIT, Rating, tariff_hash};
use super::exact::{Stamp, hours};
use super::payload::Payload;
use crate::rating::Dimension;
use crate::units::{Code, Decimal, Finding};

pub fn payload(payload: &Payload) -> Vec<Finding> {
    match &payload.body {
        Some(Body::Charge(charge)) => bill(charge, &payload.header.record_id, false),
        Some(Body::Credit(credit)) => bill(credit, &payload.header.record_id, true),
        Some(Body::GatewayChange(_)) | None => Vec::new(),
    }
}

fn bill(charge: &ChargeBody, record_id: &str, is_credit: bool) -> Vec<Finding> {
    let cdr = &charge.cdr;
    let mut faults = Faults(Vec::new());
    let named = (cdr.credit.unwrap_or_default(), cdr.credit_reference_id.as_ref());
    let answers = charge.corrects.as_ref().map(|corrects| &corrects.record_id);
    if named.0 != is_credit || named.1 != answers.filter(|_| is_credit) || (is_credit && answers.is_none()) {
        faults.add("credit-reference", "credit, credit_reference_id and corrects do not say the same".to_owned());
    }
    if cdr.id != record_id {
        faults.add("cdr-id", format!("the CDR is called {}, the record {record_id}", cdr.id));
    }
    check_lines(cdr, &charge.lines, is_credit, &mut faults);
    check_order(cdr, &mut faults);
    check_times(cdr, &mut faults);
    check_energy(cdr, &charge.meter, &mut faults);
    check_tariff(cdr, &charge.rating, &mut faults);
    faults.0
}

struct Faults(Vec<Finding>);

impl Faults {
    fn add(&mut self, code: Code, text: String) {
        self.0.push(Finding::new(code, text));
    }

    fn equal(&mut self, code: Code, what: &str, left: Decimal, right: Decimal) {
        if left != right {
            self.add(code, format!("{what}: {left} is not {right}"));
        }
    }
}

/// `None` when the sum does not fit into a decimal, which no honest bill reaches.
fn sum(values: impl Iterator<Item = Decimal>) -> Option<Decimal> {
    values.into_iter().try_fold(Decimal::ZERO, |total, value| total.checked_add(value))
}

fn check_lines(cdr: &Cdr, lines: &[BillLine], is_credit: bool, faults: &mut Faults) {
    for (index, line) in lines.iter().enumerate() {
        let made = line.amount_excl_vat.0.checked_add(line.vat.0);
        if made != Some(line.amount_incl_vat.0) {
            let text = format!(
                "line {}: {} excl. VAT and {} VAT do not make {}",
                index + 1,
                line.amount_excl_vat.0,
                line.vat.0,
                line.amount_incl_vat.0
            );
            faults.add("line-vat", text);
        }
    }
    compare(faults, "lines-total", "total_cost", lines.iter(), cdr.total_cost);
    let totals = [
        (Dimension::Flat, "total_fixed_cost", cdr.total_fixed_cost),
        (Dimension::Energy, "total_energy_cost", cdr.total_energy_cost),
        (Dimension::Time, "total_time_cost", cdr.total_time_cost),
        (Dimension::ParkingTime, "total_parking_cost", cdr.total_parking_cost),
    ];
    for (dimension, name, total) in totals {
        let mut of_dimension = lines.iter().filter(|line| line.dimension == dimension.as_str()).peekable();
        match total {
            Some(total) if is_credit => compare(faults, "lines-dimension", name, of_dimension, total.negated()),
            Some(total) => compare(faults, "lines-dimension", name, of_dimension, total),
            None if of_dimension.peek().is_some() => {
                faults.add("lines-dimension", format!("{name} is missing, yet a line is priced by {}", dimension.as_str()));
            }
            None => {}
        }
    }
    let known = |line: &&BillLine| line.dimension == PRICE_LIMIT || totals.iter().any(|(d, ..)| d.as_str() == line.dimension);
    for line in lines.iter().filter(|line| !known(line)) {
        faults.add("lines-dimension", format!("no total is kept for dimension {}", line.dimension));
    }
}

fn compare<'a>(faults: &mut Faults, code: Code, name: &str, lines: impl Iterator<Item = &'a BillLine> + Clone, total: CdrPrice) {
    let excl = sum(lines.clone().map(|line| line.amount_excl_vat.0));
    let incl = sum(lines.map(|line| line.amount_incl_vat.0));
    let (Some(excl), Some(incl)) = (excl, incl) else {
        faults.add(code, format!("{name}: the sum of the lines is out of range"));
        return;
    };
    faults.equal(code, &format!("{name} excl. VAT: sum of the lines"), excl, total.excl_vat.0);
    faults.equal(code, &format!("{name} incl. VAT: sum of the lines"), incl, total.incl_vat.0);
}

fn check_order(cdr: &Cdr, faults: &mut Faults) {
    let starts: Vec<Stamp> = cdr.charging_periods.iter().map(|period| period.start_date_time).collect();
    let Some((first, last)) = starts.first().zip(starts.last()) else {
        faults.add("period-order", "the CDR has no charging period".to_owned());
        return;
    };
    if *first != cdr.start_date_time {
        faults.add("period-order", "the first charging period does not start with the session".to_owned());
    }
    if *last > cdr.end_date_time {
        faults.add("period-order", "a charging period starts after the end of the session".to_owned());
    }
    if !starts.is_sorted() {
        faults.add("period-order", "the charging periods are not in order of time".to_owned());
    }
}

fn check_times(cdr: &Cdr, faults: &mut Faults) {
    let length = |start: Stamp, end: Stamp| (end.0 - start.0).num_milliseconds();
    let session = hours(length(cdr.start_date_time, cdr.end_date_time));
    faults.equal("session-time", "total_time: hours from start to end", session, cdr.total_time.0);
    let ends = cdr.charging_periods.iter().skip(1).map(|next| next.start_date_time).chain([cdr.end_date_time]);
    let (mut charging_ms, mut idle_ms) = (0, 0);
    for (period, end) in cdr.charging_periods.iter().zip(ends) {
        let ms = length(period.start_date_time, end);
        for (dimension, total_ms) in [(Dimension::Time, &mut charging_ms), (Dimension::ParkingTime, &mut idle_ms)] {
            let Some(volume) = period.volume(dimension.as_str()) else { continue };
            *total_ms += ms;
            let off = hours(ms).checked_sub(volume.0).map(|off| off.abs());
            if off.is_none_or(|off| off > Decimal::new(1, 6)) {
                let start = crate::units::time::rfc3339(period.start_date_time.0);
                let text = format!("period of {start}: {} {} hours, it lasted {}", dimension.as_str(), volume.0, hours(ms));
                faults.add("period-time", text);
            }
        }
    }
    let volumes = |dimension: Dimension| {
        let kind = dimension.as_str();
        sum(cdr.charging_periods.iter().filter_map(|period| period.volume(kind)).map(|volume| volume.0)).unwrap_or(Decimal::MAX)
    };
    faults.equal("period-time", "sum of TIME", volumes(Dimension::Time), hours(charging_ms));
    faults.equal("period-time", "sum of PARKING_TIME", volumes(Dimension::ParkingTime), hours(idle_ms));
    let stated = cdr.total_parking_time.unwrap_or_default().0;
    faults.equal("period-time", "total_parking_time: sum of PARKING_TIME", hours(idle_ms), stated);
}

fn check_energy(cdr: &Cdr, meter: &Meter, faults: &mut Faults) {
    let energy = Dimension::Energy.as_str();
    let periods = cdr.charging_periods.iter().filter_map(|period| period.volume(energy)).map(|volume| volume.0);
    let periods = sum(periods).unwrap_or(Decimal::MAX);
    faults.equal("period-energy", "total_energy: sum of ENERGY in kWh", periods, cdr.total_energy.0);
    let total_wh = cdr.total_energy.0.checked_mul(Decimal::ONE_THOUSAND).unwrap_or(Decimal::MAX);
    let metered = meter.stop_register_wh.0.checked_sub(meter.start_register_wh.0).unwrap_or(Decimal::MAX);
    faults.equal("meter-energy", "energy_wh: stop less start register", metered, meter.energy_wh.0);
    faults.equal("meter-energy", "total_energy in Wh: stop less start register", metered, total_wh);
}

fn check_tariff(cdr: &Cdr, rating: &Rating, faults: &mut Faults) {
    let named = cdr.tariffs.iter().any(|tariff| tariff_hash(tariff.get()) == rating.tariff_sha256);
    if !named {
        faults.add("tariff-hash", format!("no tariff in the CDR has the hash {}", rating.tariff_sha256));
    }
}
