//! The list of tokens as it is read: into the machine at start, and for people.

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::checksum::Text;
use crate::fact::AuthStatus;
use crate::station::{ListedToken, Place};
use crate::units::{Token, TokenKind, time};

const COLUMNS: &str = "token, kind, status, token_group, expires_at, stations, tariff";

/// All tokens of the list.
pub(super) fn all(connection: &Connection) -> Result<Vec<ListedToken>, StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM token ORDER BY folded"))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn one(connection: &Connection, token: &Token) -> Result<Option<ListedToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM token WHERE folded = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([token.folded()], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ListedToken> {
    let (Text(text), Text(kind), Text(status)) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let places: Vec<String> =
        row.get::<_, Option<Text>>(5)?.and_then(|Text(json)| serde_json::from_str(&json).ok()).unwrap_or_default();
    Ok(ListedToken {
        token: Token::new(TokenKind::from_name(&kind), &text),
        // The table knows no other names.
        status: AuthStatus::from_name(&status).unwrap_or(AuthStatus::Invalid),
        group: row.get::<_, Option<Text>>(3)?.map(|Text(group)| group.into()),
        expires_at: row.get::<_, Option<i64>>(4)?.map(time::from_millis),
        places: places.iter().filter_map(|place| Place::parse(place)).collect(),
        tariff: row.get::<_, Option<Text>>(6)?.map(|Text(id)| id),
    })
}
