//! Tables and properties of the whole engine. A test says: this tariff, this session, exactly that bill.

#![allow(clippy::unwrap_used)]

mod decisions;
mod examples;
mod money;
mod parsing;
mod periods;
mod properties;
mod steps;
mod windows;

use chrono::Duration;
use chrono_tz::Tz;

use super::*;
use crate::units::{Decimal, MicroA, MilliW, MilliWh, Time};

const ZONE: Tz = chrono_tz::Europe::Berlin;

/// A session told minute by minute. The register starts at 1000 kWh.
#[derive(Clone)]
struct Ride {
    start: Time,
    now: Time,
    registers: Vec<(Time, MilliWh)>,
    activity: Vec<(Time, Activity)>,
    loads: Vec<LoadSample>,
}

fn at(text: &str) -> Time {
    text.parse().expect("RFC 3339")
}

fn dec(text: &str) -> Decimal {
    text.parse().expect("decimal")
}

fn ride(start: &str) -> Ride {
    let start = at(start);
    Ride { start, now: start, registers: vec![(start, MilliWh(1_000_000_000))], activity: Vec::new(), loads: Vec::new() }
}

impl Ride {
    fn step(mut self, activity: Activity, minutes: i64, mwh: i64) -> Self {
        self.activity.push((self.now, activity));
        self.now += Duration::minutes(minutes);
        let register = self.registers.last().expect("start").1;
        self.registers.push((self.now, register + MilliWh(mwh)));
        self
    }

    /// Constant power for some minutes, a register reading at the end.
    fn charge(self, minutes: i64, wh: i64) -> Self {
        self.step(Activity::Charging, minutes, wh * 1000)
    }

    fn idle(self, minutes: i64) -> Self {
        self.step(Activity::Idle, minutes, 0)
    }

    fn pause(self, minutes: i64) -> Self {
        self.step(Activity::Paused, minutes, 0)
    }

    fn amperes(mut self, minute: i64, amperes: i64) -> Self {
        let at = self.start + Duration::minutes(minute);
        self.loads.push(LoadSample { at, power: None, current: Some(MicroA(amperes * 1_000_000)) });
        self
    }

    fn kw(mut self, minute: i64, kw: i64) -> Self {
        let at = self.start + Duration::minutes(minute);
        self.loads.push(LoadSample { at, power: Some(MilliW(kw * 1_000_000)), current: None });
        self
    }

    fn metered(self) -> Metered {
        Metered::new(self.start, self.now, self.registers, self.activity, self.loads).expect("readings in order")
    }

    fn priced(self, tariff: &Tariff) -> Rated {
        let rated = price(tariff, &self.metered(), ZONE, 2).expect("priced");
        check(&rated);
        rated
    }
}

/// A tariff in EUR; `more` are members such as `"min_price":{…},`.
fn tariff_with(more: &str, elements: &str) -> Tariff {
    Tariff::parse(&format!(
        r#"{{"country_code":"DE","party_id":"ABC","id":"T","currency":"EUR","last_updated":"2026-01-01T00:00:00Z",{more}"elements":[{elements}]}}"#
    ))
    .expect("tariff")
}

fn tariff(elements: &str) -> Tariff {
    tariff_with("", elements)
}

/// An element with one component.
fn element(kind: &str, price: &str, step_size: u32, restrictions: &str) -> String {
    format!(
        r#"{{"price_components":[{{"type":"{kind}","price":{price},"step_size":{step_size}}}],"restrictions":{{{restrictions}}}}}"#
    )
}

/// `excl/incl` of the whole session.
fn cost(rated: &Rated) -> String {
    format!("{}/{}", rated.totals.cost.excl_vat, rated.totals.cost.incl_vat)
}

/// What holds for every priced session.
fn check(rated: &Rated) {
    let excl: Decimal = rated.lines.iter().map(|line| line.amount_excl_vat).sum();
    let vat: Decimal = rated.lines.iter().map(|line| line.vat).sum();
    let incl: Decimal = rated.lines.iter().map(|line| line.amount_incl_vat).sum();
    assert_eq!(excl, rated.totals.cost.excl_vat);
    assert_eq!(incl, rated.totals.cost.incl_vat);
    assert_eq!(excl + vat, incl);
    let energy: i64 = rated.periods.iter().map(|period| period.energy.0).sum();
    assert_eq!(energy, rated.totals.energy_delivered.0);
    assert!(rated.periods.iter().all(|period| period.energy.0 >= 0 && period.start <= period.end));
    assert!(rated.periods.windows(2).all(|pair| pair[0].end == pair[1].start), "gap-free");
    assert!(!rated.periods.is_empty());
    let length: i64 = rated.periods.iter().map(|period| (period.end - period.start).num_milliseconds()).sum();
    assert_eq!(length, rated.totals.duration_ms);
}
