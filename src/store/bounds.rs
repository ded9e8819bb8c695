//! What is left out of the store, so that nobody can fill it: frames that were refused or cannot be read, and rows of problems.
//!
//! Never left out or cut: a message that was understood, and a transaction message, however broken. Of the rest a person needs
//! the first ones to see what is wrong; the others are counted in the problem `messages-left-out`. They are answered all the
//! same: a CALLERROR promises nothing.
//!
//! Limits, of such frames: [`PER_MINUTE`] and [`PER_DAY`] rows per station, [`MAX_TEXT`] bytes each; of a station that never said
//! anything valid [`PER_UNKNOWN`] rows in all, broken transaction messages included (those beyond are not answered), and
//! [`MAX_UNKNOWN`] such stations, the oldest of which goes with its rows when another comes. [`MAX_PROBLEMS_OF_STATION`] problems,
//! [`MAX_PROBLEMS_OF_NOBODY`] of one kind without a station, [`MAX_PROBLEMS`] in all; the one that was quiet for the longest time makes room. Counts of a minute and a day begin anew
//! with the daemon.

use rusqlite::{OptionalExtension, params};
use tracing::info;

use super::StoreError;
use super::jobs::Keep;
use super::known_station::{PER_DAY, PER_MINUTE};
use super::writer::Writer;
use crate::session::hold;
use crate::units::{StationId, Time, time};

const PER_UNKNOWN: i64 = 60;
const MAX_UNKNOWN: i64 = 100;
pub(super) const MAX_TEXT: usize = 4 * 1024;
const MAX_PROBLEMS_OF_STATION: i64 = 100;
/// Of one kind, and of no station: whoever reaches the port can invent names that are turned away.
const MAX_PROBLEMS_OF_NOBODY: i64 = 100;
const MAX_PROBLEMS: i64 = 10_000;
/// How often the count of what was left out is written.
const TELL_EVERY_MS: i64 = 10_000;
const LEFT_OUT: &str = "messages-left-out";

/// What becomes of a frame that says nothing.
pub(super) enum Place {
    /// A row.
    Row,
    /// Answered and counted.
    LeftOut,
    /// Neither stored nor answered.
    Unanswered,
}

impl Writer {
    /// Where a frame goes that was not understood.
    pub(super) fn place(&mut self, id: &StationId, keep: Keep, at: Time) -> Result<Place, StoreError> {
        let now = time::to_millis(at);
        let station = self.station(id, at)?;
        let (number, proven) = (station.number, station.proven);
        if !proven {
            let rows: i64 = self
                .connection
                .prepare_cached("SELECT count(*) FROM noise WHERE station = ?1")?
                .query_row([number], |row| row.get(0))?;
            if rows < PER_UNKNOWN {
                return Ok(Place::Row);
            }
        }
        let noise = &mut self.station(id, at)?.noise;
        match keep {
            Keep::Always if proven => return Ok(Place::Row),
            Keep::Sparingly if proven && noise.fits(now) => return Ok(Place::Row),
            Keep::Always | Keep::Sparingly => noise.left_out = noise.left_out.saturating_add(1),
        }
        self.tell_left_out(id, false, at)?;
        Ok(if keep == Keep::Always { Place::Unanswered } else { Place::LeftOut })
    }

    /// Writes down how many frames were left out: now and then, or `at_once`.
    pub(super) fn tell_left_out(&mut self, id: &StationId, at_once: bool, at: Time) -> Result<(), StoreError> {
        let now = time::to_millis(at);
        let Some(station) = self.stations.get_mut(id) else { return Ok(()) };
        let noise = &mut station.noise;
        let due = at_once || noise.told_at.is_none_or(|told| (now - told).abs() >= TELL_EVERY_MS);
        if noise.left_out == 0 || !due {
            return Ok(());
        }
        noise.told_at = Some(now);
        let (count, number) = (std::mem::take(&mut noise.left_out), station.number);
        let detail = format!(
            "refused or unreadable frames beyond {PER_MINUTE} a minute and {PER_DAY} a day ({PER_UNKNOWN} of an unknown station): counted, not kept"
        );
        self.problem_times(count, LEFT_OUT, Some(number), "", &detail, at)
    }

    /// Remembers that this row is noise of an unknown station.
    pub(super) fn note_noise(&self, station: i64, message: i64) -> Result<(), StoreError> {
        self.connection.prepare_cached("INSERT INTO noise (station, message) VALUES (?1, ?2)")?.execute([station, message])?;
        Ok(())
    }

    /// The station said something valid: it is remembered from now on, and so is what it said before.
    pub(super) fn prove(&mut self, id: &StationId, at: Time) -> Result<(), StoreError> {
        let station = self.station(id, at)?;
        if std::mem::replace(&mut station.proven, true) {
            return Ok(());
        }
        let number = station.number;
        self.connection
            .prepare_cached("UPDATE station SET proven_at = coalesce(proven_at, ?2) WHERE number = ?1")?
            .execute(params![number, time::to_millis(at)])?;
        self.connection.prepare_cached("DELETE FROM noise WHERE station = ?1")?.execute([number])?;
        self.admit(id, number)
    }

    /// Before another unknown gets a row.
    pub(super) fn drop_unknown_stations(&mut self) -> Result<(), StoreError> {
        let connection = &self.connection;
        let unknown: i64 =
            connection.prepare_cached("SELECT count(*) FROM station WHERE proven_at IS NULL")?.query_row([], |row| row.get(0))?;
        if unknown < MAX_UNKNOWN {
            return Ok(());
        }
        // One with a session or a connector was proven by an older version.
        let oldest: Option<(i64, String)> = connection
            .prepare_cached(
                "SELECT number, name FROM station WHERE proven_at IS NULL AND registration IS NULL AND number NOT IN (SELECT station FROM session) \
                 AND number NOT IN (SELECT station FROM connector) ORDER BY coalesce(last_message_at, first_seen_at), number LIMIT 1",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((number, name)) = oldest else { return Ok(()) };
        info!(station = name, limit = MAX_UNKNOWN, "a station that never said anything valid is forgotten");
        // The newest row stays whatever it is: its number must not be given again.
        connection.execute(
            "DELETE FROM message WHERE id IN (SELECT message FROM noise WHERE station = ?1) AND id < (SELECT max(id) FROM message)",
            [number],
        )?;
        connection.execute("DELETE FROM noise WHERE station = ?1", [number])?;
        connection.execute("DELETE FROM problem WHERE station = ?1", [number])?;
        connection.execute("DELETE FROM station WHERE number = ?1", [number])?;
        self.stations.retain(|_, station| station.number != number);
        Ok(())
    }

    pub(super) fn problem(
        &self,
        kind: &str,
        station: Option<i64>,
        subject: &str,
        detail: &str,
        at: Time,
    ) -> Result<(), StoreError> {
        self.problem_times(1, kind, station, subject, detail, at)
    }

    fn problem_times(
        &self,
        times: u32,
        kind: &str,
        station: Option<i64>,
        subject: &str,
        detail: &str,
        at: Time,
    ) -> Result<(), StoreError> {
        let cut = |text: &str| text.chars().take(500).collect::<String>();
        let (subject, detail, at) = (cut(subject), cut(detail), time::to_millis(at));
        let known = self
            .connection
            .prepare_cached(
                "UPDATE problem SET count = count + ?1, last_at = ?2, detail = ?3 \
                 WHERE kind = ?4 AND coalesce(station, 0) = coalesce(?5, 0) AND subject = ?6",
            )?
            .execute(params![times, at, detail, kind, station, subject])?;
        if known > 0 {
            return Ok(());
        }
        let count = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
            self.connection.prepare_cached(sql)?.query_row(values, |row| row.get::<_, i64>(0))
        };
        if station.is_some() && count("SELECT count(*) FROM problem WHERE station = ?1", &[&station])? >= MAX_PROBLEMS_OF_STATION
        {
            self.drop_problem("station = ?1", &[&station])?;
        } else if station.is_none()
            && count("SELECT count(*) FROM problem WHERE station IS NULL AND kind = ?1", &[&kind])? >= MAX_PROBLEMS_OF_NOBODY
        {
            self.drop_problem("station IS NULL AND kind = ?1", &[&kind])?;
        } else if count("SELECT count(*) FROM problem", &[])? >= MAX_PROBLEMS {
            self.drop_problem("1", &[])?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO problem (kind, station, subject, detail, count, first_at, last_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
            )?
            .execute(params![kind, station, subject, detail, times, at])?;
        Ok(())
    }

    /// Drops the problem that was quiet for the longest time; never one of ours, nor the counts of what was left out.
    fn drop_problem(&self, of: &str, values: &[&dyn rusqlite::ToSql]) -> Result<(), StoreError> {
        let sql = format!(
            "DELETE FROM problem WHERE number = (SELECT number FROM problem WHERE {of} AND kind NOT IN ('{}', '{LEFT_OUT}') \
             ORDER BY last_at, number LIMIT 1)",
            hold::INTERNAL
        );
        self.connection.prepare_cached(&sql)?.execute(values)?;
        Ok(())
    }
}
