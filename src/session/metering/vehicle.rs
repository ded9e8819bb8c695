//! One transaction, one vehicle: a connector that was free in between was left, and what came after is somebody else's.
//!
//! Stations lose the end of one transaction and the start of the next, and go on under the old id. A connector that is Available has
//! no vehicle (1.6 ChargePointStatus, 2.x ConnectorStatusEnumType), so what charges there afterwards is another, whatever id it has.

use chrono::TimeDelta;

use super::timing::Timed;
use crate::fact::register::{ROUNDING, register_of};
use crate::fact::{ChargingState, Phase};
use crate::session::Reboot;
use crate::session::Session;
use crate::session::hold::{self, Held};
use crate::units::{MilliWh, Time};

/// After a reboot stations say Available of every connector before they look at it.
const AFTER_BOOT: TimeDelta = TimeDelta::minutes(10);
/// Statuses come in any order within seconds.
const SHORTLY: TimeDelta = TimeDelta::minutes(1);

/// `Err`: a vehicle charged, the connector was free, and a vehicle was connected again before the transaction was stopped.
/// `timed` in order.
pub(super) fn check(session: &Session, timed: &[Timed<'_>], (start, stop): (Time, Time)) -> Result<(), Held> {
    let left = timed.iter().filter(|one| is_status(one, session.evse) && one.evidence.charging == Some(ChargingState::Idle));
    for left in left.map(|one| one.at).filter(|at| *at > start && *at + SHORTLY < stop) {
        // A transaction that outlives a reboot goes on soon after it.
        let booted = |reboot: &&Reboot| (reboot.at - SHORTLY..=reboot.at + AFTER_BOOT).contains(&left);
        let from = session.reboots.iter().find(booted).map(|reboot| reboot.at + AFTER_BOOT);
        let charged = |one: &&Timed<'_>| one.evidence.charging == Some(ChargingState::Charging);
        let had_charged = timed.iter().filter(|one| start - SHORTLY <= one.at && one.at < left).any(|one| charged(&one))
            || rises(timed, |at| at < left);
        let connected =
            timed.iter().filter(|one| left < one.at && one.at < stop && one.evidence.charging.is_some_and(is_connected));
        let came_again = match (connected.map(|one| one.at).min(), from) {
            (Some(first), Some(from)) => first > from,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => rises(timed, |at| at > left && at < stop),
        };
        if had_charged && came_again {
            let minutes = (left - start).num_minutes();
            let detail =
                format!("the connector was free {minutes} min after the start, and a vehicle charged again under this id");
            return Err((hold::EVENTS_MIXED, detail));
        }
    }
    Ok(())
}

/// What is said of the connector, not by the transaction.
fn is_status(one: &Timed<'_>, evse: u32) -> bool {
    let evidence = one.evidence;
    evidence.phase == Phase::Update
        && evidence.seq_no.is_none()
        && evidence.readings.is_empty()
        && evidence.session.is_some()
        && evidence.evse == evse
}

fn is_connected(state: ChargingState) -> bool {
    !matches!(state, ChargingState::Idle | ChargingState::OutOfService)
}

/// Whether registers rise between messages of that time.
fn rises(timed: &[Timed<'_>], pick: impl Fn(Time) -> bool) -> bool {
    let registers = timed.iter().filter(|one| pick(one.at)).flat_map(|one| one.evidence.readings.iter().filter_map(register_of));
    let (mut least, mut most) = (None::<MilliWh>, None::<MilliWh>);
    for register in registers.filter(MilliWh::is_register) {
        least = Some(least.map_or(register, |least| least.min(register)));
        most = most.max(Some(register));
    }
    least.zip(most).is_some_and(|(least, most)| most - least > ROUNDING)
}
