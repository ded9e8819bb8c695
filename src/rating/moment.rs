//! Whether an element counts at one moment of a session.
//!
//! Everything a restriction can look at is in a [`Moment`]. Lower bounds are inclusive, upper ones exclusive (OCPI 2.2.1 bugfix
//! edition, TariffRestrictions). The weekday and the date are those of the moment itself, also in a window that began the evening
//! before. A quantity that was not measured satisfies no restriction on it.

use chrono::{Datelike, NaiveDateTime, NaiveTime};

use super::rated::Dimension;
use super::tariff::{Restrictions, Tariff};
use crate::units::{Decimal, MilliWh};

/// A moment of a session, as restrictions see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Civil time at the site.
    pub local: NaiveDateTime,
    /// Since the start of the session.
    pub energy: MilliWh,
    pub elapsed_ms: i64,
    pub kw: Option<Decimal>,
    pub amperes: Option<Decimal>,
}

/// Where a price component stands: element and component, from 0.
pub(super) type Source = (usize, usize);

impl Tariff {
    /// The component that prices `dimension` at this moment: that of the first element in the list which counts and has one.
    pub(super) fn component_at(&self, dimension: Dimension, moment: &Moment) -> Option<Source> {
        self.elements.iter().enumerate().filter(|(_, element)| element.restrictions.match_moment(moment)).find_map(
            |(at, element)| {
                let component = element.price_components.iter().position(|component| component.dimension == dimension)?;
                Some((at, component))
            },
        )
    }
}

impl Restrictions {
    pub(super) fn match_moment(&self, moment: &Moment) -> bool {
        let date = moment.local.date();
        let kwh = moment.energy.kwh();
        let seconds = |seconds: Option<u32>| seconds.map(|seconds| i64::from(seconds) * 1000);
        self.reservation.is_none()
            && self.match_time(moment.local.time())
            && within(date, self.start_date, self.end_date)
            && self.weekdays().is_none_or(|days| days.contains(&date.weekday()))
            && within(kwh, self.min_kwh, self.max_kwh)
            && within(moment.elapsed_ms, seconds(self.min_duration), seconds(self.max_duration))
            && measured_within(moment.kw, self.min_power, self.max_power)
            && measured_within(moment.amperes, self.min_current, self.max_current)
    }

    fn match_time(&self, time: NaiveTime) -> bool {
        let start = self.start_time.unwrap_or(NaiveTime::MIN);
        // 00:00 as an end is the end of the day: no upper bound.
        match self.end_time.filter(|end| *end != NaiveTime::MIN) {
            None => start <= time,
            Some(end) if end < start => start <= time || time < end,
            Some(end) => start <= time && time < end,
        }
    }

    /// The weekdays that this element is restricted to, if it is.
    pub(super) fn weekdays(&self) -> Option<&[chrono::Weekday]> {
        self.day_of_week.as_deref().filter(|days| !days.is_empty())
    }

    pub(super) fn looks_at_power(&self) -> bool {
        self.min_power.is_some() || self.max_power.is_some()
    }

    pub(super) fn looks_at_current(&self) -> bool {
        self.min_current.is_some() || self.max_current.is_some()
    }
}

fn within<T: PartialOrd>(value: T, min: Option<T>, max: Option<T>) -> bool {
    min.is_none_or(|min| min <= value) && max.is_none_or(|max| value < max)
}

fn measured_within(value: Option<Decimal>, min: Option<Decimal>, max: Option<Decimal>) -> bool {
    (min.is_none() && max.is_none()) || value.is_some_and(|value| within(value, min, max))
}
