//! Which session a message means. Pure: a station's sessions and a message in, a choice out.
//!
//! A transaction id is one fact among others, because stations use ids again, lose them, invent them and mix them up. A message
//! goes to the session it names unless the other facts (time, register, power, evse,
//! token) contradict that session *and* fit another one that runs. Where it names none, or one nobody knows, it goes to the only
//! session that every fact fits, else it stands for itself. An orphan (a stop without a start) never takes up later messages.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::arrival::Arrival;
use super::metering::Limit;
use super::open_sessions::{OpenSessions, SHORTLY};
use super::session::Session;
use crate::fact::register::{ROUNDING, register_of};
use crate::fact::{Phase, TxFact};
use crate::units::{Finding, MilliWh, Time, TxRef, Version};

/// The session a message means, or why it opens one of its own.
pub(super) enum Match {
    Session(i64),
    None,
}

/// What a message says about which session it can belong to.
struct Claim<'a> {
    fact: &'a TxFact,
    at: Time,
    /// `at` is the station's own time.
    timed: bool,
    register: Option<MilliWh>,
    limit: Limit,
    widest: Limit,
    in_use: &'a BTreeMap<u32, bool>,
}

/// Finds the session that a message means.
pub(super) fn find(station: &OpenSessions, fact: &TxFact, arrival: &Arrival<'_>, findings: &mut Vec<Finding>) -> Match {
    let claim = Claim::new(fact, arrival);
    let found = match (&fact.tx, arrival.version) {
        (Some(tx), Version::V16) => named_16(station, tx, &claim, findings),
        (Some(tx), _) => named_2x(station, tx, &claim, findings),
        (None, _) if fact.phase == Phase::Stop => nameless_stop(station, &claim, findings),
        (None, _) => fact.evse.and_then(|evse| station.running_on(evse, claim.at, claim.in_use)),
    };
    found.map_or(Match::None, |session| Match::Session(session.number))
}

/// 1.6: ids are ours, so one we gave names one session for ever.
fn named_16<'a>(station: &'a OpenSessions, tx: &TxRef, claim: &Claim<'_>, findings: &mut Vec<Finding>) -> Option<&'a Session> {
    // A session without a start has an id that is not ours; only its own repeats, or what continues it, are its.
    let ours = |session: &&Session| {
        session.started_at.is_some() || claim.repeats(session) || (session.is_open() && claim.contradiction(session).is_none())
    };
    let named = station.named(tx).into_iter().find(ours);
    let Some(named) = named else {
        return match claim.fact.phase {
            Phase::Stop => only_candidate(station, claim, &format!("transaction {tx} is unknown"), findings),
            _ => {
                let running = claim.fact.evse.and_then(|evse| station.running_on(evse, claim.at, claim.in_use))?;
                findings
                    .push(Finding::new("tx-unknown", format!("transaction {tx} is unknown; {} runs on that evse", running.id)));
                Some(running)
            }
        };
    };
    let doubt = claim.contradiction(named);
    // A wrong register under the id of a session that runs is a wrong register; metering holds it.
    let is_plain = matches!(doubt, None | Some("register")) && named.is_open();
    if named.started_at.is_none() || claim.repeats(named) || doubt.is_none() || is_plain {
        return Some(named);
    }
    // An old id: the facts speak for another session that runs.
    let wide = Claim { limit: claim.widest, ..*claim };
    let mut others = station.open().filter(|other| other.number != named.number && wide.confirms(other));
    match (others.next(), others.next()) {
        (Some(other), None) => {
            let detail = format!("the message names {}, which it does not fit; everything else fits {}", named.id, other.id);
            findings.push(Finding::new("tx-stale", detail));
            Some(other)
        }
        _ if claim.is_after(named) => {
            let running = claim.fact.evse.and_then(|evse| station.running_on(evse, claim.at, claim.in_use));
            let found = match claim.fact.phase {
                // Whatever the register says: it was measured on that connector, and not in the time of the other.
                Phase::Update if running.is_some() => running,
                // A session whose start was lost, as its connector's status shows. Without that the first stop stands.
                Phase::Stop if station.lacks_session(claim.in_use) => None,
                _ => return Some(named),
            };
            findings.push(Finding::new("tx-stale", format!("the message names {}, which had ended before", named.id)));
            found
        }
        _ => Some(named),
    }
}

/// 2.x: ids are the station's, which may use one again after a factory reset or a lost end.
fn named_2x<'a>(station: &'a OpenSessions, tx: &TxRef, claim: &Claim<'_>, findings: &mut Vec<Finding>) -> Option<&'a Session> {
    let named = station.named(tx);
    let newest = *named.first()?;
    let found = match claim.fact.phase {
        Phase::Start => named.iter().find(|session| claim.is_start_of(session)),
        // The session that had begun by then; of several, the latest.
        _ => named.iter().find(|session| claim.is_after_the_start_of(session)),
    };
    let found = found.copied().or_else(|| (claim.fact.phase != Phase::Start && named.len() == 1).then_some(newest));
    match found {
        Some(session) if !claim.is_after_the_end_of(session) => Some(session),
        _ => {
            findings.push(Finding::new("transaction-id-reused", format!("{tx} named {} before", newest.id)));
            None
        }
    }
}

/// A stop that names nobody: one that was told before, or the only session it can mean.
fn nameless_stop<'a>(station: &'a OpenSessions, claim: &Claim<'_>, findings: &mut Vec<Finding>) -> Option<&'a Session> {
    let key = claim.fact.start_key();
    station
        .all()
        .filter(|session| key.is_some() && session.start_key == key)
        .max_by_key(|session| session.number)
        .or_else(|| only_candidate(station, claim, "the stop named no transaction", findings))
}

/// The only open session that every fact fits. A session whose messages carry its id is not meant by one without, nor one whose
/// connector was free since and is occupied again; where the token tells, it decides.
fn only_candidate<'a>(
    station: &'a OpenSessions,
    claim: &Claim<'_>,
    why: &str,
    findings: &mut Vec<Finding>,
) -> Option<&'a Session> {
    let wide = Claim { limit: claim.widest, ..*claim };
    let fits = |session: &&Session| !session.memory.was_left && wide.contradiction(session).is_none();
    if let Some(known) = station.all().find(|session| claim.repeats_exactly(session)) {
        return Some(known);
    }
    let candidates: Vec<&Session> = station.open().filter(fits).collect();
    let by_token: Vec<&Session> = candidates.iter().copied().filter(|session| claim.has_token_of(session)).collect();
    let [only] = (if by_token.is_empty() { &candidates } else { &by_token })[..] else { return None };
    let may_mean_another = by_token.is_empty() && station.lacks_session(claim.in_use);
    if only.has_its_id() || may_mean_another || claim.contradiction(only).is_some() {
        return None;
    }
    findings.push(Finding::new("stop-matched", format!("{why}; it can only mean {}", only.id)));
    Some(only)
}

impl<'a> Claim<'a> {
    fn new(fact: &'a TxFact, arrival: &'a Arrival<'_>) -> Self {
        let sampled = || fact.readings.iter().rev().find_map(register_of);
        let said = fact.said_at();
        let at = if fact.reported_at.is_none() {
            said.filter(|at| *at <= arrival.received.at).unwrap_or(arrival.at)
        } else {
            arrival.at
        };
        Self {
            fact,
            at,
            timed: arrival.timed || (fact.reported_at.is_none() && said.is_some_and(|at| at <= arrival.received.at)),
            register: fact.register_wh.and_then(MilliWh::from_wh).or_else(sampled).filter(MilliWh::is_register),
            limit: Limit::of_station(arrival.max_power_kw),
            widest: Limit::widest(arrival.max_power_kw),
            in_use: arrival.in_use,
        }
    }

    /// What a message may lie before the start of its session; a stop never does.
    fn slack(&self) -> TimeDelta {
        if self.fact.phase == Phase::Update { SHORTLY } else { TimeDelta::zero() }
    }

    /// What speaks against a session; the id is not looked at.
    fn contradiction(&self, session: &Session) -> Option<&'static str> {
        let evse = self.fact.evse.filter(|evse| *evse != 0 && session.evse != 0);
        if evse.is_some_and(|evse| evse != session.evse) {
            return Some("evse");
        }
        let tokens = self.fact.token.as_ref().zip(session.token.as_ref());
        if self.fact.phase != Phase::Update && tokens.is_some_and(|(one, other)| !one.is_same(other)) {
            return Some("token");
        }
        // A clock that was set back since the start says so in every message.
        let was_set_back = session.memory.last_said.zip(session.started_at).is_some_and(|(said, start)| start - said > SHORTLY);
        let before = !was_set_back && session.started_at.is_some_and(|start| self.at + self.slack() < start);
        // A stop may bring the samples of its whole transaction.
        let first_sample = self.fact.readings.iter().filter_map(|reading| reading.measured_at).min();
        let begins_before = self.fact.phase == Phase::Stop
            && session.started_at.zip(first_sample).is_some_and(|(start, first)| start - first > SHORTLY);
        let after = session.stopped_at.is_some_and(|stop| self.at > stop + SHORTLY);
        if self.timed && (before || after || (begins_before && !was_set_back)) {
            return Some("time");
        }
        (!self.continues(session)).then_some("register")
    }

    /// The register goes on from where the session's stood, within what can have flowed since.
    fn continues(&self, session: &Session) -> bool {
        let Some(register) = self.register else { return true };
        let start =
            session.start_register.filter(MilliWh::is_register).zip(session.started_at).map(|(register, at)| (at, register));
        let Some((at, known)) = session.memory.last_register.or(start) else { return true };
        if session.start_register.is_some_and(|start| register < start && self.fact.phase == Phase::Update) {
            // Samples that count from 0 in each session while the start gave the register of the meter's life.
            return register.0 >= 0;
        }
        if register + ROUNDING < known {
            // Reported late: it may have been read before the other.
            return self.timed && self.at < at && start.is_none_or(|(_, start)| register + ROUNDING >= start);
        }
        self.limit.allows(self.at - at, register - known)
    }

    /// It happened after the end of this session.
    fn is_after(&self, ended: &Session) -> bool {
        ended.stopped_at.is_some_and(|stop| self.timed && self.at > stop + SHORTLY)
    }

    /// Something besides the absence of contradictions speaks for a session: its token, or a register that goes on on its evse.
    fn confirms(&self, session: &Session) -> bool {
        let begun = session.started_at.is_some_and(|start| self.timed && start <= self.at + SHORTLY);
        let evse = self.fact.evse.is_some_and(|evse| evse != 0 && evse == session.evse);
        begun && self.contradiction(session).is_none() && (evse || self.has_token_of(session) || self.register.is_some())
    }

    fn has_token_of(&self, session: &Session) -> bool {
        self.fact.token.as_ref().zip(session.token.as_ref()).is_some_and(|(one, other)| one.is_same(other))
    }

    /// The stop of this session again.
    fn repeats(&self, session: &Session) -> bool {
        let same_time = session.stopped_at == Some(self.at) || !self.timed;
        self.fact.phase == Phase::Stop
            && session.stopped_at.is_some()
            && same_time
            && (session.stop_register.is_none() || session.stop_register == self.register)
    }

    /// The stop of this session again, by everything but an id.
    fn repeats_exactly(&self, session: &Session) -> bool {
        let has_all = self.timed && self.register.is_some() && session.stop_register == self.register;
        has_all && self.repeats(session) && self.contradiction(session).is_none()
    }

    /// 2.x Started: the start of this session, or the same again; not another transaction of that name. A start without a believable
    /// time never is another.
    fn is_start_of(&self, session: &Session) -> bool {
        let Some(start) = session.started_at else { return true };
        let differs = |one: Option<MilliWh>, other: Option<MilliWh>| one.zip(other).is_some_and(|(one, other)| one != other);
        let another_register = differs(self.register, session.memory.first_register);
        let another_token = self.fact.token.is_some() && session.token.is_some() && !self.has_token_of(session);
        let another_outlet = self.fact.evse.is_some_and(|evse| evse != 0 && session.evse != 0 && evse != session.evse);
        let another = another_register || another_token || another_outlet;
        let Some(said) = self.fact.reported_at else { return !another };
        // Both by the station's clock, whatever that is worth.
        let apart = session.memory.said_start.map_or(self.at - start, |first| said - first).abs();
        if apart.is_zero() {
            return true;
        }
        let ended = session.stopped_at.is_some_and(|stop| self.timed && self.at > stop);
        // A start that is sent again has the time that it had before.
        !(another || ended || apart > SHORTLY)
    }

    /// 2.x: the session had begun when this happened, by the station's clock if it gave both times.
    fn is_after_the_start_of(&self, session: &Session) -> bool {
        let Some(start) = session.started_at else { return true };
        match self.fact.reported_at.zip(session.memory.said_start) {
            Some((said, first)) => first - said <= self.slack(),
            None => !self.timed || start <= self.at + self.slack(),
        }
    }

    /// 2.x: an event that cannot be a late one of this ended session: of a later time, and its counter began anew or its register
    /// went on.
    fn is_after_the_end_of(&self, session: &Session) -> bool {
        let has_time = self.fact.reported_at.is_some();
        let (Some(stop), true, false) = (session.stopped_at, has_time, self.fact.phase == Phase::Start) else { return false };
        if session.started_at.is_none() || self.at <= stop + SHORTLY {
            return false;
        }
        let counted_anew = self.fact.seq_no.zip(session.memory.events.highest()).is_some_and(|(seq, highest)| seq < highest);
        let went_on =
            self.register.zip(session.memory.last_register).is_some_and(|(register, (_, known))| register > known + ROUNDING);
        counted_anew || went_on || (self.fact.phase == Phase::Stop && self.fact.token.is_some() && !self.has_token_of(session))
    }
}
