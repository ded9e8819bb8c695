//! Reading: read-only connections for the command line and for the stages behind the store.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, Statement, ToSql, params};
use serde_json::Value as Json;

use super::checksum::Text;
use super::damage::Since;
use super::timed_connection::Reading;
use super::{Copies, OpenError, StoreError, doc, listed_tokens, restore, sessions};
use crate::billing::Due;
use crate::session::{JournalEntry, Session, TariffRef};
use crate::station::ListedToken;
use crate::units::{Time, Token, time};

pub struct Reader {
    pub(super) reading: Reading,
}

/// By which columns a list is ordered, so that it can be read in pages: together they are unique.
#[derive(Clone, Copy)]
pub struct Key {
    /// The first one is in an index; what is NULL comes first and counts as 0.
    pub columns: [&'static str; 2],
    pub descending: bool,
}

/// Rows of a page, and bytes after which it ends early.
const PAGE: usize = 1_000;
const PAGE_BYTES: usize = 8 << 20;
/// Of the number of rows nobody waits for longer.
const COUNTING: Duration = Duration::from_millis(40);
const MAX_COUNTED: u64 = 100_000;

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
    /// Replaces the values of one column, by number of the row and old value.
    pub fn overwrite(&mut self, column: &str, value: impl Fn(usize, &Json) -> Json) {
        if let Some(place) = self.columns.iter().position(|name| name == column) {
            self.rows.iter_mut().enumerate().for_each(|(number, row)| row[place] = value(number, &row[place]));
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
    /// No statement of it lasts longer than `patience`.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, OpenError> {
        Ok(Self { reading: Reading::open(path, patience)? })
    }

    /// Any query over the promised views.
    pub fn query(&self, sql: &str, values: Values<'_>) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        self.each(sql, values, &mut rows)?;
        Ok(rows)
    }

    /// The same row by row, page by page, for lists of any length; what changes meanwhile may be in it or not. Columns that begin with
    /// `_` are for the order alone. `select` has no order.
    pub fn each_in_pages<T: TakeRows>(&self, select: &str, key: &Key, values: Values<'_>, taker: &mut T) -> Result<(), T::Error> {
        let [first, second] = key.columns;
        let (direction, beyond) = if key.descending { (" DESC", "<") } else { ("", ">") };
        let order = format!("ORDER BY {first}{direction}, {second}{direction} LIMIT {PAGE}");
        let mut sql = format!("SELECT * FROM ({select}) {order}");
        let (a, b) = (values.len() + 1, values.len() + 2);
        let next = format!(
            "SELECT * FROM ({select}) WHERE {first} {beyond}= ?{a} AND ({first} {beyond} ?{a} OR coalesce({second}, 0) {beyond} ?{b}) {order}"
        );
        let mut last: Option<[Value; 2]> = None;
        loop {
            let mut all: Vec<&dyn ToSql> = values.to_vec();
            all.extend(last.iter().flatten().map(|value| value as &dyn ToSql));
            let page = self.page(&sql, &all, key)?;
            if last.is_none() {
                taker.columns(page.rows.columns)?;
            }
            page.rows.rows.into_iter().try_for_each(|row| taker.row(row))?;
            match page.last {
                Some(end) if page.is_full => last = Some(end),
                _ => return Ok(()),
            }
            sql.clone_from(&next);
        }
    }

    fn page(&self, sql: &str, values: Values<'_>, key: &Key) -> Result<Page, StoreError> {
        let mut statement = self.reading.connection().prepare_cached(sql)?;
        let place = |wanted: &str| statement.column_index(wanted);
        let keys = [place(key.columns[0])?, place(key.columns[1])?];
        let Shown { shown, columns } = Shown::of(&statement);
        let mut page = Page { rows: Rows { columns, rows: Vec::new() }, last: None, is_full: false };
        let (mut found, mut bytes) = (statement.query(values)?, 0);
        while let Some(row) = found.next()? {
            let cells = shown.iter().map(|(place, is_boolean)| {
                let value = row.get_ref(*place)?;
                bytes += value.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len);
                Ok(json(value, *is_boolean))
            });
            page.rows.rows.push(cells.collect::<Result<Vec<_>, rusqlite::Error>>()?);
            let value = |place: usize| {
                row.get::<_, Value>(place).map(|value| if value == Value::Null { Value::Integer(0) } else { value })
            };
            page.last = Some([value(keys[0])?, value(keys[1])?]);
            page.is_full = page.rows.rows.len() == PAGE || bytes >= PAGE_BYTES;
            if page.is_full {
                break;
            }
        }
        Ok(page)
    }

    /// The same in one statement: for what is short.
    pub fn each<T: TakeRows>(&self, sql: &str, values: Values<'_>, taker: &mut T) -> Result<(), T::Error> {
        let mut statement = self.reading.connection().prepare_cached(sql).map_err(StoreError::from)?;
        let Shown { shown, columns } = Shown::of(&statement);
        taker.columns(columns)?;
        let mut found = statement.query(values).map_err(StoreError::from)?;
        while let Some(row) = found.next().map_err(StoreError::from)? {
            let cells = shown
                .iter()
                .map(|(place, yes_or_no)| Ok(json(row.get_ref(*place)?, *yes_or_no)))
                .collect::<Result<Vec<_>, rusqlite::Error>>();
            taker.row(cells.map_err(StoreError::from)?)?;
        }
        Ok(())
    }

    /// How many rows a query has; `None`: more than can be counted at once.
    pub fn count(&self, select: &str, values: Values<'_>) -> Result<Option<u64>, StoreError> {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM ({select}) LIMIT {})", MAX_COUNTED + 1);
        match self.reading.connection_for(COUNTING).query_row(&sql, values, |row| row.get(0)).map_err(StoreError::from) {
            Ok(count) => Ok(Some(count).filter(|count| *count <= MAX_COUNTED)),
            Err(StoreError::TooSlow) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the list says of a token.
    pub fn token(&self, token: &Token) -> Result<Option<ListedToken>, StoreError> {
        listed_tokens::one(self.reading.connection(), token)
    }

    /// The site's IANA time zone.
    /// The list of tokens.
    pub fn tokens(&self) -> Result<Vec<ListedToken>, StoreError> {
        listed_tokens::all(self.reading.connection())
    }

    pub fn time_zone(&self) -> Result<String, StoreError> {
        Ok(self.reading.connection().query_row("SELECT time_zone FROM site", [], |row| row.get(0))?)
    }

    /// This store's life.
    pub fn epoch(&self) -> Result<i64, StoreError> {
        Ok(self.reading.connection().query_row("SELECT epoch FROM site", [], |row| row.get(0))?)
    }

    /// Highest record number that head office confirmed for this epoch.
    pub fn receipted(&self, epoch: i64) -> Result<u64, StoreError> {
        let sql = "SELECT through FROM receipt WHERE epoch = ?1";
        Ok(self.reading.connection().prepare_cached(sql)?.query_row([epoch], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Epoch, number and hash of the last record that head office confirmed, per epoch.
    pub fn receipts(&self) -> Result<Vec<(i64, u64, String)>, StoreError> {
        let mut statement = self
            .reading
            .connection()
            .prepare_cached("SELECT epoch, through, root FROM receipt WHERE through > 0 ORDER BY epoch")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    pub fn last_seq(&self, epoch: i64) -> Result<u64, StoreError> {
        Ok(restore::chain_tail(self.reading.connection(), epoch)?.0)
    }

    /// Records after `seq`, oldest first, without those that may not leave any more.
    pub fn outgoing(&self, epoch: i64, seq: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut statement = self.reading.connection().prepare_cached(
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
        let mut statement = self.reading.connection().prepare_cached(sql)?;
        let rows = statement.query_map([before], |row| row.get(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    /// Records that the broker refused and has not taken since, and how often.
    pub fn undelivered(&self, epoch: i64) -> Result<Vec<(u64, u32)>, StoreError> {
        let mut statement = self
            .reading
            .connection()
            .prepare_cached("SELECT seq, min(attempts, 1000) FROM undelivered WHERE epoch = ?1 ORDER BY seq")?;
        let rows = statement.query_map([epoch], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    /// The public keys that signed records of this store, as a JWKS.
    pub fn jwks(&self) -> Result<String, StoreError> {
        let mut statement = self.reading.connection().prepare_cached("SELECT jwk FROM key ORDER BY rowid")?;
        let keys = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(format!("{{\"keys\":[{}]}}", keys.join(",")))
    }

    pub fn due(&self, now: Time, limit: usize) -> Result<Vec<i64>, StoreError> {
        sessions::due(self.reading.connection(), now, limit)
    }

    pub fn next_due(&self) -> Result<Option<Time>, StoreError> {
        sessions::next_due(self.reading.connection())
    }

    pub fn load_due(&self, number: i64) -> Result<Option<Due>, StoreError> {
        // One transaction: session and evidence are those of one instant.
        let snapshot = self.reading.connection().unchecked_transaction()?;
        let due = sessions::load_due(&snapshot, number)?;
        snapshot.commit()?;
        Ok(due)
    }

    pub fn last_message(&self, session: i64) -> Result<Option<i64>, StoreError> {
        sessions::last_message(self.reading.connection(), session)
    }

    /// JSON text of a tariff version that sessions were locked to.
    pub fn tariff(&self, tariff: &TariffRef) -> Result<Option<String>, StoreError> {
        let sql = "SELECT json FROM tariff WHERE hash = ?1";
        let json = self
            .reading
            .connection()
            .prepare_cached(sql)?
            .query_row([&*tariff.0], |row| Ok(row.get::<_, Text>(0)?.0))
            .optional()?;
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
            if let Some(Some(number)) =
                self.reading.connection().query_row(sql, [name], |row| row.get::<_, Option<i64>>(0)).optional()?
            {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    pub fn session(&self, number: i64) -> Result<Option<Session>, StoreError> {
        sessions::by_number(self.reading.connection(), number)
    }

    pub fn entries(&self, number: i64) -> Result<Vec<JournalEntry>, StoreError> {
        sessions::entries(self.reading.connection(), number, &mut Vec::new())
    }

    /// One record with its columns.
    pub fn record(&self, epoch: i64, seq: u64) -> Result<Option<StoredRecord>, StoreError> {
        let sql = format!("SELECT {RECORD} FROM record WHERE epoch = ?1 AND seq = ?2");
        Ok(self.reading.connection().query_row(&sql, params![epoch, seq], stored).optional()?)
    }

    /// Every record of every epoch in chain order, handed over in pages; or those from a number on, of an epoch and the later ones.
    pub fn each_page_of_records(
        &self,
        from: Option<(i64, u64)>,
        mut take: impl FnMut(Vec<StoredRecord>),
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT {RECORD} FROM record WHERE (epoch, seq) > (?1, ?2) ORDER BY epoch, seq LIMIT {PAGE}");
        let mut last = from.map_or((i64::MIN, 0), |(epoch, seq)| (epoch, seq.saturating_sub(1)));
        loop {
            let mut statement = self.reading.connection().prepare_cached(&sql)?;
            let page = statement.query_map(params![last.0, last.1], stored)?.collect::<Result<Vec<_>, _>>()?;
            drop(statement);
            let Some(end) = page.last() else { return Ok(()) };
            last = (end.epoch, end.seq);
            take(page);
        }
    }

    /// Where the messages begin that a record and the later ones rest on.
    pub fn begin_of(&self, epoch: i64, seq: u64) -> Result<Since, StoreError> {
        let sql = "SELECT min((SELECT min(m.id) FROM message m WHERE m.session = r.session)) FROM record r WHERE (r.epoch, r.seq) >= (?1, ?2)";
        let first: Option<i64> = self.reading.connection().query_row(sql, params![epoch, seq], |row| row.get(0))?;
        Ok(Since { message: first.unwrap_or(i64::MIN) })
    }
}

/// Columns that do not only serve the order.
struct Shown {
    /// Their places, and whether they say yes or no.
    shown: Vec<(usize, bool)>,
    columns: Vec<String>,
}

impl Shown {
    fn of(statement: &Statement<'_>) -> Self {
        let names = statement.column_names().enumerate().filter(|(_, name)| !name.starts_with('_'));
        let (shown, columns) = names.map(|(place, name)| ((place, doc::is_boolean(name)), name.to_owned())).unzip();
        Self { shown, columns }
    }
}

/// A part of a list.
struct Page {
    rows: Rows,
    /// The key of the last row.
    last: Option<[Value; 2]>,
    is_full: bool,
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

/// One type for each thing: `true` and `false`, and numbers without a fraction that is none.
fn json(value: ValueRef<'_>, is_boolean: bool) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) if is_boolean => Json::from(number != 0),
        ValueRef::Integer(number) => Json::from(number),
        ValueRef::Real(number) if number.fract() == 0.0 && number.abs() < 1e15 => Json::from(number as i64),
        ValueRef::Real(number) => Json::from(number),
        ValueRef::Text(text) => Json::from(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Json::from(format!("{} bytes", bytes.len())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails where it stands")]
mod tests {
    use std::time::Instant;

    use rusqlite::Connection;

    use super::*;
    use crate::store::open;

    /// A store with one table of our own.
    fn store(folder: &Path, sql: &str) -> std::path::PathBuf {
        let path = folder.join("store.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "application_id", open::APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", open::MIGRATIONS.len()).unwrap();
        connection.execute_batch(sql).unwrap();
        path
    }

    #[test]
    fn a_read_that_takes_too_long_is_ended_and_the_next_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let reader = Reader::open(&store(folder.path(), "CREATE TABLE t (a)"), Duration::from_millis(100)).unwrap();
        let began = Instant::now();
        let endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let failure = reader.query(endless, &[]).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert!(matches!(failure, StoreError::TooSlow) && failure.to_string().contains("ask for less"), "{failure}");
        assert_eq!(reader.count("SELECT 1", &[]).unwrap(), Some(1));
        // What is only counted for a remark is given up sooner.
        let endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";
        assert_eq!(reader.count(endless, &[]).unwrap(), None);
    }

    #[test]
    fn a_list_in_pages_has_every_row_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        // Many rows share the first part of the key, over the end of a page; one has no second part.
        let rows = "CREATE TABLE t (a INTEGER, b INTEGER, c TEXT); INSERT INTO t VALUES (7, NULL, 'first'); \
            WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2700) \
            INSERT INTO t SELECT CASE WHEN i <= 1500 THEN 7 ELSE i END, i, 'x' FROM n; CREATE INDEX t_a ON t (a, b)";
        let reader = Reader::open(&store(folder.path(), rows), Duration::from_secs(60)).unwrap();
        for descending in [false, true] {
            let key = Key { columns: ["_a", "b"], descending };
            let mut found = Rows::default();
            reader.each_in_pages("SELECT a AS _a, b, c FROM t WHERE c <> ?1", &key, &[&"y"], &mut found).unwrap();
            let mut expected: Vec<Json> = std::iter::once(Json::Null).chain((1..=2700).map(Json::from)).collect();
            if descending {
                expected.reverse();
            }
            assert_eq!((found.columns, found.rows.len()), (vec!["b".to_owned(), "c".to_owned()], 2701));
            assert!(found.rows.iter().map(|row| &row[0]).eq(expected.iter()), "descending: {descending}");
        }
        let mut large = Rows::default();
        let key = Key { columns: ["a", "b"], descending: false };
        // Pages end early when rows are large.
        let select = "SELECT a, b, printf('%.*c', 1000000, 'x') AS c FROM t WHERE b <= 20";
        reader.each_in_pages(select, &key, &[], &mut large).unwrap();
        assert_eq!(large.rows.len(), 20);
    }
}
