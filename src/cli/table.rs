//! Tables that fit a terminal: what has no room is left out, least important first; an id is never broken.
//!
//! Steps, until the width is kept: columns without any content go; headings break into lines; times lose seconds and zone
//! (and the year, when it is this one); columns go in the order of `LEAST`. Sentences (`PROSE`) take what is left and break
//! between words. A row that fits in no way becomes a block, one value a line. Texts come in escaped.

use comfy_table::{CellAlignment, Table, presets};

/// Columns in the order in which they go when there is no room; what is not named here stays.
const LEAST: &[&str] = &[
    "firmware",
    "first_at",
    "record_id",
    "bytes",
    "epoch",
    "tariff_id",
    "findings",
    "repeats",
    "token",
    "model",
    "vendor",
    "open_sessions",
    "outcome",
    "severity",
    "cost_excl_vat",
    "line",
    "ocpp_version",
    "duration_s",
    "record_seq",
    "unit",
    "count",
    "vat",
    "amount_excl_vat",
    "evse",
    "kind",
    "refused_at",
    "since_at",
    "hold_reason",
    "last_message_at",
    "refused_reason",
    "received_at",
    "last_at",
    "created_at",
    "started_at",
    "fault_detail",
    "connectors",
    "payload",
    "answer",
    "before",
    "ended_at",
    "direction",
];
/// Columns of words, which may be broken between them.
const PROSE: &[&str] =
    &["reason", "detail", "fault_detail", "connectors", "refused_reason", "findings", "hold_reason", "subject", "after"];
/// A narrower column of words is no pleasure to read.
const PROSE_MIN: usize = 20;
const GAP: usize = 2;
/// Longer words are no ids (identities have at most 48 characters) and are cut short; JSON has them whole.
const LONGEST: usize = 64;

/// One column of a table for people.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// As in the view.
    pub name: String,
    pub heading: String,
    pub cells: Vec<String>,
    /// The same, shorter; for times.
    pub short: Option<Vec<String>>,
    /// Numbers stand to the right.
    pub right: bool,
    /// No row has anything here.
    pub empty: bool,
}

/// What came out.
pub struct Laid {
    pub text: String,
    /// Headings of columns with content that had no room.
    pub left_out: Vec<String>,
}

/// Lays a table out in `width` columns. `all`: no column may be left out.
pub fn lay(mut columns: Vec<Column>, width: usize, all: bool) -> Laid {
    let whole = columns.clone();
    if !all {
        columns.iter_mut().flat_map(|column| &mut column.cells).for_each(shorten_words);
        currency_into_headings(&mut columns);
    }
    if !all && !fits(&columns, width) {
        columns.retain(|column| !column.empty);
    }
    if !fits(&columns, width) {
        let measured = widths(&columns);
        for (column, [_, cells]) in columns.iter_mut().zip(measured) {
            column.heading = in_two_lines(&column.heading, cells);
        }
    }
    if !fits(&columns, width) {
        for column in &mut columns {
            if let Some(short) = column.short.take() {
                column.cells = short;
            }
        }
    }
    let left_out = if all { Vec::new() } else { make_room(&mut columns, width) };
    if !fits(&columns, width) {
        return Laid { text: blocks(&whole, width), left_out: Vec::new() };
    }
    wrap_prose(&mut columns, width);
    Laid { text: render(&columns), left_out }
}

/// One currency in the whole table stands in the headings, as a unit does.
fn currency_into_headings(columns: &mut Vec<Column>) {
    let Some(place) = columns.iter().position(|column| column.name == "currency") else { return };
    let mut codes: Vec<&String> = columns[place].cells.iter().filter(|cell| *cell != "-").collect();
    codes.dedup();
    if let [code] = codes[..] {
        let code = code.clone();
        columns.remove(place);
        for column in columns.iter_mut().filter(|column| {
            column.name.starts_with("cost_") || column.name.starts_with("amount_") || column.name == "unit_price"
        }) {
            column.heading = format!("{} {code}", column.heading);
            column.right = true;
        }
    }
}

/// Leaves out columns until the rest fits, then takes back what has room after all, the most important first. Returns the
/// headings of what stays out.
fn make_room(columns: &mut Vec<Column>, width: usize) -> Vec<String> {
    let order: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut out = Vec::new();
    for name in LEAST {
        if fits(columns, width) {
            break;
        }
        if let Some(place) = columns.iter().position(|column| column.name == *name) {
            out.push(columns.remove(place));
        }
    }
    let mut left_out = Vec::new();
    for column in out.into_iter().rev() {
        columns.push(column);
        if !fits(columns, width) {
            left_out.extend(columns.pop().map(|column| column.heading.replace('\n', " ")));
        }
    }
    columns.sort_by_key(|column| order.iter().position(|name| *name == column.name));
    left_out
}

/// As narrow as the cells allow, but in no more than two lines.
fn in_two_lines(heading: &str, cells: usize) -> String {
    let width = (cells..heading.len()).find(|width| break_words(heading, *width).len() <= 2).unwrap_or(heading.len());
    break_words(heading, width).join("\n")
}

fn shorten_words(cell: &mut String) {
    if cell.split(' ').any(|word| word.chars().count() > LONGEST) {
        let short = |word: &str| match word.char_indices().nth(LONGEST - 1) {
            Some((end, _)) if word.chars().count() > LONGEST => format!("{}…", &word[..end]),
            _ => word.to_owned(),
        };
        *cell = cell.split(' ').map(short).collect::<Vec<_>>().join(" ");
    }
}

/// Per column: display width of the heading and of the widest cell.
fn widths(columns: &[Column]) -> Vec<[usize; 2]> {
    let measure = |rows: &mut dyn Iterator<Item = Vec<&str>>| {
        let mut table = Table::new();
        for row in rows {
            table.add_row(row);
        }
        table.column_max_content_widths()
    };
    let headings = measure(&mut std::iter::once(columns.iter().map(|column| column.heading.as_str()).collect()));
    let count = columns.first().map_or(0, |column| column.cells.len());
    let cells = measure(&mut (0..count).map(|row| columns.iter().map(|column| column.cells[row].as_str()).collect()));
    let at = |list: &[u16], place: usize| list.get(place).copied().map_or(0, usize::from);
    (0..columns.len()).map(|place| [at(&headings, place), at(&cells, place)]).collect()
}

fn is_prose(column: &Column) -> bool {
    PROSE.contains(&column.name.as_str())
}

fn longest_word(column: &Column) -> usize {
    column.cells.iter().flat_map(|cell| cell.split(' ')).map(|word| word.chars().count()).max().unwrap_or(0)
}

/// The least room each column needs.
fn needs(columns: &[Column]) -> Vec<usize> {
    let need = |column: &Column, [heading, cells]: [usize; 2]| {
        let content = if is_prose(column) { cells.min(longest_word(column).max(PROSE_MIN)) } else { cells };
        heading.max(content)
    };
    columns.iter().zip(widths(columns)).map(|(column, widths)| need(column, widths)).collect()
}

fn fits(columns: &[Column], width: usize) -> bool {
    needs(columns).iter().map(|need| need + GAP).sum::<usize>() <= width + GAP
}

/// Gives the columns of words the room that is left, in equal parts.
fn wrap_prose(columns: &mut [Column], width: usize) {
    let needs = needs(columns);
    let mut spare = (width + GAP).saturating_sub(needs.iter().map(|need| need + GAP).sum());
    let mut hungry = columns.iter().filter(|column| is_prose(column)).count();
    for (column, need) in columns.iter_mut().zip(needs).filter(|(column, _)| is_prose(column)) {
        let content = column.cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let room = content.clamp(need, need + spare / hungry.max(1));
        spare -= (room - need).min(spare);
        hungry -= 1;
        for cell in &mut column.cells {
            *cell = break_words(cell, room).join("\n");
        }
    }
}

/// Lines of at most `width` characters, broken at spaces only: a longer word stays whole. Spaces within a line stay.
pub fn break_words(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for (place, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if let Some(line) = lines.last_mut()
            && (place == 0 || used + 1 + length <= width)
        {
            if place > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
            continue;
        }
        lines.push(word.to_owned());
        used = length;
    }
    lines
}

fn render(columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| column.heading.as_str()));
    let count = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..count {
        table.add_row(columns.iter().map(|column| column.cells[row].as_str()));
    }
    for (place, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(place) {
            shown.set_padding((0, 2));
            if column.right {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.trim_fmt()
}

/// One value a line, under the names of the view.
fn blocks(columns: &[Column], width: usize) -> String {
    let widest = columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    let count = columns.first().map_or(0, |column| column.cells.len());
    let block = |row: usize| {
        let value = |cell: &str| break_words(cell, width.saturating_sub(widest + GAP)).join(&format!("\n{:widest$}  ", ""));
        let lines = columns.iter().map(|column| format!("{:<widest$}  {}", column.name, value(&column.cells[row])));
        lines.collect::<Vec<_>>().join("\n")
    };
    (0..count).map(block).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, cells: &[&str]) -> Column {
        let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
        Column { name: name.into(), heading: name.to_uppercase().replace('_', " "), cells, ..Column::default() }
    }

    fn sessions() -> Vec<Column> {
        let mut started = column("started_at", &["2026-11-21 10:59:20 CET", "2026-11-21 11:59:20 CET"]);
        started.short = Some(vec!["11-21 10:59".into(), "11-21 11:59".into()]);
        let mut hold = column("hold_reason", &["-", "-"]);
        hold.empty = true;
        vec![
            column("session_id", &["S-20261121-0005", "S-20261121-0006"]),
            column("station", &["DE*ABC*STATION*000042", "CP-1"]),
            column("state", &["done", "waiting"]),
            started,
            column("duration_s", &["1200", "86400"]),
            column("cost_incl_vat", &["1.92", "104.00"]),
            column("token", &["…E5F6", "…0001"]),
            hold,
        ]
    }

    #[test]
    fn any_width_keeps_ids_whole_and_lines_short() {
        for width in 40..140 {
            let laid = lay(sessions(), width, false);
            assert!(laid.text.contains("S-20261121-0005") && laid.text.contains("DE*ABC*STATION*000042"), "{}", laid.text);
            for line in laid.text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
        let wide = lay(sessions(), 200, false);
        assert!(wide.text.contains("HOLD REASON") && wide.text.contains("10:59:20 CET") && wide.left_out.is_empty());
        let narrow = lay(sessions(), 80, false);
        assert!(narrow.text.contains("11-21 10:59") && narrow.text.contains("104.00"), "{}", narrow.text);
        assert_eq!(narrow.left_out, ["TOKEN"], "{}", narrow.text);
    }

    #[test]
    fn one_currency_is_said_once() {
        let table = |currencies: [&str; 2]| {
            let mut columns = sessions();
            columns.push(column("currency", &currencies));
            lay(columns, 200, false).text
        };
        let one = table(["EUR", "-"]);
        assert!(one.contains("COST INCL VAT EUR") && !one.contains("CURRENCY"), "{one}");
        assert!(table(["EUR", "CHF"]).contains("CURRENCY"));
        // A block has its currency in a line of its own.
        let mut columns = sessions();
        columns.push(column("currency", &["EUR", "EUR"]));
        assert!(lay(columns, 30, false).text.contains("currency       EUR"));
    }

    #[test]
    fn what_fits_in_no_way_becomes_a_block() {
        let laid = lay(sessions(), 80, true);
        assert!(laid.text.contains("session_id     S-20261121-0005\n"), "{}", laid.text);
        assert!(laid.left_out.is_empty());
        let laid = lay(vec![column("station", &["S-20261121-0005"]), column("detail", &["so many words in it"])], 25, false);
        assert!(laid.text.ends_with("detail   so many words in\n         it"), "{}", laid.text);
    }

    #[test]
    fn sentences_take_the_room_that_is_left() {
        let text = "16 messages came twice, with another id and the same content";
        let laid = lay(vec![column("kind", &["repeats"]), column("detail", &[text])], 40, false);
        assert!(laid.text.lines().count() > 2 && laid.text.lines().all(|line| line.len() <= 40), "{}", laid.text);
        let words = laid.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.split(' ').all(|word| words.contains(word)), "{words}");
    }

    #[test]
    fn junk_is_cut_short() {
        let laid = lay(vec![column("kind", &["repeats"]), column("subject", &[&"x".repeat(500)])], 80, false);
        assert!(laid.text.contains("xxx…") && laid.text.lines().all(|line| line.chars().count() <= 80), "{}", laid.text);
    }

    #[test]
    fn words_are_never_broken() {
        assert_eq!(break_words("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(break_words("abcdefgh ij", 4), ["abcdefgh", "ij"]);
        assert_eq!(break_words("  indented", 20), ["  indented"]);
        assert_eq!(break_words("", 4), [""]);
    }
}
