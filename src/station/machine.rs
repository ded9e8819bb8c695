//! The machine: facts in, effects out. No clock, no store, no socket; time comes with each call.
//!
//! Limits: [`MAX_CONNECTORS`] connectors per station; [`Sessions`] has those of sessions.

use std::collections::{BTreeMap, HashMap};

use super::authorization::{Authorizer, ListedToken};
use super::clock_lag::StationClock;
use super::onboarding;
use super::policy::{Onboarding, Policy};
use super::presence::Presence;
use super::registration::{Registered, Registrations};
use crate::fact::plausible_time::plausible_time;
use crate::fact::{
    Answer, AuthStatus, Boot, ChargingState, Fact, Phase, Registration, Request, Setting, SettingState, Status, TokenInfo, TxFact,
};
use crate::session::{self, Arrival, Evidence, Lookup, Origin, Session, Sessions};
use crate::units::{Finding, Received, StationId, Time, Token, TokenKind, Version};

/// Connectors whose state is remembered; more than any station has.
const MAX_CONNECTORS: usize = 64;

/// What a fact leads to. The store writes all of it, together with the raw message, in one transaction.
#[derive(Debug, PartialEq)]
pub struct Effects {
    pub answer: Answer,
    /// What the message contributes to a session, or to none: kept in its row of the journal.
    pub evidence: Option<Evidence>,
    /// In the order given.
    pub changes: Vec<Change>,
    /// What to ask of the station, after the answer.
    pub requests: Vec<Request>,
    /// Oddities of this message, journaled with it.
    pub findings: Vec<Finding>,
}

#[derive(Debug, PartialEq)]
pub enum Change {
    Booted(Boot),
    Connector(Status),
    Session(session::Change),
    /// A new problem for a person, or one more occurrence of a known one.
    Problem {
        kind: &'static str,
        subject: String,
        detail: String,
    },
}

/// What is remembered of a station, beside its sessions.
#[derive(Default)]
struct Station {
    /// 1.6: connectors that sent a status, and whether their last one says that a vehicle charges there, or is held back.
    in_use: BTreeMap<u32, bool>,
    presence: Presence,
    clock: StationClock,
    /// When it last said how it measures, or would not say.
    settings_at: Option<Time>,
}

impl Station {
    fn set_in_use(&mut self, evse: u32, in_use: bool) {
        if self.in_use.len() < MAX_CONNECTORS || self.in_use.contains_key(&evse) {
            self.in_use.insert(evse, in_use);
        }
    }
}

pub struct Machine {
    policy: Policy,
    authorizer: Authorizer,
    registrations: Registrations,
    stations: HashMap<StationId, Station>,
    sessions: Sessions,
}

impl Machine {
    pub fn new(policy: Policy, origin: Origin) -> Self {
        let sessions = Sessions::new(origin);
        let (authorizer, registrations, stations) = (Authorizer::default(), Registrations::default(), HashMap::new());
        Self { policy, authorizer, registrations, stations, sessions }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the site decides from now on; sessions keep the tariff that they began with.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Puts a token on the list, in place of what stood there.
    pub fn set_token(&mut self, listed: ListedToken) {
        self.authorizer.set(listed);
    }

    /// Takes a token off the list.
    pub fn remove_token(&mut self, token: &Token) {
        self.authorizer.remove(token);
    }

    pub fn listed(&self, token: &Token) -> Option<&ListedToken> {
        self.authorizer.listed(token)
    }

    /// Forgets everything and begins again from the store: after a transaction failed, and at start.
    pub fn reset(&mut self, origin: Origin) {
        self.authorizer.clear();
        self.registrations.clear();
        self.stations.clear();
        self.sessions.reset(origin);
    }

    /// Forgets one station; the store loads its open sessions and connectors again.
    pub fn evict(&mut self, station: &StationId) {
        self.stations.remove(station);
        self.sessions.evict(station);
    }

    /// Takes from the store what is known of a station's registration.
    pub fn load_registration(&mut self, station: StationId, registered: Registered) {
        self.registrations.load(station, registered);
    }

    /// A station says something valid for the first time: what it gets from now on, to be kept.
    pub fn admit(&mut self, station: &StationId) -> Registration {
        let first = self.registrations.first(station).unwrap_or_else(|| self.policy.registration(station));
        self.registrations.set_first(station, first);
        first
    }

    /// A person decides.
    pub fn register(&mut self, station: &StationId, registration: Registration) {
        self.registrations.decide(station, registration);
    }

    pub fn registration(&self, station: &StationId) -> Registration {
        self.registrations.of(station, || self.policy.registration(station))
    }

    /// Takes a session from the store into memory.
    pub fn load(&mut self, session: Session) {
        self.sessions.load(session);
    }

    /// Takes from the store what the last status of a 1.6 connector said.
    pub fn load_connector(&mut self, station: &StationId, evse: u32, in_use: bool) {
        self.stations.entry(station.clone()).or_default().set_in_use(evse, in_use);
    }

    /// Tells that an ended session was judged and is held.
    pub fn held(&mut self, number: i64, reason: &str) {
        self.sessions.held(number, reason);
    }

    /// Which sessions of the past the machine must see before it can handle this fact.
    pub fn lookup(&self, station: &StationId, fact: &Fact) -> Option<Lookup> {
        match fact {
            Fact::Tx(fact) => self.sessions.lookup(station, fact),
            _ => None,
        }
    }

    /// A sign of life of a known station that is no fact: it ran at that time.
    pub fn heard(&mut self, station: &StationId, at: Time) {
        if let Some(station) = self.stations.get_mut(station) {
            station.presence.heard(at);
        }
    }

    /// The last sign of life of a station that boots at `at`, from before its reboot.
    pub fn heard_before_boot(&self, station: &StationId, at: Time) -> Option<Time> {
        self.stations.get(station)?.presence.before_boot(at)
    }

    /// The journal says what was heard of a station before the boot that comes next: not every sign of life has a row there.
    pub fn set_heard_before_boot(&mut self, station: &StationId, heard_at: Option<Time>) {
        self.stations.entry(station.clone()).or_default().presence = Presence::until(heard_at);
    }

    /// Decides what a fact means.
    pub fn handle(&mut self, id: &StationId, version: Version, fact: Fact, received: Received) -> Effects {
        // What waited in a queue says when the station ran, but not that it ran on until now.
        let is_queued = matches!(&fact, Fact::Tx(fact) if fact.offline);
        let effects = self.decide(id, version, fact, received);
        if !is_queued {
            self.stations.entry(id.clone()).or_default().presence.heard(received.at);
        }
        effects
    }

    fn decide(&mut self, id: &StationId, version: Version, fact: Fact, received: Received) -> Effects {
        let now = received.at;
        match fact {
            Fact::Boot(boot) => self.boot(id, version, boot, now),
            Fact::Heartbeat => Effects::answered(Answer::Heartbeat { now }),
            Fact::Authorize { token } => Effects::answered(Answer::Authorize { info: self.authorize(id, None, &token, now) }),
            Fact::Status(status) => {
                let mut effects = Effects::answered(Answer::Empty);
                self.status(id, version, status, received, &mut effects);
                effects
            }
            Fact::Events { statuses } => {
                let mut effects = Effects::answered(Answer::Empty);
                for status in statuses {
                    self.status(id, version, status, received, &mut effects);
                }
                effects
            }
            Fact::SecurityEvent { kind, detail, .. } => {
                let detail = detail.unwrap_or_default();
                let mut effects = Effects::answered(Answer::Empty);
                effects.changes.push(Change::Problem { kind: "security-event", subject: kind, detail });
                effects
            }
            Fact::Noted => Effects::answered(Answer::Empty),
            Fact::DataTransfer { .. } => Effects::answered(Answer::UnknownVendor),
            Fact::Settings(states) => {
                self.stations.entry(id.clone()).or_default().settings_at = Some(now);
                self.settings(version, &states)
            }
            Fact::SettingsUnknown { why } => {
                self.stations.entry(id.clone()).or_default().settings_at = Some(now);
                let mut effects = Effects::answered(Answer::Empty);
                effects.problems([onboarding::unknown(version, &why)]);
                effects
            }
            Fact::SettingsChanged(changed) => {
                let refused = |(setting, status): &(Setting, String)| onboarding::refused(version, setting, status);
                let is_refused = |(_, status): &&(Setting, String)| !matches!(status.as_str(), "Accepted" | "RebootRequired");
                let mut effects = Effects::answered(Answer::Empty);
                effects.problems(changed.iter().filter(is_refused).filter_map(refused));
                effects
            }
            Fact::Tx(fact) => self.transaction(id, version, *fact, received),
        }
    }

    /// A station that is not accepted is told when to ask again.
    fn boot(&mut self, id: &StationId, version: Version, boot: Boot, now: Time) -> Effects {
        let registration = self.registration(id);
        let is_accepted = registration == Registration::Accepted;
        let interval_s = if is_accepted { self.policy.heartbeat_s } else { self.policy.boot_retry_s };
        let mut effects = Effects::answered(Answer::Boot { registration, now, interval_s });
        if registration == Registration::Pending {
            let said = [&boot.vendor, &boot.model, &boot.serial].map(|text| text.as_deref().unwrap_or("-"));
            let detail = format!("{} {}, serial {}; its sessions are held until it is adopted", said[0], said[1], said[2]);
            effects.changes.push(Change::Problem { kind: "station-pending", subject: String::new(), detail });
        }
        effects.changes.push(Change::Booted(boot));
        let station = self.stations.entry(id.clone()).or_default();
        let is_due = is_accepted && self.policy.onboarding.is_some();
        if is_due && station.settings_at.is_none_or(|said| (now - said).abs() >= onboarding::PAUSE) {
            effects.requests.push(onboarding::begin(version));
        }
        let heard_at = station.presence.before_boot(now);
        effects.changes.extend(self.sessions.rebooted(id, heard_at, now).into_iter().map(Change::Session));
        effects
    }

    /// What a station says of the settings that we asked for.
    fn settings(&self, version: Version, states: &[SettingState]) -> Effects {
        let mut effects = Effects::answered(Answer::Empty);
        if let Some(Onboarding { meter_interval_s }) = self.policy.onboarding {
            let (changes, refused) = onboarding::compare(version, meter_interval_s, states);
            effects.requests.extend(changes);
            effects.problems(refused);
        }
        effects
    }

    /// A connector changed state.
    fn status(&mut self, id: &StationId, version: Version, status: Status, received: Received, effects: &mut Effects) {
        effects.findings.extend(status.findings.iter().cloned());
        let (at, doubt) = plausible_time(status.reported_at, received);
        let station = self.stations.entry(id.clone()).or_default();
        if let Some(said) = status.reported_at {
            station.clock.hear(said, received);
        }
        if let Some(charging) = status.charging.filter(|_| status.evse != 0 && version == Version::V16) {
            station.set_in_use(status.evse, charging.is_in_use());
        }
        if let Some(evidence) = self.sessions.status(id, &status, at, &station.in_use) {
            effects.findings.extend(doubt);
            match &mut effects.evidence {
                // The row of a message holds one contribution: what takes several connectors out of service is kept as said of the
                // whole station, so that none of them sells that time.
                Some(first) if evidence.charging == Some(ChargingState::OutOfService) && first.session != evidence.session => {
                    *first = Evidence { session: None, evse: 0, ..evidence };
                }
                kept => drop(kept.get_or_insert(evidence)),
            }
        }
        if let Some(error) = status.error.as_deref() {
            let detail = format!("connector {} reports {}: {error}", status.evse, status.state);
            effects.changes.push(Change::Problem { kind: "station-error", subject: error.to_owned(), detail });
        }
        effects.changes.push(Change::Connector(status));
    }

    /// Everything is decided here that does not depend on the session: time, clock, token.
    fn transaction(&mut self, id: &StationId, version: Version, fact: TxFact, received: Received) -> Effects {
        let (at, doubt) = plausible_time(fact.reported_at, received);
        let token_info = self.token_info(id, version, &fact, received.at);
        let is_served = self.registration(id) == Registration::Accepted;
        let station = self.stations.entry(id.clone()).or_default();
        let is_queued = fact.offline || station.clock.is_in_queue(received);
        let clock_lag = fact.said_at().and_then(|said| {
            station.clock.hear(said, received);
            station.clock.steady_lag()
        });
        let authorizer = &self.authorizer;
        let tariff_of = |token: &Token| authorizer.listed(token)?.tariff.as_deref();
        let arrival = Arrival {
            station: id,
            version,
            received,
            at,
            timed: doubt.is_none(),
            is_served,
            token_info,
            tariffs: &self.policy.tariffs,
            tariff_of: &tariff_of,
            time_zone: self.policy.time_zone,
            max_power_kw: self.policy.max_power_kw(id),
            clock_lag,
            in_use: &station.in_use,
        };
        let session::Outcome { answer, changes, evidence, findings } =
            self.sessions.transaction(&arrival, fact, doubt, is_queued);
        let changes = changes.into_iter().map(Change::Session).collect();
        Effects { answer, evidence, changes, requests: Vec::new(), findings }
    }

    /// What a transaction message's token is answered. 1.6 must be told something at the start: no tag is an unknown tag. A session's
    /// token is judged again when its EVSE is known at last (docs/quirks.md Q84).
    fn token_info(&self, id: &StationId, version: Version, fact: &TxFact, now: Time) -> Option<TokenInfo> {
        let is_start_of_16 = version == Version::V16 && fact.phase == Phase::Start;
        let no_tag = is_start_of_16.then(|| Token::new(TokenKind::Unstated, ""));
        let token = fact.token.as_ref().or(no_tag.as_ref()).or_else(|| self.sessions.placed_by(id, fact))?;
        Some(self.authorize(id, self.sessions.evse_of(id, fact), token, now))
    }

    /// At a station that is not accepted, no token is.
    fn authorize(&self, id: &StationId, evse: Option<u32>, token: &Token, now: Time) -> TokenInfo {
        match self.registration(id) {
            Registration::Accepted => self.authorizer.authorize(id, evse, token, self.policy.unknown_tokens, now),
            Registration::Pending | Registration::Rejected => AuthStatus::Invalid.into(),
        }
    }
}

impl Effects {
    fn answered(answer: Answer) -> Self {
        Self { answer, evidence: None, changes: Vec::new(), requests: Vec::new(), findings: Vec::new() }
    }

    /// Settings that a station does not take over.
    fn problems(&mut self, refused: impl IntoIterator<Item = Finding>) {
        let problem = |finding: Finding| Change::Problem {
            kind: "setting-refused",
            subject: finding.code.into_owned(),
            detail: finding.detail,
        };
        self.changes.extend(refused.into_iter().map(problem));
    }
}
