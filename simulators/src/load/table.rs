//! The benchmark's tables: Markdown, so that they can be pasted into docs/performance.md as they are.

// Statistics for people.
#![allow(clippy::float_arithmetic)]

use super::goals::{Against, Figures, Goal, Metric, Verdict, median_and_spread};
use super::servers::Contender;

/// The runs of one server that counted.
pub struct Row {
    pub contender: Contender,
    pub runs: Vec<Figures>,
}

type Column = (&'static str, Metric, usize, bool);

/// Heading, metric, digits, with spread.
const COLUMNS: &[Column] = &[
    ("msg/s", Metric::PerSecond, 0, true),
    ("CPU us/msg", Metric::CpuUs, 1, true),
    ("norm", Metric::CpuNormUs, 1, true),
    ("whole run", Metric::WholeCpuUs, 1, false),
    ("p50 ms", Metric::P50Ms, 2, false),
    ("p99 ms", Metric::P99Ms, 2, true),
    ("disk B/msg", Metric::DiskBytes, 0, false),
    ("RSS idle MB", Metric::RssIdleMb, 1, false),
    ("RSS load MB", Metric::RssLoadMb, 1, false),
    ("settle ms", Metric::SettleMs, 0, false),
    ("others %", Metric::OtherPercent, 1, false),
];

const HELD_COLUMNS: &[Column] = &[
    ("msg/s", Metric::PerSecond, 0, false),
    ("CPU us/msg", Metric::CpuUs, 1, true),
    ("p50 ms", Metric::P50Ms, 2, false),
    ("p99 ms", Metric::P99Ms, 2, false),
    ("RSS idle MB", Metric::RssIdleMb, 1, true),
    ("RSS held MB", Metric::RssLoadMb, 1, true),
    ("kB/connection", Metric::RssConnectionKb, 2, true),
    ("others %", Metric::OtherPercent, 1, false),
];

/// Medians with their spread, a line a server.
pub fn figures(rows: &[Row], held: bool) -> String {
    let columns = if held { HELD_COLUMNS } else { COLUMNS };
    let mut lines = vec![std::iter::once("server").chain(columns.iter().map(|column| column.0)).map(str::to_owned).collect()];
    for row in rows {
        let mut cells = vec![row.contender.name().to_owned()];
        for (_, metric, digits, with_spread) in columns {
            cells.push(match median_and_spread(&row.runs, *metric) {
                _ if row.runs.is_empty() => "void".to_owned(),
                (middle, spread) if *with_spread => format!("{middle:.digits$} (±{:.0}%)", spread * 100.0),
                (middle, _) => format!("{middle:.digits$}"),
            });
        }
        lines.push(cells);
    }
    markdown(&lines)
}

/// Forecourt's ratios beside the goals, and how many were missed.
pub fn goals(rows: &[Row], goals: &[Goal]) -> (String, usize) {
    let of = |contender: Contender, metric: Metric| {
        rows.iter().find(|row| row.contender == contender).map_or(f64::NAN, |row| median_and_spread(&row.runs, metric).0)
    };
    let mut lines =
        vec![["forecourt", "against", "measured", "goal", "stretch", "verdict"].into_iter().map(str::to_owned).collect()];
    let mut missed = 0;
    for goal in goals {
        let own = of(Contender::Forecourt, goal.metric);
        let (name, value, unit) = match goal.against {
            Against::Server(other) => (other.name(), own / of(other, goal.metric), "x"),
            Against::Nothing => ("-", own, ""),
        };
        let sign = if goal.at_least { "≥" } else { "≤" };
        let verdict = if value.is_nan() { "not measured" } else { goal.verdict(value).name() };
        missed += usize::from(goal.verdict(value) == Verdict::Miss);
        lines.push(vec![
            goal.what.to_owned(),
            name.to_owned(),
            if value.is_nan() { "-".to_owned() } else { format!("{value:.2}{unit}") },
            format!("{sign} {}{unit}", goal.goal),
            format!("{sign} {}{unit}", goal.stretch),
            verdict.to_owned(),
        ]);
    }
    (markdown(&lines), missed)
}

/// First line is the heading; columns are padded so that it also reads well as it is.
fn markdown(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(&format!("| {cell:<width$} "));
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                text.push_str(&format!("|{}", "-".repeat(width + 2)));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::goals::SATURATED;
    use super::*;

    #[test]
    fn ratios_and_misses() {
        let row = |contender, per_second, cpu_us| Row {
            contender,
            runs: vec![Figures {
                per_second,
                cpu_us,
                p99_us: 5000.0,
                disk_bytes: 1000.0,
                fixed_work_ns: 1.0,
                fixed_work_median_ns: 1.0,
                ..Figures::default()
            }],
        };
        let rows = [row(Contender::Echo, 100.0, 5.0), row(Contender::Durable, 80.0, 10.0), row(Contender::Forecourt, 30.0, 18.0)];
        let (text, missed) = goals(&rows, SATURATED);
        assert_eq!(missed, 1, "{text}");
        assert!(text.contains("1.80x") && text.contains("3.60x") && text.contains("MISS"), "{text}");
        assert_eq!(figures(&rows, false).lines().count(), 5);
    }
}
