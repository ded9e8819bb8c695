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
//! A held session that has start and stop is judged again when something new is said about it.
//! A session is never ended, displaced or continued by a message of another time: what a replayed queue says of yesterday leaves
//! today's session alone.
//! Limits: per station the 64 open and 16 ended sessions last heard of are in memory; the store loads others when a message
//! names them.
//!
//! Here are the entry point and what concerns no transaction; `transaction` has the rest, `station` is the memory, `matching`
//! says which session a message means.

use std::collections::HashMap;

use chrono::{NaiveDate, TimeDelta};

use super::session::{Session, State, TariffRef};
use super::station::Station;
use super::transaction::{event_key, plausible_time};
use super::{Answer, AuthStatus, Boot, ChargingState, Fact, Phase, Reading, Registration, Status};
use crate::units::{Decimal, Finding, Received, SessionId, StationId, Time, Token, TxRef, Version};

/// How long an ended 2.x transaction waits for events that are missing between its first and last.
pub(super) const GRACE: TimeDelta = TimeDelta::minutes(10);

/// What the site decided once: how tokens are judged, which tariff applies, how stations are told to behave.
pub trait Policy: Send {
    /// The tariff version for a session of this station that starts at `at`.
    fn tariff(&self, station: &StationId, at: Time) -> Option<TariffRef>;
    fn authorize(&self, station: &StationId, token: &Token) -> AuthStatus;
    /// The most that the station can deliver, where the configuration says so.
    fn max_power_kw(&self, station: &StationId) -> Option<Decimal>;
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
    /// What the message contributes to a session, or to none (clock-aligned values of an idle EVSE).
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
    /// The station's time, as it said it; metering corrects it. `None`: missing or unreadable.
    pub reported_at: Option<Time>,
    pub evse: u32,
    pub charging: Option<ChargingState>,
    pub readings: Vec<Reading>,
}

impl Evidence {
    /// When the station says that this happened: MeterValues have no time but that of their samples.
    pub fn said_at(&self) -> Option<Time> {
        self.reported_at.or_else(|| self.readings.iter().filter_map(|reading| reading.measured_at).max())
    }
}

/// A question to the store before a fact is handled: which earlier session may this belong to?
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    Transaction(TxRef),
    Start(String),
}

pub struct Machine {
    pub(super) policy: Box<dyn Policy>,
    pub(super) stations: HashMap<StationId, Station>,
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

    /// What the site decides from now on; sessions keep the tariff that they began with.
    pub fn set_policy(&mut self, policy: Box<dyn Policy>) {
        self.policy = policy;
    }

    /// Forgets everything and begins again from the store: after a transaction failed, and at start.
    pub fn reset(&mut self, origin: Origin) {
        self.stations.clear();
        self.next_number = origin.next_number;
        self.tx_offset = origin.tx_offset;
        self.day = origin.day;
    }

    /// Forgets one station; its open sessions are admitted again from the store.
    pub fn evict(&mut self, station: &StationId) {
        self.stations.remove(station);
    }

    /// Takes a session from the store into memory.
    pub fn load(&mut self, session: Session) {
        let known =
            self.stations.get(&session.station).is_some_and(|station| station.all().any(|one| one.number == session.number));
        if !known {
            self.keep(session);
        }
    }

    /// Takes from the store what the last status of a 1.6 connector said.
    pub fn load_connector(&mut self, station: &StationId, evse: u32, in_use: bool) {
        self.stations.entry(station.clone()).or_default().set_in_use(evse, in_use);
    }

    /// Tells that an ended session was judged and is held: memory says then what the store says.
    pub fn held(&mut self, number: i64, reason: &str) {
        if let Some(session) = self.stations.values_mut().find_map(|station| station.ended(number)) {
            session.state = State::Held { reason: reason.to_owned() };
        }
    }

    /// Which sessions of the past the machine must see before it can handle this fact.
    pub fn lookup(&self, id: &StationId, fact: &Fact) -> Option<Lookup> {
        let Fact::Tx(fact) = fact else { return None };
        let station = self.stations.get(id);
        let known = |test: &dyn Fn(&Session) -> bool| station.is_some_and(|station| station.all().any(test));
        match (&fact.tx, fact.phase) {
            (Some(tx), _) if !known(&|session| session.is_named(tx)) => Some(Lookup::Transaction(tx.clone())),
            (None, Phase::Start | Phase::Stop) => {
                let key = event_key(fact)?;
                (!known(&|session| session.start_key.as_deref() == Some(&key))).then_some(Lookup::Start(key))
            }
            _ => None,
        }
    }

    /// Decides what a fact means.
    pub fn handle(&mut self, station: &StationId, version: Version, fact: Fact, received: Received) -> Effects {
        // What waited in a queue says when the station ran, but not that it ran on until now.
        let is_queued = matches!(&fact, Fact::Tx(fact) if fact.offline);
        let effects = self.decide(station, version, fact, received);
        if !is_queued {
            self.heard(station, received.at);
        }
        effects
    }

    /// A sign of life of a station that is no fact: it ran at that time.
    pub fn heard(&mut self, station: &StationId, at: Time) {
        if let Some(station) = self.stations.get_mut(station) {
            station.heard(at);
        }
    }

    fn decide(&mut self, station: &StationId, version: Version, fact: Fact, received: Received) -> Effects {
        let done = |answer, changes| Effects { answer, changes, findings: Vec::new() };
        let now = received.at;
        match fact {
            Fact::Boot(boot) => {
                let interval_s = self.policy.heartbeat_s();
                let mut changes = vec![Change::Booted(boot)];
                let running = self.stations.get_mut(station).map(|station| station.rebooted(now)).unwrap_or_default();
                changes.extend(running.into_iter().map(|session| Change::Updated(Box::new(session))));
                done(Answer::Boot { registration: Registration::Accepted, now, interval_s }, changes)
            }
            Fact::Heartbeat => done(Answer::Heartbeat { now }, Vec::new()),
            Fact::Authorize { token } => done(Answer::Authorize { status: self.policy.authorize(station, &token) }, Vec::new()),
            Fact::Status(status) => {
                let mut effects = done(Answer::Empty, Vec::new());
                self.status(station, version, status, received, &mut effects);
                effects
            }
            Fact::Events { statuses } => {
                let mut effects = done(Answer::Empty, Vec::new());
                for status in statuses {
                    self.status(station, version, status, received, &mut effects);
                }
                effects
            }
            Fact::SecurityEvent { kind, detail, .. } => {
                let detail = detail.unwrap_or_default();
                done(Answer::Empty, vec![Change::Problem { kind: "security-event", subject: kind, detail }])
            }
            Fact::Noted => done(Answer::Empty, Vec::new()),
            Fact::DataTransfer { .. } => done(Answer::UnknownVendor, Vec::new()),
            Fact::Tx(fact) => self.transaction(station, version, *fact, received),
        }
    }

    /// A connector changed state. It belongs to the session of its time, and never ends one. What is said of the whole station
    /// (connector 0) is evidence for every session of that time.
    fn status(&mut self, id: &StationId, version: Version, status: Status, received: Received, effects: &mut Effects) {
        effects.findings.extend(status.findings.iter().cloned());
        let (at, doubt) = plausible_time(status.reported_at, received);
        if let Some(said) = status.reported_at {
            self.stations.entry(id.clone()).or_default().clock.hear(said, received);
        }
        if let Some(charging) = status.charging.filter(|_| status.evse != 0 && version == Version::V16) {
            self.stations.entry(id.clone()).or_default().set_in_use(status.evse, charging.is_in_use());
        }
        let running = self.stations.get(id).and_then(|station| station.running_on(status.evse, at));
        let is_whole = status.evse == 0 && self.stations.get(id).is_some_and(Station::has_open);
        if let Some(charging) = status.charging.filter(|_| running.is_some() || is_whole) {
            effects.findings.extend(doubt);
            let evidence = Evidence {
                session: running.map(|session| session.number),
                phase: Phase::Update,
                seq_no: None,
                reported_at: status.reported_at,
                evse: status.evse,
                charging: Some(charging),
                readings: Vec::new(),
            };
            if let Some(station) = self.stations.get_mut(id) {
                station.remember(&evidence, at);
            }
            effects.changes.push(Change::Evidence(evidence));
        }
        if let Some(error) = status.error.as_deref().filter(|error| !error.eq_ignore_ascii_case("NoError")) {
            let detail = format!("connector {} reports {}: {error}", status.evse, status.state);
            effects.changes.push(Change::Problem { kind: "station-error", subject: error.to_owned(), detail });
        }
        effects.changes.push(Change::Connector(status));
    }

    /// A new session, numbered and named. Names follow the latest local day ever seen: when our clock is set back over midnight,
    /// counting goes on, because a name must never come twice.
    pub(super) fn new_session(&mut self, station: &StationId, version: Version, tx: Option<TxRef>, now: Time) -> Session {
        let number = self.next_number;
        self.next_number += 1;
        let today = self.policy.local_date(now);
        let (day, count) = match self.day {
            Some((day, count)) if day >= today => (day, count + 1),
            _ => (today, 1),
        };
        self.day = Some((day, count));
        let id = SessionId::new(&format!("S-{}-{count:04}", day.format("%Y%m%d")));
        let tx = tx.unwrap_or_else(|| TxRef::new(&(self.tx_offset + number).to_string()));
        Session::new(number, id, station.clone(), version, tx, now)
    }

    pub(super) fn keep(&mut self, session: Session) {
        self.stations.entry(session.station.clone()).or_default().keep(session);
    }
}
