//! `forecourt status` and `forecourt outbox status`: what the store holds, and what only the running daemon knows.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::args::Limit;
use super::exit::{Exit, Failure};
use super::list::List;
use super::output::{Columns, Output};
use crate::clock;
use crate::control::{self, Command};
use crate::observe::{MessageCounts, Snapshot};
use crate::store::{Holder, Link, Reader, Rows, STATIONS_AND_OPEN_SESSIONS, Summary, holder};
use crate::units::{Time, time};

const STATIONS: Columns = &[
    "station",
    "label",
    "state",
    "since_at",
    "ocpp_version",
    "vendor",
    "model",
    "connectors",
    "open_sessions",
    "last_message_at",
    "firmware",
    "refused_at",
    "refused_reason",
];
const PROBLEMS: Columns = &["station", "subject", "detail", "count", "first_at", "last_at", "station_label"];

/// A daemon that lives answers at once.
const LIVE_PATIENCE: Duration = Duration::from_secs(2);

/// What the running daemon of this very store says of itself; `None`: it cannot be asked.
fn live(socket: Option<&Path>, summary: &Summary) -> Option<Snapshot> {
    let reply = control::ask(socket?, &Command::Observe, LIVE_PATIENCE).ok()?;
    let snapshot: Snapshot = serde_json::from_str(reply.result.get()).ok()?;
    (snapshot.site == summary.site && snapshot.epoch == summary.epoch).then_some(snapshot)
}

/// Who is connected now, whatever the store has heard of it so far.
fn connected_now(stations: &mut Rows, live: &Snapshot) {
    let names: HashSet<&str> = live.stations.connected.iter().map(|station| station.station.as_str()).collect();
    let Some(place) = stations.columns.iter().position(|name| name == "station") else { return };
    let now: Vec<bool> = stations.rows.iter().map(|row| row[place].as_str().is_some_and(|name| names.contains(name))).collect();
    stations.overwrite("connected", |row, _| json!(now[row]));
    stations.overwrite("state", |row, state| match (now[row], state.as_str()) {
        (true, _) => json!("connected"),
        (false, Some("connected")) => json!("disconnected"),
        _ => state.clone(),
    });
}

/// The daemon at work, in two lines.
fn live_lines(live: &Snapshot) -> [String; 2] {
    let count = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let sum = |of: fn(&MessageCounts) -> u64| live.messages.iter().map(of).sum::<u64>();
    let (answered, unanswered) = (sum(|row| row.answered), sum(|row| row.not_stored));
    let refused = sum(|row| row.refused + row.broken);
    let versions: Vec<_> = live.stations.by_version.iter().map(|(version, count)| format!("{count} x {version}")).collect();
    let versions = if versions.is_empty() { String::new() } else { format!(" ({})", versions.join(", ")) };
    let connected = count(live.stations.connected.len() as u64, "station", "stations");
    [
        format!("now: {connected} connected{versions}, {} for their commit", count(live.store.queue, "job waits", "jobs wait")),
        format!(
            "since the start: {} answered, {refused} refused or unreadable, {unanswered} not stored, {} repeated · {}, the slowest {} ms",
            count(answered, "message", "messages"),
            live.repeats,
            count(live.store.commits, "commit", "commits"),
            live.store.commit_times.longest_us.div_ceil(1_000)
        ),
    ]
}

pub fn status(store: &Reader, path: &Path, socket: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    let summary = store.summary()?;
    let holder = holder(path);
    let running = holder != Holder::Nobody;
    let commits = holder == Holder::Commits;
    let verdict = if running && !commits { Exit::Later } else { Exit::Ok };
    let mut connectors = store.query(STATIONS_AND_OPEN_SESSIONS, &[])?;
    let live = live(socket.filter(|_| running), &summary);
    match &live {
        Some(live) => connected_now(&mut connectors, live),
        None if !running => nobody_connected(&mut connectors),
        None => {}
    }
    if output.machine() {
        let rows: Vec<Json> = connectors.rows.iter().map(|row| super::output::object(&connectors.columns, row)).collect();
        let mut all = facts(&summary, running);
        all["daemon_running"] = json!(running);
        all["store_commits"] = json!(running.then_some(commits));
        all["stations"] = Json::Array(rows);
        all["live"] = json!(live);
        output.object(&all)?;
        return Ok(verdict);
    }
    let version = summary.version.as_deref().unwrap_or("?");
    let daemon = match (running, summary.started_at) {
        (true, Some(since)) => format!("running since {}", output.local(&time::rfc3339(since))),
        _ => output.strong("not running"),
    };
    output.line(format!("site {}  forecourt {version} {daemon}  epoch {}", summary.site, summary.epoch))?;
    if let Some(line) = epoch_line(&summary, output) {
        output.line(line)?;
    }
    if running && !commits {
        output.line(output.strong(CANNOT_COMMIT))?;
    }
    if let Some(line) = clock_line(&summary, running, output) {
        output.line(output.strong(&line))?;
    }
    output.line(link_line(&summary, running, output))?;
    for line in live.iter().flat_map(live_lines) {
        output.line(line)?;
    }
    output.line(format!(
        "sessions: {} open, {} held, {} waiting for their bill · problems: {}",
        summary.open_sessions, summary.held_sessions, summary.unsettled_sessions, summary.problems
    ))?;
    output.rows(&connectors, &["station", "state", "connectors", "last_message_at", "session_id", "energy_wh", "tariff_id"])?;
    if running && live.is_none() {
        output.remark(
            "the daemon runs, but its control socket (site.control_socket) does not answer: this is what the store holds",
        );
    }
    if summary.held_sessions > 0 {
        output.remark("held sessions: forecourt sessions --state held");
    }
    if summary.problems > 0 {
        output.remark("problems: forecourt problems");
    }
    Ok(verdict)
}

const CANNOT_COMMIT: &str = "THE STORE CANNOT COMMIT: nothing is answered, stations are turned away and keep their messages. \
     Is the disk full, read-only or failing? The log of the daemon has the error";

/// Why the present epoch began, unless it is the store's first.
fn epoch_line(summary: &Summary, output: &Output) -> Option<String> {
    let (began, detail) = (summary.epoch_began_at?, summary.epoch_detail.as_ref()?);
    Some(output.strong(&format!("new epoch since {}: {detail}", output.local(&time::rfc3339(began)))))
}

/// Nobody is connected to a daemon that does not run, whatever it wrote last.
fn nobody_connected(stations: &mut Rows) {
    stations.overwrite("connected", |_, _| json!(false));
    stations.overwrite("state", |_, state| if state == "connected" { json!("disconnected") } else { state.clone() });
}

/// Those that connected, those of the configuration that never did, and those that were turned away.
pub fn stations(store: &Reader, path: &Path, socket: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    let mut rows = store.query("SELECT * FROM v_station ORDER BY station", &[])?;
    if holder(path) == Holder::Nobody {
        nobody_connected(&mut rows);
    } else if let Some(live) = live(socket, &store.summary()?) {
        connected_now(&mut rows, &live);
    }
    if !output.machine() {
        show_registration(&mut rows);
    }
    output.rows(&rows, STATIONS)
}

/// For people: what is not accepted says so beside its state.
fn show_registration(rows: &mut Rows) {
    let Some(place) = rows.columns.iter().position(|name| name == "registration") else { return };
    let registrations: Vec<Json> = rows.rows.iter().map(|row| row[place].clone()).collect();
    rows.overwrite("state", |row, state| match (registrations[row].as_str(), state.as_str()) {
        (Some(registration @ ("pending" | "rejected")), Some(state)) => json!(format!("{state}, {registration}")),
        _ => state.clone(),
    });
}

pub fn problems(store: &Reader, Limit { limit }: Limit, output: &Output) -> Result<Exit, Failure> {
    let list = List {
        what: "problems",
        select: "SELECT * FROM v_problem",
        order: "last_at, kind, subject",
        key: None,
        end_first: Some("last_at DESC, kind DESC, subject DESC"),
        values: &[],
        limit,
        columns: PROBLEMS,
    };
    if output.form().verbose { list.print(store, output) } else { list.print_as(store, output, |rows| by_cause(rows, output)) }
}

/// Cause by cause: what it means, what to do, and where and since when it was met; the newest last.
fn by_cause(rows: &Rows, output: &Output) -> Result<(), Failure> {
    if rows.rows.is_empty() {
        return output.rows(rows, PROBLEMS).map(drop);
    }
    let place = |name: &str| rows.columns.iter().position(|column| column == name).unwrap_or_default();
    let [kind, severity, meaning, next] = ["kind", "severity", "meaning", "next_step"].map(place);
    let mut causes: Vec<[&Json; 4]> = Vec::new();
    for row in rows.rows.iter().rev() {
        let cause = [&row[kind], &row[severity], &row[meaning], &row[next]];
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    for (number, cause) in causes.into_iter().rev().enumerate() {
        if number > 0 {
            output.line("")?;
        }
        let of_cause = |row: &&Vec<Json>| [&row[kind], &row[severity], &row[meaning], &row[next]] == cause;
        let here = Rows { columns: rows.columns.clone(), rows: rows.rows.iter().filter(of_cause).cloned().collect() };
        output.paragraph(&format!("{} ({}): {}", output.strong(&text(cause[0])), text(cause[1]), text(cause[2])))?;
        if !cause[3].is_null() {
            output.paragraph(&format!("what to do: {}", text(cause[3])))?;
        }
        output.rows(&here, PROBLEMS)?;
    }
    Ok(())
}

pub fn outbox(store: &Reader, path: &Path, output: &Output) -> Result<Exit, Failure> {
    let summary = store.summary()?;
    let running = holder(path) != Holder::Nobody;
    if output.machine() {
        output.object(&facts(&summary, running))?;
        return Ok(Exit::Ok);
    }
    output.line(link_line(&summary, running, output))?;
    output.line(format!(
        "epoch {}: last record {}, sent up to {}, received by head office up to {}",
        summary.epoch,
        summary.last_seq,
        sent(&summary),
        summary.receipted
    ))?;
    if summary.undelivered > 0 {
        let text = format!("not taken by the broker, offered again: {}; forecourt outbox list says why", summary.undelivered);
        output.line(output.strong(&text))?;
    }
    if summary.doubtful > 0 {
        let text = format!(
            "not sent, head office may have others under their numbers: {}; forecourt outbox list says why",
            summary.doubtful
        );
        output.line(output.strong(&text))?;
    }
    if summary.rejected > 0 {
        output.line(output.strong(&format!("rejected by head office: {}; forecourt outbox list says why", summary.rejected)))?;
    }
    Ok(Exit::Ok)
}

fn facts(summary: &Summary, running: bool) -> Json {
    let stamp = |time: Option<Time>| time.map(time::rfc3339);
    json!({
        "site": summary.site,
        "epoch": summary.epoch,
        "epoch_reason": summary.epoch_reason,
        "epoch_began_at": stamp(summary.epoch_began_at),
        "version": summary.version,
        "started_at": stamp(summary.started_at),
        "link_up": running && summary.link.as_ref().is_some_and(|link| link.up),
        "link_since": stamp(summary.link.as_ref().map(|link| link.since)),
        "link_error": summary.link.as_ref().and_then(|link| link.error.clone()),
        "last_seq": summary.last_seq,
        "acknowledged_seq": summary.receipted,
        "outbox": summary.outbox,
        "oldest_outbox_at": stamp(summary.oldest_outbox_at),
        "sent_seq": sent(summary),
        "last_receipt_at": stamp(summary.receipt_at),
        "record_faults": summary.rejected + summary.undelivered + summary.doubtful,
        "rejected_records": summary.rejected,
        "undelivered_records": summary.undelivered,
        "doubtful_records": summary.doubtful,
        "open_sessions": summary.open_sessions,
        "held_sessions": summary.held_sessions,
        "waiting_sessions": summary.unsettled_sessions,
        // The name before sessions had the state.
        "unsettled_sessions": summary.unsettled_sessions,
        "problems": summary.problems,
        "clock_proven": summary.clock.proven,
        "clock_since": stamp(Some(summary.clock.since)),
        "clock_estimate_at": stamp(summary.clock.alive_at.filter(|_| !summary.clock.proven)),
    })
}

/// Highest record number that the broker has taken: nothing is in doubt below the last receipt.
fn sent(summary: &Summary) -> u64 {
    summary.link.as_ref().map_or(0, |link| link.sent).max(summary.receipted).min(summary.last_seq)
}

/// Three things apart: whether the broker is reached, what it took of us, and whether head office answers.
fn link_line(summary: &Summary, running: bool, output: &Output) -> String {
    let local = |time: Time| output.local(&time::rfc3339(time));
    let waiting = match summary.oldest_outbox_at {
        Some(oldest) => {
            let sent = sent(summary).saturating_sub(summary.receipted);
            let age = age(oldest, summary.clock.now(clock::system_now()));
            format!("outbox {} (oldest {age}), {sent} of them sent", summary.outbox)
        }
        None => "outbox empty".to_owned(),
    };
    let receipt = match summary.receipt_at {
        Some(at) => format!("last receipt {}", local(at)),
        None => "no receipt so far".to_owned(),
    };
    let link = match &summary.link {
        None => "not connected yet (no broker configured, or no attempt so far)".to_owned(),
        Some(_) if !running => "unknown, the daemon is not running".to_owned(),
        Some(Link { up: true, since, error: Some(error), .. }) => {
            output.strong(&format!("broker connected since {}, BUT: {error}", local(*since)))
        }
        Some(link) if link.up => format!("broker connected since {}", local(link.since)),
        Some(link) => {
            let why = link.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            output.strong(&format!("broker DOWN since {}{why}", local(link.since)))
        }
    };
    format!("head office: {link} · {waiting}, {receipt}")
}

/// Why bills wait although nothing is wrong with them.
fn clock_line(summary: &Summary, running: bool, output: &Output) -> Option<String> {
    let facts = &summary.clock;
    if facts.proven {
        return None;
    }
    let local = |at| output.local(&time::rfc3339_seconds(at));
    let (system, since) = (local(clock::system_now()), local(facts.since));
    let (verb, left) = if running { ("is", "") } else { ("was", " when the daemon stopped") };
    Some(format!(
        "clock {verb} WRONG since {since}{left}: the system clock says {system}, but it is {} or later. \
         Stations are served, bills wait. Set the clock; if it is right, run once: forecourt run --accept-clock",
        local(facts.now(facts.since))
    ))
}

fn age(since: Time, now: Time) -> String {
    let seconds = (now - since).num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
