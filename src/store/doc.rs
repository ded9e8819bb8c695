//! What the columns of the views are: the table `doc`, and which of them say yes or no.

const DOC: &str = include_str!("doc.tsv");
/// SQLite has no booleans: the views say 0 and 1.
const BOOLEAN: &str = "0/1";

/// View, column, unit, meaning.
pub(super) fn lines() -> impl Iterator<Item = [&'static str; 4]> {
    DOC.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let mut parts = line.split('\t');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    })
}

/// Whether a column of that name says yes or no, in whichever view.
pub(super) fn is_boolean(name: &str) -> bool {
    lines().any(|[_, column, unit, _]| column == name && unit == BOOLEAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_same_in_every_view() {
        for [_, column, unit, _] in lines().filter(|[_, column, ..]| is_boolean(column)) {
            assert_eq!(unit, BOOLEAN, "{column}");
        }
        assert!(is_boolean("acknowledged") && !is_boolean("sessions"));
    }
}
