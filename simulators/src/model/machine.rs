//! The only contact with the daemon's pure library: a script's messages as facts into the session machine, its effects into a store
//! made of lists, ended sessions metered and priced as by the settler.
//!
//! What the store does for the daemon is done here in small: a repeated message (same id, same text) gets its stored answer;
//! sessions of the past are found again; evidence is kept per session.

use std::collections::HashMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use forecourt::fact::{
    Answer, Boot, ChargingState, Context as ReadingContext, Fact, LinePhase, Location, Measurand, Phase as TxPhase,
    Reading as FactReading, Sample, Status as FactStatus, TxFact, Value,
};
use forecourt::rating::{self, Activity, Catalogue};
use forecourt::session::metering::{self, StationPower};
use forecourt::session::overlap::{self, Neighbour};
use forecourt::session::{self, JournalEntry, Lookup, Memory, Origin, Session, State as SessionState, TariffChoice};
use forecourt::station::{Change, Machine, Policy, UnknownTokens};
use forecourt::units::{Decimal, MilliWh as Energy, Received, StationId, Token, TokenKind, TxRef, Version as OcppVersion, time};

use super::script::{Body, Context, Message, Name, Phase, Quantity, State, Status, Tx, Version};
use super::world::{Tariff, World, offset};
use super::{DAY, MilliWh, Millis};

/// A session of the daemon after all was said.
#[derive(Clone, Debug)]
pub struct Kept {
    pub number: i64,
    /// The true session that its start tells of, and its stop.
    pub start_of: Option<usize>,
    pub stop_of: Option<usize>,
    /// True sessions that any of its messages tell of.
    pub all_of: Vec<usize>,
    pub end: End,
    pub findings: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum End {
    Billed(Bill),
    Held(String),
    /// Never ended, or never judged.
    Open,
}

#[derive(Clone, Debug)]
pub struct Bill {
    pub tag: Option<String>,
    pub evse: u32,
    pub start: Millis,
    pub end: Millis,
    pub first: MilliWh,
    pub last: MilliWh,
    pub idle: Millis,
    pub charging: Millis,
    /// Cents, excluding VAT.
    pub cost: i64,
}

const STATION: &str = "CP-1";

/// Everybody may charge, at the world's one tariff.
fn policy(world: &World, tariffs: &Tariffs) -> Policy {
    let tariff = tariffs.of(world.tariff).clone();
    let id = tariff.id.clone();
    let choice = TariffChoice::new(Catalogue::new(vec![tariff]).unwrap_or_default(), Some(id));
    let mut policy = Policy::new(UnknownTokens::Accept, choice, Tz::Etc__GMTMinus1, 300);
    if world.limit_known {
        policy.set_max_power(&StationId::new(STATION), Decimal::new(world.watts, 3));
    }
    policy
}

pub const PLAIN: &str = r#"{"country_code":"DE","party_id":"FCT","id":"plain","currency":"EUR","elements":[{"price_components":[
    {"type":"ENERGY","price":0.40,"step_size":1},{"type":"PARKING_TIME","price":6.00,"step_size":1}]}],
    "last_updated":"2026-01-01T00:00:00Z"}"#;
pub const TIME_OF_USE: &str = r#"{"country_code":"DE","party_id":"FCT","id":"tou","currency":"EUR","elements":[
    {"price_components":[{"type":"ENERGY","price":0.50,"step_size":1}],"restrictions":{"start_time":"06:00","end_time":"22:00"}},
    {"price_components":[{"type":"ENERGY","price":0.30,"step_size":1}],"restrictions":{"start_time":"22:00","end_time":"06:00"}},
    {"price_components":[{"type":"TIME","price":1.50,"step_size":1},{"type":"PARKING_TIME","price":3.00,"step_size":1}]}],
    "last_updated":"2026-01-01T00:00:00Z"}"#;

/// The tariffs, parsed once.
pub struct Tariffs {
    plain: rating::Tariff,
    time_of_use: rating::Tariff,
}

impl Tariffs {
    pub fn new() -> Result<Self, rating::TariffError> {
        Ok(Self { plain: rating::Tariff::parse(PLAIN)?, time_of_use: rating::Tariff::parse(TIME_OF_USE)? })
    }

    fn of(&self, tariff: Tariff) -> &rating::Tariff {
        match tariff {
            Tariff::Plain => &self.plain,
            Tariff::TimeOfUse => &self.time_of_use,
        }
    }
}

struct Daemon<'a> {
    world: &'a World,
    tariffs: &'a Tariffs,
    machine: Machine,
    station: StationId,
    sessions: Vec<Session>,
    /// Beside each: the message it came with.
    entries: Vec<(JournalEntry, usize)>,
    bills: HashMap<i64, (Bill, Vec<String>)>,
    /// The id answered to the start of a true session.
    given: HashMap<usize, String>,
    seen: HashMap<u64, Answer>,
    /// 1.6: whether each connector is in use by its last status.
    connectors: HashMap<u32, bool>,
    /// The most power that the station measured in sessions that were billed.
    learned_kw: Option<Decimal>,
}

/// Tells the machine everything, in the order of arrival, and returns what it made of it.
pub fn play(world: &World, messages: &[Message], tariffs: &Tariffs) -> Vec<Kept> {
    let machine = Machine::new(policy(world, tariffs), origin(&[]));
    let mut daemon = Daemon {
        world,
        tariffs,
        machine,
        station: StationId::new(STATION),
        sessions: Vec::new(),
        entries: Vec::new(),
        bills: HashMap::new(),
        given: HashMap::new(),
        seen: HashMap::new(),
        connectors: HashMap::new(),
        learned_kw: None,
    };
    let mut restarts = world.restarts.iter().copied().peekable();
    let mut last = world.begin;
    for (place, message) in messages.iter().enumerate() {
        while restarts.next_if(|at| *at <= message.sent).is_some() {
            daemon.restart();
        }
        daemon.settle(message.sent);
        daemon.hear(place, message);
        daemon.settle(message.sent);
        last = message.sent;
    }
    daemon.settle(last + 2 * DAY);
    daemon.kept(messages)
}

/// Our own clock. While it is wrong and has proven so, the daemon goes on from the last time known to be true.
fn now(world: &World, at: Millis) -> Received {
    Received { at: time::from_millis(at), proven: offset(&world.gateway, at) == 0 }
}

fn origin(sessions: &[Session]) -> Origin {
    let last = sessions.last().map_or(0, |session| session.number);
    let day = sessions.last().and_then(|session| {
        let (day, count) = session.id.as_str().get(2..)?.split_once('-')?;
        Some((NaiveDate::parse_from_str(day, "%Y%m%d").ok()?, count.parse().ok()?))
    });
    Origin { next_number: last + 1, tx_offset: 1_000_000, day }
}

impl Daemon<'_> {
    fn restart(&mut self) {
        self.machine.reset(origin(&self.sessions));
        let open: Vec<Session> =
            self.sessions.iter().filter(|session| session.is_open()).map(|session| self.stored(session)).collect();
        open.into_iter().for_each(|session| self.machine.load(session));
        for (evse, in_use) in &self.connectors {
            self.machine.load_connector(&self.station, *evse, *in_use);
        }
    }

    fn hear(&mut self, place: usize, message: &Message) {
        if self.seen.contains_key(&message.id) {
            return;
        }
        let Some(fact) = self.fact(message) else { return };
        if let (Fact::Status(status), Version::V16) = (&fact, self.world.version) {
            let in_use = status.charging.is_some_and(ChargingState::is_in_use);
            self.connectors.insert(status.evse, in_use);
        }
        if let Some(lookup) = self.machine.lookup(&self.station, &fact) {
            for session in self.find(&lookup) {
                self.machine.load(session);
            }
        }
        let received = now(self.world, message.sent);
        let effects = self.machine.handle(&self.station, version(self.world), fact, received);
        if let (Answer::Started { tx, .. }, Some(of)) = (&effects.answer, message.of) {
            self.given.entry(of).or_insert_with(|| tx.as_str().to_owned());
        }
        if message.tx().is_some() {
            self.seen.insert(message.id, effects.answer);
        }
        for change in effects.changes {
            match change {
                Change::Session(session::Change::Opened(session)) => self.sessions.push(*session),
                Change::Session(session::Change::Updated(session)) => {
                    if let Some(row) = self.sessions.iter_mut().find(|known| known.number == session.number) {
                        *row = *session;
                    }
                }
                Change::Booted(_) | Change::Connector(_) | Change::Problem { .. } => {}
            }
        }
        if let Some(evidence) = effects.evidence {
            let row = i64::try_from(self.entries.len()).unwrap_or(i64::MAX);
            self.entries.push((JournalEntry { row, evidence, received }, place));
        }
    }

    fn find(&self, lookup: &Lookup) -> Vec<Session> {
        let of = |session: &&Session| match lookup {
            Lookup::Transaction(tx) => session.tx.as_str().eq_ignore_ascii_case(tx.as_str()),
            Lookup::Start(key) => session.start_key.as_ref() == Some(key),
        };
        self.sessions.iter().filter(of).map(|session| self.stored(session)).collect()
    }

    /// As it comes from the store: what is remembered follows from the evidence.
    fn stored(&self, session: &Session) -> Session {
        let mut session = Session { memory: Memory::default(), ..session.clone() };
        for (entry, _) in self.of(session.number) {
            session.memory.add(&entry.evidence, entry.evidence.said_at().unwrap_or(entry.received.at));
        }
        session
    }

    fn of(&self, number: i64) -> impl Iterator<Item = &(JournalEntry, usize)> {
        self.entries.iter().filter(move |(entry, _)| entry.evidence.session == Some(number))
    }

    /// A session's evidence, with the states of the whole station in its time.
    fn evidence(&self, number: i64) -> Vec<JournalEntry> {
        let rows: Vec<i64> = self.of(number).map(|(entry, _)| entry.row).collect();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Vec::new() };
        let is_its = |entry: &JournalEntry| match entry.evidence.session {
            Some(session) => session == number,
            None => entry.evidence.charging.is_some() && (*first..=*last).contains(&entry.row),
        };
        self.entries.iter().map(|(entry, _)| entry).filter(|entry| is_its(entry)).cloned().collect()
    }

    /// The other sessions of the connector, as the store knows them.
    fn neighbours(&self, session: &Session) -> Vec<Neighbour> {
        let others = self.sessions.iter().filter(|other| other.number != session.number && other.evse == session.evse);
        let neighbour = |other: &Session| {
            let bill = self.bills.get(&other.number).map(|(bill, _)| bill);
            Some(Neighbour {
                id: other.id.as_str().to_owned(),
                started_at: bill.map_or(other.started_at, |bill| Some(time::from_millis(bill.start)))?,
                stopped_at: bill.map_or(other.stopped_at, |bill| Some(time::from_millis(bill.end))),
                first: bill
                    .map_or(other.start_register.or(self.stored(other).memory.first_register), |bill| Some(Energy(bill.first))),
                last: bill.map(|bill| Energy(bill.last)),
                billed: bill.is_some(),
            })
        };
        others.filter_map(neighbour).collect()
    }

    /// Judges what is due: a bill, or a reason to hold that the machine is told.
    fn settle(&mut self, at: Millis) {
        let Received { at: now, proven: true } = now(self.world, at) else { return };
        for place in 0..self.sessions.len() {
            let session = &self.sessions[place];
            let due = matches!(session.state, SessionState::Ended { settle_after } if settle_after <= now);
            if !due || self.bills.contains_key(&session.number) {
                continue;
            }
            let number = session.number;
            match self.judge(&self.stored(session)) {
                Ok((bill, findings, highest_kw)) => {
                    self.learned_kw = self.learned_kw.max(highest_kw);
                    self.bills.insert(number, (bill, findings));
                }
                Err(code) => {
                    self.machine.held(number, code);
                    self.sessions[place].state = SessionState::Held { reason: code.to_owned() };
                }
            }
        }
    }

    fn judge(&self, session: &Session) -> Result<(Bill, Vec<String>, Option<Decimal>), &'static str> {
        let configured_kw = self.world.limit_known.then(|| Decimal::new(self.world.watts, 3));
        let power = StationPower { configured_kw, learned_kw: self.learned_kw };
        let metering = metering::meter(session, &self.evidence(session.number), &power).map_err(|(code, _)| code)?;
        let span = metering.span();
        overlap::check(&span, &self.neighbours(session)).map_err(|(code, _)| code)?;
        let tariff = self.tariffs.of(self.world.tariff);
        let rated = rating::price(tariff, &metering.metered, Tz::Europe__Berlin, 2).map_err(|_| "rating-failed")?;
        let spent = |activity: Activity| -> Millis {
            let periods = rated.periods.iter().filter(|period| period.activity == activity);
            periods.map(|period| (period.end - period.start).num_milliseconds()).sum()
        };
        let cents = (rated.totals.cost.excl_vat * Decimal::ONE_HUNDRED).round();
        let bill = Bill {
            tag: session.token.as_ref().map(|token| token.reveal().to_owned()),
            evse: session.evse,
            start: time::to_millis(span.start),
            end: time::to_millis(span.end),
            first: span.first.0,
            last: span.last.0,
            idle: spent(Activity::Idle),
            charging: spent(Activity::Charging),
            cost: i64::try_from(cents).unwrap_or(i64::MAX),
        };
        let findings = session.findings.iter().chain(&metering.findings).map(|finding| finding.code.to_string()).collect();
        Ok((bill, findings, metering.highest_kw))
    }

    fn kept(mut self, messages: &[Message]) -> Vec<Kept> {
        let sessions = std::mem::take(&mut self.sessions);
        let one = |session: &Session| {
            let told = |phase: TxPhase| {
                let mut of = self.of(session.number).filter(|(entry, _)| entry.evidence.phase == phase);
                of.next().and_then(|(_, place)| messages[*place].of)
            };
            let mut all_of: Vec<usize> = self.of(session.number).filter_map(|(_, place)| messages[*place].of).collect();
            all_of.dedup();
            let mut findings: Vec<String> = session.findings.iter().map(|finding| finding.code.to_string()).collect();
            let end = match (self.bills.get(&session.number), &session.state) {
                (Some((bill, found)), _) => {
                    findings.clone_from(found);
                    End::Billed(bill.clone())
                }
                (None, SessionState::Held { reason }) => End::Held(reason.clone()),
                _ => End::Open,
            };
            let (start_of, stop_of) = (told(TxPhase::Start), told(TxPhase::Stop));
            Kept { number: session.number, start_of, stop_of, all_of, end, findings }
        };
        sessions.iter().map(one).collect()
    }

    fn fact(&self, message: &Message) -> Option<Fact> {
        Some(match &message.body {
            Body::Boot => Fact::Boot(Boot::default()),
            Body::Status(status) => Fact::Status(self.status(status)),
            Body::Tx(tx) => Fact::Tx(Box::new(self.tx(tx))),
        })
    }

    fn status(&self, status: &Status) -> FactStatus {
        let charging = match status.state {
            "Faulted" | "Unavailable" | "Reserved" => Some(ChargingState::OutOfService),
            "Available" => Some(ChargingState::Idle),
            _ if self.world.version != Version::V16 => None,
            "Charging" => Some(ChargingState::Charging),
            "SuspendedEV" => Some(ChargingState::SuspendedEv),
            "SuspendedEVSE" => Some(ChargingState::SuspendedEvse),
            "Preparing" | "Finishing" => Some(ChargingState::EvConnected),
            _ => None,
        };
        FactStatus {
            evse: status.evse,
            connector: 1,
            state: status.state.to_owned(),
            charging,
            error: None,
            reported_at: status.at.map(time::from_millis),
            findings: Vec::new(),
        }
    }

    fn tx(&self, tx: &Tx) -> TxFact {
        let v16 = self.world.version == Version::V16;
        let mut fact = TxFact::new(match tx.phase {
            Phase::Start => TxPhase::Start,
            Phase::Update => TxPhase::Update,
            Phase::Stop => TxPhase::Stop,
        });
        fact.tx = match &tx.name {
            Name::Nothing => None,
            Name::Given(session) => self.given.get(session).map(|id| TxRef::new(id)),
            Name::Text(text) => Some(TxRef::new(text)),
        };
        fact.seq_no = tx.seq;
        fact.offline = tx.offline;
        fact.evse = tx.evse;
        fact.connector = (!v16).then_some(1);
        fact.reported_at = tx.at.map(time::from_millis);
        fact.token = tx
            .tag
            .map(|tag| Token::new(if v16 { TokenKind::Unstated } else { TokenKind::Named("ISO14443".into()) }, &tag_text(tag)));
        fact.register_wh = tx.register.map(|register| Decimal::new(register, 3));
        fact.readings = tx.readings.iter().map(reading).collect();
        fact.charging = tx.state.map(|state| match state {
            State::Charging => ChargingState::Charging,
            State::Connected => ChargingState::EvConnected,
            State::SuspendedEv => ChargingState::SuspendedEv,
            State::SuspendedEvse => ChargingState::SuspendedEvse,
        });
        fact.stop_reason = tx.reason.map(str::to_owned);
        fact.trigger = tx.trigger.map(str::to_owned);
        fact
    }
}

/// A driver's token as text.
pub fn tag_text(tag: u32) -> String {
    format!("04A1B2C3{tag:06}")
}

fn version(world: &World) -> OcppVersion {
    match world.version {
        Version::V16 => OcppVersion::V16,
        Version::V201 => OcppVersion::V201,
        Version::V21 => OcppVersion::V21,
    }
}

fn reading(reading: &super::script::Reading) -> FactReading {
    let context = match reading.context {
        Context::Periodic => ReadingContext::SamplePeriodic,
        Context::Begin => ReadingContext::TransactionBegin,
        Context::End => ReadingContext::TransactionEnd,
    };
    let sample = |value: &super::script::Measured| {
        let (measurand, digits, phase) = match value.quantity {
            Quantity::Register => (Measurand::EnergyActiveImportRegister, 3, LinePhase::Total),
            Quantity::RegisterOfPhase(1) => (Measurand::EnergyActiveImportRegister, 3, LinePhase::L1),
            Quantity::RegisterOfPhase(2) => (Measurand::EnergyActiveImportRegister, 3, LinePhase::L2),
            Quantity::RegisterOfPhase(_) => (Measurand::EnergyActiveImportRegister, 3, LinePhase::L3),
            Quantity::Interval => (Measurand::EnergyActiveImportInterval, 3, LinePhase::Total),
            Quantity::Power => (Measurand::PowerActiveImport, 0, LinePhase::Total),
            Quantity::Current => (Measurand::CurrentImport, 3, LinePhase::Total),
            Quantity::StateOfCharge => (Measurand::SoC, 0, LinePhase::Total),
        };
        let value = Value::Number(Decimal::new(value.value, digits));
        Sample { measurand, context: context.clone(), location: Location::Outlet, phase, value }
    };
    FactReading { measured_at: reading.at.map(time::from_millis), samples: reading.values.iter().map(sample).collect() }
}
