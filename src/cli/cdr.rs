//! `forecourt cdr verify`: CDRs of other systems, priced again. Exit 6 when one differs or cannot be priced.

use std::path::Path;

use chrono_tz::Tz;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::exit::{Exit, Failure};
use super::output::{Columns, Output};
use super::tariff_files;
use crate::billing::{self, Compared, Verdict};
use crate::store::Rows;
use crate::units::{Decimal, Members};

const COLUMNS: Columns = &["cdr", "item", "stated", "computed", "difference", "verdict"];
/// A CDR has some kilobytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

pub fn verify(file: &Path, tariff: Option<&Path>, zone: Tz, tolerance: Decimal, output: &Output) -> Result<Exit, Failure> {
    let unreadable = |why: String| Failure::new(Exit::NotFound, format!("{}: {why}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(Failure::new(Exit::Usage, format!("{}: larger than {} MiB", file.display(), MAX_FILE_BYTES >> 20)));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let tariff = tariff.map(tariff_files::load).transpose()?;
    let mut rows = Rows { columns: COLUMNS.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() };
    let (mut count, mut differing) = (0, 0);
    for json in cdrs(&text).map_err(|why| Failure::new(Exit::Usage, format!("{}: {why}", file.display())))? {
        count += 1;
        match billing::verify(json.get(), tariff.as_ref(), zone) {
            Ok(verdict) => {
                let found = verdict.compared.iter().map(|one| row(&verdict, one, tolerance)).collect::<Vec<_>>();
                let differs = found.iter().any(|row| row[5] == json!("differs"));
                differing += usize::from(differs);
                if !output.machine() {
                    explain(&verdict, output)?;
                }
                rows.rows.extend(found);
            }
            Err(error) => {
                differing += 1;
                output.note(&format!("CDR {count}: {error}"));
            }
        }
    }
    output.rows(&rows, &COLUMNS[1..])?;
    output.remark(&format!("{count} CDRs, {differing} of them differ or cannot be priced"));
    if differing > 0 { Err(Failure::new(Exit::Verification, "")) } else { Ok(Exit::Ok) }
}

/// The CDRs of a file: one, a list, or the response of a module.
fn cdrs(text: &str) -> Result<Vec<&RawValue>, String> {
    let root: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if root.get().starts_with('[') {
        return serde_json::from_str(root.get()).map_err(|error| error.to_string());
    }
    let Members(members) = serde_json::from_str(root.get()).map_err(|error| error.to_string())?;
    match members.into_iter().find(|(name, _)| name == "data" || name == "cdr") {
        Some((_, inner)) => cdrs(inner.get()),
        None => Ok(vec![root]),
    }
}

fn row(verdict: &Verdict, compared: &Compared, tolerance: Decimal) -> Vec<Json> {
    let said = match compared.difference() {
        None => "not stated",
        Some(difference) if difference.abs() <= tolerance => "agrees",
        Some(_) => "differs",
    };
    let shown = |number: Option<Decimal>| json!(number.map(|number| number.normalize().to_string()));
    vec![
        json!(verdict.cdr_id),
        json!(compared.item),
        shown(compared.stated),
        shown(Some(compared.computed)),
        shown(compared.difference()),
        json!(said),
    ]
}

fn explain(verdict: &Verdict, output: &Output) -> Result<(), Failure> {
    output.line(format!("CDR {}, by tariff {}:", verdict.cdr_id, verdict.tariff_id))?;
    for line in &verdict.rated.lines {
        output.line(format!("  {} {}  {}", line.amount_excl_vat, verdict.rated.currency, line.reason))?;
    }
    let findings = verdict.rated.findings.iter().map(|finding| format!("{}: {}", finding.code, finding.detail));
    verdict.remarks.iter().cloned().chain(findings).try_for_each(|remark| output.line(format!("  remark: {remark}")))
}
