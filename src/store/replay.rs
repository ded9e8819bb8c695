//! The journal again, step by step, into a fresh store: what a store holds follows from its journal, its notes (`notes.rs`), its
//! tariffs and the configuration, or it is not right.
//!
//! A replay takes its store through the same transactions as the daemon does, without the thread. What it takes over as it is, because
//! nothing follows from it: names and numbers of stations, epochs, tariff texts, rows that were kept without being understood by
//! the program of the day (`internal-error`), and texts that were cut.
//! Not for stores whose messages were written before schema 4: the journal did not say their versions.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row};

use super::jobs::Answered;
use super::jobs::Job;
use super::journal::Row as MessageRow;
use super::notes::{self, CORRECTION, REGISTRATION, TARIFFS, TOKEN, VERDICT};
use super::reader::Reader;
use super::timed_connection::VERIFYING;
use super::writer::Writer;
use super::{StoreError, clock, epochs};
use crate::fact::Registration;
use crate::session::hold;
use crate::station::ListedToken;
use crate::units::{Finding, Received, StationId, Time, Token, Version, time};

/// Rows of the journal read at a time.
const PAGE: i64 = 512;

/// One step, in the order in which they happened.
pub enum Step {
    Message(Box<JournalRow>),
    Begin(Begin),
    /// The versions in use from now on.
    Tariffs(Vec<String>),
    /// A token stands on the list like this, or not at all, from now on.
    Token(Token, Option<Box<ListedToken>>),
    /// A person decided on a station.
    Registration(String, Registration),
    /// An ended session was billed or held.
    Verdict {
        session: i64,
        at: Time,
    },
    /// A person corrected a bill; what was asked, as JSON.
    Correction {
        session: i64,
        detail: String,
        at: Time,
    },
}

/// Memory was read anew from the store.
pub struct Begin {
    pub at: Time,
    pub epoch: i64,
    pub tx_offset: i64,
    pub tariffs: Vec<String>,
}

/// A message as it stands in the journal.
pub struct JournalRow {
    pub id: i64,
    pub station: StationId,
    pub version: Version,
    pub received: Received,
    pub text: String,
    /// As received, when that was not UTF-8.
    pub bytes: Option<Vec<u8>>,
    pub is_boot: bool,
    pub heard_at: Option<Time>,
    /// It was kept, and nothing was made of it.
    pub is_raw: bool,
    action: Option<String>,
    answer: Option<String>,
    findings: Option<String>,
    /// Its machine panicked.
    panicked: bool,
}

impl Reader {
    /// Every step from which this store came to be.
    pub fn each_step<E: From<StoreError>>(&self, mut take: impl FnMut(Step) -> Result<(), E>) -> Result<(), E> {
        let mut notes = self.notes()?.into_iter().peekable();
        let mut last = 0;
        loop {
            let page = self.journal_page(last)?;
            let Some(end) = page.last() else { break };
            last = end.id;
            for message in page {
                while let Some((_, step)) = notes.next_if(|(after, _)| *after < message.id) {
                    take(step)?;
                }
                take(Step::Message(Box::new(message)))?;
            }
        }
        notes.try_for_each(|(_, step)| take(step))
    }

    fn journal_page(&self, after: i64) -> Result<Vec<JournalRow>, StoreError> {
        let sql = "SELECT m.id, s.name, m.version, m.received_at, m.clock_unproven, m.text, b.bytes, m.action, m.heard_at, m.answer, m.findings \
             FROM message m JOIN station s ON s.number = m.station LEFT JOIN message_bytes b ON b.message = m.id \
             WHERE m.id > ?1 ORDER BY m.id LIMIT ?2";
        let mut statement = self.reading.connection().prepare_cached(sql)?;
        let mut rows = statement.query([after, PAGE])?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            page.push(journal_row(row)?);
        }
        Ok(page)
    }

    fn notes(&self) -> Result<Vec<(i64, Step)>, StoreError> {
        let sql = "SELECT after_message, at, kind, session, epoch, tx_offset, detail FROM journal_note ORDER BY number";
        let mut statement = self.reading.connection_for(VERIFYING).prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut notes = Vec::new();
        while let Some(row) = rows.next()? {
            let at = time::from_millis(row.get(1)?);
            let tariffs = || -> Result<Vec<String>, StoreError> {
                let json: String = row.get(6)?;
                serde_json::from_str(&json).map_err(|error| StoreError::Content(format!("journal_note: {error}")))
            };
            let step = match row.get_ref(2)?.as_str().unwrap_or_default() {
                VERDICT => Step::Verdict { session: row.get(3)?, at },
                CORRECTION => Step::Correction { session: row.get(3)?, detail: row.get(6)?, at },
                TARIFFS => Step::Tariffs(tariffs()?),
                TOKEN => {
                    let read = notes::token_of(row.get_ref(6)?.as_str().unwrap_or_default());
                    let (token, listed) = read.ok_or_else(|| StoreError::Content("journal_note: no token".to_owned()))?;
                    Step::Token(token, listed.map(Box::new))
                }
                REGISTRATION => {
                    let read = notes::registration_of(row.get_ref(6)?.as_str().unwrap_or_default());
                    let (station, to) = read.ok_or_else(|| StoreError::Content("journal_note: no registration".to_owned()))?;
                    Step::Registration(station, to)
                }
                _ => Step::Begin(Begin { at, epoch: row.get(4)?, tx_offset: row.get(5)?, tariffs: tariffs()? }),
            };
            notes.push((row.get(0)?, step));
        }
        Ok(notes)
    }

    fn copy(&self, sql: &str) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut statement = self.reading.connection_for(VERIFYING).prepare(sql)?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|column| row.get(column)).collect())?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn journal_row(row: &Row<'_>) -> Result<JournalRow, StoreError> {
    let (id, version): (i64, Option<String>) = (row.get(0)?, row.get(2)?);
    let version = version.and_then(|version| Version::from_number(&version));
    let version =
        version.ok_or_else(|| StoreError::Content(format!("message {id} is of before schema 4: its version is not known")))?;
    let (action, findings): (Option<String>, Option<String>) = (row.get(7)?, row.get(10)?);
    let found = |code: &str| findings.as_ref().is_some_and(|findings| findings.contains(&format!("\"code\":\"{code}\"")));
    let panicked = found(hold::INTERNAL);
    Ok(JournalRow {
        id,
        station: StationId::new(&row.get::<_, String>(1)?),
        version,
        received: Received { at: time::from_millis(row.get(3)?), proven: row.get::<_, Option<bool>>(4)? != Some(true) },
        text: row.get(5)?,
        bytes: row.get(6)?,
        is_boot: action.as_deref() == Some("BootNotification"),
        heard_at: row.get::<_, Option<i64>>(8)?.map(time::from_millis),
        is_raw: panicked || found("text-cut"),
        action,
        answer: row.get(9)?,
        panicked,
        findings,
    })
}

impl Writer {
    /// Takes over what a replay rests on beside the steps.
    pub fn replay_from(&mut self, stored: &Reader) -> Result<(), StoreError> {
        for (read, write) in [
            (
                "SELECT hash, id, json, loaded_at FROM tariff",
                "INSERT OR REPLACE INTO tariff (hash, id, json, loaded_at) VALUES (?1, ?2, ?3, ?4)",
            ),
            (
                "SELECT number, name, first_seen_at, proven_at, first_registration FROM station",
                "INSERT INTO station (number, name, first_seen_at, proven_at, first_registration) VALUES (?1, ?2, ?3, ?4, ?5)",
            ),
        ] {
            for values in stored.copy(read)? {
                self.connection.execute(write, rusqlite::params_from_iter(values))?;
            }
        }
        // The epoch of this file itself; those of the replayed store come with their steps.
        self.connection.execute("DELETE FROM epoch", [])?;
        Ok(())
    }

    /// Applies jobs as one group, in the place of the thread.
    pub fn replay_jobs(&mut self, jobs: Vec<Job>) -> Result<(), StoreError> {
        let mut group = jobs;
        self.transaction(&mut group)
    }

    /// The signs of life of a station that boots next; not all of them have a row.
    pub fn replay_heard(&mut self, row: &JournalRow) {
        self.machine.set_heard_before_boot(&row.station, row.heard_at);
    }

    /// Memory begins anew, perhaps in another epoch.
    pub fn replay_begin(&mut self, begin: &Begin, stored: &Reader) -> Result<(), StoreError> {
        let known = self.connection.query_row("SELECT 1 FROM epoch WHERE epoch = ?1", [begin.epoch], |_| Ok(())).optional()?;
        if known.is_none() {
            let sql = "SELECT epoch, began_at, reason, detail, name_day, name_from FROM epoch";
            for values in stored.copy(sql)? {
                if values.first() != Some(&Value::Integer(begin.epoch)) {
                    continue;
                }
                if let Some(Value::Text(detail)) = values.get(3) {
                    epochs::hold_waiting(&self.connection, detail)?;
                }
                let write =
                    "INSERT INTO epoch (epoch, began_at, reason, detail, name_day, name_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                self.connection.execute(write, rusqlite::params_from_iter(values))?;
            }
        }
        self.connection.execute("UPDATE site SET epoch = ?1, tx_offset = ?2", [begin.epoch, begin.tx_offset])?;
        clock::shorten_waits(&self.connection, begin.at)?;
        self.restore()
    }

    /// A row of which nothing was made, as it is.
    pub fn replay_raw(&mut self, row: &JournalRow) -> Result<(), StoreError> {
        let station = self.station(&row.station, row.received.at)?.number;
        let answer = row.answer.clone().map_or(Answered::Silence, Answered::Frame);
        let findings: Vec<Finding> = row.findings.as_deref().map(super::sessions::findings).unwrap_or_default();
        let message = MessageRow {
            station,
            version: row.version,
            received: row.received,
            action: row.action.as_deref(),
            text: &row.text,
            answer: &answer,
            findings: &findings,
            heard_at: row.heard_at,
        };
        self.insert(&message, None)?;
        if row.panicked { self.reload(&row.station) } else { Ok(()) }
    }
}

/// What is compared of a store and its replay.
struct Table {
    what: &'static str,
    /// Rows in an order of their own; the first column names the row for a person.
    sql: &'static str,
}

/// Everything that is derived. Not here: the record itself (`jws`, `hash`, `prev`, `record_id`), which carries a signature and an
/// id that are new each time; its payload is compared by the caller.
const TABLES: [Table; 3] = [
    Table {
        what: "message",
        sql: "SELECT row_number() OVER (ORDER BY id) AS place, station, received_at, session, phase, evse, seq_no, reported_at, charging, register, \
              readings, findings, action, answer, text, clock_unproven, version, heard_at, checksum FROM message ORDER BY id",
    },
    Table { what: "session", sql: "SELECT * FROM session ORDER BY number" },
    Table {
        what: "record",
        sql: "SELECT seq, epoch, kind, session, created_at, station, energy_wh, cost_excl_vat, cost_incl_vat, currency, lines \
              FROM record ORDER BY epoch, seq",
    },
];

/// Where two stores differ, each as a sentence; at most `limit`.
pub fn compare(stored: &Reader, replayed: &Reader, limit: usize) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    for Table { what, sql } in TABLES {
        let columns: Vec<String> = stored.reading.connection().prepare(sql)?.column_names().map(str::to_owned).collect();
        let (before, after) = (stored.copy(sql)?, replayed.copy(sql)?);
        if before.len() != after.len() {
            differences.push(format!("{what}: {} rows are stored, {} follow from the journal", before.len(), after.len()));
        }
        for (before, after) in before.iter().zip(&after) {
            for ((column, one), other) in columns.iter().zip(before).zip(after) {
                if one != other && differences.len() < limit {
                    let name = &before[0];
                    differences.push(format!("{what} {name:?}, {column}: stored {one:?}, the journal gives {other:?}"));
                }
            }
        }
    }
    Ok(differences)
}
