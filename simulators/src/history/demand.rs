//! When people come, how often each of them, and for how long.

use chrono::{DateTime, Datelike, Timelike, Utc, Weekday};
use fastrand::Rng;

/// Demand by hour of the day, the mean being about 1.
const HOURS: [f64; 24] =
    [0.2, 0.15, 0.1, 0.1, 0.2, 0.4, 0.8, 1.3, 1.6, 1.4, 1.2, 1.3, 1.5, 1.3, 1.2, 1.3, 1.6, 1.9, 1.8, 1.5, 1.1, 0.8, 0.5, 0.3];
/// Drivers with a token of their own.
const DRIVERS: f64 = 400.0;

/// Of everybody's mean: how much is asked at this time.
fn level(at: DateTime<Utc>) -> f64 {
    let weekend = if matches!(at.weekday(), Weekday::Sat | Weekday::Sun) { 0.8 } else { 1.08 };
    let summer = if (5..=9).contains(&at.month()) { 1.1 } else { 0.95 };
    HOURS[at.hour() as usize % 24] * weekend * summer
}

/// Seconds until somebody comes to a free connector.
pub fn gap_s(rng: &mut Rng, at: DateTime<Utc>, mean_s: f64) -> f64 {
    // Exponential, as arrivals are that do not know of each other. At night at most a few hours, so that the year keeps its number.
    let wait = -(1.0 - rng.f64()).ln() * mean_s;
    (wait / level(at).max(0.25)).max(20.0)
}

/// Of a mean stay: half of it to twice as long, seldom more.
pub fn stay_s(rng: &mut Rng, mean_s: f64) -> f64 {
    (mean_s * (0.4 + rng.f64() * 0.9 + 0.3 * rng.f64().powi(4))).max(90.0)
}

/// The number of a driver: a few come often.
pub fn driver(rng: &mut Rng) -> u32 {
    (rng.f64().powi(3) * DRIVERS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn more_come_in_the_evening_than_at_night_and_a_few_come_often() {
        let mut rng = Rng::with_seed(1);
        let mean = |hour: u32, rng: &mut Rng| {
            let at = Utc.with_ymd_and_hms(2026, 5, 6, hour, 0, 0).unwrap();
            (0..2_000).map(|_| gap_s(rng, at, 3_600.0)).sum::<f64>() / 2_000.0
        };
        assert!(mean(17, &mut rng) * 3.0 < mean(3, &mut rng));
        let drivers: Vec<u32> = (0..10_000).map(|_| driver(&mut rng)).collect();
        let often = drivers.iter().filter(|driver| **driver < 50).count();
        assert!(often > 4_000 && drivers.iter().all(|driver| *driver < 400), "{often}");
    }
}
