//! Messages become journal rows, with all that follows from them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, params, params_from_iter};
use tracing::{debug, error, info, warn};

use super::bounds::{self, Place};
use super::jobs::{Answered, Content, Keep, Message, QueuedCall};
use super::known_station::KnownStation;
use super::repeats::hash;
use super::writer::{Outcome, Writer};
use super::{StoreError, checksum, restore, samples_json, sessions};
use crate::fact::register::register_of;
use crate::fact::{ChargingState, Fact, Request};
use crate::session::{self, Evidence, State, hold};
use crate::station::{Change, Effects};
use crate::units::{Finding, Received, StationId, Time, Version, time};

/// Stations kept in memory; beyond it unknown stations are let go first, then the one that was silent for the longest time.
const MAX_STATIONS: usize = 10_000;
/// `station.last_message_at` may lag by this much, to spare a row write per message.
const LAST_MESSAGE_LAG_MS: i64 = 30_000;

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places = (1..=checksum::MESSAGE_WIDTH + 1).map(|place| format!("?{place}")).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO message ({}, checksum) VALUES ({places})", checksum::MESSAGE)
});

/// What a message comes to.
#[derive(Default)]
struct Decided {
    answer: Answered,
    changes: Vec<Change>,
    evidence: Option<Evidence>,
    requests: Vec<Request>,
    findings: Vec<Finding>,
    heard_at: Option<Time>,
}

/// A row of the journal, beside the evidence.
pub(super) struct Row<'a> {
    pub(super) station: i64,
    pub(super) version: Version,
    pub(super) received: Received,
    pub(super) action: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) answer: &'a Answered,
    pub(super) findings: &'a [Finding],
    /// BootNotification: when the station was heard last before.
    pub(super) heard_at: Option<Time>,
}

impl Writer {
    /// Journals a message with all that follows from it.
    pub(super) fn message(
        &mut self,
        mut message: Message,
        outcome: &mut Outcome,
    ) -> Result<(Answered, Vec<QueuedCall>), StoreError> {
        let received = message.received;
        let at = received.at;
        let station = self.station(&message.station, at)?.number;
        self.seen(&message.station, at)?;
        let id_hash = message.repeatable.as_deref().map(hash);
        if let Some(answer) = self.repeat(&message, id_hash)? {
            outcome.tally.repeats += 1;
            return Ok((answer, Vec::new()));
        }
        if let Some(refused) = self.bounded(&mut message)? {
            outcome.tally.left_out += 1;
            return Ok((refused, Vec::new()));
        }
        let action = message.action.as_deref();
        let Decided { answer, changes, evidence, requests, mut findings, heard_at } =
            self.decide(&message.station, station, action, received, message.version, message.content)?;
        findings.splice(0..0, message.findings);
        self.tell(&message.station, action, &findings);
        outcome.tally.findings.extend(findings.iter().map(|finding| finding.code.clone()));
        let (version, text) = (message.version, &message.text);
        let row = Row { station, version, received, action, text, answer: &answer, findings: &findings, heard_at };
        let row = self.insert(&row, evidence.as_ref())?;
        if let Some(bytes) = &message.bytes {
            self.connection
                .prepare_cached("INSERT INTO message_bytes (message, bytes) VALUES (?1, ?2)")?
                .execute(params![row, bytes])?;
        }
        if self.stations.get(&message.station).is_some_and(|station| !station.proven) {
            self.note_noise(station, row)?;
        }
        if !matches!(answer, Answered::Unanswered) {
            self.remember(&message.station, id_hash, row);
        }
        for change in changes {
            self.change(&message.station, station, change, at, outcome)?;
        }
        let calls = self.ask(&message.station, message.version, &requests, at)?;
        Ok((answer, calls))
    }

    /// What a station answered to a call of our own; returns what to ask next. The answer is kept with its call.
    pub(super) fn said(
        &mut self,
        id: &StationId,
        version: Version,
        fact: Fact,
        received: Received,
        outcome: &mut Outcome,
    ) -> Result<Vec<QueuedCall>, StoreError> {
        let station = self.station(id, received.at)?.number;
        let effects = self.machine.handle(id, version, fact, received);
        for change in effects.changes {
            self.change(id, station, change, received.at, outcome)?;
        }
        self.ask(id, version, &effects.requests, received.at)
    }

    /// What of a message is kept. `Some`: nothing, and this is what comes back.
    fn bounded(&mut self, message: &mut Message) -> Result<Option<Answered>, StoreError> {
        let (id, at) = (&message.station, message.received.at);
        let (answer, keep) = match &mut message.content {
            Content::Fact { .. } => return self.prove(id, at).map(|()| None),
            Content::Fixed { answer, keep } => (answer, *keep),
        };
        match self.place(id, keep, at)? {
            Place::Row => {}
            Place::LeftOut => return Ok(Some(Answered::of(answer.take()))),
            Place::Unanswered => return Ok(Some(Answered::Unanswered)),
        }
        let number = self.station(id, at)?.number;
        for finding in message.findings.iter().filter(|finding| finding.code == "broken-frame") {
            self.problem("broken-frame", Some(number), "", &finding.detail, at)?;
        }
        if keep == Keep::Sparingly && message.text.len() > bounds::MAX_TEXT {
            let end = message.text.floor_char_boundary(bounds::MAX_TEXT);
            message.findings.push(Finding::new("text-cut", format!("{end} of {} bytes are kept", message.text.len())));
            message.text.truncate(end);
            message.bytes = None;
        }
        Ok(None)
    }

    /// Lets the machine say what a message means. If it panics, its memory of the station is read anew from the transaction.
    fn decide(
        &mut self,
        id: &StationId,
        station: i64,
        action: Option<&str>,
        received: Received,
        version: Version,
        content: Content,
    ) -> Result<Decided, StoreError> {
        let at = received.at;
        let (fact, encode) = match content {
            Content::Fixed { answer, .. } => {
                return Ok(Decided { answer: Answered::of(answer), ..Decided::default() });
            }
            Content::Fact { fact, encode } => (fact, encode),
        };
        if let Some(lookup) = self.machine.lookup(id, &fact) {
            for session in sessions::find(&self.connection, id, &lookup)? {
                self.machine.load(session);
            }
        }
        let heard_at = matches!(fact, Fact::Boot(_)).then(|| self.machine.heard_before_boot(id, at)).flatten();
        let machine = &mut self.machine;
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let effects = machine.handle(id, version, fact, received);
            let frame = encode(&effects.answer);
            (effects, frame)
        }));
        if let Ok((effects, frame)) = decided {
            let Effects { evidence, changes, requests, findings, .. } = effects;
            return Ok(Decided { answer: Answered::of(frame), changes, evidence, requests, findings, heard_at });
        }
        error!(station = %id, "a message made the session machine panic; it is journaled");
        self.problem(hold::INTERNAL, Some(station), action.unwrap_or(""), "the message is in the journal, unanswered", at)?;
        self.reload(id)?;
        Ok(Decided { findings: vec![Finding::new(hold::INTERNAL, hold::meaning(hold::INTERNAL))], ..Decided::default() })
    }

    /// The machine's memory of a station begins anew from the store.
    pub(super) fn reload(&mut self, id: &StationId) -> Result<(), StoreError> {
        let open = sessions::open_sessions_of(&self.connection, id)?;
        self.machine.evict(id);
        open.into_iter().for_each(|session| self.machine.load(session));
        for (station, evse, in_use) in restore::connectors(&self.connection, Some(id))? {
            self.machine.load_connector(&station, evse, in_use);
        }
        Ok(())
    }

    /// Each kind of oddity of a station is worth one warning; the journal has every one.
    fn tell(&mut self, station: &StationId, action: Option<&str>, findings: &[Finding]) {
        for finding in findings {
            if self.stations.get_mut(station).is_some_and(|known| known.first(&finding.code)) {
                warn!(%station, action, finding = %finding.code, detail = %finding.detail, "odd message");
            } else {
                debug!(%station, action, finding = %finding.code, detail = %finding.detail, "odd message");
            }
        }
    }

    pub(super) fn insert(&self, row: &Row<'_>, entry: Option<&Evidence>) -> Result<i64, StoreError> {
        let Row { station, version, received, action, text, answer, findings, heard_at } = row;
        let readings = entry.and_then(|entry| samples_json::to_text(&entry.readings));
        let findings = sessions::findings_text(findings);
        let register = entry.and_then(|entry| entry.readings.iter().rev().find_map(register_of));
        let int = |number: Option<i64>| number.map_or(ValueRef::Null, ValueRef::Integer);
        fn word(word: Option<&str>) -> ValueRef<'_> {
            word.map_or(ValueRef::Null, |word| ValueRef::Text(word.as_bytes()))
        }
        // As `checksum::MESSAGE` names them.
        let values: [ValueRef<'_>; checksum::MESSAGE_WIDTH] = [
            int(Some(*station)),
            int(Some(time::to_millis(received.at))),
            int(entry.and_then(|entry| entry.session)),
            int(entry.map(|entry| entry.phase.code().into())),
            int(entry.map(|entry| entry.evse.into())),
            int(entry.and_then(|entry| entry.seq_no)),
            int(entry.and_then(|entry| entry.reported_at).map(time::to_millis)),
            word(entry.and_then(|entry| entry.charging).map(ChargingState::as_str)),
            int(register.map(|register| register.0)),
            word(readings.as_deref()),
            word(findings.as_deref()),
            word(*action),
            word(answer.frame()),
            word(Some(text)),
            int((!received.proven).then_some(1)),
            word(Some(version.number())),
            int(heard_at.map(time::to_millis)),
        ];
        let sum = ToSqlOutput::from(checksum::of(values));
        let mut insert = self.connection.prepare_cached(&INSERT)?;
        insert.execute(params_from_iter(values.into_iter().map(ToSqlOutput::Borrowed).chain([sum])))?;
        Ok(self.connection.last_insert_rowid())
    }

    fn change(
        &mut self,
        id: &StationId,
        station: i64,
        change: Change,
        at: Time,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let connection = &self.connection;
        match change {
            Change::Session(session::Change::Opened(session)) => {
                outcome.due |= !session.is_open();
                outcome.tally.sessions_opened += 1;
                info!(station = %session.station, session = %session.id, tx = %session.tx, evse = session.evse, "session opened");
                sessions::insert(connection, station, &session)?;
            }
            Change::Session(session::Change::Updated(session)) => {
                if !session.is_open() {
                    outcome.due = true;
                    let held = match &session.state {
                        State::Held { reason } => Some(reason.as_str()),
                        State::Open | State::Ended { .. } => None,
                    };
                    info!(station = %session.station, session = %session.id, held, "session ended");
                }
                sessions::update(connection, &session)?;
            }
            Change::Booted(boot) => {
                // After a reboot a station without a clock may send the very text of an earlier session again.
                for known in self.stations.values_mut().filter(|known| known.number == station) {
                    known.remembered.clear();
                }
                connection
                    .prepare_cached(
                        "UPDATE station SET vendor = ?2, model = ?3, serial = ?4, firmware = ?5, meter_serial = coalesce(?6, meter_serial), booted_at = ?7 \
                         WHERE number = ?1",
                    )?
                    .execute(params![station, boot.vendor, boot.model, boot.serial, boot.firmware, boot.meter_serial, time::to_millis(at)])?;
            }
            Change::Connector(status) => self.connector(id, station, &status, at)?,
            Change::Problem { kind, subject, detail } => self.problem(kind, Some(station), &subject, &detail, at)?,
        }
        Ok(())
    }

    pub(super) fn station(&mut self, id: &StationId, at: Time) -> Result<&mut KnownStation, StoreError> {
        if !self.stations.contains_key(id) {
            let known: Option<(i64, bool)> = self
                .connection
                .prepare_cached("SELECT number, proven_at IS NOT NULL FROM station WHERE name = ?1")?
                .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (number, proven) = match known {
                Some(known) => known,
                None => {
                    self.drop_unknown_stations()?;
                    self.connection
                        .prepare_cached("INSERT INTO station (name, first_seen_at) VALUES (?1, ?2)")?
                        .execute(params![id.as_str(), time::to_millis(at)])?;
                    (self.connection.last_insert_rowid(), false)
                }
            };
            self.make_room();
            let mut station = KnownStation::new(number);
            station.proven = proven;
            self.stations.insert(id.clone(), station);
        }
        self.stations.get_mut(id).ok_or_else(|| StoreError::Content(format!("station {id} vanished")))
    }

    /// Unknown stations must not push out what is remembered of stations.
    fn make_room(&mut self) {
        if self.stations.len() < MAX_STATIONS {
            return;
        }
        self.stations.retain(|_, station| station.proven);
        if self.stations.len() >= MAX_STATIONS {
            let silent = self.stations.iter().min_by_key(|(_, station)| station.last_message_at).map(|(id, _)| id.clone());
            silent.map(|id| self.stations.remove(&id));
        }
    }

    pub(super) fn seen(&mut self, id: &StationId, at: Time) -> Result<(), StoreError> {
        let now = time::to_millis(at);
        self.tell_left_out(id, false, at)?;
        let station = self.station(id, at)?;
        station.last_message_at = Some(now);
        if (now - station.written_at).abs() < LAST_MESSAGE_LAG_MS {
            return Ok(());
        }
        station.written_at = now;
        let number = station.number;
        self.connection
            .prepare_cached("UPDATE station SET last_message_at = ?2 WHERE number = ?1")?
            .execute(params![number, now])?;
        Ok(())
    }
}
