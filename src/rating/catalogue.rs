//! All tariffs of a site, in their versions.
//!
//! Several tariffs may share an id if their validity tells them apart: at any instant the valid version that started last is
//! the one. A version may be replaced before its end, but must not come back when its successor ends: nobody means that.

use super::tariff::Tariff;
use crate::units::{Time, time};

/// Tariffs by id and start of validity.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Sorted by folded id, then by start.
    tariffs: Vec<Tariff>,
}

/// Why a set of tariffs does not say which one counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    #[error("tariff {id} has two versions that start at the same instant ({start})")]
    Duplicate { id: String, start: String },
    #[error("tariff {id}: the version from {start} ends at {end}, inside the older version from {older}, which would come back")]
    Overlap { id: String, older: String, start: String, end: String },
}

impl Catalogue {
    /// Orders the tariffs and refuses versions of one id that overlap in a way that leaves doubt.
    pub fn new(mut tariffs: Vec<Tariff>) -> Result<Self, CatalogueError> {
        tariffs.sort_by_cached_key(|tariff| (tariff.id.to_ascii_lowercase(), tariff.valid_from));
        for (index, older) in tariffs.iter().enumerate() {
            let newer_versions = tariffs[index + 1..].iter().take_while(|newer| newer.id.eq_ignore_ascii_case(&older.id));
            for newer in newer_versions {
                check_pair(older, newer)?;
            }
        }
        Ok(Self { tariffs })
    }

    /// The version of tariff `id` that a session starting at `at` is billed by. Ids compare without regard to ASCII case.
    pub fn choose(&self, id: &str, at: Time) -> Option<&Tariff> {
        // The last in order is the one that started last.
        self.tariffs.iter().rev().find(|tariff| tariff.id.eq_ignore_ascii_case(id) && tariff.valid_at(at))
    }

    /// All versions of all tariffs, by id and start of validity.
    pub fn tariffs(&self) -> &[Tariff] {
        &self.tariffs
    }
}

fn check_pair(older: &Tariff, newer: &Tariff) -> Result<(), CatalogueError> {
    if older.valid_from == newer.valid_from {
        return Err(CatalogueError::Duplicate { id: newer.id.clone(), start: shown(newer.valid_from) });
    }
    let outlived = |end: Time| older.valid_until.is_none_or(|older_end| end < older_end);
    match newer.valid_until {
        Some(end) if outlived(end) => Err(CatalogueError::Overlap {
            id: newer.id.clone(),
            older: shown(older.valid_from),
            start: shown(newer.valid_from),
            end: shown(Some(end)),
        }),
        _ => Ok(()),
    }
}

fn shown(at: Option<Time>) -> String {
    at.map_or_else(|| "the beginning".to_owned(), time::rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tariff(id: &str, from: &str, until: &str) -> Tariff {
        let instant =
            |name: &str, text: &str| if text.is_empty() { String::new() } else { format!(r#""{name}":"{text}T00:00:00Z","#) };
        Tariff::parse(&format!(
            r#"{{"id":"{id}","currency":"EUR",{}{}"elements":[{{"price_components":[{{"type":"FLAT","price":1}}]}}]}}"#,
            instant("start_date_time", from),
            instant("end_date_time", until)
        ))
        .expect("tariff")
    }

    fn at(day: &str) -> Time {
        format!("{day}T00:00:00Z").parse().expect("time")
    }

    #[test]
    fn the_version_that_started_last_counts() {
        let catalogue =
            Catalogue::new(vec![tariff("A", "2026-06-01", ""), tariff("a", "", "2026-07-01"), tariff("B", "", "2026-02-01")])
                .expect("no doubt");
        let start = |id: &str, day: &str| catalogue.choose(id, at(day)).map(|tariff| tariff.valid_from);
        assert_eq!(start("a", "2026-05-31"), Some(None));
        assert_eq!(start("A", "2026-06-01"), Some(Some(at("2026-06-01"))));
        assert_eq!(start("B", "2026-01-31"), Some(None));
        assert_eq!(start("B", "2026-02-01"), None);
        assert_eq!(start("C", "2026-02-01"), None);
    }

    #[test]
    fn doubtful_versions_are_refused() {
        let duplicate = Catalogue::new(vec![tariff("A", "2026-06-01", ""), tariff("a", "2026-06-01", "2026-07-01")]);
        assert!(matches!(duplicate, Err(CatalogueError::Duplicate { .. })));
        let nested = Catalogue::new(vec![tariff("A", "", ""), tariff("A", "2026-06-01", "2026-07-01")]);
        assert!(matches!(nested, Err(CatalogueError::Overlap { .. })));
        assert!(Catalogue::new(vec![tariff("A", "", "2026-06-01"), tariff("A", "2026-06-01", "2026-07-01")]).is_ok());
    }
}
