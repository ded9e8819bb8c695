//! What a transaction message does to its session: the half of the machine that decides about money.
//!
//! 1.6 StartTransaction, MeterValues, StopTransaction and 2.x TransactionEvent take the same way: find the session (or open one),
//! take in what is said, leave evidence. 2.x events may come in any order; the same set of events gives the same session.

use chrono::TimeDelta;

use super::arrival::Arrival;
use super::evidence::Evidence;
use super::matching::{self, Match};
use super::memory::{EventKey, fingerprint};
use super::session::{Session, State};
use super::sessions::{Change, Sessions};
use super::{NOT_SERVED, OFFLINE_TIME, hold};
use crate::fact::{Answer, AuthStatus, Phase, TokenInfo, TxFact};
use crate::units::{Finding, MilliWh, Time, Token, Version};

/// How long an ended 2.x transaction waits for events that are missing between its first and last.
const GRACE: TimeDelta = TimeDelta::minutes(10);
/// The only token known so far is the one that ended the transaction.
const TOKEN_AT_STOP: &str = "token-at-stop";

/// What a transaction message comes to.
#[derive(Debug)]
pub struct Outcome {
    pub answer: Answer,
    pub changes: Vec<Change>,
    /// What it contributes to a session, or to none (clock-aligned values of an idle EVSE).
    pub evidence: Option<Evidence>,
    pub findings: Vec<Finding>,
}

impl Sessions {
    /// A transaction message. `doubt`: why its time is not believed. `is_queued`: it waited in the station's queue.
    pub fn transaction(&mut self, arrival: &Arrival<'_>, mut fact: TxFact, doubt: Option<Finding>, is_queued: bool) -> Outcome {
        let mut findings = std::mem::take(&mut fact.findings);
        // MeterValues have no time of their own.
        let is_event = fact.phase != Phase::Update || fact.reported_at.is_some() || fact.seq_no.is_some();
        if is_event {
            findings.extend(doubt);
        }
        if !arrival.timed && is_queued && fact.phase != Phase::Update {
            findings.push(Finding::new(OFFLINE_TIME, "it waited in the station's queue, and its time cannot be true"));
        }
        let info = arrival.token_info.clone();
        let answer = if is_event || info.is_some() { Answer::Tx { info } } else { Answer::Empty };
        let mut outcome = Outcome { answer, changes: Vec::new(), evidence: None, findings };
        match fact.phase {
            Phase::Start if fact.tx.is_none() => self.start(arrival, fact, &mut outcome),
            _ => self.event(arrival, fact, &mut outcome),
        }
        outcome
    }

    /// A start that names no transaction (1.6 StartTransaction): the same start again gets the same id, any other a new one.
    fn start(&mut self, arrival: &Arrival<'_>, fact: TxFact, outcome: &mut Outcome) {
        let key = fact.start_key();
        // Without a believable time two different starts look alike, so only a running session can be the same one.
        let same = |session: &&Session| key.is_some() && session.start_key == key && (arrival.timed || session.is_open());
        let session = match self.stations.get(arrival.station).and_then(|station| station.all().find(same)) {
            Some(session) => {
                outcome.findings.push(Finding::new("duplicate-start", format!("repeats the start of {}", session.id)));
                session.clone()
            }
            None => self.open_session(arrival, fact, outcome),
        };
        if arrival.version == Version::V16 {
            let info = arrival.token_info.clone().unwrap_or_else(|| AuthStatus::Accepted.into());
            let info = TokenInfo { status: session.token_status.unwrap_or(info.status), ..info };
            outcome.answer = Answer::Started { tx: session.tx, info };
        }
    }

    /// Everything else: a message that names a transaction, or has to be matched to one.
    fn event(&mut self, arrival: &Arrival<'_>, mut fact: TxFact, outcome: &mut Outcome) {
        let found = match self.stations.get_mut(arrival.station) {
            None => None,
            Some(station) => match matching::find(station, &fact, arrival, &mut outcome.findings) {
                Match::Session(number) => station.take(number),
                Match::None => None,
            },
        };
        let Some(mut session) = found else {
            if fact.phase == Phase::Update && fact.tx.is_none() {
                outcome.evidence = Some(Evidence::of(None, &mut fact));
            } else {
                self.open_session(arrival, fact, outcome);
            }
            return;
        };
        let is_named = fact.tx.as_ref().is_some_and(|tx| session.is_named(tx));
        let evidence = Evidence::of(Some(session.number), &mut fact);
        if evidence.seq_no.is_some_and(|seq| session.memory.events.has(EventKey::of(&evidence, seq))) {
            outcome.findings.push(Finding::new("duplicate-event", format!("repeats an event of {}", session.id)));
            return self.keep(session);
        }
        let fingerprint = fingerprint(&evidence);
        if session.memory.has_samples(fingerprint) {
            outcome.findings.push(Finding::new("duplicate-samples", format!("repeats samples of {}", session.id)));
            return self.keep(session);
        }
        let before = outline(&session);
        session.id_used |= is_named && session.started_at.is_some() && arrival.version == Version::V16;
        self.apply_event(&mut session, &fact, (&evidence, fingerprint), arrival, outcome);
        if before != outline(&session) {
            outcome.changes.push(Change::Updated(Box::new(session.clone())));
        }
        outcome.evidence = Some(evidence);
        self.keep(session);
    }

    /// The first that is heard of a transaction: its start, an event that overtook the start, or an orphan.
    fn open_session(&mut self, arrival: &Arrival<'_>, mut fact: TxFact, outcome: &mut Outcome) -> Session {
        let start_key = if fact.tx.is_none() { fact.start_key() } else { None };
        let mut session = self.new_session(arrival, fact.tx.take());
        session.start_key = start_key;
        if !arrival.is_served {
            session.note(Finding::new(NOT_SERVED, "it began while the station was in the inbox or blocked"));
        }
        let evidence = Evidence::of(Some(session.number), &mut fact);
        self.apply_event(&mut session, &fact, (&evidence, fingerprint(&evidence)), arrival, outcome);
        outcome.changes.push(Change::Opened(Box::new(session.clone())));
        outcome.evidence = Some(evidence);
        self.keep(session.clone());
        session
    }

    /// Adds what a message says to its session, which is out of memory meanwhile.
    fn apply_event(
        &mut self,
        session: &mut Session,
        fact: &TxFact,
        (evidence, fingerprint): (&Evidence, Option<u64>),
        arrival: &Arrival<'_>,
        outcome: &mut Outcome,
    ) {
        let before = (session.started_at, session.stopped_at, session.evse);
        let token_before = session.token.clone();
        session.memory.add_known(evidence, fingerprint, arrival.at);
        learn(session, fact, arrival.token_info.as_ref().map(|info| info.status));
        match fact.phase {
            Phase::Start if session.started_at.is_none() => {
                session.started_at = Some(arrival.at);
                session.clock_lag = arrival.clock_lag;
                session.start_register = fact.register_wh.and_then(MilliWh::from_wh);
            }
            Phase::Start => outcome.findings.push(Finding::new("duplicate-start", format!("{} has started already", session.id))),
            Phase::Stop => stop(session, fact, arrival, outcome),
            Phase::Update => {}
        }
        lock_tariff(session, before.0.is_none(), before.2, token_before.as_ref(), arrival, outcome);
        let is_news = before != (session.started_at, session.stopped_at, session.evse) || !evidence.readings.is_empty();
        settle(session, is_news, arrival.received.at);
        if let Some(start) = session.started_at
            && (before.0.is_none() || before.2 != session.evse)
            && let Some(station) = self.stations.get_mut(arrival.station)
        {
            let superseded = station.supersede(session.evse, start, arrival.version, arrival.in_use);
            outcome.changes.extend(superseded.into_iter().map(|old| Change::Updated(Box::new(old))));
        }
        for finding in &outcome.findings {
            session.note(finding.clone());
        }
    }
}

/// Locks the tariff version that is valid at the start. 2.x tells token and EVSE in any event: what is told late, and means another
/// tariff, changes it; a tariff that was swapped meanwhile does not.
fn lock_tariff(
    session: &mut Session,
    is_new: bool,
    evse_before: u32,
    token_before: Option<&Token>,
    arrival: &Arrival<'_>,
    outcome: &mut Outcome,
) {
    let Some(start) = session.started_at else { return };
    let (evse, token) = (session.evse, session.token.as_ref());
    if !is_new && token == token_before && evse == evse_before {
        return;
    }
    let id = |evse, token: Option<&Token>| arrival.tariffs.id(&session.station, evse, token.and_then(arrival.tariff_of));
    if !is_new && id(evse, token) == id(evse_before, token_before) {
        return;
    }
    session.tariff = id(evse, token).and_then(|id| arrival.tariffs.version(id, start));
    if session.tariff.is_none() {
        outcome.findings.push(Finding::new("no-tariff", "no tariff is valid for this station at the start"));
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
    let Some(token) = &fact.token else {
        // Its EVSE is known only now, and its token is not for that one.
        session.token_status = status.filter(|status| *status != AuthStatus::Accepted).or(session.token_status);
        return;
    };
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
            if !ends && !known.is_same(token) {
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
fn stop(session: &mut Session, fact: &TxFact, arrival: &Arrival<'_>, outcome: &mut Outcome) {
    let register = fact.register_wh.and_then(MilliWh::from_wh);
    if let Some(stopped) = session.stopped_at {
        let same = (stopped == arrival.at || !arrival.timed) && (register.is_none() || session.stop_register == register);
        let (code, what) = match same {
            true => ("duplicate-stop", "repeats the stop"),
            false => ("conflicting-stop", "a second, different stop; the first stands"),
        };
        outcome.findings.push(Finding::new(code, what));
        return;
    }
    session.stopped_at = Some(arrival.at);
    session.stop_register = register;
    session.stop_reason = Some(fact.stop_reason.clone().unwrap_or_else(|| "Local".to_owned()));
}

/// What may change in a session after its start and is kept in its row; event numbers live in the evidence.
fn outline(session: &Session) -> impl PartialEq + use<> {
    let places = (session.evse, session.connector, session.token.clone(), session.token_status);
    (
        places,
        session.tariff.clone(),
        session.started_at,
        session.stopped_at,
        session.id_used,
        session.findings.clone(),
        session.state.clone(),
    )
}
