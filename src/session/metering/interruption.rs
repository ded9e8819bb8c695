//! Reboots in the middle of a session, and counters that begin anew.

use chrono::TimeDelta;

use super::timing::Timed;
use crate::fact::Phase;
use crate::session::Session;
use crate::session::hold::{self, Held};
use crate::units::Time;

/// A stop within this time after a reboot was written by the reboot, whatever reason it gives.
const AFTER_BOOT: TimeDelta = TimeDelta::minutes(10);
/// Clocks of station and gateway may differ by this much when a stop is compared with a boot.
const SLACK: TimeDelta = TimeDelta::minutes(1);
/// How soon after its first word a rebooted station sends its BootNotification.
const SETTLING: TimeDelta = TimeDelta::minutes(2);
/// Events of one transaction whose numbers fall back come this close to each other, if the station only restarted its counter.
const MAX_SILENCE: TimeDelta = TimeDelta::minutes(15);
/// How long energy may have flowed after the last sign of life of a station that shows no interval.
const UNKNOWN_INTERVAL: TimeDelta = TimeDelta::minutes(15);
/// Reasons of a stop that was written because the station lost power or was restarted (1.6 Reason, 2.x ReasonEnumType).
const INTERRUPTIONS: [&str; 6] = ["PowerLoss", "Reboot", "HardReset", "SoftReset", "ImmediateReset", "Other"];

/// Time of a session in which its station gave no sign of life.
pub(super) struct Dark {
    /// The session ended here, for money, if a reboot ended it.
    pub ended_at: Option<Time>,
    /// Stretches before reboots that the session outlived.
    pub stretches: Vec<(Time, Time)>,
}

impl Dark {
    /// Until when energy can have flowed: the power went some time after the last sign of life, and before the next was due.
    pub(super) fn flowed_until(&self, timed: &[Timed<'_>], stop: Time) -> Time {
        let Some(ended_at) = self.ended_at else { return stop };
        let signs: Vec<Time> = timed.iter().filter(|one| is_measured(one) && one.at <= ended_at).map(|one| one.at).collect();
        let due = signs.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(UNKNOWN_INTERVAL);
        stop.min(ended_at + due.max(UNKNOWN_INTERVAL))
    }
}

/// What reboots did to a session. A station that lost power stamps the stop when it is back; what lies between its last sign of
/// life and that is not the driver's.
pub(super) fn dark(session: &Session, timed: &[Timed<'_>], (start, stop): (Time, Time)) -> Dark {
    let is = |reason: &str| session.stop_reason.as_deref().is_some_and(|said| said.eq_ignore_ascii_case(reason));
    let mut dark = Dark { ended_at: None, stretches: Vec::new() };
    for reboot in &session.reboots {
        let measured_since = timed.iter().any(|one| is_measured(one) && reboot.at < one.at && one.at < stop);
        // What comes together with the BootNotification comes after the reboot.
        let from = last_sign(timed, reboot.at - SETTLING).max(Some(reboot.heard_at)).unwrap_or(start).clamp(start, stop);
        let by_reboot = INTERRUPTIONS.iter().any(|reason| is(reason)) || stop - reboot.at <= AFTER_BOOT;
        if stop + SLACK >= reboot.at && !measured_since && by_reboot {
            dark.ended_at = Some(dark.ended_at.map_or(from, |earlier: Time| earlier.min(from)));
        } else if reboot.at - from > SLACK {
            dark.stretches.push((from, reboot.at.min(stop)));
        }
    }
    // The BootNotification may have got lost; the reason says it, too.
    if dark.ended_at.is_none() && is("PowerLoss") {
        dark.ended_at = Some(last_sign(timed, stop).unwrap_or(start).clamp(start, stop));
    }
    dark
}

/// A measurement or an event of the transaction itself; a connector's status only says that the station is up again.
fn is_measured(one: &Timed<'_>) -> bool {
    one.evidence.phase != Phase::Stop && (!one.evidence.readings.is_empty() || one.evidence.seq_no.is_some())
}

/// The last thing that the session itself showed until an instant, apart from its stop.
fn last_sign(timed: &[Timed<'_>], until: Time) -> Option<Time> {
    let is_of_session = |one: &&Timed<'_>| is_measured(one) || one.evidence.phase == Phase::Start;
    let events = timed.iter().filter(is_of_session).map(|one| one.at);
    // Samples that come with the stop were measured before it.
    let samples = timed
        .iter()
        .filter(|one| one.evidence.phase == Phase::Stop)
        .flat_map(|one| one.evidence.readings.iter().filter_map(|reading| Some(one.measured_at(Some(reading.measured_at?)))));
    events.chain(samples.filter(|at| *at < until)).filter(|at| *at <= until).max()
}

/// 2.x numbers grow with time. Where they fall back after a silence, the events are those of two transactions under one id.
pub(super) fn check_numbering(timed: &[Timed<'_>]) -> Result<(), Held> {
    let mut last: Option<(i64, Time)> = None;
    for one in timed {
        let Some(seq) = one.evidence.seq_no else { continue };
        if let Some((highest, at)) = last
            && seq < highest
            && one.at - at > MAX_SILENCE
        {
            let detail = format!("event {seq} came {} min after event {highest}", (one.at - at).num_minutes());
            return Err((hold::EVENTS_MIXED, detail));
        }
        last = Some(last.map_or((seq, one.at), |(highest, _)| (highest.max(seq), one.at)));
    }
    Ok(())
}
