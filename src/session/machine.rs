//! The session machine: facts in, effects out. No clock, no store, no socket; time comes with each call.
//!
//! ```text
//!            start                      stop, all events seen
//!   (none) ───────▶ Open ─────────────────────────────────────▶ Ended ──▶ (settled: a record, or Held)
//!      │              │ stop, events missing: Ended, settled after a grace time
//!      │ stop only    │ another start on the same EVSE
//!      ▼              ▼
//!    Held           Held(stop-missing) ── a late stop ──▶ Ended
//! ```
//!
//! Invariants: a transaction message is never refused and never dropped; it becomes evidence of some session or of none, and
//! oddities become findings. The same start (station, EVSE, token, time, register) gives the same session and the same id back;
//! the same 2.x event (transaction, seqNo, time) changes nothing. A transaction is always looked up within its own station.
//! Sessions that ended are forgotten after [`MAX_RECENT`] newer ones; the store admits them again when a message names them.

use std::collections::{HashMap, VecDeque};

use chrono::{NaiveDate, TimeDelta};

use super::session::{Events, Session, State, TariffRef};
use super::{Answer, AuthStatus, Boot, ChargingState, Fact, Phase, Reading, Registration, Status, TxFact, hold};
use crate::units::{Finding, MilliWh, SessionId, StationId, Time, Token, TxRef, Version, time};

/// Ended sessions kept in memory per station, to recognise repeats without asking the store.
const MAX_RECENT: usize = 16;
/// How long an ended 2.x transaction waits for events that are missing between its first and last.
const GRACE: TimeDelta = TimeDelta::minutes(10);
/// A station's clock is not believed before this day or more than a day ahead of ours.
const EARLIEST: i64 = 1_577_836_800; // 2020-01-01T00:00:00Z
const MAX_AHEAD: TimeDelta = TimeDelta::hours(24);

/// What the site decided once: how tokens are judged, which tariff applies, how stations are told to behave.
pub trait Policy: Send {
    /// The tariff version for a session of this station that starts at `at`.
    fn tariff(&self, station: &StationId, at: Time) -> Option<TariffRef>;
    fn judge(&self, station: &StationId, token: &Token) -> AuthStatus;
    fn heartbeat_s(&self) -> u32;
    /// The site's civil date, for session names.
    fn local_date(&self, at: Time) -> NaiveDate;
}

/// What a fact leads to. The store writes `changes` in the order given, together with the raw message, in one transaction.
#[derive(Debug, PartialEq)]
pub struct Effects {
    pub answer: Answer,
    pub changes: Vec<Change>,
    /// Oddities of this message, journaled with it.
    pub findings: Vec<Finding>,
}

#[derive(Debug, PartialEq)]
pub enum Change {
    Booted(Boot),
    Connector(Status),
    Opened(Box<Session>),
    Updated(Box<Session>),
    /// What the message contributes to a session, or to none (clock-aligned values of an idle outlet).
    Evidence(Evidence),
    /// A new problem for a person, or one more occurrence of a known one.
    Problem {
        kind: &'static str,
        subject: String,
        detail: String,
    },
}

/// One message's contribution to a session, as kept in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    pub session: Option<i64>,
    pub phase: Phase,
    pub seq_no: Option<i64>,
    pub reported_at: Time,
    pub evse: u32,
    pub charging: Option<ChargingState>,
    pub readings: Vec<Reading>,
}

/// A question to the store before a fact is handled: which earlier session may this belong to?
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    Transaction(TxRef),
    Start(String),
}

#[derive(Default)]
struct Station {
    open: Vec<Session>,
    recent: VecDeque<Session>,
}

pub struct Machine {
    policy: Box<dyn Policy>,
    stations: HashMap<StationId, Station>,
    next_number: i64,
    /// 1.6 transaction id = offset + number: positive, 32 bits, different after a restore.
    tx_offset: i64,
    day: Option<(NaiveDate, u32)>,
}

/// Where a machine begins: taken from the store.
pub struct Origin {
    pub next_number: i64,
    pub tx_offset: i64,
    /// The last local day on which a session was named, and how many there were.
    pub day: Option<(NaiveDate, u32)>,
}

impl Machine {
    pub fn new(policy: Box<dyn Policy>, origin: Origin) -> Self {
        let Origin { next_number, tx_offset, day } = origin;
        Self { policy, stations: HashMap::new(), next_number, tx_offset, day }
    }

    /// Forgets everything and begins again from the store: after a transaction failed, and at start.
    pub fn reset(&mut self, origin: Origin) {
        self.stations.clear();
        self.next_number = origin.next_number;
        self.tx_offset = origin.tx_offset;
        self.day = origin.day;
    }

    /// Forgets one station; its open sessions are admitted again from the store.
    pub fn forget(&mut self, station: &StationId) {
        self.stations.remove(station);
    }

    /// Takes a session from the store into memory.
    pub fn admit(&mut self, session: Session) {
        let station = self.stations.entry(session.station.clone()).or_default();
        if session.is_open() {
            station.open.push(session);
        } else {
            station.remember(session);
        }
    }

    /// Which session of the past the machine must see before it can handle this fact.
    pub fn lookup(&self, id: &StationId, fact: &Fact) -> Option<Lookup> {
        let Fact::Tx(fact) = fact else { return None };
        let station = self.stations.get(id);
        let known = |test: &dyn Fn(&Session) -> bool| station.is_some_and(|station| station.all().any(test));
        match (&fact.tx, fact.phase) {
            (Some(tx), _) if !known(&|session| same_tx(session, tx)) => Some(Lookup::Transaction(tx.clone())),
            (None, Phase::Start | Phase::Stop) => {
                let key = event_key(fact)?;
                (!known(&|session| session.start_key.as_deref() == Some(&key))).then_some(Lookup::Start(key))
            }
            _ => None,
        }
    }

    /// Decides what a fact means. `now` is the time of receipt by our clock.
    pub fn handle(&mut self, station: &StationId, version: Version, fact: Fact, now: Time) -> Effects {
        let done = |answer, changes| Effects { answer, changes, findings: Vec::new() };
        match fact {
            Fact::Boot(boot) => {
                let interval_s = self.policy.heartbeat_s();
                done(Answer::Boot { registration: Registration::Accepted, now, interval_s }, vec![Change::Booted(boot)])
            }
            Fact::Heartbeat => done(Answer::Heartbeat { now }, Vec::new()),
            Fact::Authorize { token } => done(Answer::Authorize { status: self.policy.judge(station, &token) }, Vec::new()),
            Fact::Status(status) => {
                let mut effects = done(Answer::Empty, Vec::new());
                self.status(station, status, now, &mut effects);
                effects
            }
            Fact::Events { statuses } => {
                let mut effects = done(Answer::Empty, Vec::new());
                for status in statuses {
                    self.status(station, status, now, &mut effects);
                }
                effects
            }
            Fact::SecurityEvent { kind, detail, .. } => {
                let detail = detail.unwrap_or_default();
                done(Answer::Empty, vec![Change::Problem { kind: "security-event", subject: kind, detail }])
            }
            Fact::Noted => done(Answer::Empty, Vec::new()),
            Fact::DataTransfer { .. } => done(Answer::UnknownVendor, Vec::new()),
            Fact::Tx(fact) => self.transaction(station, version, *fact, now),
        }
    }

    /// A connector changed state. Only display and the idle time of a running 1.6 session depend on it; a status never ends a session.
    fn status(&mut self, id: &StationId, status: Status, now: Time, effects: &mut Effects) {
        effects.findings.extend(status.findings.iter().cloned());
        if let (Some(charging), Some(station)) = (status.charging, self.stations.get(id))
            && let Some(session) = station.open.iter().find(|session| session.evse == status.evse)
        {
            let (reported_at, finding) = believe(status.reported_at, now);
            effects.findings.extend(finding);
            effects.changes.push(Change::Evidence(Evidence {
                session: Some(session.number),
                phase: Phase::Update,
                seq_no: None,
                reported_at,
                evse: status.evse,
                charging: Some(charging),
                readings: Vec::new(),
            }));
        }
        if let Some(error) = status.error.as_deref().filter(|error| !error.eq_ignore_ascii_case("NoError")) {
            let detail = format!("connector {} reports {}: {error}", status.evse, status.state);
            effects.changes.push(Change::Problem { kind: "station-error", subject: error.to_owned(), detail });
        }
        effects.changes.push(Change::Connector(status));
    }

    fn transaction(&mut self, id: &StationId, version: Version, mut fact: TxFact, now: Time) -> Effects {
        let mut effects = Effects { answer: Answer::Empty, changes: Vec::new(), findings: std::mem::take(&mut fact.findings) };
        let (at, finding) = believe(fact.reported_at, now);
        if fact.phase != Phase::Update || fact.reported_at.is_some() || fact.seq_no.is_some() {
            effects.findings.extend(finding);
        }
        let status = fact.token.as_ref().map(|token| self.policy.judge(id, token));
        effects.answer = match (fact.phase, &fact.seq_no, version) {
            (Phase::Update, None, _) => Answer::Empty,
            _ => Answer::Tx { status },
        };
        match fact.phase {
            Phase::Start if fact.tx.is_none() => self.start(id, version, fact, at, now, status, &mut effects),
            _ => self.event(id, version, fact, at, now, status, &mut effects),
        }
        effects
    }

    /// 1.6 StartTransaction: we name the transaction.
    #[allow(clippy::too_many_arguments)]
    fn start(
        &mut self,
        id: &StationId,
        version: Version,
        mut fact: TxFact,
        at: Time,
        now: Time,
        status: Option<AuthStatus>,
        effects: &mut Effects,
    ) {
        let key = event_key(&fact);
        let timed = fact.reported_at.is_some_and(|reported| reported == at);
        let station = self.stations.entry(id.clone()).or_default();
        // Without a believable time two different starts look alike, so only a running session can be the same one.
        let same = station.all().find(|session| key.is_some() && session.start_key == key && (timed || session.is_open()));
        let answer = |session: &Session| match version {
            Version::V16 => Answer::Started { tx: session.tx.clone(), status: status.unwrap_or(AuthStatus::Accepted) },
            Version::V201 | Version::V21 => Answer::Tx { status },
        };
        if let Some(session) = same {
            effects.findings.push(Finding::new("duplicate-start", format!("repeats the start of {}", session.id)));
            effects.answer = answer(session);
            return;
        }
        let evse = fact.evse.unwrap_or(0);
        self.supersede(id, evse, None, effects);
        let mut session = self.open(id, version, None, now);
        session.start_key = key;
        let evidence = begin(&mut session, &mut fact, at, status.unwrap_or(AuthStatus::Accepted), effects, self.policy.as_ref());
        effects.answer = answer(&session);
        effects.changes.push(Change::Opened(Box::new(session.clone())));
        effects.changes.push(Change::Evidence(evidence));
        self.stations.entry(id.clone()).or_default().open.push(session);
    }

    /// Everything else: a message that names a transaction, or has to be matched to one.
    #[allow(clippy::too_many_arguments)]
    fn event(
        &mut self,
        id: &StationId,
        version: Version,
        mut fact: TxFact,
        at: Time,
        now: Time,
        status: Option<AuthStatus>,
        effects: &mut Effects,
    ) {
        let Some(mut session) = self.take(id, &fact, at, effects) else {
            if fact.phase == Phase::Update && fact.tx.is_none() {
                effects.changes.push(Change::Evidence(evidence(None, &mut fact, at)));
                return;
            }
            return self.unknown(id, version, fact, at, now, status, effects);
        };
        let phase = phase_code(fact.phase);
        if fact.seq_no.is_some_and(|seq| session.events.has(seq, time::to_millis(at), phase)) {
            effects.findings.push(Finding::new("duplicate-event", format!("repeats an event of {}", session.id)));
            return self.put(session);
        }
        let before = outline(&session);
        if let Some(seq) = fact.seq_no {
            session.events.add(seq, time::to_millis(at), phase);
        }
        let proof = evidence(Some(session.number), &mut fact, at);
        learn(&mut session, &fact, status);
        match fact.phase {
            Phase::Start if session.started_at.is_none() => {
                session.started_at = Some(at);
                session.tariff = self.policy.tariff(id, at);
            }
            Phase::Start => effects.findings.push(Finding::new("duplicate-start", format!("{} has started already", session.id))),
            Phase::Stop => stop(&mut session, &fact, at, now, effects),
            Phase::Update => {}
        }
        if let State::Ended { settle_after } = &mut session.state
            && *settle_after > now
            && session.events.gap_free()
            && session.started_at.is_some()
        {
            *settle_after = now;
        }
        for finding in &effects.findings {
            session.note(finding.clone());
        }
        if before != outline(&session) {
            effects.changes.push(Change::Updated(Box::new(session.clone())));
        }
        effects.changes.push(Change::Evidence(proof));
        self.put(session);
    }

    /// The first word of a transaction that we never heard start: 2.x Started itself, an out-of-order event, or an orphan.
    #[allow(clippy::too_many_arguments)]
    fn unknown(
        &mut self,
        id: &StationId,
        version: Version,
        mut fact: TxFact,
        at: Time,
        now: Time,
        status: Option<AuthStatus>,
        effects: &mut Effects,
    ) {
        let evse = fact.evse.unwrap_or(0);
        if fact.phase == Phase::Start {
            self.supersede(id, evse, fact.tx.as_ref(), effects);
        }
        let mut session = self.open(id, version, fact.tx.clone(), now);
        let proof = if fact.phase == Phase::Start {
            begin(&mut session, &mut fact, at, status.unwrap_or(AuthStatus::Accepted), effects, self.policy.as_ref())
        } else {
            session.evse = evse;
            session.connector = fact.connector.unwrap_or(0);
            session.start_key = if fact.tx.is_none() { event_key(&fact) } else { None };
            learn(&mut session, &fact, status);
            evidence(Some(session.number), &mut fact, at)
        };
        if let Some(seq) = fact.seq_no {
            session.events.add(seq, time::to_millis(at), phase_code(fact.phase));
        }
        if fact.phase == Phase::Stop {
            stop(&mut session, &fact, at, now, effects);
        }
        for finding in &effects.findings {
            session.note(finding.clone());
        }
        effects.changes.push(Change::Opened(Box::new(session.clone())));
        effects.changes.push(Change::Evidence(proof));
        self.put(session);
    }

    /// Finds the session a message belongs to and takes it out; `put` brings it back.
    fn take(&mut self, id: &StationId, fact: &TxFact, at: Time, effects: &mut Effects) -> Option<Session> {
        let station = self.stations.get_mut(id)?;
        if let Some(tx) = &fact.tx {
            let place = station.open.iter().rposition(|session| same_tx(session, tx));
            if let Some(place) = place {
                return Some(station.open.remove(place));
            }
            let place = station.recent.iter().rposition(|session| same_tx(session, tx))?;
            // The same name for a later transaction: the station lost its memory (factory reset) and counts anew.
            let old = &station.recent[place];
            if fact.phase == Phase::Start && old.stopped_at.is_some_and(|stopped| at > stopped) && old.started_at != Some(at) {
                effects.findings.push(Finding::new("transaction-id-reused", format!("{tx} named {} before", old.id)));
                return None;
            }
            return station.recent.remove(place);
        }
        if fact.phase == Phase::Stop {
            let key = event_key(fact);
            if let Some(place) = station.recent.iter().rposition(|session| key.is_some() && session.start_key == key) {
                return station.recent.remove(place);
            }
            return station.only_candidate(fact, effects);
        }
        // Samples without a transaction belong to what runs on that outlet; 0 is the main meter.
        let evse = fact.evse.filter(|evse| *evse != 0)?;
        let place = station.open.iter().position(|session| session.evse == evse)?;
        Some(station.open.remove(place))
    }

    fn put(&mut self, session: Session) {
        let station = self.stations.entry(session.station.clone()).or_default();
        if session.is_open() {
            station.open.push(session);
        } else {
            station.remember(session);
        }
    }

    /// A new start on an EVSE with an open session: its stop was lost or is still on its way.
    fn supersede(&mut self, id: &StationId, evse: u32, tx: Option<&TxRef>, effects: &mut Effects) {
        let Some(station) = self.stations.get_mut(id) else { return };
        let lost = |session: &Session| session.evse == evse && tx.is_none_or(|tx| !same_tx(session, tx));
        while let Some(place) = station.open.iter().position(lost) {
            let mut session = station.open.remove(place);
            session.state = State::Held { reason: hold::STOP_MISSING.to_owned() };
            effects.changes.push(Change::Updated(Box::new(session.clone())));
            station.remember(session);
        }
    }

    fn open(&mut self, station: &StationId, version: Version, tx: Option<TxRef>, now: Time) -> Session {
        let number = self.next_number;
        self.next_number += 1;
        let today = self.policy.local_date(now);
        let count = match self.day {
            Some((day, count)) if day == today => count + 1,
            _ => 1,
        };
        self.day = Some((today, count));
        Session {
            number,
            id: SessionId::new(&format!("S-{}-{count:04}", today.format("%Y%m%d"))),
            station: station.clone(),
            version,
            tx: tx.unwrap_or_else(|| TxRef::new(&(self.tx_offset + number).to_string())),
            start_key: None,
            evse: 0,
            connector: 0,
            token: None,
            token_status: None,
            started_at: None,
            start_register: None,
            stopped_at: None,
            stop_register: None,
            stop_reason: None,
            state: State::Open,
            tariff: None,
            findings: Vec::new(),
            events: Events::default(),
            opened_at: now,
        }
    }
}

impl Station {
    fn all(&self) -> impl Iterator<Item = &Session> {
        self.open.iter().chain(&self.recent)
    }

    fn remember(&mut self, session: Session) {
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(session);
    }

    /// A stop without a usable id ends the only open session it can mean, and no other.
    fn only_candidate(&mut self, fact: &TxFact, effects: &mut Effects) -> Option<Session> {
        let fits = |session: &Session| match (&fact.token, &session.token) {
            (Some(stop), Some(start)) => stop.folded() == start.folded(),
            _ => true,
        };
        let mut candidates = self.open.iter().enumerate().filter(|(_, session)| fits(session));
        let place = candidates.next()?.0;
        if candidates.next().is_some() {
            return None;
        }
        let session = self.open.remove(place);
        effects
            .findings
            .push(Finding::new("stop-matched", format!("the stop named no transaction; {} was the only one open", session.id)));
        Some(session)
    }
}

/// Writes the start into a new session.
fn begin(
    session: &mut Session,
    fact: &mut TxFact,
    at: Time,
    status: AuthStatus,
    effects: &mut Effects,
    policy: &dyn Policy,
) -> Evidence {
    session.evse = fact.evse.unwrap_or(0);
    session.connector = fact.connector.unwrap_or(0);
    session.started_at = Some(at);
    session.start_register = fact.register_wh.and_then(MilliWh::from_wh);
    learn(session, fact, Some(status));
    session.tariff = policy.tariff(&session.station, at);
    if session.tariff.is_none() {
        effects.findings.push(Finding::new("no-tariff", "no tariff is valid for this station at the start"));
    }
    for finding in &effects.findings {
        session.note(finding.clone());
    }
    evidence(Some(session.number), fact, at)
}

/// Facts that a 2.x transaction states once, in whichever event (OCPP 2.0.1 E01, E02): token, EVSE, connector.
fn learn(session: &mut Session, fact: &TxFact, status: Option<AuthStatus>) {
    if session.token.is_none() && fact.token.is_some() && (fact.phase != Phase::Stop || fact.seq_no.is_some()) {
        session.token = fact.token.clone();
        session.token_status = status;
    }
    if session.token_status.is_none() && fact.phase == Phase::Start {
        session.token_status = status;
    }
    if session.evse == 0 {
        session.evse = fact.evse.unwrap_or(0);
    }
    if session.connector == 0 {
        session.connector = fact.connector.unwrap_or(0);
    }
}

/// The first stop stands; a later one that differs is evidence of a conflict (quirk: stations repeat stops with other values).
fn stop(session: &mut Session, fact: &TxFact, at: Time, now: Time, effects: &mut Effects) {
    let register = fact.register_wh.and_then(MilliWh::from_wh);
    if let Some(stopped) = session.stopped_at {
        let (code, what) = match (stopped == at, session.stop_register == register) {
            (true, true) => ("duplicate-stop", "repeats the stop"),
            _ => ("conflicting-stop", "a second, different stop; the first stands"),
        };
        effects.findings.push(Finding::new(code, what));
        return;
    }
    session.stopped_at = Some(at);
    session.stop_register = register;
    session.stop_reason = Some(fact.stop_reason.clone().unwrap_or_else(|| "Local".to_owned()));
    if session.started_at.is_none() && fact.seq_no.is_none() {
        session.state = State::Held { reason: hold::START_MISSING.to_owned() };
        return;
    }
    let complete = session.started_at.is_some() && session.events.gap_free();
    session.state = State::Ended { settle_after: if complete { now } else { now + GRACE } };
}

fn evidence(session: Option<i64>, fact: &mut TxFact, at: Time) -> Evidence {
    Evidence {
        session,
        phase: fact.phase,
        seq_no: fact.seq_no,
        reported_at: at,
        evse: fact.evse.unwrap_or(0),
        charging: fact.charging,
        readings: std::mem::take(&mut fact.readings),
    }
}

/// What may change in a session after its start and is kept in its row; event numbers live in the evidence.
fn outline(session: &Session) -> impl PartialEq + use<> {
    let places = (session.evse, session.connector, session.token.is_some(), session.token_status);
    (places, session.started_at, session.stopped_at, session.findings.len(), session.state.clone())
}

fn same_tx(session: &Session, tx: &TxRef) -> bool {
    session.tx.as_str().eq_ignore_ascii_case(tx.as_str())
}

/// What identifies a message that names no transaction: EVSE, token, time and register, as sent.
fn event_key(fact: &TxFact) -> Option<String> {
    let token = fact.token.as_ref().map(Token::folded).unwrap_or_default();
    let at = fact.reported_at.map(time::to_millis).unwrap_or_default();
    let register = fact.register_wh.map(|wh| wh.normalize().to_string()).unwrap_or_default();
    match fact.phase {
        Phase::Start => Some(format!("start {} {token} {at} {register}", fact.evse.unwrap_or(0))),
        Phase::Stop => Some(format!("stop {token} {at} {register}")),
        Phase::Update => None,
    }
}

/// A stable number for the store and for comparison.
pub const fn phase_code(phase: Phase) -> u8 {
    match phase {
        Phase::Start => 0,
        Phase::Update => 1,
        Phase::Stop => 2,
    }
}

/// The station's time if it can be true, else ours, with a finding that says so.
fn believe(reported: Option<Time>, now: Time) -> (Time, Option<Finding>) {
    match reported {
        None => (now, Some(Finding::new("time-missing", "no readable time; the time of receipt stands in"))),
        Some(at) if at.timestamp() < EARLIEST || at > now + MAX_AHEAD => {
            let detail = format!("station says {}; the time of receipt stands in", time::rfc3339(at));
            (now, Some(Finding::new("clock-implausible", detail)))
        }
        Some(at) => (at, None),
    }
}
