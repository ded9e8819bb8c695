//! Words that people write almost right.

/// The candidate with the fewest slips (letter added, dropped, changed, or two swapped), if there are few enough of them for
/// the word to be recognisable: one, or a third of its length.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|(slips, _)| *slips <= limit)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// All candidates, those with the fewest slips first; letters that begin both count for a word.
pub fn by_likeness<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut candidates: Vec<&'a str> = candidates.into_iter().collect();
    let same_beginning =
        |candidate: &str| word.chars().zip(candidate.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    candidates.sort_by_cached_key(|candidate| slips(word, candidate).saturating_sub(same_beginning(candidate)));
    candidates
}

/// Optimal string alignment distance, without regard to ASCII case.
fn slips(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_ascii_lowercase().chars().collect();
    let b: Vec<char> = b.to_ascii_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_as_people_make_them() {
        for (a, b, count) in [
            ("", "", 0),
            ("", "ab", 2),
            ("listen", "lissten", 1),
            ("path", "paht", 1),
            ("Berlin", "berlin", 0),
            ("abc", "xyz", 3),
        ] {
            assert_eq!(slips(a, b), count, "{a} {b}");
            assert_eq!(slips(b, a), count, "{b} {a}");
        }
    }

    #[test]
    fn only_a_recognisable_word_is_suggested() {
        let known = ["ocpp.listen", "ocpp.path", "mqtt.url"];
        assert_eq!(nearest("ocpp.lissten", known), Some("ocpp.listen"));
        assert_eq!(nearest("ocp.paht", known), Some("ocpp.path"));
        assert_eq!(nearest("weather.forecast", known), None);
        assert_eq!(nearest("", known), None);
    }
}
