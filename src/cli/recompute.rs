//! `forecourt record recompute`: the journal again, and whether it gives the same records. Writes nothing but a store of its own in the
//! folder for temporary files, which it removes. Exit 6 when a record differs.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::{Columns, Output};
use crate::config::Config;
use crate::daemon::replay::{self, Recomputed};
use crate::store::Rows;

const COLUMNS: Columns = &["epoch", "seq", "member", "stored", "recomputed"];
/// Of a member's text, on the terminal.
const MAX_SHOWN: usize = 200;

/// A folder that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("forecourt-recompute-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `wanted`: epoch and number of one record; without it, all.
pub fn recompute(config: &Config, wanted: Option<(i64, u64)>, output: &Output) -> Result<Exit, Failure> {
    let store: &Path = &config.store.path;
    let folder = Scratch::new()?;
    output.remark("taking the journal through the program again; this takes a while on a large store");
    let recomputed = replay::recompute(config, store, &folder.0, wanted);
    let Recomputed { records, differences } = recomputed.map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    if records == 0 && wanted.is_some() {
        return Err(Failure::new(Exit::NotFound, "no such record; forecourt records lists them"));
    }
    let different = differences.len();
    let shown = |text: &str| match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) if !output.machine() => json!(format!("{}…", &text[..end])),
        _ => json!(text),
    };
    let rows = differences
        .iter()
        .map(|one| vec![json!(one.epoch), json!(one.seq), json!(one.member), shown(&one.stored), shown(&one.recomputed)])
        .collect();
    let columns = COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    if output.machine() || different > 0 {
        output.rows(&Rows { columns, rows }, COLUMNS)?;
    }
    if different > 0 {
        return Err(Failure::new(
            Exit::Verification,
            format!("{records} records, {different} differences from what the journal gives"),
        ));
    }
    output.remark(&format!("{records} records, each the same byte by byte but for record_id, prev and what follows from them"));
    Ok(Exit::Ok)
}
