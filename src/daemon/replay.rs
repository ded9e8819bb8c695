//! The same journal again gives the same sessions and the same bills, byte for byte. Or it does not: then the program of today decides
//! otherwise than the one that wrote the store, or something that bills rest on is not in the journal.
//!
//! ```text
//! stored journal, notes ─▶ csms::reading ─▶ ocpp ─▶ Machine ─▶ fresh store ─▶ billing ─▶ record      compared with what is stored
//! ```
//! It takes the very functions that the daemon takes; only threads, sockets and the clock are absent. The store is read only, and may be
//! in use. Beside it the configuration counts, as it is now.
//!
//! Compared: every column of the journal (answers and evidence among them), of sessions, and of the copies of records; of each record its
//! payload, byte by byte, in the order in which they were sealed. Not compared: `record_id`, which names its CDR too, and `prev` (random, and the
//! hash of a text with a random signature), and what follows from no message: states of connections, problems, calls, receipts.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::oneshot;

use super::in_process::{InProcess, InProcessError};
use super::{correct, policy};
use crate::config::Config;
use crate::ocpp;
use crate::rating::Catalogue;
use crate::record::SigningKey;
use crate::store::{Job, JournalRow, PATIENT, Reader, Registering, SiteFacts, Step, StoreError, TokenChanges, compare};
use crate::units::{Members, Time};

/// Differences told; more say nothing new.
const MAX_TOLD: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    InProcess(#[from] InProcessError),
    #[error("the correction of session {0} cannot be made again: {1}")]
    Correction(i64, String),
    #[error("message {0} makes nothing that is stored, and yet it is")]
    Message(i64),
}

impl From<StoreError> for ReplayError {
    fn from(error: StoreError) -> Self {
        Self::InProcess(error.into())
    }
}

/// Replays a store into a new one in `folder`, which is empty. Returns where the two differ, each as a sentence.
pub fn replay(config: &Config, store: &Path, folder: &Path) -> Result<Vec<String>, ReplayError> {
    let (stored, replayed) = replayed(config, store, folder)?;
    let mut differences = compare(&stored, &replayed, MAX_TOLD)?;
    compare_payloads(&stored, &replayed, &mut differences)?;
    Ok(differences)
}

/// A member of a record that the journal does not give as it is stored.
pub struct Difference {
    pub epoch: i64,
    pub seq: u64,
    /// `record` where there is none on one side.
    pub member: String,
    pub stored: String,
    pub recomputed: String,
}

pub struct Recomputed {
    /// Compared.
    pub records: usize,
    pub differences: Vec<Difference>,
}

/// Makes the records of a store anew in `folder`, which is empty, and compares all of them or one.
pub fn recompute(config: &Config, store: &Path, folder: &Path, wanted: Option<(i64, u64)>) -> Result<Recomputed, ReplayError> {
    let (stored, replayed) = replayed(config, store, folder)?;
    let (before, after) = (payloads(&stored)?, payloads(&replayed)?);
    let mut places: Vec<(i64, u64)> = before.keys().chain(after.keys()).copied().collect();
    places.sort_unstable();
    places.dedup();
    places.retain(|place| wanted.is_none_or(|wanted| wanted == *place));
    let mut differences = Vec::new();
    for place in &places {
        compare_members(*place, before.get(place), after.get(place), &mut differences);
    }
    Ok(Recomputed { records: places.len(), differences })
}

fn compare_members((epoch, seq): (i64, u64), stored: Option<&String>, made: Option<&String>, differences: &mut Vec<Difference>) {
    if stored == made {
        return;
    }
    let mut add = |member: &str, stored: &str, recomputed: &str| {
        let (member, stored, recomputed) = (member.to_owned(), stored.to_owned(), recomputed.to_owned());
        differences.push(Difference { epoch, seq, member, stored, recomputed });
    };
    let members = |text: &'_ str| -> Vec<(String, String)> {
        let read: Result<Members<'_>, _> = serde_json::from_str(text);
        read.map(|Members(all)| all.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect()).unwrap_or_default()
    };
    let (Some(stored), Some(made)) = (stored, made) else {
        return add("record", if stored.is_some() { "present" } else { "none" }, if made.is_some() { "present" } else { "none" });
    };
    let (old, new) = (members(stored), members(made));
    let of = |members: &[(String, String)], name: &str| {
        members.iter().find(|(known, _)| known == name).map_or_else(|| "none".to_owned(), |(_, text)| text.clone())
    };
    let names = old.iter().chain(new.iter().filter(|(name, _)| old.iter().all(|(known, _)| known != name)));
    for (name, _) in names {
        let (before, after) = (of(&old, name), of(&new, name));
        if before != after {
            add(name, &before, &after);
        }
    }
}

/// The store, and what its journal gives.
fn replayed(config: &Config, store: &Path, folder: &Path) -> Result<(Reader, Reader), ReplayError> {
    let open = || Reader::open(store, PATIENT).map_err(InProcessError::from);
    let stored = open()?;
    let path = folder.join("replayed.db");
    let facts = SiteFacts { epoch_file: epoch_file(&path), ..super::site_facts(config) };
    let key = SigningKey::generate().map_err(InProcessError::from)?.0;
    let mut site = InProcess::open(config, &path, facts, key, Catalogue::default(), Time::default())?.with_tariffs_of(open()?);
    site.writer.replay_from(&stored)?;
    let mut replay = Replay { config, stored: &stored, site };
    stored.each_step(|step| replay.step(step))?;
    replay.site.flush()?;
    let replayed = replay.site.reader;
    Ok((stored, replayed))
}

struct Replay<'a> {
    config: &'a Config,
    stored: &'a Reader,
    site: InProcess,
}

impl Replay<'_> {
    fn step(&mut self, step: Step) -> Result<(), ReplayError> {
        match step {
            Step::Message(row) => self.message(&row)?,
            Step::Begin(begin) => {
                self.site.flush()?;
                self.site.at(begin.at);
                self.policy(&begin.tariffs)?;
                self.site.writer.replay_begin(&begin, self.stored)?;
            }
            Step::Tariffs(tariffs) => self.policy(&tariffs)?,
            Step::Token(token, listed) => {
                let (set, remove) = listed.map_or((Vec::new(), vec![token]), |listed| (vec![*listed], Vec::new()));
                let (actor, reason, at) = (String::new(), String::new(), self.site.now());
                let changes = TokenChanges { set, block: Vec::new(), remove, actor, reason, at };
                self.site.jobs.push(Job::Tokens(Box::new(changes), oneshot::channel().0));
            }
            Step::Registration(station, to) => {
                let (actor, reason, at) = (String::new(), String::new(), self.site.now());
                let registering = Registering { station, to, actor, reason, at };
                self.site.jobs.push(Job::Register(Box::new(registering), oneshot::channel().0));
            }
            Step::Correction { session, detail, at } => {
                self.site.flush()?;
                self.site.at(at);
                let prepared = correct::prepare_noted(&self.site.reader, self.config, &detail, at);
                let correction = prepared.map_err(|why| ReplayError::Correction(session, why))?;
                self.site.jobs.push(Job::Correct(Box::new(correction), oneshot::channel().0));
                self.site.flush()?;
            }
            Step::Verdict { session, at } => {
                self.site.flush()?;
                self.site.at(at);
                self.site.judge(session, &HashSet::new())?;
                self.site.flush()?;
            }
        }
        Ok(())
    }

    fn message(&mut self, row: &JournalRow) -> Result<(), ReplayError> {
        let at = row.received.at;
        if row.is_raw || row.is_boot {
            self.site.connect(&row.station, row.version, at);
            self.site.flush()?;
            self.site.at(at);
        }
        if row.is_raw {
            return Ok(self.site.writer.replay_raw(row)?);
        }
        if row.is_boot {
            self.site.writer.replay_heard(row);
        }
        let mended = row.bytes.as_deref().and_then(|bytes| ocpp::text(bytes).1);
        let frame =
            self.site.frame(&row.station, row.version, &row.text, mended.as_ref().zip(row.bytes.as_deref()), row.received)?;
        frame.map(drop).ok_or(ReplayError::Message(row.id))
    }

    fn policy(&mut self, tariffs: &[String]) -> Result<(), InProcessError> {
        let tariffs = tariffs.iter().map(|hash| Ok(self.site.tariff(hash)?.as_ref().clone()));
        let tariffs = tariffs.collect::<Result<Vec<_>, InProcessError>>()?;
        let policy = policy::of(self.config, Catalogue::new(tariffs)?);
        self.site.jobs.push(Job::Policy(Box::new(policy), oneshot::channel().0));
        self.site.flush()
    }
}

fn epoch_file(store: &Path) -> PathBuf {
    store.with_extension("epoch")
}

/// The signed texts, but for what is new each time.
fn compare_payloads(stored: &Reader, replayed: &Reader, differences: &mut Vec<String>) -> Result<(), StoreError> {
    let before = payloads(stored)?;
    for ((epoch, seq), payload) in payloads(replayed)? {
        let known = before.get(&(epoch, seq));
        if known != Some(&payload) && differences.len() < MAX_TOLD {
            differences.push(format!("record {epoch}/{seq}: stored {known:?}, the journal gives {payload:?}"));
        }
    }
    Ok(())
}

fn payloads(store: &Reader) -> Result<HashMap<(i64, u64), String>, StoreError> {
    let mut payloads = HashMap::new();
    let mut unreadable = None;
    store.each_page_of_records(None, |page| {
        for record in page {
            let place = (record.epoch, record.seq);
            let bytes = record.jws.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
            match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(payload) => drop(payloads.insert(place, without_chance(payload))),
                None => unreadable = Some(place),
            }
        }
    })?;
    match unreadable {
        Some((epoch, seq)) => Err(StoreError::Content(format!("record {epoch}/{seq} is no JWS"))),
        None => Ok(payloads),
    }
}

/// Without the values of `record_id` and `prev`, wherever they stand; as members they come before all that others wrote. Nor those of
/// the record that a correction answers, which stand at its end.
fn without_chance(payload: String) -> String {
    let value = |member: &str| Some(payload.split_once(member)?.1.split_once('"')?.0.to_owned());
    let answered = |member: &str| {
        let (_, corrects) = payload.rsplit_once("\"corrects\":{")?;
        Some(corrects.split_once(member)?.1.split_once('"')?.0.to_owned())
    };
    let chance = [value("\"record_id\":\""), value("\"prev\":\""), answered("\"record_id\":\""), answered("\"hash\":\"")];
    chance.into_iter().flatten().fold(payload, |payload, value| payload.replace(&value, ""))
}
