//! VAT, price limits and totals over rounded lines.
//!
//! VAT is computed once per rate on the sum of that rate's lines and spread over them by cumulative difference, so that lines
//! add up exactly. A price limit becomes one signed line per VAT rate. OCPI bounds the total excl. VAT and the total incl. VAT
//! independently (2.2.1 tariffs, notes on `min_price` and `max_price`); where the second bound does not follow from the first,
//! the VAT of the limit lines takes the difference and a finding says so (docs/rating.md, price limits).

use std::collections::BTreeMap;

use rust_decimal::RoundingStrategy;

use super::metered::Metered;
use super::rated::{Dimension, Line, LineSource, Price, Totals};
use super::tariff::{Tariff, Taxes};
use crate::units::{Decimal, Finding};

/// Rounds half away from zero to the minor unit and shows all of its digits.
pub(super) fn to_minor(amount: Decimal, minor_digits: u32) -> Decimal {
    scaled(amount, minor_digits, RoundingStrategy::MidpointAwayFromZero)
}

fn scaled(amount: Decimal, minor_digits: u32, strategy: RoundingStrategy) -> Decimal {
    let mut rounded = amount.round_dp_with_strategy(minor_digits, strategy);
    rounded.rescale(minor_digits);
    rounded
}

fn vat_on(net: Decimal, percent: Option<Decimal>, minor_digits: u32) -> Decimal {
    to_minor(net * percent.unwrap_or_default() / Decimal::ONE_HUNDRED, minor_digits)
}

/// Net and VAT of all lines of one VAT rate.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    net: Decimal,
    vat: Decimal,
}

/// Decimals order by value, so 19 and 19.00 are one rate.
type Groups = BTreeMap<Option<Decimal>, Group>;

/// What is before tax of an amount that includes it.
pub(super) fn before_tax(gross: Decimal, percent: Option<Decimal>) -> Decimal {
    gross * Decimal::ONE_HUNDRED / (Decimal::ONE_HUNDRED + percent.unwrap_or_default())
}

/// Fills in what is missing of amount, VAT and amount incl. VAT: a line has the amount that its tariff's prices mean.
pub(super) fn add_vat(lines: &mut [Line], taxes: Taxes, minor_digits: u32) {
    let mut groups = Groups::new();
    for line in lines {
        if taxes == Taxes::Included {
            // The quoted price is exact, and what is before tax follows.
            let group = groups.entry(line.vat_percent).or_default();
            let gross = group.net + group.vat + line.amount_incl_vat;
            let net = to_minor(before_tax(gross, line.vat_percent), minor_digits);
            line.amount_excl_vat = net - group.net;
            line.vat = line.amount_incl_vat - line.amount_excl_vat;
            *group = Group { net, vat: gross - net };
            continue;
        }
        let group = groups.entry(line.vat_percent).or_default();
        group.net += line.amount_excl_vat;
        let vat = vat_on(group.net, line.vat_percent, minor_digits);
        line.vat = vat - group.vat;
        line.amount_incl_vat = line.amount_excl_vat + line.vat;
        group.vat = vat;
    }
}

/// Gives every amount the digits of the currency. Decimal arithmetic does not: 0.00 plus 0 is the second zero, `0`.
pub(super) fn show_minor_digits(lines: &mut [Line], minor_digits: u32) {
    for line in lines {
        for amount in [&mut line.amount_excl_vat, &mut line.vat, &mut line.amount_incl_vat] {
            *amount = to_minor(*amount, minor_digits);
        }
    }
}

pub(super) fn totals(lines: &[Line], minor_digits: u32) -> Totals {
    let zero = Decimal::new(0, minor_digits);
    let sum = |wanted: &dyn Fn(&LineSource) -> bool| {
        let mut lines = lines.iter().filter(|line| wanted(&line.source)).peekable();
        lines.peek().is_some().then(|| {
            lines.fold(Price { excl_vat: zero, incl_vat: zero }, |sum, line| Price {
                excl_vat: sum.excl_vat + line.amount_excl_vat,
                incl_vat: sum.incl_vat + line.amount_incl_vat,
            })
        })
    };
    let of = |wanted: Dimension| sum(&|source| matches!(source, LineSource::Component { dimension, .. } if *dimension == wanted));
    Totals {
        cost: sum(&|_| true).unwrap_or(Price { excl_vat: zero, incl_vat: zero }),
        fixed: of(Dimension::Flat),
        energy: of(Dimension::Energy),
        time: of(Dimension::Time),
        parking: of(Dimension::ParkingTime),
        ..Totals::default()
    }
}

/// Both bounds of a total, rounded inwards so that a rounded total can keep them. The upper one wins.
struct Bounds {
    min: Option<Decimal>,
    max: Option<Decimal>,
}

impl Bounds {
    fn new(min: Option<Decimal>, max: Option<Decimal>, minor_digits: u32) -> Self {
        Self {
            min: min.map(|min| scaled(min, minor_digits, RoundingStrategy::AwayFromZero)),
            max: max.map(|max| scaled(max, minor_digits, RoundingStrategy::ToZero)),
        }
    }

    fn clamp(&self, total: Decimal) -> Decimal {
        let raised = self.min.map_or(total, |min| min.max(total));
        self.max.map_or(raised, |max| max.min(raised))
    }
}

/// Adds the lines that bring the totals within the tariff's limits. `aborted`: neither time nor energy was used, and nobody owes
/// a minimum for that.
pub(super) fn apply_limits(
    lines: &mut Vec<Line>,
    tariff: &Tariff,
    metered: &Metered,
    minor_digits: u32,
    aborted: bool,
) -> Vec<Finding> {
    let min = tariff.min_price.filter(|_| !aborted);
    let excl = Bounds::new(min.map(|min| min.excl_vat), tariff.max_price.map(|max| max.excl_vat), minor_digits);
    let incl = Bounds::new(min.and_then(|min| min.incl_vat), tariff.max_price.and_then(|max| max.incl_vat), minor_digits);

    let mut groups = Groups::new();
    for line in lines.iter() {
        let group = groups.entry(line.vat_percent).or_default();
        group.net += line.amount_excl_vat;
        group.vat += line.vat;
    }
    if groups.is_empty() {
        // Nothing was priced: a minimum is taxed like the tariff's first component.
        groups.insert(tariff.components().next().and_then(|component| component.vat), Group::default());
    }
    let before = groups.clone();

    let net: Decimal = groups.values().map(|group| group.net).sum();
    spread(excl.clamp(net) - net, &mut groups, minor_digits, |group| group.net, |group, share| group.net += share);
    for (percent, group) in &mut groups {
        // Only where the limit changed something: VAT that is part of the price is not computed from the net amount.
        if before.get(percent).is_none_or(|before| before.net != group.net) {
            group.vat = vat_on(group.net, *percent, minor_digits);
        }
    }
    let gross: Decimal = groups.values().map(|group| group.net + group.vat).sum();
    let difference = incl.clamp(gross) - gross;
    let mut findings = Vec::new();
    if !difference.is_zero() {
        // The net total has its own bound and keeps it, so the difference is VAT: that of the taxed prices where there are any.
        let taxed = |percent: &Option<Decimal>| percent.is_some_and(|percent| !percent.is_zero());
        let mut shared = groups.clone();
        if shared.keys().any(taxed) {
            shared.retain(|percent, _| taxed(percent));
        }
        spread(difference, &mut shared, minor_digits, |group| group.vat, |group, share| group.vat += share);
        groups.extend(shared);
        let detail = format!("the limit incl. VAT moves VAT by {difference} {} away from what the rates give", tariff.currency);
        findings.push(Finding::new("price-limit-vat", detail));
    }

    let change = |groups: &Groups| groups.values().map(|group| group.net + group.vat).sum::<Decimal>();
    let raised = change(&groups) >= change(&before);
    for (percent, group) in groups {
        let was = before.get(&percent).copied().unwrap_or_default();
        let change = Group { net: group.net - was.net, vat: group.vat - was.vat };
        if !(change.net.is_zero() && change.vat.is_zero()) {
            lines.push(limit_line(tariff, metered, percent, change, raised, minor_digits));
        }
    }
    findings
}

/// Spreads `total` over the groups in whole minor units that add up exactly. What lowers a positive sum takes the same part of
/// every group, of negative ones too, so that all VAT rates shrink alike; what raises one goes to the positive groups in
/// proportion, because scaling a small difference of large amounts would multiply their VAT.
fn spread(
    total: Decimal,
    groups: &mut Groups,
    minor_digits: u32,
    weight: impl Fn(&Group) -> Decimal,
    add: impl Fn(&mut Group, Decimal),
) {
    let sum: Decimal = groups.values().map(&weight).sum();
    let lowered = total.is_sign_negative() && sum > Decimal::ZERO;
    let any_positive = groups.values().any(|group| weight(group) > Decimal::ZERO);
    let share = |group: &Group| match weight(group) {
        weight if lowered => weight,
        weight if any_positive => weight.max(Decimal::ZERO),
        weight => weight.abs(),
    };
    let shares: Decimal = groups.values().map(share).sum();
    let (mut passed, mut given) = (Decimal::ZERO, Decimal::ZERO);
    for group in groups.values_mut() {
        passed += share(group);
        // Without weights the first group takes all.
        let due = if passed == shares { total } else { to_minor(total * passed / shares, minor_digits) };
        add(group, due - given);
        given = due;
    }
}

fn limit_line(
    tariff: &Tariff,
    metered: &Metered,
    percent: Option<Decimal>,
    change: Group,
    raised: bool,
    minor_digits: u32,
) -> Line {
    let incl = change.net + change.vat;
    let (name, bound) = if raised { ("minimum", tariff.min_price) } else { ("maximum", tariff.max_price) };
    let bound = bound.map_or_else(String::new, |bound| {
        let excl = format!(" of {} {} excl. VAT", bound.excl_vat, tariff.currency);
        bound.incl_vat.map_or(excl.clone(), |incl| format!("{excl}, {incl} {} incl. VAT", tariff.currency))
    });
    let rate = percent.map_or_else(|| "without VAT".to_owned(), |percent| format!("at {} % VAT", percent.normalize()));
    Line {
        source: LineSource::PriceLimit,
        start: metered.start(),
        end: metered.end(),
        measured: Decimal::ONE,
        billed: Decimal::ONE,
        unit_price: to_minor(change.net, minor_digits),
        vat_percent: percent,
        exact: change.net.normalize(),
        amount_excl_vat: change.net,
        vat: change.vat,
        amount_incl_vat: incl,
        reason: format!("{name} price per session{bound}; adjustment of the prices {rate}"),
    }
}
