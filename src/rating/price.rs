//! From slices to bill lines: exact volumes per price component, step sizes, amounts.
//!
//! A component's volume is summed over the session in whole mWh or ms and multiplied by the price before the one division and
//! the one rounding; periods are never rounded. `step_size` rounds a dimension's priced volume up once per session, and the
//! surplus is billed by the component that priced the dimension last; when parking is priced, charging time is not rounded
//! (OCPI 2.2.1 bugfix edition, PriceComponent `step_size`; ocpi/ocpi issue 546: unpriced volume does not count).

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::bill;
use super::metered::Metered;
use super::moment::Source;
use super::rated::{Activity, Dimension, Line, LineSource, Rated};
use super::split::{self, Slice};
use super::tariff::{Tariff, Taxes};
use super::text::usage_words;
use super::volume::Volume;
use crate::units::{Decimal, Finding, MilliWh, Time, time};

/// Name of the rounding policy: each line once to the currency's minor unit, half away from zero; VAT per rate once on the sum
/// of that rate's lines, spread over them.
pub const ROUNDING: &str = "line-half-away-from-zero.vat-per-rate/1";

/// ISO 4217 has none with more.
const MAX_MINOR_DIGITS: u32 = 4;

/// Why a session cannot be priced with this tariff.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    #[error("tariff {id} is not valid at the start of the session, {start}")]
    TariffNotValid { id: String, start: String },
    #[error("a currency has at most {MAX_MINOR_DIGITS} decimals, not {0}")]
    MinorDigits(u32),
}

/// Prices a session by the tariff that was valid when it started. `zone` is the site's time zone, `minor_digits` the decimals
/// of the currency (2 for EUR, 0 for JPY). The same input always gives the same result, to the last digit.
pub fn price(tariff: &Tariff, metered: &Metered, zone: Tz, minor_digits: u32) -> Result<Rated, RatingError> {
    if !tariff.valid_at(metered.start()) {
        return Err(RatingError::TariffNotValid { id: tariff.id.clone(), start: time::rfc3339(metered.start()) });
    }
    if minor_digits > MAX_MINOR_DIGITS {
        return Err(RatingError::MinorDigits(minor_digits));
    }
    let (slices, mut findings) = split::slices(tariff, metered, zone);
    let mut usages = usages(&slices);
    add_step_surplus(tariff, &slices, &mut usages);
    let mut lines: Vec<Line> = usages.iter().filter_map(|(key, usage)| line(tariff, *key, usage, minor_digits)).collect();
    bill::add_vat(&mut lines, tariff.taxes, minor_digits);
    if tariff.taxes == Taxes::Included && lines.iter().any(|line| line.vat_percent.is_none()) {
        let detail = "prices include tax of a rate that the tariff does not name; what is excl. and incl. VAT is the same";
        findings.push(Finding::new("tax-rate-unknown", detail));
    }
    let aborted = metered.duration_ms() == 0 && metered.energy() == MilliWh(0);
    findings.extend(bill::apply_limits(&mut lines, tariff, metered, minor_digits, aborted));
    bill::show_minor_digits(&mut lines, minor_digits);
    let mut totals = bill::totals(&lines, minor_digits);
    totals.energy_delivered = metered.energy();
    totals.duration_ms = metered.duration_ms();
    totals.idle_ms = slices.iter().filter(|slice| slice.period.activity == Activity::Idle).map(Slice::length_ms).sum();
    let periods = slices.into_iter().map(|slice| slice.period).collect();
    Ok(Rated { currency: tariff.currency.clone(), rounding: ROUNDING, periods, lines, totals, findings })
}

/// What one component priced in the whole session.
struct Usage {
    start: Time,
    end: Time,
    measured: Volume,
    billed: Volume,
}

/// In the order of the bill: by dimension, then as in the tariff.
type Usages = BTreeMap<(Dimension, Source), Usage>;

fn usages(slices: &[Slice]) -> Usages {
    let mut usages = Usages::new();
    for slice in slices {
        for (dimension, source, volume) in slice.volumes() {
            let (start, end) = (slice.period.start, slice.period.end);
            let add = |usage: &mut Usage| {
                usage.end = end;
                usage.measured = usage.measured.plus(volume);
                usage.billed = usage.billed.plus(volume);
            };
            let entry = usages.entry((dimension, source)).and_modify(add);
            entry.or_insert(Usage { start, end, measured: volume, billed: volume });
        }
    }
    usages
}

/// Rounds ENERGY, and PARKING_TIME or else TIME, up to whole steps of the component that priced the dimension last.
fn add_step_surplus(tariff: &Tariff, slices: &[Slice], usages: &mut Usages) {
    let parked = usages.keys().any(|(dimension, _)| *dimension == Dimension::ParkingTime);
    let time = if parked { Dimension::ParkingTime } else { Dimension::Time };
    for dimension in [Dimension::Energy, time] {
        let last = slices.iter().rev().flat_map(Slice::volumes).find(|(priced, _, _)| *priced == dimension);
        let Some((_, source, _)) = last else { continue };
        let Some(component) = tariff.component(source.0, source.1) else { continue };
        let priced = usages.iter().filter(|((priced, _), _)| *priced == dimension).map(|(_, usage)| usage.measured);
        let Some(total) = priced.reduce(Volume::plus) else { continue };
        if let Some(usage) = usages.get_mut(&(dimension, source)) {
            usage.billed = usage.billed.plus(total.missing_to_step(component.step_size));
        }
    }
}

/// The bill line of one component, VAT still to come.
fn line(tariff: &Tariff, key: (Dimension, Source), usage: &Usage, minor_digits: u32) -> Option<Line> {
    let (dimension, (element, component)) = key;
    let price = tariff.component(element, component)?;
    let exact = usage.billed.at(price.price);
    let amount = bill::to_minor(exact, minor_digits);
    // One of the amounts is what the tariff means; `add_vat` finds the other.
    let (unit_price, exact, excl_vat, incl_vat) = match tariff.taxes {
        Taxes::Included => {
            let unit_price = bill::before_tax(price.price, price.vat).round_dp(6).normalize();
            (unit_price, bill::before_tax(exact, price.vat), Decimal::ZERO, amount)
        }
        Taxes::Unstated | Taxes::Excluded | Taxes::NotApplicable => (price.price, exact, amount, Decimal::ZERO),
    };
    let words = tariff.elements.get(element)?.restrictions.words();
    let usage_words = usage_words(price, usage.measured, usage.billed, tariff);
    Some(Line {
        source: LineSource::Component { dimension, element, component },
        start: usage.start,
        end: usage.end,
        measured: usage.measured.quantity(),
        billed: usage.billed.quantity(),
        unit_price,
        vat_percent: price.vat,
        exact: exact.round_dp(12).normalize(),
        amount_excl_vat: excl_vat,
        vat: Decimal::ZERO,
        amount_incl_vat: incl_vat,
        reason: format!("element {}: {words}; {usage_words}", element + 1),
    })
}
