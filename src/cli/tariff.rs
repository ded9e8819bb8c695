//! `forecourt tariff reload`.

use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use super::ask;
use super::exit::{Exit, Failure};
use super::output::{Columns, Output};
use crate::control::Command;
use crate::store::Rows;

const COLUMNS: Columns = &["tariff_id", "change", "before", "after"];
/// Reading files and one commit.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn reload(socket: &Path, reason: &str, output: &Output) -> Result<Exit, Failure> {
    let reply = ask::ask(socket, &Command::TariffReload { reason: reason.to_owned() }, PATIENCE)?;
    if let Json::Array(changes) = &reply.value() {
        if changes.is_empty() {
            output.note("no tariff has changed");
        }
        let row = |change: &Json| COLUMNS.iter().map(|column| change.get(*column).cloned().unwrap_or_default()).collect();
        let columns = COLUMNS.iter().map(|column| (*column).to_owned()).collect();
        output.rows(&Rows { columns, rows: changes.iter().map(row).collect() }, COLUMNS)?;
    }
    ask::ended(&reply)
}
