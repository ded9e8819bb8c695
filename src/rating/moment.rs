//! Which price component counts at one moment of a session.
//!
//! Everything a restriction can look at is in a [`Moment`]. Lower bounds are inclusive, upper ones exclusive (OCPI 2.2.1 bugfix
//! edition, TariffRestrictions). The weekday and the date are those of the moment itself, also in a window that began the evening
//! before. A quantity that was not measured satisfies no restriction on it.

use chrono::{Datelike, NaiveDateTime, NaiveTime};

use super::rated::Dimension;
use super::tariff::{Restrictions, Tariff};
use crate::units::{MicroA, MilliW, MilliWh};

/// A moment of a session, as restrictions see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Civil time at the site.
    pub local: NaiveDateTime,
    /// Since the start of the session.
    pub energy: MilliWh,
    pub elapsed_ms: i64,
    pub power: Option<MilliW>,
    pub current: Option<MicroA>,
}

/// Where a price component stands: element and component, from 0.
pub(super) type Source = (usize, usize);

/// The components of each dimension that a charging session can come to, in order of precedence: a moment is compared with
/// nothing else. What stands behind an element without restrictions never counts and is left out.
pub(super) struct Lookup<'a> {
    flat: Vec<(Source, &'a Restrictions)>,
    energy: Vec<(Source, &'a Restrictions)>,
    time: Vec<(Source, &'a Restrictions)>,
    parking: Vec<(Source, &'a Restrictions)>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(tariff: &'a Tariff) -> Self {
        let of = |dimension: Dimension| {
            let mut found = Vec::new();
            for (at, element) in tariff.elements.iter().enumerate().filter(|(_, one)| one.restrictions.reservation.is_none()) {
                let component = element.price_components.iter().position(|component| component.dimension == dimension);
                let Some(component) = component else { continue };
                found.push(((at, component), &element.restrictions));
                if element.restrictions.restrict_nothing() {
                    break;
                }
            }
            found
        };
        Self {
            flat: of(Dimension::Flat),
            energy: of(Dimension::Energy),
            time: of(Dimension::Time),
            parking: of(Dimension::ParkingTime),
        }
    }

    /// The component that prices `dimension` at this moment: that of the first element in the list which counts and has one.
    pub(super) fn find(&self, dimension: Dimension, moment: &Moment) -> Option<Source> {
        let list = match dimension {
            Dimension::Flat => &self.flat,
            Dimension::Energy => &self.energy,
            Dimension::Time => &self.time,
            Dimension::ParkingTime => &self.parking,
        };
        list.iter().find(|(_, restrictions)| restrictions.match_moment(moment)).map(|(source, _)| *source)
    }
}

impl Restrictions {
    pub(super) fn match_moment(&self, moment: &Moment) -> bool {
        let seconds = |seconds: Option<u32>| seconds.map(|seconds| i64::from(seconds) * 1000);
        within(moment.energy, self.min_kwh, self.max_kwh)
            && self.match_time(moment.local.time())
            && within(moment.local.date(), self.start_date, self.end_date)
            && self.weekdays().is_none_or(|days| days.contains(&moment.local.weekday()))
            && within(moment.elapsed_ms, seconds(self.min_duration), seconds(self.max_duration))
            && measured_within(moment.power, self.min_power, self.max_power)
            && measured_within(moment.current, self.min_current, self.max_current)
            && self.reservation.is_none()
    }

    pub(super) fn match_time(&self, time: NaiveTime) -> bool {
        let start = self.start_time.unwrap_or(NaiveTime::MIN);
        // 00:00 as an end is the end of the day: no upper bound.
        match self.end_time.filter(|end| *end != NaiveTime::MIN) {
            None => start <= time,
            Some(end) if end < start => start <= time || time < end,
            Some(end) => start <= time && time < end,
        }
    }

    /// Holds at every moment of a charging session.
    pub(super) fn restrict_nothing(&self) -> bool {
        let Self {
            start_time,
            end_time,
            start_date: None,
            end_date: None,
            min_kwh: None,
            max_kwh: None,
            min_current: None,
            max_current: None,
            min_power: None,
            max_power: None,
            min_duration: None,
            max_duration: None,
            day_of_week: _,
            reservation: None,
        } = self
        else {
            return false;
        };
        let open = |edge: &Option<NaiveTime>| edge.is_none_or(|edge| edge == NaiveTime::MIN);
        open(start_time) && open(end_time) && self.weekdays().is_none()
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

fn measured_within<T: PartialOrd>(value: Option<T>, min: Option<T>, max: Option<T>) -> bool {
    (min.is_none() && max.is_none()) || value.is_some_and(|value| within(value, min, max))
}
