//! Opening: lock, pragmas, migrations, views, identity.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::epoch_file::{self, ChainEnd};
use super::epochs::{self, Home, Life, SiteFacts};
use super::errors::OpenError;
use super::file::StoreFile;
use super::{causes, doc, permissions, restore};
use crate::fact::{Context, LinePhase, Location, Measurand};
use crate::units::{Received, Time};

/// "FCRT": tells our file from any other SQLite file.
pub(super) const APPLICATION_ID: i32 = 0x4643_5254;
/// One entry per schema version, in order; never edited once released.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("schema.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql"), include_str!("schema_4.sql")];
const VIEWS: &str = include_str!("views.sql");
const BUSY: Duration = Duration::from_secs(5);

/// One store's life, an integer never used again: milliseconds at its creation.
pub type Epoch = i64;

/// An open store with its lock; the lock goes when this is dropped. The connection is dropped first.
pub(super) struct Opened {
    pub connection: Connection,
    pub life: Life,
    pub file: StoreFile,
}

/// Told once what the store knows of the time; answers with the first reading of our clock.
pub type Begin = Box<dyn FnOnce(Option<Time>) -> Received>;

/// Opens for writing, creating and migrating as needed.
pub(super) fn open_for_writing(path: &Path, facts: &SiteFacts, begin: Begin) -> Result<Opened, OpenError> {
    let at = |source| OpenError::File { path: path.to_owned(), source };
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let stored = |error| OpenError::of(path, error);
    let mut file = StoreFile::lock(path)?;
    file.make_durable().map_err(|source| OpenError::Unsure { path: path.to_owned(), source })?;
    let mut connection = Connection::open(path).map_err(sqlite)?;
    check_kind(&connection, path)?;
    check_site(&connection, path, &facts.site)?;
    prepare(&connection, path)?;
    migrate(&mut connection, path)?;
    let doubtful = |source| OpenError::EpochFile { path: facts.epoch_file.clone(), source };
    let epoch_file = epoch_file::read(&facts.epoch_file, &facts.site).map_err(doubtful)?;
    let home = Home { mark: file.mark().map_err(at)?, host: facts.host.clone() };
    let now = begin(restore::known_time(&connection).map_err(sqlite)?);
    let life = epochs::identify(&mut connection, facts, &home, epoch_file.as_ref(), now).map_err(stored)?;
    let (seq, hash) = restore::chain_tail(&connection, life.epoch).map_err(stored)?;
    epoch_file::write(&facts.epoch_file, &facts.site, &ChainEnd { epoch: life.epoch, seq, hash }).map_err(doubtful)?;
    epochs::note_epoch_file(&connection).map_err(sqlite)?;
    persist_wal(&connection);
    file.opened().map_err(at)?;
    permissions::check(path);
    Ok(Opened { connection, life, file })
}

/// Opens a store, live or not, for reading only. Never with `immutable=1`, which would silently miss what is in the WAL.
pub fn open_read_only(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sqlite)?;
    connection.busy_timeout(BUSY).map_err(sqlite)?;
    connection.pragma_update(None, "query_only", 1).map_err(sqlite)?;
    stable_plans(&connection).map_err(sqlite)?;
    let found = check_kind(&connection, path)?;
    if found < MIGRATIONS.len() {
        return Err(OpenError::Older { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    Ok(connection)
}

fn prepare(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let set = || {
        connection.busy_timeout(BUSY)?;
        let mode = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get::<_, String>(0))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", 1)?;
        // 16 MB of WAL between checkpoints: pages that every commit touches are copied back once, not four times.
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        connection.set_prepared_statement_cache_capacity(64);
        stable_plans(connection)?;
        let synchronous = connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))?;
        Ok((mode, synchronous))
    };
    match set() {
        Ok((mode, 2)) if mode == "wal" => Ok(()),
        Ok((mode, 2)) => Err(OpenError::NotWal { path: path.to_owned(), mode }),
        Ok((_, found)) => Err(OpenError::NotDurable { path: path.to_owned(), found }),
        Err(source) => Err(OpenError::Sqlite { path: path.to_owned(), source }),
    }
}

/// Plans do not depend on bound values. Otherwise SQLite compiles a cached statement again whenever a value changes that its
/// statistics might care about: a tenth of the daemon's time under load.
fn stable_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Ours, and not newer than we are. Returns the schema version; 0 for an empty file.
fn check_kind(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sqlite)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    if application != APPLICATION_ID && !(application == 0 && version == 0 && tables == 0) {
        return Err(OpenError::Foreign { path: path.to_owned(), found: application });
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(OpenError::Newer { path: path.to_owned(), found: version, known: MIGRATIONS.len() }),
    }
}

/// Another site's store is refused before anything in it is touched.
fn check_site(connection: &Connection, path: &Path, wanted: &str) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'site'";
    if connection.query_row(tables, [], |row| row.get::<_, i64>(0)).map_err(sqlite)? == 0 {
        return Ok(());
    }
    match connection.query_row("SELECT site FROM site", [], |row| row.get::<_, String>(0)).optional().map_err(sqlite)? {
        Some(found) if found != wanted => Err(OpenError::OtherSite { path: path.to_owned(), found, wanted: wanted.to_owned() }),
        _ => Ok(()),
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let version = check_kind(connection, path)?;
    let mut run = || {
        let transaction = connection.transaction()?;
        for step in &MIGRATIONS[version..] {
            transaction.execute_batch(step)?;
        }
        write_names(&transaction)?;
        write_views(&transaction)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
        transaction.commit()
    };
    run().map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })
}

/// Keeps `-wal` and `-shm` after a clean stop, so that another user's `sqlite3 -readonly` can still open the store.
#[allow(unsafe_code)]
fn persist_wal(connection: &Connection) {
    let mut on: std::ffi::c_int = 1;
    // SAFETY: the handle is open for the whole call, "main" is a static C string, and SQLITE_FCNTL_PERSIST_WAL reads and
    // writes one int through the pointer. A refusal only costs the convenience.
    unsafe {
        rusqlite::ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            rusqlite::ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut on).cast(),
        );
    }
}

/// The views are made anew at each start: a better view needs no migration.
fn write_views(connection: &Connection) -> rusqlite::Result<()> {
    let mut old = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")?;
    let names = old.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for name in names {
        connection.execute_batch(&format!("DROP VIEW \"{name}\""))?;
    }
    connection.execute_batch(&with_iso(&VIEWS.replace("CAUSES", &causes::sql())))?;
    connection.execute("DELETE FROM doc", [])?;
    for line in doc::lines() {
        connection.execute("INSERT INTO doc VALUES (?1, ?2, ?3, ?4)", line)?;
    }
    Ok(())
}

/// Replaces `ISO(expression)` by SQL that prints milliseconds as RFC 3339: plain SQLite has no function for it, and the views
/// must work in any `sqlite3`.
fn with_iso(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() * 2);
    let mut rest = sql;
    while let Some(start) = rest.find("ISO(") {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 4..];
        let mut depth = 1;
        let end = inner.find(|c| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        });
        let end = end.unwrap_or(inner.len());
        let value = &inner[..end];
        out.push_str(&format!(
            "strftime('%Y-%m-%dT%H:%M:%S', ({value}) / 1000, 'unixepoch') || \
             CASE WHEN ({value}) % 1000 = 0 THEN 'Z' ELSE printf('.%03dZ', ({value}) % 1000) END"
        ));
        rest = &inner[(end + 1).min(inner.len())..];
    }
    out + rest
}

fn write_names(connection: &Connection) -> rusqlite::Result<()> {
    let lists = [
        ("measurand", Measurand::NAMES),
        ("phase", LinePhase::NAMES),
        ("context", Context::NAMES),
        ("location", Location::NAMES),
    ];
    let mut insert = connection.prepare("INSERT OR REPLACE INTO name (list, code, text) VALUES (?1, ?2, ?3)")?;
    for (list, names) in lists {
        for (code, text) in names {
            insert.execute(params![list, code, text])?;
        }
    }
    for (code, text) in Measurand::NAMES {
        insert.execute(params!["unit", code, base_unit(text)])?;
    }
    Ok(())
}

/// The unit in which a measurand is kept.
fn base_unit(measurand: &str) -> &'static str {
    const UNITS: &[(&str, &str)] = &[
        ("Energy.Active", "Wh"),
        ("Energy.Reactive", "varh"),
        ("Energy.Apparent", "VAh"),
        ("Power.Reactive", "var"),
        ("Power.Factor", ""),
        ("Power", "W"),
        ("Current", "A"),
        ("Voltage", "V"),
        ("Frequency", "Hz"),
        ("Temperature", "Celsius"),
        ("SoC", "%"),
        ("RPM", "1/min"),
    ];
    UNITS.iter().find(|(prefix, _)| measurand.starts_with(prefix)).map_or("", |(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_prints_milliseconds_only_when_there_are_some() {
        let connection = Connection::open_in_memory().expect("memory");
        let text = |millis: i64| -> String {
            connection.query_row(&with_iso(&format!("SELECT ISO(coalesce({millis}, (0)))")), [], |row| row.get(0)).expect("query")
        };
        assert_eq!(text(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(text(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
    }
}
