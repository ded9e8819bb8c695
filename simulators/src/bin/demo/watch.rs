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
    told: HashMap<String, Told>,
}

/// What was said last about a session.
struct Told {
    news: News,
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
pub enum News {
    Started,
    Charging,
    NotCharging,
    /// The station cannot be heard.
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
        Ok(Self { store, standstill, told: HashMap::new() })
    }

    /// What has changed since the last look, worth a line each.
    pub fn look(&mut self, now: DateTime<Utc>) -> Result<Vec<(Session, News)>> {
        let since = (now - LOOK_BACK).to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut statement = self.store.prepare_cached(SESSIONS)?;
        let sessions = statement.query_map([since], read)?.collect::<Result<Vec<_>, _>>()?;
        let seen: HashSet<&str> = sessions.iter().map(|session| session.id.as_str()).collect();
        self.told.retain(|id, _| seen.contains(id.as_str()));
        let mut lines = Vec::new();
        for session in sessions {
            if let Some(news) = news(self.told.get(&session.id), &session, self.standstill) {
                let told = Told { news: news.clone(), energy_wh: session.energy_wh, at: Instant::now() };
                self.told.insert(session.id.clone(), told);
                lines.push((session, news));
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
fn news(told: Option<&Told>, session: &Session, standstill: Duration) -> Option<News> {
    let is_open = session.state == "open";
    let now = match told {
        _ if session.state == "held" => News::Held(session.hold_reason.clone().unwrap_or_default()),
        None if is_open => return Some(News::Started),
        _ if !is_open => News::Stopped,
        Some(told) if told.at.elapsed() < PROGRESS => return None,
        _ if !session.connected => News::Offline,
        Some(told) if session.energy_wh > told.energy_wh => return Some(News::Charging),
        Some(told) if told.at.elapsed() < standstill => return None,
        _ => News::NotCharging,
    };
    (told.map(|told| &told.news) != Some(&now)).then_some(now)
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
        let mut told = None;
        let mut say = |state: &str, energy_wh: i64, connected: bool| {
            let session = session(state, energy_wh, connected);
            let news = news(told.as_ref(), &session, PROGRESS);
            // As if told long ago.
            let at = Instant::now() - 2 * PROGRESS;
            if let Some(news) = &news {
                told = Some(Told { news: news.clone(), energy_wh, at });
            }
            news
        };
        assert_eq!(say("open", 0, true), Some(News::Started));
        assert_eq!(say("open", 100, true), Some(News::Charging));
        assert_eq!(say("open", 200, true), Some(News::Charging));
        assert_eq!(say("open", 200, true), Some(News::NotCharging));
        assert_eq!(say("open", 200, true), None);
        assert_eq!(say("open", 200, false), Some(News::Offline));
        assert_eq!(say("open", 200, false), None);
        assert_eq!(say("done", 300, true), Some(News::Stopped));
        assert_eq!(say("done", 300, true), None);
    }

    #[test]
    fn what_was_over_before_it_was_heard_of_is_told_once() {
        assert_eq!(news(None, &session("done", 300, true), PROGRESS), Some(News::Stopped));
        let held = News::Held(String::new());
        assert_eq!(news(None, &session("held", 300, true), PROGRESS), Some(held.clone()));
        let told = Told { news: held, energy_wh: 300, at: Instant::now() };
        assert_eq!(news(Some(&told), &session("held", 300, true), PROGRESS), None);
    }
}
