//! The site at a glance, for `status`. Every number comes from an index or from what is bounded; no table is read as a whole.

use rusqlite::OptionalExtension;

use super::counts::{HELD, OLDEST_OUTBOX, OPEN, WAITING};
use super::errors::StoreError;
use super::reader::Reader;
use super::{epochs, restore};
use crate::units::{Time, time};

/// The site at a glance.
#[derive(Clone, Debug)]
pub struct Summary {
    pub site: String,
    pub epoch: i64,
    /// Why and when it began, when another one came before it.
    pub epoch_reason: Option<String>,
    pub epoch_detail: Option<String>,
    pub epoch_began_at: Option<Time>,
    pub version: Option<String>,
    pub started_at: Option<Time>,
    pub time_zone: String,
    pub currency: String,
    pub last_seq: u64,
    pub receipted: u64,
    pub outbox: u64,
    pub oldest_outbox_at: Option<Time>,
    /// When a receipt last retired records.
    pub receipt_at: Option<Time>,
    /// Records that head office rejected.
    pub rejected: u64,
    /// Records that the broker does not take.
    pub undelivered: u64,
    /// Records of closed epochs that stay here, because head office may have others under their numbers.
    pub doubtful: u64,
    pub open_sessions: u64,
    pub held_sessions: u64,
    pub unsettled_sessions: u64,
    pub problems: u64,
    pub link: Option<Link>,
    pub clock: ClockFacts,
}

/// What the daemon found out about the system clock.
#[derive(Clone, Copy, Debug)]
pub struct ClockFacts {
    pub proven: bool,
    pub since: Time,
    /// The daemon's last sign of life by its own reckoning.
    pub alive_at: Option<Time>,
}

impl ClockFacts {
    /// The time: the system clock, unless the daemon found it to be wrong.
    pub fn now(&self, system: Time) -> Time {
        if self.proven { system } else { self.alive_at.unwrap_or(self.since).max(self.since).max(system) }
    }
}

#[derive(Clone, Debug)]
pub struct Link {
    pub up: bool,
    pub since: Time,
    pub error: Option<String>,
    /// Highest record number that the broker has taken since the daemon started.
    pub sent: u64,
}

/// Numbers have no gaps, so what is beyond one number need not be counted row by row.
const DOUBTFUL: &str = "SELECT coalesce(sum(max(0, (SELECT max(r.seq) FROM record r WHERE r.epoch = e.epoch) \
     - max(e.doubtful_after, coalesce((SELECT c.through FROM receipt c WHERE c.epoch = e.epoch), 0)))), 0) \
     FROM epoch e WHERE e.doubtful_after IS NOT NULL AND EXISTS (SELECT 1 FROM record r WHERE r.epoch = e.epoch)";

impl Reader {
    pub fn summary(&self) -> Result<Summary, StoreError> {
        let count = |sql: &str| self.reading.connection().query_row(sql, [], |row| row.get::<_, u64>(0));
        let (site, epoch, version, started_at, time_zone, currency) = self.reading.connection().query_row(
            "SELECT site, epoch, version, started_at, time_zone, currency FROM site",
            [],
            |row| {
                let started: Option<i64> = row.get(3)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, started.map(time::from_millis), row.get(4)?, row.get(5)?))
            },
        )?;
        let oldest: Option<i64> = self.reading.connection().query_row(OLDEST_OUTBOX, [], |row| row.get(0)).optional()?;
        let began: Option<i64> = self
            .reading
            .connection()
            .query_row("SELECT began_at FROM epoch WHERE epoch = ?1", [epoch], |row| row.get(0))
            .optional()?;
        let (epoch_reason, epoch_detail) = epochs::reason(self.reading.connection(), epoch)?.unzip();
        let last_seq = restore::chain_tail(self.reading.connection(), epoch)?.0;
        let receipt_at: Option<i64> = self.reading.connection().query_row(
            "SELECT max(received_at) FROM receipt WHERE epoch = ?1 AND through > 0",
            [epoch],
            |row| row.get(0),
        )?;
        let receipted = self.receipted(epoch)?;
        Ok(Summary {
            site,
            epoch,
            epoch_reason,
            epoch_detail,
            epoch_began_at: began.map(time::from_millis),
            version,
            started_at,
            time_zone,
            currency,
            last_seq,
            receipted,
            outbox: last_seq.saturating_sub(receipted),
            oldest_outbox_at: oldest.map(time::from_millis),
            receipt_at: receipt_at.map(time::from_millis),
            rejected: count("SELECT count(*) FROM (SELECT DISTINCT epoch, seq FROM record_fault)")?,
            undelivered: count("SELECT count(*) FROM undelivered")?,
            doubtful: count(DOUBTFUL)?,
            open_sessions: count(OPEN)?,
            held_sessions: count(HELD)?,
            unsettled_sessions: count(WAITING)?,
            problems: count("SELECT count(*) FROM v_problem")?,
            link: self.link()?,
            clock: self.clock()?,
        })
    }

    pub fn clock(&self) -> Result<ClockFacts, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            let alive: Option<i64> = row.get(2)?;
            Ok(ClockFacts { proven: row.get(0)?, since: time::from_millis(row.get(1)?), alive_at: alive.map(time::from_millis) })
        };
        Ok(self.reading.connection().query_row("SELECT c.proven, c.since, s.alive_at FROM clock c, site s", [], read)?)
    }

    fn link(&self) -> Result<Option<Link>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Link { up: row.get(0)?, since: time::from_millis(row.get(1)?), error: row.get(2)?, sent: row.get(3)? })
        };
        Ok(self.reading.connection().query_row("SELECT up, since, error, sent FROM uplink", [], read).optional()?)
    }
}
