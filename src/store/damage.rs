//! What of the file is not as it was written, for `verify --all`.
//!
//! The journal is read in windows of [`WINDOW`] numbers, several at a time, each over a connection of its own; what is found comes out in the
//! order of the rows, whoever read them. Limit: [`MAX_TOLD`] rows of a window are named, the others counted.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::checksum::{MESSAGE, MESSAGE_WIDTH, Text, holds};
use super::timed_connection::{Reading, VERIFYING};
use super::{StoreError, sessions};

const WINDOW: i64 = 10_000;
const MAX_TOLD: usize = 100;

/// What is wrong, each as a sentence.
#[derive(Debug, Default)]
pub struct Damage {
    pub told: Vec<String>,
    /// Not named any more.
    pub more: usize,
}

impl Damage {
    fn tell(&mut self, text: String) {
        if self.told.len() < MAX_TOLD { self.told.push(text) } else { self.more += 1 }
    }
}

/// A part of the work. In this order its findings come out.
#[derive(Clone, Copy)]
enum Task {
    /// What SQLite finds wrong with its structure.
    Structure,
    /// Messages from the first number on, before the second.
    Messages(i64, i64),
    Sessions,
}

/// Where to begin: what a record rests on that came before is not read, nor the structure of the file.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    pub message: i64,
}

/// Every row that is not as it was written. `progress`: parts done, and parts in all.
pub fn damage(
    path: &Path,
    since: Option<Since>,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Damage>, StoreError> {
    let open = || Reading::open(path, VERIFYING).map_err(|error| StoreError::Content(error.to_string()));
    let tasks = tasks(open()?.connection(), since)?;
    let (next, done, found) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<(), StoreError> {
        let reading = open()?;
        while let Some((place, task)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, tasks.get(at)?))) {
            let mut damage = Damage::default();
            run(*task, reading.connection(), &mut |text| damage.tell(text))?;
            found.lock().unwrap_or_else(PoisonError::into_inner).push((place, damage));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, tasks.len());
        }
        Ok(())
    };
    let ended: Vec<Result<(), StoreError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let lost = |_| Err(StoreError::Content("a thread of the verification ended early".to_owned()));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(lost)).collect()
    });
    ended.into_iter().collect::<Result<(), _>>()?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, damage)| damage).collect())
}

fn tasks(connection: &Connection, since: Option<Since>) -> Result<Vec<Task>, StoreError> {
    let mut tasks = if since.is_none() { vec![Task::Structure] } else { Vec::new() };
    // From row to row that is there: a number that damage made very large must not be counted up to.
    let mut next = connection.prepare("SELECT min(id) FROM message WHERE id >= ?1")?;
    let mut from = since.map_or(i64::MIN, |since| since.message);
    while let Some(first) = next.query_row([from], |row| row.get::<_, Option<i64>>(0))? {
        from = first.saturating_add(WINDOW);
        tasks.push(Task::Messages(first, from));
        if from == i64::MAX {
            break;
        }
    }
    tasks.push(Task::Sessions);
    Ok(tasks)
}

fn run(task: Task, connection: &Connection, tell: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    match task {
        Task::Structure => {
            let mut check = connection.prepare("PRAGMA integrity_check(20)")?;
            let mut found = check.query([])?;
            while let Some(row) = found.next()? {
                let Text(line) = row.get(0)?;
                if line != "ok" {
                    tell(format!("the file: {line}"));
                }
            }
            Ok(())
        }
        Task::Messages(from, before) => {
            let sql = format!("SELECT id, checksum, {MESSAGE} FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id");
            let mut messages = connection.prepare_cached(&sql)?;
            let mut rows = messages.query([from, before])?;
            while let Some(row) = rows.next()? {
                message(row, row.get(0)?, tell);
            }
            Ok(())
        }
        Task::Sessions => sessions::damaged(connection, tell),
    }
}

fn message(row: &Row<'_>, id: i64, tell: &mut dyn FnMut(String)) {
    let is_broken = |column| matches!(row.get_ref(column), Ok(ValueRef::Text(text)) if std::str::from_utf8(text).is_err());
    if !holds(row, 1, 2).unwrap_or(false) {
        tell(format!("message {id}: its row was altered on the disk"));
    } else if (2..2 + MESSAGE_WIDTH).any(is_broken) {
        tell(format!("message {id}: its text is not UTF-8"));
    }
}
