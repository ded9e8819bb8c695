//! All sessions in memory: facts in, changes out. No clock, no store, no socket; time comes with each call.
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
//! `transaction` is what a transaction message does, `open_sessions` the memory of one station, `matching` says which session a message
//! means.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::arrival::Arrival;
use super::evidence::Evidence;
use super::open_sessions::OpenSessions;
use super::session::{Session, State};
use crate::fact::{Phase, Status, TxFact};
use crate::units::{SessionId, StationId, Time, Token, TxRef};

/// What a message changes. The store writes changes in the order given.
#[derive(Debug, PartialEq)]
pub enum Change {
    Opened(Box<Session>),
    Updated(Box<Session>),
}

/// A question to the store before a message is handled: which earlier session may this belong to?
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    Transaction(TxRef),
    Start(String),
}

/// Where numbers and names go on from: taken from the store.
#[derive(Clone, Copy)]
pub struct Origin {
    pub next_number: i64,
    /// 1.6 transaction id = offset + number: positive, 32 bits, different after a restore.
    pub tx_offset: i64,
    /// The last local day on which a session was named, and how many there were.
    pub day: Option<(NaiveDate, u32)>,
}

pub struct Sessions {
    pub(super) stations: HashMap<StationId, OpenSessions>,
    origin: Origin,
}

impl Sessions {
    pub fn new(origin: Origin) -> Self {
        Self { stations: HashMap::new(), origin }
    }

    /// Forgets everything and begins again from the store: after a transaction failed, and at start.
    pub fn reset(&mut self, origin: Origin) {
        self.stations.clear();
        self.origin = origin;
    }

    /// Forgets one station; its open sessions are loaded again from the store.
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

    /// Tells that an ended session was judged and is held: memory says then what the store says.
    pub fn held(&mut self, number: i64, reason: &str) {
        if let Some(session) = self.stations.values_mut().find_map(|station| station.ended(number)) {
            session.state = State::Held { reason: reason.to_owned() };
        }
    }

    /// Which sessions of the past must be in memory before this message can be handled.
    pub fn lookup(&self, id: &StationId, fact: &TxFact) -> Option<Lookup> {
        let station = self.stations.get(id);
        let known = |test: &dyn Fn(&Session) -> bool| station.is_some_and(|station| station.all().any(test));
        match (&fact.tx, fact.phase) {
            (Some(tx), _) if !known(&|session| session.is_named(tx)) => Some(Lookup::Transaction(tx.clone())),
            (None, Phase::Start | Phase::Stop) => {
                let key = fact.start_key()?;
                (!known(&|session| session.start_key.as_deref() == Some(&key))).then_some(Lookup::Start(key))
            }
            _ => None,
        }
    }

    /// The EVSE that a transaction message is about: what it says itself, else what is known of its session.
    pub fn evse_of(&self, id: &StationId, fact: &TxFact) -> Option<u32> {
        let of_session = || {
            let tx = fact.tx.as_ref()?;
            Some(self.stations.get(id)?.all().find(|session| session.is_named(tx))?.evse)
        };
        fact.evse.filter(|evse| *evse > 0).or_else(of_session).filter(|evse| *evse > 0)
    }

    /// The token of a session whose EVSE a message is the first to name.
    pub fn placed_by(&self, id: &StationId, fact: &TxFact) -> Option<&Token> {
        let (tx, _) = fact.tx.as_ref().zip(fact.evse.filter(|evse| *evse > 0))?;
        let session = self.stations.get(id)?.all().find(|session| session.is_named(tx))?;
        session.token.as_ref().filter(|_| session.evse == 0)
    }

    /// What a connector's status says about the session of its time; it never ends one. What is said of the whole station
    /// (connector 0) is evidence for every session of that time. `at`: when it happened.
    pub fn status(&mut self, id: &StationId, status: &Status, at: Time, in_use: &BTreeMap<u32, bool>) -> Option<Evidence> {
        let station = self.stations.get_mut(id)?;
        let charging = status.charging?;
        let running = station.running_on(status.evse, at, in_use).map(|session| session.number);
        let is_whole = status.evse == 0 && station.has_open();
        if running.is_none() && !is_whole {
            return None;
        }
        let evidence = Evidence {
            session: running,
            phase: Phase::Update,
            seq_no: None,
            reported_at: status.reported_at,
            evse: status.evse,
            charging: Some(charging),
            readings: Vec::new(),
        };
        station.remember(&evidence, at);
        Some(evidence)
    }

    /// The station rebooted: noted in the sessions that were running. `heard_at`: its last sign of life before.
    pub fn rebooted(&mut self, station: &StationId, heard_at: Option<Time>, now: Time) -> Vec<Change> {
        let running = self.stations.get_mut(station).map(|station| station.rebooted(heard_at, now)).unwrap_or_default();
        running.into_iter().map(|session| Change::Updated(Box::new(session))).collect()
    }

    /// A new session, numbered and named. Names follow the latest local day ever seen: when our clock is set back over midnight,
    /// counting goes on, because a name must never come twice.
    pub(super) fn new_session(&mut self, arrival: &Arrival<'_>, tx: Option<TxRef>) -> Session {
        let now = arrival.received.at;
        let number = self.origin.next_number;
        self.origin.next_number += 1;
        let today = now.with_timezone(&arrival.time_zone).date_naive();
        let (day, count) = match self.origin.day {
            Some((day, count)) if day >= today => (day, count + 1),
            _ => (today, 1),
        };
        self.origin.day = Some((day, count));
        let id = SessionId::new(&format!("S-{}-{count:04}", day.format("%Y%m%d")));
        let tx = tx.unwrap_or_else(|| TxRef::new(&(self.origin.tx_offset + number).to_string()));
        Session::new(number, id, arrival.station.clone(), arrival.version, tx, now)
    }

    pub(super) fn keep(&mut self, session: Session) {
        self.stations.entry(session.station.clone()).or_default().keep(session);
    }
}
