//! Restrictions, durations and prices in words for a driver.

use chrono::{NaiveTime, Weekday};

use super::rated::Dimension;
use super::tariff::{PriceComponent, Restrictions, Tariff, Taxes};
use super::volume::Volume;
use crate::units::{Decimal, MicroA, MilliW, MilliWh};

const WEEK: [Weekday; 7] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

impl Restrictions {
    /// `Mon-Fri 08:00-20:00, from 10 kWh`; `always` when nothing is restricted.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        let calendar = [self.weekday_words(), self.window_words()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        if !calendar.is_empty() {
            parts.push(calendar);
        }
        parts.extend(self.start_date.map(|date| format!("from {date}")));
        parts.extend(self.end_date.map(|date| format!("before {date}")));
        let mut bounds = |min: Option<Decimal>, max: Option<Decimal>, unit: &str| {
            parts.extend(min.map(|min| format!("from {min} {unit}")));
            parts.extend(max.map(|max| format!("below {max} {unit}")));
        };
        bounds(self.min_kwh.map(MilliWh::kwh), self.max_kwh.map(MilliWh::kwh), "kWh");
        bounds(self.min_power.map(MilliW::kw), self.max_power.map(MilliW::kw), "kW");
        bounds(self.min_current.map(MicroA::amperes), self.max_current.map(MicroA::amperes), "A");
        let seconds = |seconds: u32| duration_words(i64::from(seconds) * 1000);
        parts.extend(match (self.min_duration, self.max_duration) {
            (None, None) => None,
            (Some(min), None) => Some(format!("after {}", seconds(min))),
            (None, Some(max)) => Some(format!("in the first {}", seconds(max))),
            (Some(min), Some(max)) => Some(format!("between {} and {} of the session", seconds(min), seconds(max))),
        });
        parts.extend(self.reservation.map(|kind| format!("only {}", kind.as_str())));
        if parts.is_empty() { "always".to_owned() } else { parts.join(", ") }
    }

    /// `Mon-Fri`, `Sat, Sun`.
    fn weekday_words(&self) -> Option<String> {
        let days = self.weekdays()?;
        let mut runs: Vec<(Weekday, Weekday)> = Vec::new();
        for day in WEEK.into_iter().filter(|day| days.contains(day)) {
            match runs.last_mut() {
                Some(run) if run.1.succ() == day => run.1 = day,
                _ => runs.push((day, day)),
            }
        }
        let words = runs.into_iter().map(|(first, last)| match first {
            _ if first == last => first.to_string(),
            _ => format!("{first}-{last}"),
        });
        Some(words.collect::<Vec<_>>().join(", "))
    }

    fn window_words(&self) -> Option<String> {
        let start = self.start_time.map_or_else(|| "00:00".to_owned(), clock_words);
        match (self.start_time, self.end_time) {
            (None, None) => None,
            (_, Some(end)) if end != NaiveTime::MIN => Some(format!("{start}-{}", clock_words(end))),
            _ => Some(format!("{start}-24:00")),
        }
    }
}

fn clock_words(time: NaiveTime) -> String {
    time.format("%H:%M").to_string()
}

/// `1 h 5 min 0.25 s`, zero parts left out.
pub(super) fn duration_words(ms: i64) -> String {
    let seconds = Decimal::new(ms % 60_000, 3).normalize();
    let mut parts = Vec::new();
    if ms >= 3_600_000 {
        parts.push(format!("{} h", ms / 3_600_000));
    }
    if ms / 60_000 % 60 > 0 {
        parts.push(format!("{} min", ms / 60_000 % 60));
    }
    if !seconds.is_zero() || parts.is_empty() {
        parts.push(format!("{seconds} s"));
    }
    parts.join(" ")
}

/// What was used, at what price, and what the step size made of it.
pub(super) fn usage_words(component: &PriceComponent, measured: Volume, billed: Volume, tariff: &Tariff) -> String {
    let (price, currency) = (component.price, &tariff.currency);
    let taxed = if tariff.taxes == Taxes::Included { " incl. tax" } else { "" };
    let shown = |volume: Volume| match volume {
        Volume::Sessions(count) => count.to_string(),
        Volume::Energy(energy) => format!("{} kWh", energy.kwh()),
        Volume::Time(time) => duration_words(time.num_milliseconds()),
    };
    let (doing, unit) = match component.dimension {
        Dimension::Flat => return format!("once per session, {price} {currency}{taxed}"),
        Dimension::Energy => ("", "Wh"),
        Dimension::Time => (" of charging", "s"),
        Dimension::ParkingTime => (" connected without charging", "s"),
    };
    let mut words = format!("{}{doing} at {price} {currency}/{}{taxed}", shown(measured), component.dimension.unit());
    if billed != measured {
        words.push_str(&format!(", billed as {} (steps of {} {unit} over the session)", shown(billed), component.step_size));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let cases = [
            (0, "0 s"),
            (250, "0.25 s"),
            (60_000, "1 min"),
            (3_600_000, "1 h"),
            (3_905_000, "1 h 5 min 5 s"),
            (90_061_000, "25 h 1 min 1 s"),
        ];
        for (ms, words) in cases {
            assert_eq!(duration_words(ms), words);
        }
    }
}
