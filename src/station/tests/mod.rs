//! Sessions as scripts: a fact in, exactly these answers, changes and findings out.
//!
//! [`Site`] is a machine with a store made of two lists. Everything that a fact leads to is told as lines, in order:
//! `> answer`, `opened 1 open`, `updated 1 ended`, `evidence 1 start`, `! finding`, `problem kind: subject`, `connector 1.1 state`.
//! Times are seconds after noon of 21 November 2026, UTC.

#![allow(clippy::unwrap_used)]

mod clocks;
mod events;
mod machine;
mod metering;
mod properties;

use chrono::{NaiveDate, TimeDelta, TimeZone, Utc};

use super::*;
use crate::fact::*;
use crate::rating::{Catalogue, Tariff};
use crate::session::metering::{Metering, StationPower, meter};
use crate::session::{self, JournalEntry, Lookup, Memory, Origin, Session, State, TariffChoice, TariffRef, hold};
use crate::units::{Decimal, Finding, MilliWh, Received, StationId, Time, Token, TokenKind, TxRef, Version};

pub(super) fn t(seconds: i64) -> Time {
    Utc.with_ymd_and_hms(2026, 11, 21, 12, 0, 0).unwrap() + TimeDelta::seconds(seconds)
}

pub(super) fn wh(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(super) fn token(text: &str) -> Option<Token> {
    Some(Token::new(TokenKind::Unstated, text))
}

/// Valid from the day before on.
pub(super) fn tariff() -> Tariff {
    let text = r#"{"id":"day","currency":"EUR","start_date_time":"2026-11-20T12:00:00Z","elements":[{"price_components":[{"type":"FLAT","price":1}]}]}"#;
    Tariff::parse(text).unwrap()
}

/// The token BAD is blocked.
pub(super) fn blocked() -> ListedToken {
    let token = token("BAD").unwrap();
    ListedToken { token, status: AuthStatus::Blocked, group: None, expires_at: None, places: Vec::new(), tariff: None }
}

pub(super) fn policy() -> Policy {
    let catalogue = Catalogue::new(vec![tariff()]).unwrap();
    let tariffs = TariffChoice::new(catalogue, Some("day".to_owned()));
    let mut policy = Policy::new(UnknownTokens::Accept, tariffs, chrono_tz::Europe::Berlin, 300);
    policy.set_max_power(&StationId::new("CP-1"), Decimal::from(22));
    policy
}

pub(super) struct Site {
    machine: Machine,
    pub station: StationId,
    pub version: Version,
    pub sessions: Vec<Session>,
    pub entries: Vec<JournalEntry>,
    /// Whether our own clock is right.
    pub proven: bool,
    pub configured_kw: Option<Decimal>,
}

impl Site {
    pub fn new(version: Version) -> Self {
        let origin = Origin { next_number: 1, tx_offset: 1000, day: None };
        let mut machine = Machine::new(policy(), origin);
        machine.set_token(blocked());
        let configured_kw = Some(Decimal::from(22));
        Self {
            machine,
            station: StationId::new("CP-1"),
            version,
            sessions: Vec::new(),
            entries: Vec::new(),
            proven: true,
            configured_kw,
        }
    }

    /// A fact received `now` seconds after noon.
    pub fn say(&mut self, now: i64, fact: Fact) -> Vec<String> {
        if let Some(lookup) = self.machine.lookup(&self.station, &fact) {
            for session in self.find(&lookup) {
                self.machine.load(session);
            }
        }
        let received = Received { at: t(now), proven: self.proven };
        let effects = self.machine.handle(&self.station, self.version, fact, received);
        let mut lines = vec![format!("> {}", answer(&effects.answer))];
        let (of_sessions, others): (Vec<_>, Vec<_>) =
            effects.changes.into_iter().partition(|change| matches!(change, Change::Session(_)));
        lines.extend(of_sessions.into_iter().map(|change| self.change(change, now)));
        lines.extend(effects.evidence.map(|evidence| {
            let whose = evidence.session.map_or("-".to_owned(), |number| number.to_string());
            let line = format!("evidence {whose} {}", format!("{:?}", evidence.phase).to_lowercase());
            let row = i64::try_from(self.entries.len()).unwrap();
            self.entries.push(JournalEntry { row, evidence, received });
            line
        }));
        lines.extend(others.into_iter().map(|change| self.change(change, now)));
        lines.extend(effects.findings.iter().map(|finding| format!("! {}", finding.code)));
        lines
    }

    fn change(&mut self, change: Change, now: i64) -> String {
        match change {
            Change::Booted(_) => "booted".to_owned(),
            Change::Connector(status) => format!("connector {}.{} {}", status.evse, status.connector, status.state),
            Change::Session(session::Change::Opened(session)) => {
                let line = format!("opened {} {}", session.number, state(&session.state, now));
                assert!(self.sessions.iter().all(|known| known.number != session.number && known.id != session.id));
                self.sessions.push(*session);
                line
            }
            Change::Session(session::Change::Updated(session)) => {
                let line = format!("updated {} {}", session.number, state(&session.state, now));
                let row = self.sessions.iter_mut().find(|known| known.number == session.number).unwrap();
                *row = *session;
                line
            }
            Change::Problem { kind, subject, .. } => format!("problem {kind}: {subject}"),
        }
    }

    pub fn tx(&mut self, now: i64, fact: TxFact) -> Vec<String> {
        self.say(now, Fact::Tx(Box::new(fact)))
    }

    fn find(&self, lookup: &Lookup) -> Vec<Session> {
        let of = |session: &&Session| {
            session.station == self.station
                && match lookup {
                    Lookup::Transaction(tx) => session.tx.as_str().eq_ignore_ascii_case(tx.as_str()),
                    Lookup::Start(key) => session.start_key.as_ref() == Some(key),
                }
        };
        self.sessions.iter().filter(of).map(|session| self.stored(session)).collect()
    }

    /// As it comes from the store: what is remembered comes from the evidence.
    fn stored(&self, session: &Session) -> Session {
        let mut session = Session { memory: Memory::default(), ..session.clone() };
        for entry in self.entries.iter().filter(|entry| entry.evidence.session == Some(session.number)) {
            session.memory.add(&entry.evidence, entry.evidence.said_at().unwrap_or(entry.received.at));
        }
        session
    }

    /// The daemon starts anew.
    pub fn restart(&mut self) {
        let last = self.sessions.last().map_or(0, |session| session.number);
        let day = self.sessions.last().map(|session| {
            let (day, count) = session.id.as_str()[2..].split_once('-').unwrap();
            (NaiveDate::parse_from_str(day, "%Y%m%d").unwrap(), count.parse().unwrap())
        });
        self.machine.reset(Origin { next_number: last + 1, tx_offset: 1000, day });
        self.machine.set_token(blocked());
        for session in self.sessions.iter().filter(|session| session.is_open()) {
            self.machine.load(self.stored(session));
        }
    }

    pub fn session(&self, number: i64) -> &Session {
        self.sessions.iter().find(|session| session.number == number).unwrap()
    }

    /// Metered as by the settler; a hold is told to the machine.
    pub fn meter(&mut self, number: i64) -> Result<Metering, &'static str> {
        let session = self.stored(self.session(number));
        let of = |entry: &&JournalEntry| entry.evidence.session.is_none_or(|session| session == number);
        let whole = |entry: &&JournalEntry| entry.evidence.session.is_some() || entry.evidence.charging.is_some();
        let entries: Vec<JournalEntry> = self.entries.iter().filter(of).filter(whole).cloned().collect();
        let power = StationPower { configured_kw: self.configured_kw, learned_kw: None };
        meter(&session, &entries, &power).map_err(|(code, _)| {
            self.machine.held(number, code);
            let row = self.sessions.iter_mut().find(|known| known.number == number).unwrap();
            row.state = State::Held { reason: code.to_owned() };
            code
        })
    }
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Started { tx, info } => format!("tx {tx} {}", info.status.as_str()),
        Answer::Tx { info } => info.as_ref().map_or("ok", |info| info.status.as_str()).to_owned(),
        Answer::Authorize { info } => info.status.as_str().to_owned(),
        Answer::Boot { registration, interval_s, .. } => format!("{} {interval_s}", registration.as_str()),
        Answer::Heartbeat { .. } => "now".to_owned(),
        Answer::Empty => "ok".to_owned(),
        Answer::UnknownVendor => "unknown vendor".to_owned(),
    }
}

pub(super) fn state(state: &State, now: i64) -> String {
    match state {
        State::Open => "open".to_owned(),
        State::Ended { settle_after } if *settle_after <= t(now) => "ended".to_owned(),
        State::Ended { settle_after } => format!("ended +{}s", (*settle_after - t(now)).num_seconds()),
        State::Held { reason } => format!("held {reason}"),
    }
}

/// 1.6 StartTransaction.
pub(super) fn start(evse: u32, tag: &str, at: i64, register: &str) -> TxFact {
    let mut fact = TxFact::new(Phase::Start);
    (fact.evse, fact.token, fact.reported_at, fact.register_wh) = (Some(evse), token(tag), Some(t(at)), Some(wh(register)));
    fact
}

/// 1.6 StopTransaction; without `tx` the id was 0 or -1.
pub(super) fn stop(tx: Option<&str>, at: i64, register: &str) -> TxFact {
    let mut fact = TxFact::new(Phase::Stop);
    (fact.tx, fact.reported_at, fact.register_wh) = (tx.map(TxRef::new), Some(t(at)), Some(wh(register)));
    fact
}

/// 1.6 MeterValues with one register sample.
pub(super) fn values(evse: u32, tx: Option<&str>, at: i64, register: &str) -> TxFact {
    let mut fact = TxFact::new(Phase::Update);
    (fact.evse, fact.tx, fact.readings) = (Some(evse), tx.map(TxRef::new), vec![reading(at, register)]);
    fact
}

/// 2.x TransactionEvent on EVSE 1.
pub(super) fn event(phase: Phase, tx: &str, seq: i64, at: i64) -> TxFact {
    let mut fact = TxFact::new(phase);
    (fact.tx, fact.seq_no, fact.reported_at, fact.evse) = (Some(TxRef::new(tx)), Some(seq), Some(t(at)), Some(1));
    fact
}

impl TxFact {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn register(self, context: Context, register: &str) -> Self {
        self.with(|fact| {
            let mut sample = sample(register);
            sample.context = context;
            fact.readings.push(Reading { measured_at: fact.reported_at, samples: vec![sample] });
        })
    }

    pub(super) fn by(self, tag: &str) -> Self {
        self.with(|fact| fact.token = token(tag))
    }

    pub(super) fn in_state(self, state: ChargingState) -> Self {
        self.with(|fact| fact.charging = Some(state))
    }
}

pub(super) fn sample(register: &str) -> Sample {
    Sample {
        measurand: Measurand::default(),
        context: Context::default(),
        location: Location::default(),
        phase: LinePhase::default(),
        value: Value::Number(wh(register)),
    }
}

pub(super) fn reading(at: i64, register: &str) -> Reading {
    Reading { measured_at: Some(t(at)), samples: vec![sample(register)] }
}

/// 1.6 StatusNotification as `ocpp` reads it.
pub(super) fn status(evse: u32, name: &str, charging: Option<ChargingState>, at: i64) -> Status {
    Status { evse, connector: 1, state: name.to_owned(), charging, error: None, reported_at: Some(t(at)), findings: Vec::new() }
}

pub(super) fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_ref()).collect()
}

/// A curve's registers as (seconds after noon, Wh).
pub(super) fn registers(curve: &Metering) -> Vec<(i64, String)> {
    curve.metered.registers().iter().map(|(at, register)| ((*at - t(0)).num_seconds(), register.wh().to_string())).collect()
}

pub(super) fn energy(curve: &Metering) -> MilliWh {
    curve.metered.energy()
}
