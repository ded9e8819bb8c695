//! `forecourt tariff check`, `explain`, `diff`: tariff files, read as the daemon would. Needs no configuration and no store.

use std::path::Path;

use chrono::NaiveDate;
use serde_json::{Value as Json, json};

use super::exit::{Exit, Failure};
use super::output::{Columns, Output};
use crate::rating::{Tariff, TariffError};
use crate::store::Rows;
use crate::units::{Decimal, MilliW};

const REMARKS: Columns = &["file", "line", "code", "path", "problem", "fix"];
const WEEK: Columns = &["dimension", "from", "until", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DIFFERENCES: Columns = &["difference"];

/// A file's text, and the tariff in it.
struct TariffFile {
    text: String,
    tariff: Result<Tariff, TariffError>,
}

fn read(path: &Path) -> Result<TariffFile, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Exit::NotFound, format!("tariff file {}: {error}", path.display())))?;
    let tariff = Tariff::parse(&text);
    Ok(TariffFile { text, tariff })
}

/// The tariff, or the failure that names file, line and member.
pub fn load(path: &Path) -> Result<Tariff, Failure> {
    let TariffFile { text, tariff } = read(path)?;
    tariff.map_err(|error| {
        let line = error.line(&text).map(|line| format!(":{line}")).unwrap_or_default();
        Failure::new(Exit::Configuration, format!("{}{line}: {error}", path.display()))
    })
}

fn rows(columns: Columns, rows: Vec<Vec<Json>>) -> Rows {
    Rows { columns: columns.iter().map(|column| (*column).to_owned()).collect(), rows }
}

/// Exit 4 when a file is refused; remarks alone are no failure.
pub fn check(files: &[std::path::PathBuf], power: Option<Decimal>, output: &Output) -> Result<Exit, Failure> {
    let mut found = Vec::new();
    let (mut refused, mut remarks) = (0, 0);
    for path in files {
        let TariffFile { text, tariff } = read(path)?;
        let mut add = |at: &str, code: &str, problem: &str, fix: &str| {
            let line = Tariff::line_of(&text, at);
            let file = path.display();
            if !output.machine() {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                let (at, fix) = (
                    if at.is_empty() { String::new() } else { format!("{at}: ") },
                    if fix.is_empty() { fix.to_owned() } else { format!("; {fix}") },
                );
                output.line(format!("{file}{line}: {code}: {at}{problem}{fix}"))?;
            }
            found.push(vec![json!(file.to_string()), json!(line), json!(code), json!(at), json!(problem), json!(fix)]);
            Ok::<_, Failure>(())
        };
        let tariff = match tariff {
            Ok(tariff) => tariff,
            Err(TariffError::Member { path, problem, allowed }) => {
                refused += 1;
                add(&path, "refused", &problem, &format!("allowed: {allowed}"))?;
                continue;
            }
            Err(error) => {
                refused += 1;
                add("", "refused", &error.to_string(), "")?;
                continue;
            }
        };
        let fast = power.and_then(MilliW::from_kw).and_then(|power| tariff.lint_power(power));
        for remark in tariff.lint().into_iter().chain(fast) {
            remarks += 1;
            add(&remark.path, remark.code, &remark.problem, remark.fix)?;
        }
    }
    if output.machine() {
        output.rows(&rows(REMARKS, found), REMARKS)?;
    }
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    output.remark(&format!("{} read, {} refused, {}", count(files.len(), "file"), refused, count(remarks, "remark")));
    if refused > 0 { Err(Failure::new(Exit::Configuration, "")) } else { Ok(Exit::Ok) }
}

pub fn explain(path: &Path, week: NaiveDate, output: &Output) -> Result<Exit, Failure> {
    let tariff = load(path)?;
    let clock = |time: chrono::NaiveTime| time.format("%H:%M").to_string();
    let table: Vec<Vec<Json>> = tariff
        .week(week)
        .into_iter()
        .map(|row| {
            let until = if row.until == chrono::NaiveTime::MIN { "24:00".to_owned() } else { clock(row.until) };
            let head = [row.dimension.as_str().to_owned(), clock(row.from), until];
            head.into_iter().chain(row.days).map(Json::String).collect()
        })
        .collect();
    if output.machine() {
        return output.rows(&rows(WEEK, table), WEEK);
    }
    tariff.sentences().iter().try_for_each(|sentence| output.line(sentence))?;
    output.line("")?;
    output.line(format!("prices in the week of {week}, for a session that begins then; -: free of charge"))?;
    let depends = table.iter().flatten().any(|cell| cell.as_str().is_some_and(|cell| cell.ends_with('*')));
    output.rows(&rows(WEEK, table), WEEK)?;
    if depends {
        output.line("*: also depends on energy, power, current or duration")?;
    }
    Ok(Exit::Ok)
}

pub fn diff(before: &Path, after: &Path, output: &Output) -> Result<Exit, Failure> {
    let differences = load(before)?.differences(&load(after)?);
    if output.machine() {
        let found = differences.into_iter().map(|text| vec![Json::String(text)]).collect();
        return output.rows(&rows(DIFFERENCES, found), DIFFERENCES);
    }
    if differences.is_empty() {
        output.remark("both price every session alike");
    }
    differences.iter().try_for_each(|difference| output.line(difference))?;
    Ok(Exit::Ok)
}
