//! The figures of a run, their medians, and the goals: ratios to the limit servers of the same benchmark.

// Medians, spreads and ratios are statistics; nothing here is billed.
#![allow(clippy::float_arithmetic)]

use super::servers::Contender;

/// What is measured. The order is the order of the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    PerSecond,
    CpuUs,
    CpuNormUs,
    /// CPU of the whole run, start, warm-up and settling included, per answered message: shows work put off.
    WholeCpuUs,
    P50Ms,
    P99Ms,
    DiskBytes,
    RssIdleMb,
    RssLoadMb,
    /// Kilobytes a held connection.
    RssConnectionKb,
    /// From the last answer to the last record.
    SettleMs,
    /// Share of the servers' core that others took, in percent.
    OtherPercent,
}

/// One run of one server, checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub per_second: f64,
    pub cpu_us: f64,
    pub whole_cpu_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub disk_bytes: f64,
    pub rss_idle_kb: f64,
    pub rss_load_kb: f64,
    pub connections: f64,
    pub settle_ms: f64,
    pub other_share: f64,
    /// CPU time of a fixed piece of work on the servers' core around this run, and its median over all runs.
    pub fixed_work_ns: f64,
    pub fixed_work_median_ns: f64,
}

impl Figures {
    pub fn get(&self, metric: Metric) -> f64 {
        match metric {
            Metric::PerSecond => self.per_second,
            Metric::CpuUs => self.cpu_us,
            Metric::CpuNormUs => self.cpu_us * self.fixed_work_median_ns / self.fixed_work_ns,
            Metric::WholeCpuUs => self.whole_cpu_us,
            Metric::P50Ms => self.p50_us / 1000.0,
            Metric::P99Ms => self.p99_us / 1000.0,
            Metric::DiskBytes => self.disk_bytes,
            Metric::RssIdleMb => self.rss_idle_kb / 1024.0,
            Metric::RssLoadMb => self.rss_load_kb / 1024.0,
            Metric::RssConnectionKb => (self.rss_load_kb - self.rss_idle_kb) / self.connections,
            Metric::SettleMs => self.settle_ms,
            Metric::OtherPercent => self.other_share * 100.0,
        }
    }
}

/// Median, and half the range as a share of it.
pub fn median_and_spread(runs: &[Figures], metric: Metric) -> (f64, f64) {
    let values: Vec<f64> = runs.iter().map(|run| run.get(metric)).collect();
    let middle = median(&values);
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    (middle, if middle > 0.0 { (high - low) / 2.0 / middle } else { 0.0 })
}

/// The middle value, or the mean of the two middle ones; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    Server(Contender),
    /// The figure itself is the goal.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
pub struct Goal {
    pub what: &'static str,
    pub metric: Metric,
    pub against: Against,
    /// Larger is better (msg/s); otherwise smaller is.
    pub at_least: bool,
    pub goal: f64,
    pub stretch: f64,
}

const fn at_most(what: &'static str, metric: Metric, against: Against, goal: f64, stretch: f64) -> Goal {
    Goal { what, metric, against, at_least: false, goal, stretch }
}

const fn at_least(what: &'static str, metric: Metric, against: Against, goal: f64, stretch: f64) -> Goal {
    Goal { what, metric, against, at_least: true, goal, stretch }
}

const DURABLE: Against = Against::Server(Contender::Durable);
const ECHO: Against = Against::Server(Contender::Echo);

pub const SATURATED: &[Goal] = &[
    at_most("CPU/msg (norm)", Metric::CpuNormUs, DURABLE, 2.0, 1.5),
    at_most("CPU/msg (norm)", Metric::CpuNormUs, ECHO, 4.0, 3.0),
    at_least("msg/s", Metric::PerSecond, DURABLE, 0.5, 0.7),
    at_most("p99", Metric::P99Ms, DURABLE, 1.5, 1.0),
    at_most("disk bytes/msg", Metric::DiskBytes, DURABLE, 1.5, 1.2),
];
pub const ONE: &[Goal] = &[at_most("p50", Metric::P50Ms, DURABLE, 1.5, 1.2)];
pub const LIGHT: &[Goal] = &[at_most("p50", Metric::P50Ms, DURABLE, 1.5, 1.2)];
pub const SLOW_FSYNC: &[Goal] = &[at_least("msg/s", Metric::PerSecond, DURABLE, 0.8, 0.95)];
pub const HELD: &[Goal] = &[
    at_most("RSS idle, MB", Metric::RssIdleMb, Against::Nothing, 15.0, 10.0),
    at_most("RSS a connection, kB", Metric::RssConnectionKb, Against::Nothing, 12.0, 8.0),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stretch,
    Ok,
    Miss,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stretch => "ok (stretch)",
            Self::Ok => "ok",
            Self::Miss => "MISS",
        }
    }
}

impl Goal {
    pub fn verdict(&self, value: f64) -> Verdict {
        let reached = |bound: f64| if self.at_least { value >= bound } else { value <= bound };
        match (reached(self.stretch), reached(self.goal)) {
            (true, _) => Verdict::Stretch,
            (false, true) => Verdict::Ok,
            // NaN is here too: what was not measured is not reached.
            (false, false) => Verdict::Miss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let cpu = SATURATED[0];
        assert_eq!(
            [1.5, 1.9, 2.1, f64::NAN].map(|value| cpu.verdict(value)),
            [Verdict::Stretch, Verdict::Ok, Verdict::Miss, Verdict::Miss]
        );
        let rate = SATURATED[2];
        assert_eq!([0.7, 0.5, 0.4].map(|value| rate.verdict(value)), [Verdict::Stretch, Verdict::Ok, Verdict::Miss]);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        let runs = [1.0, 2.0, 3.0].map(|per_second| Figures { per_second, ..Figures::default() });
        assert_eq!(median_and_spread(&runs, Metric::PerSecond), (2.0, 0.5));
    }
}
