//! The demo's two tariffs, and what a session must cost by them, worked out without the daemon's rating.
//!
//! Possible in a dozen lines because the demo keeps it simple: the site lives in UTC, and where the price depends on the
//! time of day, power is constant in whole watt-hours a second (see [`super::stations`]), so that energy is shared by seconds.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use simulators::scenario::ExpectedSession;

const VAT_PERCENT: i64 = 19;
const PEAK_FROM_H: u32 = 17;
const PEAK_TO_H: u32 = 21;

/// Prices in cents, excluding VAT.
#[derive(Clone, Copy, Debug)]
pub struct Tariff {
    pub id: &'static str,
    pub session: i64,
    pub kwh: i64,
    /// Per kWh from 17:00 to 21:00; otherwise as at other times.
    pub peak_kwh: Option<i64>,
    /// Per hour in which the car takes no energy.
    pub idle_hour: i64,
}

pub const AC: Tariff = Tariff { id: "demo-ac", session: 50, kwh: 44, peak_kwh: None, idle_hour: 300 };
pub const DC: Tariff = Tariff { id: "demo-dc", session: 50, kwh: 49, peak_kwh: Some(64), idle_hour: 1200 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    pub excl_vat: Decimal,
    pub incl_vat: Decimal,
}

impl Tariff {
    /// What this session costs; `None` while its end is unknown. Each line is rounded once to the cent, half away from zero;
    /// VAT is taken once, on their sum.
    pub fn price(&self, session: &ExpectedSession) -> Option<Price> {
        let (stopped_at, energy_wh) = (session.stopped_at?, session.energy_wh()?);
        let total_s = (stopped_at - session.started_at).num_seconds().max(1);
        let peak_s = self.peak_kwh.map_or(0, |_| peak_seconds(session.started_at, stopped_at));
        let share = |seconds: i64, cents: i64| line(cents * energy_wh * seconds, 1000 * total_s);
        let excl_vat = line(self.session, 1)
            + share(total_s - peak_s, self.kwh)
            + share(peak_s, self.peak_kwh.unwrap_or_default())
            + line(self.idle_hour * session.idle_s, 3600);
        let vat = cents(excl_vat * Decimal::from(VAT_PERCENT) / Decimal::ONE_HUNDRED);
        Some(Price { excl_vat, incl_vat: excl_vat + vat })
    }

    /// The same as an OCPI 2.2.1 tariff object, for the daemon.
    pub fn to_ocpi(self) -> String {
        let component = |kind: &str, price: i64| {
            format!(r#"{{"type": "{kind}", "price": {}, "vat": {VAT_PERCENT}, "step_size": 1}}"#, Decimal::new(price, 2))
        };
        let peak = self.peak_kwh.map_or_else(String::new, |price| {
            let hours = format!(r#"{{"start_time": "{PEAK_FROM_H}:00", "end_time": "{PEAK_TO_H}:00"}}"#);
            format!(r#"{{"price_components": [{}], "restrictions": {hours}}}, "#, component("ENERGY", price))
        });
        let rest = [component("FLAT", self.session), component("ENERGY", self.kwh), component("PARKING_TIME", self.idle_hour)]
            .join(", ");
        format!(
            r#"{{"country_code": "DE", "party_id": "DMO", "id": "{}", "currency": "EUR", "type": "REGULAR",
 "elements": [{peak}{{"price_components": [{rest}]}}],
 "last_updated": "2026-01-01T00:00:00Z"}}
"#,
            self.id
        )
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let euro = |cents: i64| Decimal::new(cents, 2);
        let peak =
            self.peak_kwh.map_or_else(String::new, |price| format!(" ({} from {PEAK_FROM_H}:00 to {PEAK_TO_H}:00)", euro(price)));
        let (kwh, session, idle) = (euro(self.kwh), euro(self.session), euro(self.idle_hour));
        format!("{kwh}/kWh{peak}, {session} a session, {idle} an idle hour")
    }
}

/// One line of the bill, in EUR.
fn line(cents_times: i64, divisor: i64) -> Decimal {
    cents(Decimal::from(cents_times) / Decimal::from(divisor) / Decimal::ONE_HUNDRED)
}

fn cents(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// How much of this time lies between 17:00 and 21:00 UTC.
fn peak_seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
    let days = from.date_naive().iter_days().take_while(|day| *day <= to.date_naive());
    let overlap = days.map(|day| {
        let begin = day.and_time(hour(PEAK_FROM_H)).and_utc().max(from);
        let end = day.and_time(hour(PEAK_TO_H)).and_utc().min(to);
        (end - begin).max(TimeDelta::zero())
    });
    overlap.map(|overlap| overlap.num_seconds()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciliation::tests::session;

    fn price(tariff: Tariff, from: &str, to: &str, energy_wh: i64, idle_s: i64) -> (String, String) {
        let mut session = session(energy_wh);
        session.started_at = from.parse().unwrap();
        session.stopped_at = Some(to.parse().unwrap());
        session.idle_s = idle_s;
        let price = tariff.price(&session).unwrap();
        (price.excl_vat.to_string(), price.incl_vat.to_string())
    }

    #[test]
    fn by_hand() {
        let wanted = |excl: &str, incl: &str| (excl.to_owned(), incl.to_owned());
        // 0.50 + 3.600 × 0.44 = 1.584 → 1.58; VAT 0.3952 → 0.40.
        let ac = price(AC, "2026-11-20T12:00:00Z", "2026-11-20T12:20:00Z", 3600, 0);
        assert_eq!(ac, wanted("2.08", "2.48"));
        // An idle hour and a half: 4.50 more; VAT 1.2502.
        let idle = price(AC, "2026-11-20T12:00:00Z", "2026-11-20T14:00:00Z", 3600, 5400);
        assert_eq!(idle, wanted("6.58", "7.83"));
        // 0.50 + 16.8 × 0.49 = 8.232 → 8.23 + 21 × 0.64 = 13.44; VAT 4.2123.
        let dc = price(DC, "2026-11-20T16:40:00Z", "2026-11-20T17:25:00Z", 37_800, 0);
        assert_eq!(dc, wanted("22.17", "26.38"));
        // Over a whole evening and midnight: 4 of 10 hours are peak.
        let night = price(DC, "2026-11-20T15:00:00Z", "2026-11-21T01:00:00Z", 36_000, 0);
        assert_eq!(night, wanted("20.30", "24.16"));
    }

    #[test]
    fn the_tariff_file_is_json() {
        for tariff in [AC, DC] {
            let json: serde_json::Value = serde_json::from_str(&tariff.to_ocpi()).unwrap();
            assert_eq!(json["id"], tariff.id);
        }
        assert!(DC.to_ocpi().contains("0.64") && !AC.to_ocpi().contains("17:00"));
    }
}
