//! Lists: complete and row by row for programs; for people a table of so many rows, which says so when there are more.

use super::exit::{Exit, Failure};
use super::output::{Columns, Output};
use crate::store::{Key, Reader, Rows, Values};

/// Rows of a table when nobody says how many.
const TABLE_ROWS: u64 = 50;

pub struct List<'a> {
    /// What the rows are, in the plural.
    pub what: &'static str,
    /// A query without order and limit.
    pub select: &'a str,
    pub order: &'static str,
    /// The order turned round, where a cut list shows its end.
    pub end_first: Option<&'static str>,
    /// So that all of it can be read in pages; without it the list is short.
    pub key: Option<Key>,
    pub values: Values<'a>,
    /// As asked for; 0 for all.
    pub limit: Option<u64>,
    pub columns: Columns,
}

impl List<'_> {
    pub fn print(&self, store: &Reader, output: &Output) -> Result<Exit, Failure> {
        self.print_as(store, output, |rows| output.rows(rows, self.columns).map(drop))
    }

    /// The same, shown to people in a form of its own.
    pub fn print_as(
        &self,
        store: &Reader,
        output: &Output,
        show: impl FnOnce(&Rows) -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        let limit = rows(self.limit, output);
        let (select, order) = (self.select, self.order);
        let sql = match (limit, self.end_first) {
            (None, _) => format!("{select} ORDER BY {order}"),
            (Some(limit), None) => format!("{select} ORDER BY {order} LIMIT {limit}"),
            (Some(limit), Some(end_first)) => {
                format!("SELECT * FROM ({select} ORDER BY {end_first} LIMIT {limit}) ORDER BY {order}")
            }
        };
        let shown = if output.machine() {
            let mut stream = output.stream();
            match &self.key {
                Some(key) if limit.is_none() => store.each_in_pages(select, key, self.values, &mut stream)?,
                _ => store.each(&sql, self.values, &mut stream)?,
            }
            stream.finish()?
        } else {
            let rows = store.query(&sql, self.values)?;
            show(&rows)?;
            rows.rows.len() as u64
        };
        if limit == Some(shown) {
            let what = self.what;
            match store.count(select, self.values)? {
                Some(total) if total > shown => {
                    output.note(&format!("showing {} of {} {what}; --limit 0 for all", grouped(shown), grouped(total)));
                }
                Some(_) => {}
                None => output.note(&format!("showing {} {what} of very many; --limit 0 for all", grouped(shown))),
            }
        }
        Ok(Exit::Ok)
    }
}

/// How many rows are shown; `None`: all.
pub fn rows(limit: Option<u64>, output: &Output) -> Option<u64> {
    match limit {
        Some(0) => None,
        None if output.machine() => None,
        asked => Some(asked.unwrap_or(TABLE_ROWS)),
    }
}

/// `1234567` → `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 50, 999, 1234, 1_234_567].map(grouped), ["0", "50", "999", "1,234", "1,234,567"]);
    }
}
