//! Forecourt beside the least a durable OCPP server can do, in one command.
//!
//! Starts each server in turn in a fresh folder on core 0 and the generator on core 1, in rotated order, several rounds;
//! takes what the kernel counted during the window; holds the server's store against what was answered; prints medians
//! and the ratios beside their goals (docs/performance.md). A run with one wrong, lost or doubled message has no figure.
//!
//! ```text
//! cargo build --release && cargo build --release -p simulators
//! target/release/bench --forecourt target/release/forecourt --all
//! ```
//!
//! Exit 0 when every run counted, whatever the verdicts; 1 when a run was void.

// Rates and shares are statistics.
#![allow(clippy::float_arithmetic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use simulators::load::goals::{self, Figures, Goal};
use simulators::load::kernel::{self, Counters};
use simulators::load::servers::{Contender, LOAD_CORE, SERVER_CORE, Server, Setup, SlowFsync, pinned};
use simulators::load::table::{self, Row};
use simulators::load::{Mode, Report, Version, reconciliation};

/// A run in which others took more of the servers' core is repeated, so many times.
const OTHERS_MOST: f64 = 0.04;
const REPEATS: u32 = 2;
/// The host is quiet when all cores together were busy for less than this share of a core.
const QUIET_MOST: f64 = 0.15;
const FSYNCS: usize = 200;
/// The generator bounds itself to less.
const LOAD_S: u64 = 900;

#[derive(Parser)]
#[command(about = "Measures forecourt beside its baselines. Without a choice of scenario: --saturated")]
struct Cli {
    /// Release build of forecourt; without it only the baselines run
    #[arg(long, value_name = "FILE")]
    forecourt: Option<PathBuf>,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    #[arg(long, default_value_t = 1.5)]
    warmup: f64,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["1.6", "2.0.1"])]
    versions: Vec<Version>,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    stations: u32,
    /// 50 stations, closed loop
    #[arg(long)]
    saturated: bool,
    /// One station, closed loop
    #[arg(long)]
    one: bool,
    /// 50 stations at 1 message/s each
    #[arg(long)]
    light: bool,
    /// Saturated on a disk whose fsync takes that much longer, e.g. 4ms or 500us
    #[arg(long, value_name = "TIME", value_parser = microseconds)]
    slow_fsync: Option<u64>,
    /// That many idle connections with Heartbeats (2000 is the goal's number)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    held: Option<u32>,
    /// All of the above, with 4ms and 2000
    #[arg(long)]
    all: bool,
    /// Leave out the baseline without a database
    #[arg(long)]
    no_echo: bool,
    /// Do not repeat runs that other work disturbed
    #[arg(long)]
    no_repeat: bool,
    /// End servers with SIGKILL instead of SIGTERM before their stores are checked
    #[arg(long)]
    kill: bool,
    /// Seconds to wait before each run for the host to be quiet
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=600))]
    quiet_wait: u64,
    /// Where the stores go; must be on the disk to be measured
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Keep the stores and logs
    #[arg(long)]
    keep: bool,
    /// Internal: print the CPU nanoseconds of a fixed piece of work
    #[arg(long, hide = true)]
    fixed_work: bool,
}

struct Scenario {
    title: &'static str,
    version: Version,
    mode: Mode,
    stations: u32,
    rate: f64,
    slow_us: Option<u64>,
    goals: &'static [Goal],
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if cli.fixed_work {
        println!("{}", fixed_work()?);
        return Ok(ExitCode::SUCCESS);
    }
    let dir = cli.dir.join(format!("forecourt-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let outcome = compare(&cli, &dir);
    if cli.keep {
        eprintln!("kept: {}", dir.display());
    } else if let Err(error) = fs::remove_dir_all(&dir) {
        eprintln!("cannot remove {}: {error}", dir.display());
    }
    let (void, missed) = outcome?;
    println!("\n{void} void runs, {missed} goals missed or not measured");
    Ok(if void == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare(cli: &Cli, dir: &Path) -> Result<(usize, usize)> {
    println!("fsync of a 4 KiB append in {}: {}", dir.display(), fsync_latency(dir)?);
    let (mut void, mut missed) = (0, 0);
    for scenario in scenarios(cli) {
        let slow_fsync = scenario.slow_us.map(|microseconds| SlowFsync::build(dir, microseconds)).transpose()?;
        let setup = Setup { baseline: beside_me("baseline")?, forecourt: cli.forecourt.clone(), slow_fsync };
        let mut rows = contenders(cli, &scenario);
        for round in 0..cli.rounds as usize {
            for turn in 0..rows.len() {
                let place = (turn + round) % rows.len();
                let name = rows[place].contender.name();
                match undisturbed_run(cli, &scenario, &setup, rows[place].contender, dir) {
                    Ok(figures) => rows[place].runs.push(figures),
                    Err(error) => {
                        void += 1;
                        println!("VOID: {name}, {} {}, round {}: {error:#}", scenario.title, scenario.version.name(), round + 1);
                    }
                }
            }
        }
        missed += print_scenario(cli, &scenario, &mut rows);
    }
    Ok((void, missed))
}

fn scenarios(cli: &Cli) -> Vec<Scenario> {
    let slow_us = cli.slow_fsync.or(cli.all.then_some(4000));
    let held = cli.held.or(cli.all.then_some(2000));
    let saturated = cli.saturated || cli.all || !(cli.one || cli.light || slow_us.is_some() || held.is_some());
    let closed = Mode::Closed;
    let mut list = Vec::new();
    for version in cli.versions.iter().copied() {
        let plain =
            Scenario { title: "saturated", version, mode: closed, stations: cli.stations, rate: 1.0, slow_us: None, goals: &[] };
        if saturated {
            list.push(Scenario { goals: goals::SATURATED, ..plain });
        }
        if cli.one || cli.all {
            list.push(Scenario { title: "one station", stations: 1, goals: goals::ONE, ..plain });
        }
        if cli.light || cli.all {
            list.push(Scenario { title: "light, 1 msg/s a station", mode: Mode::Paced, goals: goals::LIGHT, ..plain });
        }
        if slow_us.is_some() {
            list.push(Scenario { title: "slow fsync", slow_us, goals: goals::SLOW_FSYNC, ..plain });
        }
    }
    // Connections weigh the same in both versions.
    if let (Some(stations), Some(version)) = (held, cli.versions.first().copied()) {
        list.push(Scenario { title: "held", version, mode: Mode::Held, stations, rate: 0.1, slow_us: None, goals: goals::HELD });
    }
    list
}

fn contenders(cli: &Cli, scenario: &Scenario) -> Vec<Row> {
    let echo = !cli.no_echo && scenario.slow_us.is_none();
    [(Contender::Echo, echo), (Contender::Durable, true), (Contender::Forecourt, cli.forecourt.is_some())]
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(contender, _)| Row { contender, runs: Vec::new() })
        .collect()
}

/// Repeats a run that other work disturbed; when it never is quiet, the least disturbed one stands.
fn undisturbed_run(cli: &Cli, scenario: &Scenario, setup: &Setup, contender: Contender, dir: &Path) -> Result<Figures> {
    let mut best: Option<Figures> = None;
    for _ in 0..=if cli.no_repeat { 0 } else { REPEATS } {
        let figures = one_run(cli, scenario, setup, contender, dir)?;
        if best.is_none_or(|best| figures.other_share < best.other_share) {
            best = Some(figures);
        }
        if figures.other_share <= OTHERS_MOST {
            break;
        }
    }
    best.context("no run at all")
}

fn one_run(cli: &Cli, scenario: &Scenario, setup: &Setup, contender: Contender, dir: &Path) -> Result<Figures> {
    let run_dir = dir.join("run");
    if run_dir.exists() {
        fs::remove_dir_all(&run_dir)?;
    }
    fs::create_dir(&run_dir)?;
    await_quiet(cli.quiet_wait)?;
    let work_before = measure_fixed_work()?;
    let server = Server::start(setup, contender, scenario.version, &run_dir)?;
    let rss_idle_kb = kernel::rss_kb(server.pid())?;
    let before = Counters::read(server.pid())?;
    let report = generate(cli, scenario, &server)?;
    let settled = reconciliation::await_records(contender, &server.store, &report)
        .map_err(|error| anyhow!("{error:#}\n{}", server.last_words()))?;
    let whole = before.spent(server.pid())?;
    let store = server.store.clone();
    server.stop(cli.kill)?;
    reconciliation::check(contender, &store, &report)?;
    let work_after = measure_fixed_work()?;
    let window = report.server.context("the generator did not watch the server")?;
    ensure!(report.messages > 0, "no message in the window");
    let messages = report.messages as f64;
    let figures = Figures {
        per_second: report.per_second,
        cpu_us: window.cpu_us as f64 / messages,
        whole_cpu_us: whole.cpu_us as f64 / report.answered_total as f64,
        p50_us: report.p50_us as f64,
        p99_us: report.p99_us as f64,
        disk_bytes: window.write_bytes as f64 / messages,
        rss_idle_kb: rss_idle_kb as f64,
        rss_load_kb: window.rss_kb as f64,
        connections: f64::from(scenario.stations),
        settle_ms: settled.as_secs_f64() * 1000.0,
        other_share: window.core_busy_us.saturating_sub(window.cpu_us) as f64 / (report.seconds * 1e6),
        fixed_work_ns: f64::midpoint(work_before, work_after),
        fixed_work_median_ns: 0.0,
    };
    eprintln!(
        "{} {} {}: {:.0} msg/s, {:.1} us CPU, p50 {} us, p99 {} us, {} answered, {} sessions, others {:.0}%",
        contender.name(),
        scenario.title,
        scenario.version.name(),
        figures.per_second,
        figures.cpu_us,
        report.p50_us,
        report.p99_us,
        report.answered_total,
        report.sessions,
        figures.other_share * 100.0
    );
    Ok(figures)
}

fn generate(cli: &Cli, scenario: &Scenario, server: &Server) -> Result<Report> {
    let mut command = pinned(LOAD_CORE);
    command.arg(beside_me("load")?);
    command.args(["--json", "--url", &server.url, "--version", scenario.version.name(), "--mode", scenario.mode.name()]);
    command.args(["--stations", &scenario.stations.to_string(), "--rate", &scenario.rate.to_string()]);
    command.args(["--warmup", &cli.warmup.to_string(), "--seconds", &cli.seconds.to_string()]);
    command.args(["--watch-pid", &server.pid().to_string()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the generator")?;
    let start = Instant::now();
    // Its report is a few kilobytes, less than the pipe holds: it can end before it is read.
    while child.try_wait()?.is_none() {
        if start.elapsed() > Duration::from_secs(LOAD_S) {
            child.kill()?;
            bail!("the generator did not end within {LOAD_S} s");
        }
        sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output()?;
    let report: Report =
        serde_json::from_slice(&output.stdout).with_context(|| format!("the generator failed:\n{}", server.last_words()))?;
    if report.error_count > 0 {
        bail!("{} wrong answers: {}\n{}", report.error_count, report.errors.join("\n  "), server.last_words());
    }
    Ok(report)
}

fn print_scenario(cli: &Cli, scenario: &Scenario, rows: &mut [Row]) -> usize {
    let work: Vec<f64> = rows.iter().flat_map(|row| row.runs.iter().map(|run| run.fixed_work_ns)).collect();
    let median = goals::median(&work);
    rows.iter_mut().flat_map(|row| row.runs.iter_mut()).for_each(|run| run.fixed_work_median_ns = median);
    let (low, high) = work.iter().fold((f64::INFINITY, 0.0f64), |(low, high), work| (low.min(*work), high.max(*work)));
    println!(
        "\n## {}, OCPP {}, {} stations{}, {} rounds of {} s (fixed work {:.1} to {:.1} ms)\n",
        scenario.title,
        scenario.version.name(),
        scenario.stations,
        scenario.slow_us.map(|slow| format!(", fsync +{slow} us")).unwrap_or_default(),
        cli.rounds,
        cli.seconds,
        low / 1e6,
        high / 1e6
    );
    println!("{}", table::figures(rows, scenario.mode == Mode::Held));
    if cli.forecourt.is_none() {
        return 0;
    }
    let (text, missed) = table::goals(rows, scenario.goals);
    println!("{text}");
    missed
}

// ---- the host ------------------------------------------------------------------------------------------------------

/// Hashing that fits the caches, about 10 ms; its CPU time shows how fast the core is just now.
fn fixed_work() -> Result<u64> {
    let start = kernel::own_cpu_ns()?;
    let mut cells = [0u64; 4096];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..5_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let cell = &mut cells[(state % 4096) as usize];
        *cell = cell.wrapping_add(state);
    }
    std::hint::black_box(&cells);
    // Let the scheduler account for the last slice.
    std::thread::yield_now();
    Ok(kernel::own_cpu_ns()? - start)
}

fn measure_fixed_work() -> Result<f64> {
    let output = pinned(SERVER_CORE).arg(std::env::current_exe()?).arg("--fixed-work").output()?;
    let nanoseconds: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().context("no figure for the fixed work")?;
    Ok(nanoseconds as f64)
}

/// Waits until the host was nearly idle for a moment; after `seconds` it goes on anyway.
fn await_quiet(seconds: u64) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        let (before, moment) = (kernel::host_busy_us()?, Instant::now());
        sleep(Duration::from_millis(300));
        let busy = kernel::host_busy_us()?.saturating_sub(before) as f64;
        if busy <= moment.elapsed().as_secs_f64() * 1e6 * QUIET_MOST {
            break;
        }
    }
    Ok(())
}

fn fsync_latency(dir: &Path) -> Result<String> {
    use std::io::Write;
    let path = dir.join("fsync");
    let mut file = fs::File::create(&path)?;
    let mut took = Vec::with_capacity(FSYNCS);
    for _ in 0..FSYNCS {
        file.write_all(&[0x5a; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        took.push(start.elapsed().as_micros());
    }
    fs::remove_file(&path)?;
    took.sort_unstable();
    Ok(format!("median {} us, p99 {} us, max {} us", took[FSYNCS / 2], took[FSYNCS * 99 / 100], took[FSYNCS - 1]))
}

fn beside_me(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is missing: cargo build --release -p simulators", path.display());
    Ok(path)
}

fn microseconds(text: &str) -> Result<u64> {
    let (number, factor) = match (text.strip_suffix("us"), text.strip_suffix("ms")) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 1000),
        _ => bail!("write it as 4ms or 500us"),
    };
    let microseconds = number.trim().parse::<u64>()?.saturating_mul(factor);
    ensure!(microseconds <= 1_000_000, "at most a second");
    Ok(microseconds)
}
