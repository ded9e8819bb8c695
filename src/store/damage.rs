//! What of the file is not as it was written, for `verify --all`.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::checksum::{MESSAGE, MESSAGE_WIDTH, Text, holds};
use super::{StoreError, sessions};

/// Every row that is not as it was written, and what SQLite finds wrong with its structure; each as a sentence.
pub(super) fn damage(connection: &Connection, tell: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let mut check = connection.prepare("PRAGMA integrity_check(20)")?;
    let mut found = check.query([])?;
    while let Some(row) = found.next()? {
        let Text(line) = row.get(0)?;
        if line != "ok" {
            tell(format!("the file: {line}"));
        }
    }
    let mut messages = connection.prepare(&format!("SELECT id, checksum, {MESSAGE} FROM message ORDER BY id"))?;
    let mut rows = messages.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let is_text = |column| matches!(row.get_ref(column), Ok(ValueRef::Text(text)) if std::str::from_utf8(text).is_err());
        if !holds(row, 1, 2).unwrap_or(false) {
            tell(format!("message {id}: its row was altered on the disk"));
        } else if (2..2 + MESSAGE_WIDTH).any(is_text) {
            tell(format!("message {id}: its text is not UTF-8"));
        }
    }
    sessions::damaged(connection, tell)
}
