//! One charging session as the machine keeps it: what was said about its start, its end and its identity.
//!
//! Samples are not here: they are evidence rows in the store, read again when the session is metered. What is here is small
//! enough to keep for every open session.

use super::AuthStatus;
use crate::units::{Finding, MilliWh, SessionId, StationId, Time, Token, TxRef, Version};

/// A session and everything the machine decides on.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The store's key: unique for the life of the store, never reused. 1.6 transaction ids derive from it.
    pub number: i64,
    pub id: SessionId,
    pub station: StationId,
    pub version: Version,
    pub tx: TxRef,
    /// Same start, same key: see [`super::Machine`].
    pub start_key: Option<String>,
    /// 1.6: the connector; 2.x: the EVSE. 0 while unknown.
    pub evse: u32,
    pub connector: u32,
    pub token: Option<Token>,
    pub token_status: Option<AuthStatus>,
    /// Begin of the session; `None` while no start message has come.
    pub started_at: Option<Time>,
    /// 1.6 meterStart. 2.x registers are found among the evidence.
    pub start_register: Option<MilliWh>,
    pub stopped_at: Option<Time>,
    pub stop_register: Option<MilliWh>,
    pub stop_reason: Option<String>,
    pub state: State,
    /// The tariff version in force at the start, locked for the whole session. `None`: no tariff was valid.
    pub tariff: Option<TariffRef>,
    pub findings: Vec<Finding>,
    pub events: Events,
    /// When we first heard of it.
    pub opened_at: Time,
}

/// A tariff version by the SHA-256 of its JSON text (hex).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TariffRef(pub Box<str>);

/// Where a session stands. Whether it has a record is not a state: it is the existence of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    /// The station ended it. It is settled at `settle_after`: at once when every event is there, later when some are missing.
    Ended {
        settle_after: Time,
    },
    /// Not billable without a person. The code is one of [`super::hold`].
    Held {
        reason: String,
    },
}

/// Findings kept per session; more are kept in the journal only.
const MAX_FINDINGS: usize = 32;
/// Findings kept of one code, each with another detail.
const MAX_PER_CODE: usize = 4;

impl Session {
    /// A session of which nothing is known but its names.
    pub fn new(number: i64, id: SessionId, station: StationId, version: Version, tx: TxRef, opened_at: Time) -> Self {
        Self {
            number,
            id,
            station,
            version,
            tx,
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
            opened_at,
        }
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Notes an oddity, once.
    pub fn note(&mut self, finding: Finding) {
        let of_code = self.findings.iter().filter(|known| known.code == finding.code).count();
        if self.findings.len() < MAX_FINDINGS && of_code < MAX_PER_CODE && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub fn has_finding(&self, code: &str) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// Start, end and every event between have come (1.6 has no numbers: start and end suffice).
    pub fn is_complete(&self) -> bool {
        self.started_at.is_some() && self.stopped_at.is_some() && self.events.gap_free()
    }
}

/// Which events of a 2.x transaction have come: `seqNo` grows by one per event (OCPP 2.0.1 E01.FR.07), so a transaction is
/// complete when its first and last event and all numbers between are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    recent: std::collections::VecDeque<(i64, i64, u8)>,
    lowest: Option<i64>,
    highest: Option<i64>,
    distinct: i64,
}

/// Events remembered one by one, to recognise repeats.
const MAX_RECENT: usize = 256;

impl Events {
    /// Whether this very event was seen. A number that comes again with another time or phase is another event: stations restart
    /// their counter after a reboot.
    pub fn has(&self, seq_no: i64, at_millis: i64, phase: u8) -> bool {
        self.recent.contains(&(seq_no, at_millis, phase))
    }

    pub fn add(&mut self, seq_no: i64, at_millis: i64, phase: u8) {
        if !self.recent.iter().any(|(seq, ..)| *seq == seq_no) {
            self.distinct += 1;
        }
        self.lowest = Some(self.lowest.map_or(seq_no, |lowest| lowest.min(seq_no)));
        self.highest = Some(self.highest.map_or(seq_no, |highest| highest.max(seq_no)));
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((seq_no, at_millis, phase));
    }

    /// No number is missing between the lowest and the highest seen.
    pub fn gap_free(&self) -> bool {
        match (self.lowest, self.highest) {
            (Some(lowest), Some(highest)) => self.distinct > highest.saturating_sub(lowest),
            _ => true,
        }
    }
}
