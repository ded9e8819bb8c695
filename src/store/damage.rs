//! What of the file is not as it was written, for `verify --all`.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::checksum::{MESSAGE, MESSAGE_WIDTH, Text, holds};
use super::{StoreError, sessions};

/// Messages read at a time.
const PAGE: usize = 10_000;

/// Every row that is not as it was written, and what SQLite finds wrong with its structure; each as a sentence.
pub(super) fn damage<'a>(connection: impl Fn() -> &'a Connection, tell: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let mut check = connection().prepare("PRAGMA integrity_check(20)")?;
    let mut found = check.query([])?;
    while let Some(row) = found.next()? {
        let Text(line) = row.get(0)?;
        if line != "ok" {
            tell(format!("the file: {line}"));
        }
    }
    drop(found);
    let sql = format!("SELECT id, checksum, {MESSAGE} FROM message WHERE id > ?1 ORDER BY id LIMIT {PAGE}");
    let mut last = i64::MIN;
    loop {
        let mut messages = connection().prepare_cached(&sql)?;
        let mut rows = messages.query([last])?;
        let before = last;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            message(row, last, tell);
        }
        if last == before {
            break;
        }
    }
    sessions::damaged(connection(), tell)
}

fn message(row: &Row<'_>, id: i64, tell: &mut dyn FnMut(String)) {
    let is_text = |column| matches!(row.get_ref(column), Ok(ValueRef::Text(text)) if std::str::from_utf8(text).is_err());
    if !holds(row, 1, 2).unwrap_or(false) {
        tell(format!("message {id}: its row was altered on the disk"));
    } else if (2..2 + MESSAGE_WIDTH).any(is_text) {
        tell(format!("message {id}: its text is not UTF-8"));
    }
}
