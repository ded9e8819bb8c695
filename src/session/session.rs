//! One charging session as the machine keeps it: what was said about its start, its end and its identity.
//!
//! Samples are not here: they are evidence rows in the store, read again when the session is metered. What is here is small
//! enough to keep for every open session.

use chrono::TimeDelta;

use super::memory::Memory;
use crate::fact::AuthStatus;
use crate::rating::Tariff;
use crate::record;
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
    /// Same start, same key: see [`super::Sessions`].
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
    /// 1.6: a message after the start named it by its id.
    pub id_used: bool,
    /// By how much the station's clock was off when it started (our time less its own), if its messages had shown that by then.
    pub clock_lag: Option<TimeDelta>,
    /// The station's reboots while this was open.
    pub reboots: Vec<Reboot>,
    /// When we first heard of it.
    pub opened_at: Time,
    /// What its evidence says; not in its row, read back from the journal.
    pub memory: Memory,
}

/// A tariff version by the hash of its JSON text, as records name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TariffRef(pub Box<str>);

impl TariffRef {
    pub fn of(tariff: &Tariff) -> Self {
        Self(record::tariff_hash(tariff.source()).to_string().into())
    }
}

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

/// A station came back with a BootNotification at `at`; the last that was heard of it before was at `heard_at`. By our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reboot {
    pub heard_at: Time,
    pub at: Time,
}

/// Reboots kept per session; further ones extend the last.
const MAX_REBOOTS: usize = 16;

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
            id_used: false,
            clock_lag: None,
            reboots: Vec::new(),
            opened_at,
            memory: Memory::default(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The connector within its EVSE, as records and views name it: the first while the station has not said which.
    pub fn connector_number(&self) -> u32 {
        self.connector.max(1)
    }

    /// Notes an oddity, once.
    pub fn note(&mut self, finding: Finding) {
        let of_code = self.findings.iter().filter(|known| known.code == finding.code).count();
        if self.findings.len() < MAX_FINDINGS && of_code < MAX_PER_CODE && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Notes a reboot; stations that boot in a row are in one and the same.
    pub(super) fn rebooted(&mut self, reboot: Reboot) {
        let is_full = self.reboots.len() >= MAX_REBOOTS;
        match self.reboots.last_mut() {
            Some(last) if is_full || reboot.heard_at <= last.at => last.at = reboot.at,
            _ => self.reboots.push(reboot),
        }
    }

    pub fn has_finding(&self, code: &str) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// Start, end and every event between have come. 1.6 has no event numbers: start and end suffice.
    pub fn is_complete(&self) -> bool {
        self.started_at.is_some()
            && self.stopped_at.is_some()
            && (self.version == Version::V16 || self.memory.events.is_gap_free())
    }

    /// The station knows the transaction's id: a message with another one, or none, is hardly its.
    pub fn has_its_id(&self) -> bool {
        if self.version == Version::V16 { self.id_used } else { self.start_key.is_none() }
    }

    /// Started and not stopped: open, or held because its stop seems lost.
    pub fn lacks_stop(&self) -> bool {
        self.started_at.is_some() && self.stopped_at.is_none()
    }

    /// 2.x transaction ids compare without regard to case (identifierString).
    pub(super) fn is_named(&self, tx: &TxRef) -> bool {
        self.tx.as_str().eq_ignore_ascii_case(tx.as_str())
    }
}
