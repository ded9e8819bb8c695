//! Sessions as the daemon's store shows them while it runs: the promised view, read-only, a few times a second.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rusqlite::{Connection, OpenFlags, Row};

/// Between two lines about the progress of one session.
const PROGRESS: Duration = Duration::from_secs(3);
/// Simulated: readings come more often than that while a car charges.
const STANDSTILL: Duration = Duration::from_secs(600);
/// Simulated: a session that ended longer ago is not looked at any more.
const LOOK_BACK: TimeDelta = TimeDelta::days(2);

const SESSIONS: &str = "SELECT s.session_id, s.station, s.state, CAST(coalesce(s.energy_wh, 0) AS INTEGER), s.started_at, \
     s.stopped_at, s.hold_reason, st.connected FROM v_session s JOIN v_station st USING (station) \
     WHERE s.state = 'open' OR s.stopped_at >= ?1 ORDER BY s.session_id";

pub struct Watch {
    store: Connection,
    /// Real time without a new reading, after which a car charges no more.
    standstill: Duration,
    shown: HashMap<String, Shown>,
}

/// What was shown last of a session.
struct Shown {
    change: Change,
    energy_wh: i64,
    at: Instant,
}

#[derive(Debug)]
pub struct Session {
    pub id: String,
    pub station: String,
    state: String,
    pub energy_wh: i64,
    pub started_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    hold_reason: Option<String>,
    connected: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Started,
    Charging,
    NotCharging,
    /// The station is not connected.
    Offline,
    Stopped,
    Held(String),
}

impl Watch {
    pub fn open(store: &Path, speed: u32) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Connection::open_with_flags(store, flags).context("the store cannot be read")?;
        store.busy_timeout(Duration::from_secs(2))?;
        let standstill = PROGRESS.max(STANDSTILL / speed.max(1));
        Ok(Self { store, standstill, shown: HashMap::new() })
    }

    /// What has changed since the last look, worth a line each.
    pub fn look(&mut self, now: DateTime<Utc>) -> Result<Vec<(Session, Change)>> {
        let since = (now - LOOK_BACK).to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut statement = self.store.prepare_cached(SESSIONS)?;
        let sessions = statement.query_map([since], read)?.collect::<Result<Vec<_>, _>>()?;
        let seen: HashSet<&str> = sessions.iter().map(|session| session.id.as_str()).collect();
        self.shown.retain(|id, _| seen.contains(id.as_str()));
        let mut lines = Vec::new();
        for session in sessions {
            if let Some(change) = change(self.shown.get(&session.id), &session, self.standstill) {
                let shown = Shown { change: change.clone(), energy_wh: session.energy_wh, at: Instant::now() };
                self.shown.insert(session.id.clone(), shown);
                lines.push((session, change));
            }
        }
        Ok(lines)
    }

    /// Why a transaction is held, if it is.
    pub fn held(&self, station: &str, tx: &str) -> Option<String> {
        let sql = "SELECT hold_reason FROM v_session WHERE station = ?1 AND transaction_id = ?2 AND state = 'held'";
        self.store.query_row(sql, [station, tx], |row| row.get(0)).ok()
    }

    /// Records that head office has not acknowledged.
    pub fn outbox(&self) -> Result<u64> {
        Ok(self.store.query_row("SELECT count(*) FROM v_outbox", [], |row| row.get(0))?)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Session> {
    let time = |text: Option<String>| text.and_then(|text| text.parse().ok());
    Ok(Session {
        id: row.get(0)?,
        station: row.get(1)?,
        state: row.get(2)?,
        energy_wh: row.get(3)?,
        started_at: time(row.get(4)?),
        stopped_at: time(row.get(5)?),
        hold_reason: row.get(6)?,
        connected: row.get(7)?,
    })
}

/// A start, a stop and a hold at once; progress now and then; standing still once.
fn change(shown: Option<&Shown>, session: &Session, standstill: Duration) -> Option<Change> {
    let is_open = session.state == "open";
    let now = match shown {
        _ if session.state == "held" => Change::Held(session.hold_reason.clone().unwrap_or_default()),
        None if is_open => return Some(Change::Started),
        _ if !is_open => Change::Stopped,
        Some(shown) if shown.at.elapsed() < PROGRESS => return None,
        _ if !session.connected => Change::Offline,
        Some(shown) if session.energy_wh > shown.energy_wh => return Some(Change::Charging),
        Some(shown) if shown.at.elapsed() < standstill => return None,
        _ => Change::NotCharging,
    };
    (shown.map(|shown| &shown.change) != Some(&now)).then_some(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(state: &str, energy_wh: i64, connected: bool) -> Session {
        let (id, station) = ("S-1".to_owned(), "demo-16".to_owned());
        Session { id, station, state: state.into(), energy_wh, started_at: None, stopped_at: None, hold_reason: None, connected }
    }

    #[test]
    fn one_line_for_each_change() {
        let mut shown = None;
        let mut show = |state: &str, energy_wh: i64, connected: bool| {
            let session = session(state, energy_wh, connected);
            let change = change(shown.as_ref(), &session, PROGRESS);
            // As if shown long ago.
            let at = Instant::now() - 2 * PROGRESS;
            if let Some(change) = &change {
                shown = Some(Shown { change: change.clone(), energy_wh, at });
            }
            change
        };
        assert_eq!(show("open", 0, true), Some(Change::Started));
        assert_eq!(show("open", 100, true), Some(Change::Charging));
        assert_eq!(show("open", 200, true), Some(Change::Charging));
        assert_eq!(show("open", 200, true), Some(Change::NotCharging));
        assert_eq!(show("open", 200, true), None);
        assert_eq!(show("open", 200, false), Some(Change::Offline));
        assert_eq!(show("open", 200, false), None);
        assert_eq!(show("done", 300, true), Some(Change::Stopped));
        assert_eq!(show("done", 300, true), None);
    }

    #[test]
    fn what_was_over_before_it_was_seen_is_shown_once() {
        assert_eq!(change(None, &session("done", 300, true), PROGRESS), Some(Change::Stopped));
        let held = Change::Held(String::new());
        assert_eq!(change(None, &session("held", 300, true), PROGRESS), Some(held.clone()));
        let shown = Shown { change: held, energy_wh: 300, at: Instant::now() };
        assert_eq!(change(Some(&shown), &session("held", 300, true), PROGRESS), None);
    }
}
