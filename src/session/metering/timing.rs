//! When things happened: the station's times, corrected where its clock disproves itself.
//!
//! A message's lag is the time of receipt less the time that the station gives it. With a right clock the lag of a live message is
//! about nothing, that of a replayed one is how long it waited: never negative. So
//! - a time ahead of its receipt is wrong for certain, and what happened lies between this message and the one before;
//! - a lag that stays the same over messages which came minutes apart is no queue, which comes at once, but a clock that is slow;
//! - a lag of about nothing is a clock that is right (again).
//!
//! In all three cases the station's time is shifted by the lag. Where the time in question makes the bill and nothing bounds it,
//! the session is held. While our own clock had proven itself wrong nothing is judged by it. Samples are shifted with the message
//! that brought them.

use chrono::TimeDelta;

use crate::fact::plausible_time::{CLOCK_TOLERANCE, EARLIEST, QUEUE_PAUSE, is_live};
use crate::fact::{Context, Phase, Reading};
use crate::session::hold::Held;
use crate::session::{Evidence, JournalEntry, hold};
use crate::units::{Finding, Time};

/// The longest silence before a message whose clock was ahead; what ended in it may be billed until its receipt.
const MAX_SILENCE: TimeDelta = TimeDelta::minutes(15);

/// One message's evidence with the time at which it happened.
pub(super) struct Timed<'a> {
    pub evidence: &'a Evidence,
    pub at: Time,
    /// What was added to the station's times.
    pub shift: TimeDelta,
    pub row: i64,
    /// It came with a queue and has no time of its own: nobody knows when it happened, and `at` is only its receipt.
    pub is_untimed: bool,
}

impl Timed<'_> {
    /// When one of its readings was taken.
    pub fn measured_at(&self, measured_at: Option<Time>) -> Time {
        measured_at.and_then(|at| at.checked_add_signed(self.shift)).unwrap_or(self.at)
    }
}

/// What is known of the station's clock while its messages are gone through in the order of their arrival.
struct Clock {
    shift: TimeDelta,
    shifts: Vec<TimeDelta>,
    /// Lag of the first message while the gateway's own clock was wrong.
    unproven_lag: Option<TimeDelta>,
    /// When the message before happened: at its receipt if it came live.
    heard_at: Option<Time>,
    received_at: Option<Time>,
    /// The latest time and event number of a message that came live.
    live: Option<(Time, Option<i64>)>,
}

/// Corrects the times of a session's messages, given in the order of their arrival. `Err`: nothing says when it began or ended.
/// `lag`: by how much the station's clock was off when the session started, if its messages before had shown that.
pub(super) fn correct<'a>(
    entries: &'a [JournalEntry],
    lag: Option<TimeDelta>,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Timed<'a>>, Held> {
    let mut clock = Clock {
        shift: lag.unwrap_or_default(),
        shifts: Vec::from_iter(lag),
        unproven_lag: None,
        heard_at: None,
        received_at: None,
        live: None,
    };
    let mut timed = Vec::with_capacity(entries.len());
    for (place, entry) in entries.iter().enumerate() {
        let is_untimed = entry.evidence.said_at().is_none() && clock.is_in_queue(entry);
        let at = clock.time_of(entry, &entries[place + 1..])?;
        clock.received_at = Some(entry.received.at);
        timed.push(Timed { evidence: &entry.evidence, at, shift: clock.shift, row: entry.row, is_untimed });
    }
    check_begin(&timed)?;
    check_burst(entries)?;
    let worst = clock.shifts.iter().copied().max_by_key(|shift| shift.abs());
    if let Some(worst) = worst {
        let (minutes, way) = (worst.num_minutes(), if worst < TimeDelta::zero() { "ahead" } else { "behind" });
        let detail =
            format!("the station's clock was up to {} min {way}; its times were corrected by those of receipt", minutes.abs());
        findings.push(Finding::new("clock-corrected", detail));
        if clock.shifts.len() > 1 {
            findings.push(Finding::new("clock-stepped", "the station's clock was set while the session ran"));
        }
    }
    Ok(timed)
}

impl Clock {
    fn time_of(&mut self, entry: &JournalEntry, later: &[JournalEntry]) -> Result<Time, Held> {
        let received = entry.received;
        let Some(said) = entry.evidence.said_at() else {
            return self.unsaid(entry);
        };
        let lag = received.at - said;
        if !received.proven {
            // How far the station's clock is off nobody knows then; that it was set shows all the same.
            if self.unproven_lag.is_some_and(|known| lag + CLOCK_TOLERANCE < known) {
                return Err(doubtful("the station's clock was set while the gateway's own was wrong"));
            }
            self.unproven_lag = self.unproven_lag.or(Some(lag));
            return Ok(said.checked_add_signed(self.shift).unwrap_or(said));
        }
        let never_set = said.timestamp() < EARLIEST;
        if lag.abs() <= CLOCK_TOLERANCE {
            self.live_at(entry, said);
            self.shift_to(TimeDelta::zero());
        } else if never_set && self.shifts.last().is_some_and(|shift| (*shift - lag).abs() > CLOCK_TOLERANCE) {
            return Err(doubtful("the station had no clock and sent this later than it happened"));
        } else if (lag - self.shift).abs() <= CLOCK_TOLERANCE {
            self.live_at(entry, said + self.shift);
        } else if lag < self.shift || self.went_back(entry, said) {
            // Ahead of its receipt, or before what it said earlier: certainly wrong.
            let silence = self.heard_at.map(|heard| received.at - heard);
            if entry.evidence.phase == Phase::Stop && silence.is_some_and(|silence| silence > MAX_SILENCE) {
                return Err(doubtful("the station's clock was wrong when it ended, and nothing was heard of it shortly before"));
            }
            self.shift_to(lag);
            self.live_at(entry, received.at);
        } else if never_set || is_steady(received.at, lag, later) {
            self.shift_to(lag);
            self.live_at(entry, received.at);
        }
        let at = said.checked_add_signed(self.shift).unwrap_or(received.at);
        self.heard_at = Some(at.min(received.at));
        Ok(at)
    }

    /// A message without any time happened when it came, if it came live.
    fn unsaid(&mut self, entry: &JournalEntry) -> Result<Time, Held> {
        if !entry.received.proven && entry.evidence.phase != Phase::Update {
            return Err(doubtful("the station gave no time, and the gateway's own clock was wrong"));
        }
        if self.is_in_queue(entry) {
            return match entry.evidence.phase {
                Phase::Update => Ok(entry.received.at),
                _ => Err(doubtful("the station sent this late, from its queue, and gave no time")),
            };
        }
        self.heard_at = Some(entry.received.at);
        Ok(entry.received.at)
    }

    /// It came right after a message that had waited in a queue: so it waited, too.
    fn is_in_queue(&self, entry: &JournalEntry) -> bool {
        let Some((heard_at, received_at)) = self.heard_at.zip(self.received_at) else { return false };
        received_at - heard_at > CLOCK_TOLERANCE && entry.received.at - received_at <= QUEUE_PAUSE
    }

    fn shift_to(&mut self, shift: TimeDelta) {
        self.shift = shift;
        if self.shifts.last() != Some(&shift) && (!shift.is_zero() || !self.shifts.is_empty()) {
            self.shifts.push(shift);
        }
    }

    fn live_at(&mut self, entry: &JournalEntry, at: Time) {
        // A connector's status may come before the stop of an earlier time: after a reboot, or because the stop waits for an answer.
        let evidence = &entry.evidence;
        let is_status = evidence.phase == Phase::Update && evidence.seq_no.is_none() && evidence.readings.is_empty();
        if !is_status && self.live.is_none_or(|(latest, _)| latest <= at) {
            self.live = Some((at, entry.evidence.seq_no));
        }
    }

    /// An end that would lie before something that was said live before it: the clock was set back. 2.x events overtake each other,
    /// so there the numbers tell which was before.
    fn went_back(&self, entry: &JournalEntry, said: Time) -> bool {
        let Some((live, live_seq)) = self.live else { return false };
        let is_later = match (entry.evidence.seq_no, live_seq) {
            (Some(seq), Some(live_seq)) => seq > live_seq,
            (Some(_), None) => false,
            (None, _) => true,
        };
        entry.evidence.phase == Phase::Stop && is_later && said + self.shift + CLOCK_TOLERANCE < live
    }
}

/// A stop that brings the samples of its whole transaction repeats when it began: by the clock of then, or by that of the stop. If
/// neither is the time of the start, nobody knows when it ended. Stations that stamp all samples alike say nothing.
fn check_begin(timed: &[Timed<'_>]) -> Result<(), Held> {
    let first = |phase| timed.iter().find(|one| one.evidence.phase == phase);
    let (Some(start), Some(stop)) = (first(Phase::Start), first(Phase::Stop)) else { return Ok(()) };
    let is_begin = |reading: &&Reading| reading.samples.iter().any(|one| one.context == Context::TransactionBegin);
    let begin = stop.evidence.readings.iter().filter(is_begin).find_map(|reading| reading.measured_at);
    let (Some(said), Some(begin), Some(ended)) = (start.evidence.reported_at, begin, stop.evidence.said_at()) else {
        return Ok(());
    };
    let differs = |one: Time, other: Time| (one - other).abs() > CLOCK_TOLERANCE;
    if !differs(begin, ended) || !differs(begin, said) || !differs(stop.measured_at(Some(begin)), start.at) {
        return Ok(());
    }
    let minutes = (begin - said).num_minutes();
    let way = if minutes < 0 { "earlier" } else { "later" };
    Err(doubtful(&format!("by its stop the transaction began {} min {way} than by its start", minutes.abs())))
}

/// Start, samples and stop without a time, and all at once: they waited in a queue, and nobody knows for how long.
fn check_burst(entries: &[JournalEntry]) -> Result<(), Held> {
    let first = |phase| entries.iter().find(|entry| entry.evidence.phase == phase && entry.evidence.reported_at.is_none());
    let (Some(start), Some(stop)) = (first(Phase::Start), first(Phase::Stop)) else { return Ok(()) };
    let between =
        entries.iter().any(|entry| start.row < entry.row && entry.row < stop.row && !entry.evidence.readings.is_empty());
    let took = stop.received.at - start.received.at;
    if between && took <= QUEUE_PAUSE {
        return Err(doubtful("start, samples and stop came at once and without a time"));
    }
    Ok(())
}

/// Whether the lag stays as it is over messages that came apart: a queue is sent at once, and its lags shrink.
fn is_steady(received_at: Time, lag: TimeDelta, later: &[JournalEntry]) -> bool {
    for entry in later {
        let Some(said) = entry.evidence.said_at().filter(|_| entry.received.proven) else { continue };
        let drift = entry.received.at - said - lag;
        if is_live(entry.received.at - received_at, drift) {
            return true;
        }
        if drift.abs() > CLOCK_TOLERANCE {
            return false;
        }
    }
    false
}

fn doubtful(why: &str) -> Held {
    (hold::TIME_DOUBTFUL, why.to_owned())
}
