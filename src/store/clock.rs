//! What the store knows of the time, and what it must mend when our clock was ahead.

use rusqlite::{Connection, params};

use super::StoreError;
use super::jobs::ClockNews;
use super::writer::Writer;
use crate::units::{Time, time};

const PROBLEM: &str = "gateway-clock";
/// No ended session waits longer for missing events; a later time was written by a clock that was ahead.
const LONGEST_GRACE_MS: i64 = 600_000;

/// The subject of the problem that a clock which is behind makes.
pub const BEHIND: &str = "behind";

/// Ended sessions never wait for a time that a wrong clock wrote.
pub(super) fn shorten_waits(connection: &Connection, now: Time) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE session SET settle_after = ?1 WHERE state = 'ended' AND settled IS NULL AND settle_after > ?1")?
        .execute([time::to_millis(now) + LONGEST_GRACE_MS])
        .map(drop)
}

impl Writer {
    pub(super) fn clock(&mut self, news: &ClockNews) -> Result<(), StoreError> {
        let at = time::to_millis(news.at);
        self.connection.execute(
            "UPDATE clock SET since = CASE WHEN proven = ?1 AND since > 0 AND NOT ?4 THEN since ELSE ?2 END, proven = ?1, system_at = ?3",
            params![news.proven, at, time::to_millis(news.system), news.went_back],
        )?;
        if let Some((subject, detail)) = &news.problem {
            self.problem(PROBLEM, None, subject, detail, news.at)?;
        }
        if let Some(detail) = &news.recovered {
            self.connection.execute(
                "UPDATE problem SET detail = ?3, last_at = ?4 WHERE kind = ?1 AND subject = ?2",
                params![PROBLEM, BEHIND, detail, at],
            )?;
        }
        if news.went_back {
            self.go_back(news.at)?;
        }
        Ok(())
    }

    /// Nothing that was written by a clock that was ahead may be waited for, or count as known time at the next start.
    fn go_back(&mut self, at: Time) -> Result<(), StoreError> {
        let now = time::to_millis(at);
        self.connection.execute(
            "UPDATE clock SET after_message = (SELECT coalesce(max(id), 0) FROM message), after_epoch = ?1, \
             after_seq = (SELECT coalesce(max(seq), 0) FROM record WHERE epoch = ?1)",
            [self.epoch],
        )?;
        self.alive()?;
        self.connection.execute("UPDATE site SET started_at = min(started_at, ?1)", [now])?;
        self.connection.execute("UPDATE uplink SET since = min(since, ?1)", [now])?;
        self.connection.execute("UPDATE connector SET since = min(since, ?1), reported_at = min(reported_at, ?1)", [now])?;
        self.connection.execute("UPDATE station SET connected_at = ?1 WHERE connected_at > ?1", [now])?;
        shorten_waits(&self.connection, at)?;
        // The machine remembers the old waits.
        self.restore()
    }
}
