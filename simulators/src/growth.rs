//! What people ask daily of a store that has grown for years: how long it takes, and in how much memory.
//!
//! Each question is asked of the real program, three times, the slowest counts; the file's pages are in memory as far as they fit, as on a
//! gateway at work.

// Times and sizes are statistics.
#![allow(clippy::float_arithmetic)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags};

/// How often each question is asked.
const TIMES: usize = 3;
/// What is asked daily answers within this, and lists stream within that much memory.
const GOAL_MS: f64 = 100.0;
const GOAL_MB: f64 = 50.0;

/// A question to the program.
struct Question {
    name: &'static str,
    arguments: Vec<String>,
    /// It reads everything: no goal for its time.
    is_whole: bool,
}

/// Asks everything of the store in `folder`, which `history` has made; prints a table. An answer that is an error ends it.
pub fn measure(forecourt: &Path, folder: &Path) -> Result<()> {
    let (config, store) = (folder.join("forecourt.toml"), folder.join("forecourt.db"));
    let (messages, last): (i64, String) = {
        let store = Connection::open_with_flags(&store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let messages = store.query_row("SELECT max(message_id) FROM v_message", [], |row| row.get(0))?;
        let last = "SELECT session_id FROM v_session WHERE record_seq IS NOT NULL ORDER BY opened_at DESC LIMIT 1";
        (messages, store.query_row(last, [], |row| row.get(0))?)
    };
    println!("{} messages, {:.2} GB\n", messages, fs::metadata(&store)?.len() as f64 / 1e9);
    println!("| question | slowest of {TIMES}, ms | most memory, MB | goal |\n|---|---|---|---|");
    for Question { name, arguments, is_whole } in questions(&last) {
        let mut worst = (Duration::ZERO, 0);
        for _ in 0..if is_whole { 1 } else { TIMES } {
            let seen = ask(forecourt, &config, &arguments)?;
            worst = (worst.0.max(seen.0), worst.1.max(seen.1));
        }
        line(name, worst, is_whole);
    }
    for view in ["v_day", "v_kpi_daily", "v_token"] {
        let began = Instant::now();
        let store = Connection::open_with_flags(&store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let rows: i64 = store.query_row(&format!("SELECT count(*) FROM (SELECT * FROM {view})"), [], |row| row.get(0))?;
        line(&format!("{view}, {rows} rows, by plain SQL"), (began.elapsed(), 0), true);
    }
    let ready = start(forecourt, &config)?;
    line("start of the daemon until `ready`", (ready, 0), true);
    Ok(())
}

fn questions(last: &str) -> Vec<Question> {
    let question = |name: &'static str, line: String, is_whole: bool| Question {
        name,
        arguments: line.split_whitespace().map(str::to_owned).collect(),
        is_whole,
    };
    let daily = |name: &'static str| question(name, name.to_owned(), false);
    vec![
        daily("status"),
        daily("problems"),
        daily("stations"),
        daily("tokens"),
        daily("outbox status"),
        daily("sessions --limit 20"),
        daily("sessions --since 1d"),
        daily("sessions --station CP-01 --limit 20"),
        daily("sessions --state held"),
        daily("records --limit 20"),
        daily("messages --limit 20"),
        daily("messages --station CP-01 --since 1h"),
        question("session explain, the last one billed", format!("session explain {last}"), false),
        question("messages of that session", format!("messages --session {last}"), false),
        question("records --csv, all", "records --csv".to_owned(), true),
        question("sessions --jsonl, all", "sessions --jsonl".to_owned(), true),
        question("verify --all", "verify --all".to_owned(), true),
    ]
}

fn line(name: &str, (took, peak_kb): (Duration, u64), is_whole: bool) {
    let (ms, mb) = (took.as_secs_f64() * 1e3, peak_kb as f64 / 1024.0);
    let verdict = match (is_whole, peak_kb) {
        (true, 0) => "-",
        (true, _) if mb <= GOAL_MB => "ok",
        (false, _) if ms <= GOAL_MS && mb <= GOAL_MB => "ok",
        _ => "MISS",
    };
    let memory = if peak_kb == 0 { "-".to_owned() } else { format!("{mb:.1}") };
    println!("| {name} | {ms:.0} | {memory} | {verdict} |");
}

/// How long the program took, and the most memory that it occupied, in kB.
fn ask(forecourt: &Path, config: &Path, arguments: &[String]) -> Result<(Duration, u64)> {
    let began = Instant::now();
    let mut command = Command::new(forecourt);
    command.arg("--config").arg(config).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", forecourt.display()))?;
    let mut peak_kb = 0;
    let status = loop {
        peak_kb = peak_kb.max(peak(&child));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // Its memory can be seen only while it runs.
        std::thread::sleep(Duration::from_millis(1));
    };
    let took = began.elapsed();
    if !status.success() {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().context("no stderr")?, &mut said)?;
        bail!("forecourt {} ended with {status}: {said}", arguments.join(" "));
    }
    Ok((took, peak_kb))
}

/// The most that it has occupied so far; 0 when it has ended.
fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// From the start to the line that says that stations can connect.
fn start(forecourt: &Path, config: &Path) -> Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new(forecourt);
    command.args(["run", "--config"]).arg(config).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().context("no stderr")?));
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("ready"));
    let took = began.elapsed();
    child.kill()?;
    child.wait()?;
    ensure!(ready, "the daemon ended before it was ready");
    Ok(took)
}
