//! `forecourt station reset CP-1` and its like: what the verb stands for in the station's version is asked, and the answer put into words.
//!
//! Each message of a verb is a call like any other: checked, queued, audited. What takes several stops at the first that the station does not
//! say yes to. Limit: [`MAX_SETTINGS`] settings at a time.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::station_calls::{Answered, Called, ask, told};
use crate::control::{Outcome, Reply, StationCall, StationVerb};
use crate::csms::Csms;
use crate::fact::{Fact, Request, Setting, SettingName, SettingState};
use crate::ocpp::verb::{self, Asked, Kind, Make, Verb, local_list};
use crate::ocpp::{Outgoing, station_settings};
use crate::station::{ListedToken, Place};
use crate::store::{QUICK, Reader};
use crate::units::{Clock, StationId, Version, printable};

const MAX_SETTINGS: usize = 100;
/// Tokens in a message of a station that does not say how many it takes.
const CHUNK: usize = 50;

/// What verbs work on.
#[derive(Clone)]
pub struct Verbs {
    pub csms: Arc<Csms>,
    pub clock: Clock,
    pub store: PathBuf,
}

/// A verb that is being carried out.
struct Doing {
    verbs: Verbs,
    asked: StationVerb,
    version: Version,
    actor: String,
}

/// Why a verb ends before its end.
type Ended<T> = Result<T, Answered>;

impl Verbs {
    pub async fn carry_out(&self, asked: StationVerb, actor: String) -> Reply {
        let usage = |why: String| Reply::refused(Outcome::Usage, why);
        let Some(verb) = verb::find(&asked.verb) else {
            return usage(format!("there is no verb {:?}; `forecourt station --help` lists them", printable(&asked.verb)));
        };
        if let Some(unknown) = asked.args.keys().find(|name| !verb.args.iter().any(|arg| arg.name == name.as_str())) {
            return usage(format!("{} takes no {:?}", verb.name, printable(unknown)));
        }
        let version = match self.csms.version_of(&asked.station) {
            Ok(version) => version,
            Err(why) => return told(why, asked.station.clone(), verb.name, asked.timeout_s).into(),
        };
        if let Err(why) = verb.fits(version) {
            return usage(format!("{}: {why}", asked.station));
        }
        let mut doing = Doing { verbs: self.clone(), asked, version, actor };
        if verb.args.iter().any(|arg| arg.kind == Kind::Session)
            && let Err(why) = doing.find_session()
        {
            return why.into();
        }
        match verb.make {
            Make::One(make) => doing.one(verb, make).await.into(),
            Make::Settings => doing.settings().await.unwrap_or_else(Reply::from),
            Make::LocalList => doing.local_list().await.unwrap_or_else(Reply::from),
            Make::CertificateDelete => doing.certificate_delete().await.unwrap_or_else(Reply::from),
        }
    }
}

fn usage(why: String) -> Answered {
    Answered::refused(Outcome::Usage, why)
}

impl Doing {
    /// One message, and what its answer means.
    async fn send(&self, action: &str, payload: String) -> Answered {
        let StationVerb { station, timeout_s, reason, .. } = &self.asked;
        let call = StationCall {
            station: station.clone(),
            action: action.to_owned(),
            payload,
            timeout_s: *timeout_s,
            reason: reason.clone(),
        };
        let mut answered = ask(&self.verbs.csms, call, self.actor.clone()).await;
        if let Some(called) = &mut answered.called {
            let payload = called.payload.as_ref().map_or("", |payload| payload.get());
            let yes = answered.outcome == Outcome::Done;
            let meaning = verb::meaning(&called.action, called.status.as_deref(), yes, payload);
            if !yes && !meaning.is_empty() && called.outcome == "answered" {
                answered.reason = format!("{}: {}", answered.reason, printable(&meaning));
            }
            called.meaning = Some(meaning);
        }
        answered
    }

    /// The payload of the answer to a message that the station said yes to.
    async fn yes(&self, action: &str, payload: String) -> Ended<Box<Called>> {
        let answered = self.send(action, payload).await;
        match answered {
            Answered { outcome: Outcome::Done, called: Some(called), .. } => Ok(called),
            other => Err(other),
        }
    }

    async fn one(&self, verb: &Verb, make: fn(&Asked<'_>) -> Result<verb::Message, String>) -> Answered {
        match verb::message(make, self.version, &self.asked.args, (self.verbs.clock)().at) {
            Ok((action, payload)) => self.send(action, payload.to_string()).await,
            Err(why) => usage(format!("{}: {why}", verb.name)),
        }
    }

    fn reader(&self) -> Ended<Reader> {
        let refused = |error| Answered::refused(Outcome::Refused, format!("the store cannot be read: {error}"));
        Reader::open(&self.verbs.store, QUICK).map_err(refused)
    }

    /// Puts the transaction in the place of the session that was named.
    fn find_session(&mut self) -> Ended<()> {
        let station = &self.asked.station;
        let running = self.reader()?.running(station);
        let running = running.map_err(|error| Answered::refused(Outcome::Refused, error.to_string()))?;
        let wanted = self.asked.args.get("session").and_then(|values| values.first()).map(String::as_str);
        let named = |wanted: &str| {
            // By session, by transaction, by EVSE.
            [1, 0, 2].into_iter().find_map(|column| {
                running.iter().find(|names| names[column].as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
            })
        };
        let not_found = |why: String| {
            let list: Vec<&str> = running.iter().filter_map(|names| names[1].as_deref()).collect();
            let there = if list.is_empty() { "none runs".to_owned() } else { format!("there run: {}", list.join(", ")) };
            Answered::refused(Outcome::NotFound, format!("{why}; {there}"))
        };
        let found = match (wanted, running.as_slice()) {
            (Some(wanted), _) => {
                named(wanted).ok_or_else(|| not_found(format!("no session {} runs at {station}", printable(wanted))))?
            }
            (None, [only]) => only,
            (None, _) => return Err(not_found(format!("which session at {station}?"))),
        };
        let Some(transaction) = found[0].clone() else {
            return Err(Answered::refused(
                Outcome::Refused,
                "the station has not named the transaction of that session".to_owned(),
            ));
        };
        self.asked.args.insert("session".to_owned(), vec![transaction]);
        Ok(())
    }

    /// Settings as the station says them.
    async fn read(&self, names: Vec<SettingName>) -> Ended<Vec<SettingState>> {
        let mut states = Vec::new();
        for fact in self.settle(&Request::ReadSettings(names)).await? {
            if let Fact::Settings(said) = fact {
                states.extend(said);
            }
        }
        Ok(states)
    }

    /// The calls that a request takes, and what is said to each. A station that refuses one setting is asked for the others.
    async fn settle(&self, request: &Request) -> Ended<Vec<Fact>> {
        let mut facts = Vec::new();
        for (message, payload) in station_settings::calls(self.version, request) {
            let Outgoing { action, .. } = message;
            let answered = self.send(action, payload.clone()).await;
            let said = answered.called.as_ref().and_then(|called| called.payload.as_ref());
            let fact = said.and_then(|said| station_settings::answer(self.version, action, &payload, said.get()));
            facts.push(fact.ok_or_else(|| unreadable(&self.asked.station, action, answered))?);
        }
        Ok(facts)
    }

    async fn settings(&self) -> Ended<Reply> {
        let wanted = self.wanted_settings().map_err(usage)?;
        let names: Vec<SettingName> = wanted.iter().map(|(name, _)| name.clone()).collect();
        let before = self.read(names.clone()).await?;
        let value = |states: &[SettingState], name: &SettingName| {
            states.iter().find(|state| state.name.is(name)).and_then(|state| state.value.clone())
        };
        let differs = |(name, wanted): &(SettingName, Option<String>)| {
            let wanted = wanted.clone().filter(|wanted| value(&before, name).as_ref() != Some(wanted))?;
            Some(Setting { name: name.clone(), value: wanted })
        };
        let changes: Vec<Setting> = wanted.iter().filter_map(differs).collect();
        let mut statuses = Vec::new();
        for fact in self.settle(&Request::ChangeSettings(changes.clone())).await? {
            if let Fact::SettingsChanged(said) = fact {
                statuses.extend(said);
            }
        }
        let changed: Vec<SettingName> = changes.iter().map(|setting| setting.name.clone()).collect();
        let after = if changed.is_empty() { Vec::new() } else { self.read(changed).await? };
        let row = |(name, wanted): &(SettingName, Option<String>)| {
            let status = statuses.iter().find(|(setting, _)| setting.name.is(name)).map(|(_, status)| status.clone());
            let was = value(&before, name);
            let now = if after.iter().any(|state| state.name.is(name)) { value(&after, name) } else { was.clone() };
            Row { setting: name.to_string(), wanted: wanted.clone(), before: was, status, now }
        };
        let rows: Vec<Row> = wanted.iter().map(row).collect();
        let refused: Vec<&str> = rows.iter().filter(|row| !row.is_well()).map(|row| row.setting.as_str()).collect();
        let (outcome, reason) = match refused.as_slice() {
            [] => (Outcome::Done, String::new()),
            names => (Outcome::Rejected, format!("{} did not take: {}", self.asked.station, names.join(", "))),
        };
        Ok(Reply::new(outcome, reason, &Settings { station: &self.asked.station, settings: &rows }))
    }

    /// `KEY`, `KEY=VALUE`, `Component.Variable=VALUE`.
    fn wanted_settings(&self) -> Result<Vec<(SettingName, Option<String>)>, String> {
        let given = self.asked.args.get("setting").map(Vec::as_slice).unwrap_or_default();
        if given.is_empty() || given.len() > MAX_SETTINGS {
            return Err(format!("name 1 to {MAX_SETTINGS} settings; `forecourt station report` has all"));
        }
        let read = |text: &String| {
            let (name, value) =
                text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
            let (component, variable) = match (self.version, name.split_once('.')) {
                (Version::V16, _) => ("", name),
                (_, Some(parts)) => parts,
                (_, None) => return Err(format!("{name:?}: a setting of OCPP 2.x is named Component.Variable")),
            };
            let name = SettingName { component: component.to_owned().into(), name: variable.to_owned().into() };
            Ok((name, value))
        };
        given.iter().map(read).collect()
    }

    async fn local_list(&self) -> Ended<Reply> {
        let entries = self.listed()?;
        let known = self.list_version().await?;
        if known < 0 {
            return Err(Answered::refused(
                Outcome::Rejected,
                format!("{} keeps no local list (version {known})", self.asked.station),
            ));
        }
        let given = self.asked.args.get("chunk").and_then(|values| values.first());
        let chunk = match given.map(|text| text.parse::<usize>()) {
            Some(Ok(chunk)) if chunk > 0 => chunk,
            Some(_) => return Err(usage("chunk must be a number of at least 1".to_owned())),
            None => {
                let (component, name) = local_list::limit(self.version);
                let said = self.read(vec![SettingName::known(component, name)]).await.unwrap_or_default();
                let limit = said.first().and_then(|state| state.value.as_ref()).and_then(|value| value.trim().parse().ok());
                limit.filter(|limit| *limit > 0).unwrap_or(CHUNK)
            }
        };
        let (messages, tokens) = local_list::messages(self.version, &entries, chunk, known);
        let sent = messages.len();
        for (action, payload) in messages {
            self.yes(action, payload.to_string()).await?;
        }
        let wanted = known.saturating_add(i64::try_from(sent).unwrap_or(i64::MAX));
        let now = self.list_version().await?;
        let list = LocalList { station: &self.asked.station, version: now, tokens, messages: sent };
        let (outcome, reason) = if now == wanted {
            (Outcome::Done, String::new())
        } else {
            let why = format!("{} took list {wanted} and says that it has list {now}", self.asked.station);
            (Outcome::Rejected, why)
        };
        Ok(Reply::new(outcome, reason, &list))
    }

    async fn list_version(&self) -> Ended<i64> {
        let called = self.yes("GetLocalListVersion", "{}".to_owned()).await?;
        local_list::version_in(&value_of(&called)).ok_or_else(|| {
            Answered::refused(Outcome::Rejected, format!("{} does not say which local list it has", self.asked.station))
        })
    }

    /// Tokens of our list that are about this station.
    fn listed(&self) -> Ended<Vec<local_list::Entry>> {
        let tokens = self.reader()?.tokens();
        let tokens = tokens.map_err(|error| Answered::refused(Outcome::Refused, error.to_string()))?;
        let here = StationId::new(&self.asked.station);
        let is_here = |place: &&Place| place.station().folded() == here.folded();
        let entry = |listed: ListedToken| {
            let places: Vec<&Place> = listed.places.iter().filter(is_here).collect();
            if places.is_empty() && !listed.places.is_empty() {
                return None;
            }
            // All of the station, where one of the places is.
            let evses = places.iter().map(|place| place.evse()).collect::<Option<Vec<u32>>>().unwrap_or_default();
            Some(local_list::Entry {
                status: listed.status.as_str(),
                group: listed.group.map(Into::into),
                expires_at: listed.expires_at,
                token: listed.token,
                evses,
            })
        };
        Ok(tokens.into_iter().filter_map(entry).collect())
    }

    async fn certificate_delete(&self) -> Ended<Reply> {
        let make = |make| verb::message(make, self.version, &self.asked.args, (self.verbs.clock)().at).map_err(usage);
        let (action, payload) = make(verb::certificate_list)?;
        let list = self.yes(action, payload.to_string()).await?;
        let serial = self.asked.args.get("serial").and_then(|values| values.first()).map(String::as_str).unwrap_or_default();
        let Some(hash) = verb::certificate_of(&value_of(&list), serial) else {
            let why = format!("{} has no certificate with serial number {}", self.asked.station, printable(serial));
            return Err(Answered::refused(Outcome::NotFound, why));
        };
        let (action, payload) = verb::certificate_delete(&hash);
        Ok(self.send(action, payload.to_string()).await.into())
    }
}

/// An answer of which nothing can be made is no yes, whatever it was taken for.
fn unreadable(station: &str, action: &str, answered: Answered) -> Answered {
    match answered.outcome {
        Outcome::Done => {
            let reason = format!("{station} gives an answer that cannot be read to {action}; `forecourt calls` has it");
            Answered { outcome: Outcome::Rejected, reason, ..answered }
        }
        _ => answered,
    }
}

fn value_of(called: &Called) -> Value {
    called.payload.as_ref().and_then(|payload| serde_json::from_str(payload.get()).ok()).unwrap_or_default()
}

#[derive(Serialize)]
struct Settings<'a> {
    station: &'a str,
    settings: &'a [Row],
}

/// One setting: as it was, as it should be, what the station said to the change, and as it is.
#[derive(Serialize)]
struct Row {
    setting: String,
    before: Option<String>,
    wanted: Option<String>,
    status: Option<String>,
    now: Option<String>,
}

impl Row {
    /// As it should be, or as it will be after a restart; what is only read must be known.
    fn is_well(&self) -> bool {
        match (&self.wanted, self.status.as_deref()) {
            (None, _) => self.now.is_some(),
            (Some(_), Some("RebootRequired")) => true,
            // Passwords and their like are not told.
            (Some(wanted), Some("Accepted")) => self.now.as_ref().is_none_or(|now| now == wanted),
            (Some(wanted), _) => self.now.as_ref() == Some(wanted),
        }
    }
}

#[derive(Serialize)]
struct LocalList<'a> {
    station: &'a str,
    version: i64,
    tokens: usize,
    messages: usize,
}
