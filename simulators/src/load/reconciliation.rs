//! After a run the server's store is compared with what the generator says was answered. A server that lost, doubled or
//! miscounted anything has no figure.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::Report;
use super::servers::Contender;

/// Forecourt's promised views (docs/operating.md, "The store"), and all the benchmark knows of its store.
pub mod forecourt {
    /// Messages from stations; Heartbeats are not journaled.
    pub const MESSAGES: &str = "SELECT count(*) FROM v_message WHERE direction = 'in'";
    /// Sessions that are over and need nothing more, and their energy.
    pub const SESSIONS: &str = "SELECT count(*), coalesce(sum(energy_wh), 0) FROM v_session WHERE state = 'done'";
    /// Signed billing records.
    pub const RECORDS: &str = "SELECT count(*) FROM v_record WHERE kind = 'charge'";
}

const RECORDS_S: u64 = 60;
const LOOK_AGAIN_MS: u64 = 100;

/// Waits until every answered session has its record, which may be made after the answer; says how long that took.
pub fn await_records(contender: Contender, store: &Path, report: &Report) -> Result<Duration> {
    let start = Instant::now();
    if contender != Contender::Forecourt || report.sessions == 0 {
        return Ok(start.elapsed());
    }
    let connection = open(store)?;
    loop {
        let records = count(&connection, forecourt::RECORDS)?;
        if records >= report.sessions {
            return Ok(start.elapsed());
        }
        if start.elapsed() > Duration::from_secs(RECORDS_S) {
            bail!("{records} records {RECORDS_S} s after {} sessions ended{}", report.sessions, session_states(&connection));
        }
        sleep(Duration::from_millis(LOOK_AGAIN_MS));
    }
}

/// Compares the store, after the server has stopped, with the report.
pub fn check(contender: Contender, store: &Path, report: &Report) -> Result<()> {
    match contender {
        Contender::Echo => Ok(()),
        Contender::Durable => check_baseline(store, report),
        Contender::Forecourt => check_forecourt(store, report),
    }
}

fn check_baseline(store: &Path, report: &Report) -> Result<()> {
    let connection = open(store)?;
    let mut statement = connection.prepare("SELECT text FROM message")?;
    let mut rows = statement.query([])?;
    let mut stored = BTreeMap::<String, u64>::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str()?;
        let action = text.split('"').nth(3).context("stored text is no CALL")?;
        match stored.get_mut(action) {
            Some(count) => *count += 1,
            None => drop(stored.insert(action.to_owned(), 1)),
        }
    }
    ensure!(stored == report.answered, "store holds {stored:?}, answered were {:?}", report.answered);
    Ok(())
}

fn check_forecourt(store: &Path, report: &Report) -> Result<()> {
    let connection = open(store)?;
    let messages = count(&connection, forecourt::MESSAGES)?;
    // Heartbeats are answered without a row. The generator's refusals of the server's own CALLs may be journaled as well.
    let due = report.answered_total - report.answered.get("Heartbeat").copied().unwrap_or(0);
    ensure!(
        (due..=due + report.server_calls).contains(&messages),
        "store holds {messages} incoming messages, answered were {due} besides heartbeats",
    );
    let (sessions, energy): (i64, Value) = connection.query_row(forecourt::SESSIONS, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    ensure!(
        u64::try_from(sessions) == Ok(report.sessions),
        "store holds {sessions} done sessions, completed were {}{}",
        report.sessions,
        session_states(&connection)
    );
    let energy_matches = match &energy {
        Value::Integer(energy_wh) => u64::try_from(*energy_wh) == Ok(report.energy_wh),
        // Sums of whole watt hours are exact in a float up to 2^53.
        Value::Real(energy_wh) => *energy_wh == report.energy_wh as f64,
        _ => false,
    };
    ensure!(energy_matches, "store holds {energy:?} Wh, metered were {}", report.energy_wh);
    let records = count(&connection, forecourt::RECORDS)?;
    ensure!(records == report.sessions, "store holds {records} charge records, completed sessions were {}", report.sessions);
    Ok(())
}

fn open(store: &Path) -> Result<Connection> {
    Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("cannot open {}", store.display()))
}

fn count(connection: &Connection, query: &str) -> Result<u64> {
    let number: i64 = connection.query_row(query, [], |row| row.get(0)).with_context(|| query.to_owned())?;
    Ok(u64::try_from(number)?)
}

/// For the message only: how many sessions are in which state.
fn session_states(connection: &Connection) -> String {
    let mut text = String::new();
    if let Ok(mut statement) = connection.prepare("SELECT state, count(*) FROM v_session GROUP BY state")
        && let Ok(rows) = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
    {
        for (state, count) in rows.flatten() {
            text.push_str(&format!("; {state}: {count}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(answered: u64, sessions: u64, energy_wh: u64) -> Result<Report> {
        Ok(serde_json::from_value(serde_json::json!({
            "version": "1.6", "mode": "closed", "stations": 1, "seconds": 1.0, "messages": 0, "per_second": 0.0, "p50_us": 0,
            "p99_us": 0, "max_us": 0, "server": null, "answered": {"MeterValues": answered}, "answered_total": answered,
            "sessions": sessions, "energy_wh": energy_wh, "server_calls": 0, "error_count": 0, "errors": []
        }))?)
    }

    #[test]
    fn a_lost_row_is_found() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = dir.path().join("store.db");
        let connection = Connection::open(&store)?;
        connection.execute_batch(
            r#"CREATE TABLE message (seq INTEGER PRIMARY KEY, station TEXT, text TEXT);
               INSERT INTO message VALUES (1, 's', '[2,"a","MeterValues",{}]');"#,
        )?;
        assert!(check(Contender::Durable, &store, &report(1, 0, 0)?).is_ok());
        assert!(check(Contender::Durable, &store, &report(2, 0, 0)?).is_err());
        assert!(check(Contender::Echo, Path::new("/nonexistent"), &report(2, 0, 0)?).is_ok());
        Ok(())
    }

    #[test]
    fn forecourt_is_read_by_its_views() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = dir.path().join("store.db");
        let connection = Connection::open(&store)?;
        connection.execute_batch(
            "CREATE TABLE v_message (direction TEXT); INSERT INTO v_message VALUES ('in'), ('in'), ('out');
             CREATE TABLE v_session (state TEXT, energy_wh); INSERT INTO v_session VALUES ('done', 630), ('open', 5);
             CREATE TABLE v_record (kind TEXT); INSERT INTO v_record VALUES ('charge'), ('day-close');",
        )?;
        assert!(await_records(Contender::Forecourt, &store, &report(2, 1, 630)?).is_ok());
        assert!(check(Contender::Forecourt, &store, &report(2, 1, 630)?).is_ok());
        for wrong in [report(3, 1, 630)?, report(2, 2, 630)?, report(2, 1, 631)?, report(1, 1, 630)?] {
            assert!(check(Contender::Forecourt, &store, &wrong).is_err());
        }
        Ok(())
    }
}
