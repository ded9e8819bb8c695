//! No register interval of a connector is billed twice, and nobody pays for the energy of another's session. Pure.
//!
//! A bill is compared with the sessions of the same connector before it is signed: with those in its time, and with those whose
//! bill covers the same registers. A register that fell in between was reset or replaced and may pass the same values again.

use super::hold;
use crate::fact::register::ROUNDING;
use crate::units::{MilliWh, Time};

/// What a bill covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub start: Time,
    pub end: Time,
    pub first: MilliWh,
    pub last: MilliWh,
}

/// Another session of the connector. Registers are those of its bill, where there is one, else as heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    pub id: String,
    pub started_at: Time,
    pub stopped_at: Option<Time>,
    pub first: Option<MilliWh>,
    pub last: Option<MilliWh>,
    pub billed: bool,
}

/// `Err`: a reason of [`hold`] and a detail. `neighbours` in any order.
pub fn check(bill: &Span, neighbours: &[Neighbour]) -> Result<(), (&'static str, String)> {
    for other in neighbours {
        let within = bill.start < other.started_at && other.started_at < bill.end;
        let inside = other.billed && other.started_at <= bill.start && other.stopped_at.is_some_and(|stop| bill.start < stop);
        if within || inside {
            return Err((hold::OVERLAP, format!("{} lies in the same time on this connector", other.id)));
        }
        if begins_inside(bill, other) {
            let detail = format!("{} began later on this connector, at a register of this bill", other.id);
            return Err((hold::OVERLAP, detail));
        }
        if shares_registers(bill, other) && !was_reset_between(bill, other, neighbours) {
            let energy = |register: Option<MilliWh>| register.unwrap_or_default().wh();
            let detail =
                format!("{} was billed for {} to {} Wh of this meter", other.id, energy(other.first), energy(other.last));
            return Err((hold::OVERLAP, detail));
        }
    }
    Ok(())
}

/// Another session began later, while the meter stood within what this bill covers: the end of this one is not its own.
fn begins_inside(bill: &Span, other: &Neighbour) -> bool {
    let begins = |first: MilliWh| bill.first + ROUNDING < first && first + ROUNDING < bill.last;
    !other.billed && bill.start < other.started_at && bill.first > ROUNDING && other.first.is_some_and(begins)
}

/// Meters that count each session from 0 share every register, and none.
fn shares_registers(bill: &Span, other: &Neighbour) -> bool {
    let (Some(first), Some(last), true) = (other.first, other.last, other.billed) else { return false };
    let counts_from_zero = bill.first.0 <= ROUNDING.0 || first.0 <= ROUNDING.0;
    let shared = bill.last.min(last) - bill.first.max(first);
    !counts_from_zero && shared > ROUNDING
}

/// Between the two, some session of the connector began below where one before it had ended.
fn was_reset_between(bill: &Span, other: &Neighbour, neighbours: &[Neighbour]) -> bool {
    let (from, until) = (other.started_at.min(bill.start), other.started_at.max(bill.start));
    let between = neighbours.iter().filter(|one| one.billed && from <= one.started_at && one.started_at <= until);
    let mut ends: Vec<(Time, MilliWh, MilliWh)> =
        between.filter_map(|one| Some((one.started_at, one.first?, one.last?))).collect();
    ends.sort();
    ends.windows(2).any(|pair| pair[1].1 + ROUNDING < pair[0].2)
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone, Utc};

    use super::*;

    fn at(minutes: i64) -> Time {
        Utc.timestamp_opt(1_800_000_000, 0).single().unwrap_or_default() + TimeDelta::minutes(minutes)
    }

    fn wh(wh: i64) -> MilliWh {
        MilliWh(wh * 1000)
    }

    fn billed(start: i64, stop: i64, first: i64, last: i64) -> Neighbour {
        let (first, last) = (Some(wh(first)), Some(wh(last)));
        Neighbour { id: format!("S{start}"), started_at: at(start), stopped_at: Some(at(stop)), first, last, billed: true }
    }

    fn open(start: i64) -> Neighbour {
        Neighbour { stopped_at: None, first: None, last: None, billed: false, ..billed(start, start, 0, 0) }
    }

    #[test]
    fn energy_is_billed_once() {
        let bill = Span { start: at(100), end: at(160), first: wh(5_000), last: wh(9_000) };
        for (neighbours, is_free) in [
            (vec![], true),
            (vec![billed(0, 90, 1_000, 5_000), billed(200, 260, 9_000, 12_000)], true),
            // Rounding at the seams.
            (vec![billed(0, 90, 1_000, 5_001)], true),
            (vec![billed(0, 90, 1_000, 5_500)], false),
            (vec![billed(200, 260, 8_000, 9_500)], false),
            (vec![billed(0, 90, 1_000, 20_000)], false),
            // Somebody else began while this ran.
            (vec![open(130)], false),
            (vec![open(100), open(160), open(20)], true),
            (vec![billed(90, 110, 20_000, 21_000)], false),
            // Somebody began later at a register of this bill: its end is not its own.
            (vec![Neighbour { first: Some(wh(7_000)), ..open(170) }], false),
            (vec![Neighbour { first: Some(wh(9_000)), ..open(170) }], true),
            // Meters that count each session from 0.
            (vec![billed(0, 90, 0, 7_000)], true),
            // The meter was replaced in between.
            (vec![billed(0, 30, 4_000, 8_000), billed(40, 50, 8_000, 9_000), billed(60, 90, 100, 4_900)], true),
            (vec![billed(0, 30, 4_000, 8_000), billed(40, 50, 8_000, 9_000)], false),
        ] {
            assert_eq!(check(&bill, &neighbours).is_ok(), is_free, "{neighbours:?}");
        }
    }
}
