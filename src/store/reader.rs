//! Reading: read-only connections for the command line and for the stages behind the store.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use serde_json::Value as Json;

use super::checksum::Text;
use super::{Copies, OpenError, StoreError, damage, life, open, restore, sessions};
use crate::billing::Due;
use crate::session::{JournalEntry, Session, TariffRef};
use crate::units::{Time, time};

pub struct Reader {
    connection: Connection,
}

/// What stands for `?1`, `?2`, … in a query.
pub type Values<'a> = &'a [&'a dyn ToSql];

/// Takes the rows of a query one by one.
pub trait TakeRows {
    type Error: From<StoreError>;
    /// First, and once.
    fn columns(&mut self, columns: Vec<String>) -> Result<(), Self::Error>;
    fn row(&mut self, row: Vec<Json>) -> Result<(), Self::Error>;
}

/// The rows of a query under their column names: what tables, JSON and CSV are made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Json>>,
}

impl Rows {
    /// Replaces the values of one column.
    pub fn overwrite(&mut self, column: &str, value: impl Fn(&Json) -> Json) {
        if let Some(place) = self.columns.iter().position(|name| name == column) {
            self.rows.iter_mut().for_each(|row| row[place] = value(&row[place]));
        }
    }
}

impl TakeRows for Rows {
    type Error = StoreError;

    fn columns(&mut self, columns: Vec<String>) -> Result<(), StoreError> {
        self.columns = columns;
        Ok(())
    }

    fn row(&mut self, row: Vec<Json>) -> Result<(), StoreError> {
        self.rows.push(row);
        Ok(())
    }
}

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

/// A record on its way out.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    pub epoch: i64,
    pub seq: u64,
    pub kind: String,
    pub record_id: String,
    pub jws: String,
}

const DOUBTFUL: &str = "SELECT count(*) FROM epoch e JOIN record r ON r.epoch = e.epoch AND r.seq > e.doubtful_after \
     LEFT JOIN receipt c ON c.epoch = e.epoch WHERE r.seq > coalesce(c.through, 0)";

impl Reader {
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: open::open_read_only(path)? })
    }

    /// Any query over the promised views.
    pub fn query(&self, sql: &str, values: Values<'_>) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        self.each(sql, values, &mut rows)?;
        Ok(rows)
    }

    /// The same row by row, for results of any length. The store keeps what it had at the first row until the last is taken.
    pub fn each<T: TakeRows>(&self, sql: &str, values: Values<'_>, taker: &mut T) -> Result<(), T::Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(StoreError::from)?;
        taker.columns(statement.column_names().map(str::to_owned).collect())?;
        let width = statement.column_count();
        let mut found = statement.query(values).map_err(StoreError::from)?;
        while let Some(row) = found.next().map_err(StoreError::from)? {
            let cells = (0..width).map(|place| Ok(json(row.get_ref(place)?))).collect::<Result<Vec<_>, rusqlite::Error>>();
            taker.row(cells.map_err(StoreError::from)?)?;
        }
        Ok(())
    }

    /// How many rows a query has.
    pub fn count(&self, select: &str, values: Values<'_>) -> Result<u64, StoreError> {
        Ok(self.connection.query_row(&format!("SELECT count(*) FROM ({select})"), values, |row| row.get(0))?)
    }

    /// The site's IANA time zone.
    pub fn time_zone(&self) -> Result<String, StoreError> {
        Ok(self.connection.query_row("SELECT time_zone FROM site", [], |row| row.get(0))?)
    }

    /// This store's life.
    pub fn epoch(&self) -> Result<i64, StoreError> {
        Ok(self.connection.query_row("SELECT epoch FROM site", [], |row| row.get(0))?)
    }

    pub fn summary(&self) -> Result<Summary, StoreError> {
        let count = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        let (site, epoch, version, started_at, time_zone, currency) =
            self.connection.query_row("SELECT site, epoch, version, started_at, time_zone, currency FROM site", [], |row| {
                let started: Option<i64> = row.get(3)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, started.map(time::from_millis), row.get(4)?, row.get(5)?))
            })?;
        let oldest: Option<i64> = self.connection.query_row(
            "SELECT created_at FROM record WHERE epoch = ?1 AND seq > coalesce((SELECT through FROM receipt WHERE epoch = ?1), 0) ORDER BY seq LIMIT 1",
            [epoch],
            |row| row.get(0),
        ).optional()?;
        let began: Option<i64> =
            self.connection.query_row("SELECT began_at FROM epoch WHERE epoch = ?1", [epoch], |row| row.get(0)).optional()?;
        let (epoch_reason, epoch_detail) = life::reason(&self.connection, epoch)?.unzip();
        let last_seq = restore::chain_tail(&self.connection, epoch)?.0;
        let receipt_at: Option<i64> = self.connection.query_row(
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
            open_sessions: count("SELECT count(*) FROM session WHERE state = 'open'")?,
            held_sessions: count("SELECT count(*) FROM session WHERE state = 'held'")?,
            unsettled_sessions: count("SELECT count(*) FROM session WHERE state = 'ended' AND settled IS NULL")?,
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
        Ok(self.connection.query_row("SELECT c.proven, c.since, s.alive_at FROM clock c, site s", [], read)?)
    }

    fn link(&self) -> Result<Option<Link>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Link { up: row.get(0)?, since: time::from_millis(row.get(1)?), error: row.get(2)?, sent: row.get(3)? })
        };
        Ok(self.connection.query_row("SELECT up, since, error, sent FROM uplink", [], read).optional()?)
    }

    /// Highest record number that head office confirmed for this epoch.
    pub fn receipted(&self, epoch: i64) -> Result<u64, StoreError> {
        let sql = "SELECT through FROM receipt WHERE epoch = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([epoch], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Epoch, number and hash of the last record that head office confirmed, per epoch.
    pub fn receipts(&self) -> Result<Vec<(i64, u64, String)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT epoch, through, root FROM receipt WHERE through > 0 ORDER BY epoch")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    pub fn last_seq(&self, epoch: i64) -> Result<u64, StoreError> {
        Ok(restore::chain_tail(&self.connection, epoch)?.0)
    }

    /// Records after `seq`, oldest first, without those that may not leave any more.
    pub fn outgoing(&self, epoch: i64, seq: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT epoch, seq, kind, record_id, jws FROM record WHERE epoch = ?1 AND seq > ?2 \
             AND seq <= coalesce((SELECT doubtful_after FROM epoch WHERE epoch = ?1), seq) ORDER BY seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![epoch, seq, limit], |row| {
            Ok(OutboxRow { epoch: row.get(0)?, seq: row.get(1)?, kind: row.get(2)?, record_id: row.get(3)?, jws: row.get(4)? })
        })?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    /// Epochs before this one that have records to send, oldest first.
    pub fn waiting_epochs(&self, before: i64) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT e.epoch FROM epoch e WHERE e.epoch < ?1 AND EXISTS (SELECT 1 FROM record r WHERE r.epoch = e.epoch \
             AND r.seq > coalesce((SELECT through FROM receipt c WHERE c.epoch = e.epoch), 0) \
             AND r.seq <= coalesce(e.doubtful_after, r.seq)) ORDER BY e.epoch";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([before], |row| row.get(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    /// Records that the broker refused and has not taken since, and how often.
    pub fn undelivered(&self, epoch: i64) -> Result<Vec<(u64, u32)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT seq, min(attempts, 1000) FROM undelivered WHERE epoch = ?1 ORDER BY seq")?;
        let rows = statement.query_map([epoch], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    /// The public keys that signed records of this store, as a JWKS.
    pub fn jwks(&self) -> Result<String, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT jwk FROM key ORDER BY rowid")?;
        let keys = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(format!("{{\"keys\":[{}]}}", keys.join(",")))
    }

    pub fn due(&self, now: Time, limit: usize) -> Result<Vec<i64>, StoreError> {
        sessions::due(&self.connection, now, limit)
    }

    pub fn next_due(&self) -> Result<Option<Time>, StoreError> {
        sessions::next_due(&self.connection)
    }

    pub fn load_due(&self, number: i64) -> Result<Option<Due>, StoreError> {
        // One transaction: session and evidence are those of one instant.
        let snapshot = self.connection.unchecked_transaction()?;
        let due = sessions::load_due(&snapshot, number)?;
        snapshot.commit()?;
        Ok(due)
    }

    pub fn last_message(&self, session: i64) -> Result<Option<i64>, StoreError> {
        sessions::last_message(&self.connection, session)
    }

    /// Everything in the file that is not as it was written, as far as that can be told without the records' signatures.
    pub fn damage(&self, mut tell: impl FnMut(String)) -> Result<(), StoreError> {
        damage::damage(&self.connection, &mut tell)
    }

    /// JSON text of a tariff version that sessions were locked to.
    pub fn tariff(&self, tariff: &TariffRef) -> Result<Option<String>, StoreError> {
        let sql = "SELECT json FROM tariff WHERE hash = ?1";
        let json = self.connection.prepare_cached(sql)?.query_row([&*tariff.0], |row| Ok(row.get::<_, Text>(0)?.0)).optional()?;
        match json {
            Some(json) if !sessions::is_tariff(&tariff.0, &json) => {
                Err(StoreError::Content("the tariff is not the one that the session was locked to".to_owned()))
            }
            json => Ok(json),
        }
    }

    /// A session by any of its names: session id, transaction id, record id or record number; the newest when several match.
    pub fn find_session(&self, name: &str) -> Result<Option<i64>, StoreError> {
        // One look-up in an index each; a single query with OR would walk the whole table.
        let queries = [
            ("SELECT number FROM session WHERE id = ?1", name.to_uppercase()),
            ("SELECT number FROM session WHERE tx = ?1 ORDER BY number DESC LIMIT 1", name.to_owned()),
            (
                "SELECT session FROM record WHERE epoch = (SELECT epoch FROM site) AND seq = CAST(?1 AS INTEGER) AND ?1 = CAST(seq AS TEXT)",
                name.to_owned(),
            ),
            ("SELECT session FROM record WHERE record_id = ?1", name.to_lowercase()),
        ];
        for (sql, name) in queries {
            if let Some(Some(number)) = self.connection.query_row(sql, [name], |row| row.get::<_, Option<i64>>(0)).optional()? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    pub fn session(&self, number: i64) -> Result<Option<Session>, StoreError> {
        sessions::by_number(&self.connection, number)
    }

    pub fn entries(&self, number: i64) -> Result<Vec<JournalEntry>, StoreError> {
        sessions::entries(&self.connection, number, &mut Vec::new())
    }

    /// One record with its columns.
    pub fn record(&self, epoch: i64, seq: u64) -> Result<Option<StoredRecord>, StoreError> {
        let sql = format!("SELECT {RECORD} FROM record WHERE epoch = ?1 AND seq = ?2");
        Ok(self.connection.query_row(&sql, params![epoch, seq], stored).optional()?)
    }

    /// Every record of every epoch in chain order, handed over one by one.
    pub fn each_record(&self, mut take: impl FnMut(StoredRecord)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(&format!("SELECT {RECORD} FROM record ORDER BY epoch, seq"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(stored(row)?);
        }
        Ok(())
    }
}

/// A record row as stored, all columns, so that a verification can compare them.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    pub epoch: i64,
    pub seq: u64,
    pub hash: String,
    pub jws: String,
    pub kind: String,
    pub record_id: String,
    pub created_at: Time,
    /// The session that the row is tied to.
    pub session_id: Option<String>,
    pub copies: Copies,
}

const RECORD: &str = "epoch, seq, hash, jws, station, energy_wh, cost_excl_vat, cost_incl_vat, currency, prev, lines, \
     kind, record_id, created_at, CASE WHEN session IS NOT NULL THEN coalesce((SELECT id FROM session WHERE number = record.session), '?') END";

fn stored(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredRecord> {
    let text = |column| row.get::<_, Text>(column).map(|text| text.0);
    let copy = |column| row.get::<_, Option<Text>>(column).map(|text| text.map(|text| text.0));
    Ok(StoredRecord {
        epoch: row.get(0)?,
        seq: row.get(1)?,
        hash: text(2)?,
        jws: text(3)?,
        kind: text(11)?,
        record_id: text(12)?,
        created_at: time::from_millis(row.get(13)?),
        session_id: copy(14)?,
        copies: Copies {
            station: copy(4)?,
            energy_wh: copy(5)?,
            cost_excl_vat: copy(6)?,
            cost_incl_vat: copy(7)?,
            currency: copy(8)?,
            prev: copy(9)?,
            lines: copy(10)?,
        },
    })
}

fn json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => Json::from(number),
        ValueRef::Real(number) => Json::from(number),
        ValueRef::Text(text) => Json::from(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Json::from(format!("{} bytes", bytes.len())),
    }
}
