//! Remarks on a tariff that can be billed but may not say what its author meant.
//!
//! None of these stops a session; [`Tariff::parse`] refuses what cannot be billed at all.

use chrono::NaiveTime;

use super::rated::Dimension;
use super::tariff::{Element, Restrictions, Tariff};
use crate::units::{Code, Finding};

impl Tariff {
    /// Oddities, each naming the place as in `elements[1].restrictions`. Empty for a tariff without surprises.
    pub fn lint(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut remark = |code: Code, detail: String| findings.push(Finding::new(code, detail));
        if !self.lacking.is_empty() {
            remark("tariff-incomplete", format!("OCPI requires {}, which the billing record will lack", self.lacking.join(", ")));
        }
        for (index, element) in self.elements.iter().enumerate() {
            element_remarks(index, element, &mut remark);
            if element.restrictions.reservation.is_none() && self.shadowed(index) {
                remark("tariff-element-unreachable", format!("elements[{index}]: earlier elements always win, it never counts"));
            }
        }
        if self.components().any(|component| component.dimension == Dimension::ParkingTime)
            && self.components().any(|component| component.dimension == Dimension::Time && component.step_size > 1)
        {
            let detail = "the step_size of TIME has no effect in a session in which PARKING_TIME is priced";
            remark("tariff-time-step-unused", detail.to_owned());
        }
        findings
    }

    /// Every component of the element has an earlier one of its dimension that counts whenever it would.
    fn shadowed(&self, index: usize) -> bool {
        let element = &self.elements[index];
        element.price_components.iter().all(|component| {
            self.elements[..index].iter().any(|earlier| {
                let covers = earlier.restrictions.restrict_nothing() || earlier.restrictions == element.restrictions;
                covers && earlier.price_components.iter().any(|other| other.dimension == component.dimension)
            })
        })
    }
}

fn element_remarks(index: usize, element: &Element, remark: &mut impl FnMut(Code, String)) {
    let restrictions = &element.restrictions;
    if let Some(problem) = restrictions.contradiction() {
        remark("tariff-window-empty", format!("elements[{index}].restrictions: {problem}, the element never counts"));
    }
    if restrictions.start_time.is_some_and(|start| Some(start) == restrictions.end_time && start != NaiveTime::MIN) {
        remark(
            "tariff-window-zero",
            format!("elements[{index}].restrictions: start_time equals end_time, the element never counts"),
        );
    }
    if restrictions.wraps()
        && (restrictions.weekdays().is_some() || restrictions.start_date.is_some() || restrictions.end_date.is_some())
    {
        let detail =
            "the window passes midnight and the day is that of the moment, so the hours after midnight count on the next day";
        remark("tariff-wrap-weekday", format!("elements[{index}].restrictions: {detail}"));
    }
    if restrictions.day_of_week.as_ref().is_some_and(Vec::is_empty) {
        remark("tariff-weekdays-empty", format!("elements[{index}].restrictions.day_of_week: an empty list restricts nothing"));
    }
    if restrictions.reservation.is_some() {
        remark(
            "tariff-reservation-unpriced",
            format!("elements[{index}]: reservations are not charged by this station controller"),
        );
    }
    for (at, component) in element.price_components.iter().enumerate() {
        if component.dimension != Dimension::Flat && component.step_size > 1 {
            let detail = format!("step_size {} bills more than was used", component.step_size);
            remark("tariff-step-size", format!("elements[{index}].price_components[{at}]: {detail}"));
        }
        if component.price.is_sign_negative() && !component.price.is_zero() {
            remark("tariff-price-negative", format!("elements[{index}].price_components[{at}]: the price is negative"));
        }
        if element.price_components[..at].iter().any(|earlier| earlier.dimension == component.dimension) {
            let detail = format!("a second {} component in one element never counts", component.dimension.as_str());
            remark("tariff-component-unreachable", format!("elements[{index}].price_components[{at}]: {detail}"));
        }
    }
}

impl Restrictions {
    fn restrict_nothing(&self) -> bool {
        let Self { day_of_week: _, start_time, end_time, .. } = self;
        let whole_day =
            start_time.is_none_or(|start| start == NaiveTime::MIN) && end_time.is_none_or(|end| end == NaiveTime::MIN);
        let rest = Self { start_time: None, end_time: None, day_of_week: None, ..self.clone() };
        whole_day && self.weekdays().is_none() && rest == Self::default()
    }

    /// The window passes midnight into the next day.
    fn wraps(&self) -> bool {
        matches!((self.start_time, self.end_time), (Some(start), Some(end)) if end < start && end != NaiveTime::MIN)
    }

    /// A pair of bounds that nothing can satisfy.
    fn contradiction(&self) -> Option<&'static str> {
        fn crossed<T: PartialOrd>(min: Option<T>, max: Option<T>) -> bool {
            matches!((min, max), (Some(min), Some(max)) if min >= max)
        }
        let zero = crate::units::Decimal::ZERO;
        let pairs = [
            (crossed(self.start_date, self.end_date), "end_date is not after start_date"),
            (crossed(self.min_kwh.or(Some(zero)), self.max_kwh), "max_kwh is not above min_kwh"),
            (crossed(self.min_power.or(Some(zero)), self.max_power), "max_power is not above min_power"),
            (crossed(self.min_current.or(Some(zero)), self.max_current), "max_current is not above min_current"),
            (crossed(self.min_duration.or(Some(0)), self.max_duration), "max_duration is not above min_duration"),
        ];
        pairs.into_iter().find(|(crossed, _)| *crossed).map(|(_, problem)| problem)
    }
}
