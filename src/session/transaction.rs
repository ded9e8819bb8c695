//! What a transaction message does to its session: the half of the machine that decides about money.
//!
//! 1.6 StartTransaction, MeterValues, StopTransaction and 2.x TransactionEvent take the same way: find the session (or open one),
//! take in what is said, leave evidence. 2.x events may come in any order; the same set of events gives the same session.

use chrono::TimeDelta;

use super::machine::{Change, Effects, Evidence, GRACE, Machine};
use super::matching::{self, Match};
use super::memory::EventKey;
use super::session::{Session, State};
use super::{Answer, AuthStatus, Phase, TxFact, hold};
use crate::units::{Decimal, Finding, MilliWh, Received, StationId, Time, Token, TokenKind, Version, time};

/// A station's clock is not believed before this day, or when it says that something will happen.
pub(super) const EARLIEST: i64 = 1_577_836_800; // 2020-01-01T00:00:00Z
/// Clocks of stations drift by minutes; what is said further ahead cannot be true.
pub(super) const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// A station offline and without a clock says nothing about when it happened; metering holds such a session.
pub(super) const OFFLINE_TIME: &str = "offline-time-unknown";
/// The only token known so far is the one that ended the transaction.
const TOKEN_AT_STOP: &str = "token-at-stop";

/// What is known about a message beside its fact.
pub(super) struct Arrival<'a> {
    pub station: &'a StationId,
    pub version: Version,
    /// When it happened, as far as we believe the station.
    pub at: Time,
    /// `at` is the station's own time.
    pub timed: bool,
    pub now: Time,
    pub status: Option<AuthStatus>,
    pub max_power_kw: Option<Decimal>,
    /// By how much the station's clock is off, where its messages show it.
    pub clock_lag: Option<TimeDelta>,
}

impl Machine {
    pub(super) fn transaction(&mut self, station: &StationId, version: Version, mut fact: TxFact, received: Received) -> Effects {
        let mut findings = std::mem::take(&mut fact.findings);
        let (at, doubt) = plausible_time(fact.reported_at, received);
        let timed = doubt.is_none();
        // MeterValues have no time of their own.
        let is_event = fact.phase != Phase::Update || fact.reported_at.is_some() || fact.seq_no.is_some();
        if is_event {
            findings.extend(doubt);
        }
        let is_queued = fact.offline || self.stations.get(station).is_some_and(|station| station.clock.is_in_queue(received));
        if !timed && is_queued && fact.phase != Phase::Update {
            findings.push(Finding::new(OFFLINE_TIME, "it waited in the station's queue, and its time cannot be true"));
        }
        let mut status = fact.token.as_ref().map(|token| self.policy.authorize(station, token));
        if status.is_none() && version == Version::V16 && fact.phase == Phase::Start {
            // 1.6 must be told something: no tag is an unknown tag.
            status = Some(self.policy.authorize(station, &Token::new(TokenKind::Unstated, "")));
        }
        let answer = if is_event || status.is_some() { Answer::Tx { status } } else { Answer::Empty };
        let mut effects = Effects { answer, changes: Vec::new(), findings };
        let max_power_kw = self.policy.max_power_kw(station);
        let sampled_at = || fact.readings.iter().filter_map(|reading| reading.measured_at).max();
        let clock_lag = fact.reported_at.or_else(sampled_at).and_then(|said| {
            let clock = &mut self.stations.entry(station.clone()).or_default().clock;
            clock.hear(said, received);
            clock.steady_lag()
        });
        let arrival = Arrival { station, version, at, timed, now: received.at, status, max_power_kw, clock_lag };
        match fact.phase {
            Phase::Start if fact.tx.is_none() => self.start(&arrival, fact, &mut effects),
            _ => self.event(&arrival, fact, &mut effects),
        }
        effects
    }

    /// A start that names no transaction (1.6 StartTransaction): the same start again gets the same id, any other a new one.
    fn start(&mut self, arrival: &Arrival<'_>, fact: TxFact, effects: &mut Effects) {
        let key = event_key(&fact);
        // Without a believable time two different starts look alike, so only a running session can be the same one.
        let same = |session: &&Session| key.is_some() && session.start_key == key && (arrival.timed || session.is_open());
        let session = match self.stations.get(arrival.station).and_then(|station| station.all().find(same)) {
            Some(session) => {
                effects.findings.push(Finding::new("duplicate-start", format!("repeats the start of {}", session.id)));
                session.clone()
            }
            None => self.open_session(arrival, fact, effects),
        };
        if arrival.version == Version::V16 {
            let status = session.token_status.or(arrival.status).unwrap_or(AuthStatus::Accepted);
            effects.answer = Answer::Started { tx: session.tx, status };
        }
    }

    /// Everything else: a message that names a transaction, or has to be matched to one.
    fn event(&mut self, arrival: &Arrival<'_>, mut fact: TxFact, effects: &mut Effects) {
        let found = match self.stations.get_mut(arrival.station) {
            None => None,
            Some(station) => match matching::find(station, &fact, arrival, &mut effects.findings) {
                Match::Session(number) => station.take(number),
                Match::None => None,
            },
        };
        let Some(mut session) = found else {
            if fact.phase == Phase::Update && fact.tx.is_none() {
                effects.changes.push(Change::Evidence(evidence(None, &mut fact)));
            } else {
                self.open_session(arrival, fact, effects);
            }
            return;
        };
        let is_named = fact.tx.as_ref().is_some_and(|tx| session.is_named(tx));
        let evidence = evidence(Some(session.number), &mut fact);
        if evidence.seq_no.is_some_and(|seq| session.memory.events.has(EventKey::of(&evidence, seq))) {
            effects.findings.push(Finding::new("duplicate-event", format!("repeats an event of {}", session.id)));
            return self.keep(session);
        }
        if session.memory.has_samples(&evidence) {
            effects.findings.push(Finding::new("duplicate-samples", format!("repeats samples of {}", session.id)));
            return self.keep(session);
        }
        let before = outline(&session);
        session.id_used |= is_named && session.started_at.is_some() && arrival.version == Version::V16;
        self.apply_event(&mut session, &fact, &evidence, arrival, effects);
        if before != outline(&session) {
            effects.changes.push(Change::Updated(Box::new(session.clone())));
        }
        effects.changes.push(Change::Evidence(evidence));
        self.keep(session);
    }

    /// The first that is heard of a transaction: its start, an event that overtook the start, or an orphan.
    fn open_session(&mut self, arrival: &Arrival<'_>, mut fact: TxFact, effects: &mut Effects) -> Session {
        let start_key = if fact.tx.is_none() { event_key(&fact) } else { None };
        let mut session = self.new_session(arrival.station, arrival.version, fact.tx.take(), arrival.now);
        session.start_key = start_key;
        let evidence = evidence(Some(session.number), &mut fact);
        self.apply_event(&mut session, &fact, &evidence, arrival, effects);
        effects.changes.push(Change::Opened(Box::new(session.clone())));
        effects.changes.push(Change::Evidence(evidence));
        self.keep(session.clone());
        session
    }

    /// Adds what a message says to its session, which is out of memory meanwhile.
    fn apply_event(
        &mut self,
        session: &mut Session,
        fact: &TxFact,
        evidence: &Evidence,
        arrival: &Arrival<'_>,
        effects: &mut Effects,
    ) {
        let before = (session.started_at, session.stopped_at, session.evse);
        session.memory.add(evidence, arrival.at);
        learn(session, fact, arrival.status);
        match fact.phase {
            Phase::Start if session.started_at.is_none() => {
                session.started_at = Some(arrival.at);
                session.clock_lag = arrival.clock_lag;
                session.start_register = fact.register_wh.and_then(MilliWh::from_wh);
                session.tariff = self.policy.tariff(arrival.station, arrival.at);
                if session.tariff.is_none() {
                    effects.findings.push(Finding::new("no-tariff", "no tariff is valid for this station at the start"));
                }
            }
            Phase::Start => effects.findings.push(Finding::new("duplicate-start", format!("{} has started already", session.id))),
            Phase::Stop => stop(session, fact, arrival, effects),
            Phase::Update => {}
        }
        let is_news = before != (session.started_at, session.stopped_at, session.evse) || !evidence.readings.is_empty();
        settle(session, is_news, arrival.now);
        if let Some(start) = session.started_at
            && (before.0.is_none() || before.2 != session.evse)
            && let Some(station) = self.stations.get_mut(arrival.station)
        {
            let superseded = station.supersede(session.evse, start, arrival.version);
            effects.changes.extend(superseded.into_iter().map(|old| Change::Updated(Box::new(old))));
        }
        for finding in &effects.findings {
            session.note(finding.clone());
        }
    }
}

/// When an ended session is judged: at once when every event is there, else when the missing ones had their time.
fn settle(session: &mut Session, is_news: bool, now: Time) {
    let stands = match &session.state {
        State::Open => session.stopped_at.is_none(),
        State::Ended { settle_after } => *settle_after <= now || !session.is_complete(),
        // Judged again; without a start or a stop the verdict would be the same.
        State::Held { .. } => !is_news || session.started_at.is_none() || session.stopped_at.is_none(),
    };
    if stands {
        return;
    }
    let is_orphan = session.started_at.is_none() && session.version == Version::V16;
    session.state = if is_orphan {
        // 1.6 stations send in order: no start follows its stop.
        State::Held { reason: hold::START_MISSING.to_owned() }
    } else {
        State::Ended { settle_after: if session.is_complete() { now } else { now + GRACE } }
    };
}

/// Facts that a 2.x transaction states once, in whichever event (OCPP 2.0.1 E01, E02): token, EVSE, connector. The token that
/// ends a transaction may be another one of the same group; it counts only while no other is known.
fn learn(session: &mut Session, fact: &TxFact, status: Option<AuthStatus>) {
    // 1.6 says it once, in the start; a connector 0 there stays what was said.
    if session.evse == 0 && (session.version != Version::V16 || session.started_at.is_none()) {
        session.evse = fact.evse.unwrap_or(0);
    }
    if session.connector == 0 {
        session.connector = fact.connector.unwrap_or(0);
    }
    if session.token_status.is_none() {
        session.token_status = status;
    }
    let Some(token) = &fact.token else { return };
    let ends =
        fact.phase == Phase::Stop || fact.trigger.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("StopAuthorized"));
    match &session.token {
        None if ends => session.note(Finding::new(TOKEN_AT_STOP, "the only token came with the end of the transaction")),
        None => session.token_status = status,
        Some(_) if !ends && session.has_finding(TOKEN_AT_STOP) => {
            session.findings.retain(|finding| finding.code != TOKEN_AT_STOP);
            session.token_status = status;
        }
        Some(known) => {
            if !ends && !same_token(known, token) {
                session.note(Finding::new("token-changed", "another token was presented too; the first one heard of stands"));
                if status != Some(AuthStatus::Accepted) {
                    session.token_status = status;
                }
            }
            return;
        }
    }
    session.token = Some(token.clone());
}

/// The first stop stands; a later one that differs is evidence of a conflict (docs/quirks.md Q48).
fn stop(session: &mut Session, fact: &TxFact, arrival: &Arrival<'_>, effects: &mut Effects) {
    let register = fact.register_wh.and_then(MilliWh::from_wh);
    if let Some(stopped) = session.stopped_at {
        let same = (stopped == arrival.at || !arrival.timed) && (register.is_none() || session.stop_register == register);
        let (code, what) = match same {
            true => ("duplicate-stop", "repeats the stop"),
            false => ("conflicting-stop", "a second, different stop; the first stands"),
        };
        effects.findings.push(Finding::new(code, what));
        return;
    }
    session.stopped_at = Some(arrival.at);
    session.stop_register = register;
    session.stop_reason = Some(fact.stop_reason.clone().unwrap_or_else(|| "Local".to_owned()));
}

fn evidence(session: Option<i64>, fact: &mut TxFact) -> Evidence {
    Evidence {
        session,
        phase: fact.phase,
        seq_no: fact.seq_no,
        reported_at: fact.reported_at,
        evse: fact.evse.unwrap_or(0),
        charging: fact.charging,
        readings: std::mem::take(&mut fact.readings),
    }
}

/// What may change in a session after its start and is kept in its row; event numbers live in the evidence.
fn outline(session: &Session) -> impl PartialEq + use<> {
    let places = (session.evse, session.connector, session.token.clone(), session.token_status);
    (places, session.started_at, session.stopped_at, session.id_used, session.findings.clone(), session.state.clone())
}

/// What identifies a message that names no transaction: EVSE, token, time and register, as sent.
pub(super) fn event_key(fact: &TxFact) -> Option<String> {
    let token = fact.token.as_ref().map(Token::folded).unwrap_or_default();
    let at = fact.reported_at.map(time::to_millis).unwrap_or_default();
    let register = fact.register_wh.map(|wh| wh.normalize().to_string()).unwrap_or_default();
    match fact.phase {
        Phase::Start => Some(format!("start {} {token} {at} {register}", fact.evse.unwrap_or(0))),
        Phase::Stop => Some(format!("stop {token} {at} {register}")),
        Phase::Update => None,
    }
}

/// The station's time if it can be true, else the time of receipt, with a finding that says so. What happened cannot have happened
/// after it was told; only a gateway whose own clock is wrong does not know.
pub(super) fn plausible_time(reported: Option<Time>, received: Received) -> (Time, Option<Finding>) {
    match reported {
        None => (received.at, Some(Finding::new("time-missing", "no readable time; the time of receipt stands in"))),
        Some(at) if at.timestamp() < EARLIEST || (received.proven && at > received.at + CLOCK_TOLERANCE) => {
            let detail = format!("station says {}; the time of receipt stands in", time::rfc3339(at));
            (received.at, Some(Finding::new("clock-implausible", detail)))
        }
        Some(at) => (at, None),
    }
}

pub(super) fn same_token(one: &Token, other: &Token) -> bool {
    one.folded() == other.folded()
}
