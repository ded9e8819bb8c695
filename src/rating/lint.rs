//! Remarks on a tariff that can be billed but may not say what its author meant.
//!
//! None of these stops a session; [`Tariff::parse`] refuses what cannot be billed at all. The work grows with the number of
//! elements, not with its square.

use std::collections::HashSet;
use std::fmt;

use chrono::NaiveTime;

use super::rated::Dimension;
use super::tariff::{Element, Restrictions, Tariff, TariffType, Taxes};
use crate::units::{Code, MilliW};

/// Where stations charge with this and more, the price without a contract is per kWh, with at most a fee per minute of occupancy
/// beside it (Regulation (EU) 2023/1804, article 5(4)).
pub const PER_KWH_FROM: MilliW = MilliW(50_000_000);

/// One oddity of a tariff, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Stable.
    pub code: Code,
    /// As in `elements[1].restrictions`.
    pub path: String,
    pub problem: String,
    pub fix: &'static str,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, path, problem, fix } = self;
        let at = if path.is_empty() { String::new() } else { format!("{path}: ") };
        write!(f, "{code}: {at}{problem}; {fix}")
    }
}

/// Remarks in the order in which they are found.
#[derive(Default)]
struct Remarks(Vec<Remark>);

impl Remarks {
    fn add(&mut self, code: Code, path: impl Into<String>, problem: impl Into<String>, fix: &'static str) {
        self.0.push(Remark { code, path: path.into(), problem: problem.into(), fix });
    }
}

impl Tariff {
    /// Oddities, each with its place. Empty for a tariff without surprises.
    pub fn lint(&self) -> Vec<Remark> {
        let mut remarks = Remarks::default();
        if !self.lacking.is_empty() {
            let problem = format!("OCPI requires {}, which the billing record will lack", self.lacking.join(", "));
            remarks.add("tariff-incomplete", "", problem, "add them");
        }
        if self.taxes == Taxes::Included && self.components().any(|component| component.vat.is_none()) {
            let problem = "prices include tax, and a component has no vat: what is before tax is not known";
            remarks.add("tariff-tax-unknown", "tax_included", problem, "give each component its vat");
        }
        let mut unreachable = Unreachable::default();
        for (index, element) in self.elements.iter().enumerate() {
            element_remarks(index, element, &mut remarks);
            if element.restrictions.reservation.is_none() && unreachable.add(element) {
                let problem = "earlier elements always win, it never counts";
                remarks.add("tariff-element-unreachable", format!("elements[{index}]"), problem, "move it up, or remove it");
            }
        }
        if self.components().any(|component| component.dimension == Dimension::ParkingTime)
            && self.components().any(|component| component.dimension == Dimension::Time && component.step_size > 1)
        {
            let problem = "the step_size of TIME has no effect in a session in which PARKING_TIME is priced";
            remarks.add("tariff-time-step-unused", "elements", problem, "give TIME a step_size of 1");
        }
        remarks.0
    }

    /// What is odd about this tariff of a site.
    pub fn lint_owner(&self, country_code: &str, party_id: &str) -> Option<Remark> {
        let is = |found: &Option<String>, own: &str| found.as_ref().is_none_or(|found| found.eq_ignore_ascii_case(own));
        if is(&self.country_code, country_code) && is(&self.party_id, party_id) {
            return None;
        }
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let (country, party) = (of(&self.country_code), of(&self.party_id));
        Some(Remark {
            code: "tariff-foreign-party",
            path: if is(&self.country_code, country_code) { "party_id" } else { "country_code" }.to_owned(),
            problem: format!("tariff {} is of party {country}*{party}, the site's is {country_code}*{party_id}", self.id),
            fix: "use a tariff of the site's party, or correct site.country_code and site.party_id",
        })
    }

    /// What is odd about it at a station of this power.
    pub fn lint_power(&self, power: MilliW) -> Option<Remark> {
        let ad_hoc = self.kind.is_none_or(|kind| kind == TariffType::AdHocPayment);
        if power < PER_KWH_FROM || !ad_hoc {
            return None;
        }
        let priced = |dimension: Dimension| {
            self.elements.iter().enumerate().find_map(|(index, element)| {
                let has = |component: &super::PriceComponent| component.dimension == dimension && !component.price.is_zero();
                let at = element.price_components.iter().position(has)?;
                element.restrictions.reservation.is_none().then(|| format!("elements[{index}].price_components[{at}]"))
            })
        };
        let path = priced(Dimension::Time).or_else(|| priced(Dimension::Flat))?;
        Some(Remark {
            code: "tariff-ad-hoc-per-kwh",
            path,
            problem: format!(
                "from 50 kW on (here {}) the price without a contract must be per kWh, with at most a fee per minute for \
                 occupying the place beside it (AFIR, article 5(4))",
                power.kw()
            ),
            fix: "price ENERGY, and PARKING_TIME for occupancy; give tariffs for contracts a type",
        })
    }
}

/// What the elements so far leave to later ones.
#[derive(Default)]
struct Unreachable<'a> {
    closed: HashSet<Dimension>,
    seen: HashSet<(Dimension, &'a Restrictions)>,
}

impl<'a> Unreachable<'a> {
    /// Whether every component of the element has an earlier one of its dimension that counts whenever it would.
    fn add(&mut self, element: &'a Element) -> bool {
        let restrictions = &element.restrictions;
        let mut shadowed = true;
        for component in &element.price_components {
            let dimension = component.dimension;
            shadowed &= self.closed.contains(&dimension) || self.seen.contains(&(dimension, restrictions));
        }
        for component in &element.price_components {
            self.seen.insert((component.dimension, restrictions));
            if restrictions.restrict_nothing() {
                self.closed.insert(component.dimension);
            }
        }
        shadowed
    }
}

fn element_remarks(index: usize, element: &Element, remarks: &mut Remarks) {
    restriction_remarks(index, &element.restrictions, remarks);
    let mut seen = HashSet::new();
    for (at, component) in element.price_components.iter().enumerate() {
        let path = || format!("elements[{index}].price_components[{at}]");
        if component.dimension != Dimension::Flat && component.step_size > 1 {
            let problem = format!("step_size {} bills more than was used", component.step_size);
            remarks.add("tariff-step-size", path(), problem, "use 1");
        }
        if component.price.is_sign_negative() && !component.price.is_zero() {
            remarks.add("tariff-price-negative", path(), "the price is negative", "make sure that the driver is to be paid");
        }
        if !seen.insert(component.dimension) {
            let problem = format!("a second {} component in one element never counts", component.dimension.as_str());
            remarks.add("tariff-component-unreachable", path(), problem, "remove it, or give it an element of its own");
        }
    }
}

fn restriction_remarks(index: usize, restrictions: &Restrictions, remarks: &mut Remarks) {
    let path = format!("elements[{index}].restrictions");
    if let Some(problem) = restrictions.contradiction() {
        let problem = format!("{problem}, the element never counts");
        remarks.add("tariff-window-empty", path.as_str(), problem, "exchange or remove one of them");
    }
    if restrictions.start_time.is_some_and(|start| Some(start) == restrictions.end_time && start != NaiveTime::MIN) {
        let problem = "start_time equals end_time, the element never counts";
        remarks.add("tariff-window-zero", path.as_str(), problem, "for the whole day remove both");
    }
    if restrictions.end_time == NaiveTime::from_hms_opt(23, 59, 0) {
        let problem = "end_time is exclusive, so the minute from 23:59 to midnight is not in this window";
        remarks.add("tariff-last-minute", format!("{path}.end_time"), problem, "write 00:00 for the end of the day");
    }
    if restrictions.wraps()
        && (restrictions.weekdays().is_some() || restrictions.start_date.is_some() || restrictions.end_date.is_some())
    {
        let problem =
            "the window passes midnight and the day is that of the moment, so the hours after midnight count on the next day";
        let fix = "for a night that belongs to the day before, write two elements: until 00:00, and from 00:00 on the next day";
        remarks.add("tariff-wrap-weekday", path.as_str(), problem, fix);
    }
    if restrictions.day_of_week.as_ref().is_some_and(Vec::is_empty) {
        let problem = "an empty list restricts nothing";
        remarks.add("tariff-weekdays-empty", format!("{path}.day_of_week"), problem, "remove it, or name the days");
    }
    if restrictions.reservation.is_some() {
        let problem = "reservations are not charged by this station controller";
        remarks.add("tariff-reservation-unpriced", format!("{path}.reservation"), problem, "nothing: the element has no effect");
    }
}

impl Restrictions {
    /// The window passes midnight into the next day.
    fn wraps(&self) -> bool {
        matches!((self.start_time, self.end_time), (Some(start), Some(end)) if end < start && end != NaiveTime::MIN)
    }

    /// A pair of bounds that nothing can satisfy.
    fn contradiction(&self) -> Option<&'static str> {
        fn crossed<T: PartialOrd>(min: Option<T>, max: Option<T>) -> bool {
            matches!((min, max), (Some(min), Some(max)) if min >= max)
        }
        let pairs = [
            (crossed(self.start_date, self.end_date), "end_date is not after start_date"),
            (crossed(self.min_kwh.or(Some(Default::default())), self.max_kwh), "max_kwh is not above min_kwh"),
            (crossed(self.min_power.or(Some(Default::default())), self.max_power), "max_power is not above min_power"),
            (crossed(self.min_current.or(Some(Default::default())), self.max_current), "max_current is not above min_current"),
            (crossed(self.min_duration.or(Some(0)), self.max_duration), "max_duration is not above min_duration"),
        ];
        pairs.into_iter().find(|(crossed, _)| *crossed).map(|(_, problem)| problem)
    }
}
