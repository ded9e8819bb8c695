//! Reading: read-only connections for the command line and for the stages behind the store.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use serde_json::Value as Json;

use super::{Due, OpenError, StoreError, open, restore, sessions};
use crate::session::Session;
use crate::session::metering::Proof;
use crate::units::{Time, time};

pub struct Reader {
    connection: Connection,
}

/// The rows of a query under their column names: what tables, JSON and CSV are made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Json>>,
}

/// The site at a glance.
#[derive(Clone, Debug)]
pub struct Summary {
    pub site: String,
    pub epoch: i64,
    pub version: Option<String>,
    pub started_at: Option<Time>,
    pub time_zone: String,
    pub currency: String,
    pub last_seq: u64,
    pub receipted: u64,
    pub outbox: u64,
    pub oldest_outbox_at: Option<Time>,
    pub faults: u64,
    pub open_sessions: u64,
    pub held_sessions: u64,
    pub unsettled_sessions: u64,
    pub problems: u64,
    pub link: Option<Link>,
}

#[derive(Clone, Debug)]
pub struct Link {
    pub up: bool,
    pub since: Time,
    pub error: Option<String>,
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

impl Reader {
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: open::open_read_only(path)? })
    }

    /// Any query over the promised views.
    pub fn query(&self, sql: &str, values: &[&dyn ToSql]) -> Result<Rows, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let width = columns.len();
        let mut found = statement.query(values)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push((0..width).map(|place| Ok(json(row.get_ref(place)?))).collect::<Result<Vec<_>, rusqlite::Error>>()?);
        }
        Ok(Rows { columns, rows })
    }

    pub fn summary(&self) -> Result<Summary, StoreError> {
        let count = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        let (site, epoch, version, started_at, time_zone, currency) =
            self.connection.query_row("SELECT site, epoch, version, started_at, time_zone, currency FROM site", [], |row| {
                let started: Option<i64> = row.get(3)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, started.map(time::from_millis), row.get(4)?, row.get(5)?))
            })?;
        let oldest: Option<i64> = self.connection.query_row(
            "SELECT min(created_at) FROM record WHERE epoch = ?1 AND seq > coalesce((SELECT through FROM receipt WHERE epoch = ?1), 0)",
            [epoch],
            |row| row.get(0),
        )?;
        let last_seq = restore::chain_tail(&self.connection, epoch)?.0;
        let receipted = self.receipted(epoch)?;
        Ok(Summary {
            site,
            epoch,
            version,
            started_at,
            time_zone,
            currency,
            last_seq,
            receipted,
            outbox: last_seq.saturating_sub(receipted),
            oldest_outbox_at: oldest.map(time::from_millis),
            faults: count("SELECT count(*) FROM record_fault")?,
            open_sessions: count("SELECT count(*) FROM session WHERE state = 'open'")?,
            held_sessions: count("SELECT count(*) FROM session WHERE state = 'held'")?,
            unsettled_sessions: count("SELECT count(*) FROM session WHERE state = 'ended' AND settled IS NULL")?,
            problems: count("SELECT count(*) FROM v_problem")?,
            link: self.link()?,
        })
    }

    fn link(&self) -> Result<Option<Link>, StoreError> {
        let read =
            |row: &rusqlite::Row<'_>| Ok(Link { up: row.get(0)?, since: time::from_millis(row.get(1)?), error: row.get(2)? });
        Ok(self.connection.query_row("SELECT up, since, error FROM uplink", [], read).optional()?)
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

    /// Records after `seq`, oldest first, without those that were set aside.
    pub fn outgoing(&self, epoch: i64, seq: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT epoch, seq, kind, record_id, jws FROM record r WHERE epoch = ?1 AND seq > ?2 \
             AND NOT EXISTS (SELECT 1 FROM record_fault f WHERE f.epoch = r.epoch AND f.seq = r.seq) ORDER BY seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![epoch, seq, limit], |row| {
            Ok(OutboxRow { epoch: row.get(0)?, seq: row.get(1)?, kind: row.get(2)?, record_id: row.get(3)?, jws: row.get(4)? })
        })?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    /// The public keys that signed records of this store, as a JWKS.
    pub fn jwks(&self) -> Result<String, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT jwk FROM key ORDER BY since, kid")?;
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
        sessions::load_due(&self.connection, number)
    }

    /// A session by any of its names: session id, transaction id, record number or record id; the newest when several match.
    pub fn find_session(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT s.number FROM session s LEFT JOIN record r ON r.session = s.number \
                   WHERE s.id = ?1 COLLATE NOCASE OR s.tx = ?1 OR r.record_id = ?1 COLLATE NOCASE OR CAST(r.seq AS TEXT) = ?1 \
                   ORDER BY s.id = ?1 COLLATE NOCASE DESC, s.number DESC LIMIT 1";
        Ok(self.connection.query_row(sql, [name], |row| row.get(0)).optional()?)
    }

    pub fn session(&self, number: i64) -> Result<Option<Session>, StoreError> {
        sessions::by_number(&self.connection, number)
    }

    pub fn proofs(&self, number: i64) -> Result<Vec<Proof>, StoreError> {
        sessions::proofs(&self.connection, number)
    }

    /// JWS and payload of one record.
    pub fn record(&self, epoch: i64, seq: u64) -> Result<Option<(String, String)>, StoreError> {
        let sql = "SELECT jws, payload FROM record WHERE epoch = ?1 AND seq = ?2";
        Ok(self.connection.query_row(sql, params![epoch, seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Every record of every epoch in chain order, handed over one by one.
    pub fn each_record(&self, mut take: impl FnMut(StoredRecord)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare("SELECT epoch, seq, hash, jws, payload FROM record ORDER BY epoch, seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(StoredRecord {
                epoch: row.get(0)?,
                seq: row.get(1)?,
                hash: row.get(2)?,
                jws: row.get(3)?,
                payload: row.get(4)?,
            });
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
    pub payload: String,
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
