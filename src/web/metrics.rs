//! From the snapshot and the store's counts to metrics. Which there are, and under which names, stands here alone.

use std::collections::{BTreeMap, HashSet};

use super::Counts;
use super::text_format::{Text, seconds};
use crate::observe::{CommitTimes, Snapshot, StoreState};

pub(super) fn of(now: &Snapshot, counts: &Counts, stations: &[String]) -> String {
    let mut text = Text::default();
    let build = [("version", now.version.as_str()), ("site", &now.site)];
    text.gauge("build_info", "Version of the program and id of the site; always 1.").with(&build, 1);
    text.gauge("uptime_seconds", "Since the daemon started.").is(now.uptime_s);
    text.gauge("clock_proven", "0: the system clock is wrong, and bills wait.").is(u8::from(now.clock.proven));
    connections(&mut text, now, stations);
    messages(&mut text, now);
    store(&mut text, &now.store);
    records(&mut text, now);
    counted(&mut text, counts);
    text.finish()
}

fn connections(text: &mut Text, now: &Snapshot, stations: &[String]) {
    let mut family = text.gauge("charger_connected", "Whether a configured station is connected; others are in connections.");
    let connected: HashSet<String> =
        now.stations.connected.iter().map(|connected| connected.station.to_ascii_lowercase()).collect();
    for station in stations {
        family.with(&[("station", station)], u8::from(connected.contains(&station.to_ascii_lowercase())));
    }
    let help = "Stations that are connected and are configured or have said something valid, by version of OCPP.";
    let mut family = text.gauge("connections", help);
    for version in ["1.6", "2.0.1", "2.1"] {
        family.with(&[("ocpp_version", version)], now.stations.by_version.get(version).unwrap_or(&0));
    }
    text.gauge("connections_unproven", "Connections that have said nothing valid so far.").is(now.stations.unproven);
    text.counter("ocpp_reconnects_total", "WebSocket connections that were opened, each station's first one included.")
        .is(now.stations.connections);
    by_label(text, "ocpp_turned_away_total", "Upgrades that were refused, by HTTP status.", "status", &now.stations.turned_away);
}

fn messages(text: &mut Text, now: &Snapshot) {
    let help =
        "Messages by action (`other`: none that we know) and what became of them. not_stored: unanswered, the station keeps it.";
    let mut family = text.counter("ocpp_messages_total", help);
    for row in &now.messages {
        let results =
            [("answered", row.answered), ("refused", row.refused), ("broken", row.broken), ("not_stored", row.not_stored)];
        for (result, count) in results {
            let labels =
                [("ocpp_version", row.ocpp_version.as_str()), ("action", &row.action), ("direction", "in"), ("result", result)];
            family.with(&labels, count);
        }
    }
    by_label(text, "ocpp_calls_total", "Calls to stations that ended, by how.", "result", &now.calls);
    text.counter("ocpp_repeats_total", "Transaction messages that came again and got the stored answer.").is(now.repeats);
    text.counter("ocpp_left_out_total", "Frames that were not kept, beyond the limits of what is kept of noise.")
        .is(now.left_out);
    by_label(text, "findings_total", "Oddities noted, by code.", "code", &now.findings);
    text.counter("sessions_opened_total", "Sessions that began since the start of the daemon.").is(now.sessions_opened);
}

fn by_label(text: &mut Text, name: &'static str, help: &str, label: &str, counts: &BTreeMap<String, u64>) {
    let mut family = text.counter(name, help);
    for (value, count) in counts {
        family.with(&[(label, value)], count);
    }
}

fn store(text: &mut Text, store: &StoreState) {
    let help = "0: the store cannot commit, nothing is answered, and stations are turned away.";
    text.gauge("store_commits_work", help).is(u8::from(store.commits_work));
    text.gauge("store_queue", "Jobs that wait for their commit.").is(store.queue);
    text.counter("store_jobs_total", "Jobs that were committed; several share one commit.").is(store.jobs);
    text.counter("store_commits_failed_total", "Commits that failed.").is(store.commits_failed);
    let CommitTimes { at_most_ms, sum_us, .. } = &store.commit_times;
    let mut family =
        text.histogram("store_commit_duration_seconds", "From the beginning of a transaction to the end of its fsync.");
    // Counted one after the other while commits go on: made to fit each other.
    let mut last = 0;
    for (bound, count) in at_most_ms {
        last = last.max(*count);
        family.sample("_bucket", &[("le", seconds(bound * 1_000).trim_end_matches('0').trim_end_matches('.'))], last);
    }
    let all = store.commits.max(last);
    family.sample("_bucket", &[("le", "+Inf")], all);
    family.sample("_sum", &[], seconds(*sum_us));
    family.sample("_count", &[], all);
}

fn records(text: &mut Text, now: &Snapshot) {
    text.gauge("record_last_seq", "Number of the last signed record of the epoch in use.").is(now.sealed_seq);
    text.gauge("office_ack_seq", "Number up to which head office has confirmed records.").is(now.acknowledged_seq);
    let sent = now
        .uplink
        .as_ref()
        .map_or(0, |uplink| uplink.sent_seq)
        .clamp(now.acknowledged_seq, now.sealed_seq.max(now.acknowledged_seq));
    let help = "Records of the epoch in use without a receipt of head office. sent: the broker has taken it; waiting: not yet.";
    let mut family = text.gauge("outbox_records", help);
    family.with(&[("state", "sent")], sent - now.acknowledged_seq);
    family.with(&[("state", "waiting")], now.sealed_seq.saturating_sub(sent));
    let mut family = text.gauge("mqtt_connected", "Whether the broker is reached; absent while no broker is configured.");
    if let Some(uplink) = &now.uplink {
        family.is(u8::from(uplink.up));
    }
    text.counter("mqtt_publish_failures_total", "Times that the broker did not take a record.").is(now.undelivered);
    text.counter("receipts_total", "Receipts of head office that confirmed records.").is(now.receipts);
    text.counter("receipts_refused_total", "Receipts that were not believed.").is(now.receipts_refused);
}

/// What the store could not say in time is left out.
fn counted(text: &mut Text, counts: &Counts) {
    let Counts { sessions_open, sessions_waiting, sessions_held, oldest_outbox_age_s, problems, heard, store_bytes } = counts;
    let numbers = [
        ("sessions_active", "Sessions that are open.", sessions_open),
        ("sessions_waiting", "Sessions that ended and have no bill yet.", sessions_waiting),
        ("sessions_held", "Sessions that are held for a person.", sessions_held),
        ("outbox_oldest_age_seconds", "Age of the oldest record without a receipt; 0: there is none.", oldest_outbox_age_s),
        ("store_bytes", "Size of the store with its write-ahead log.", store_bytes),
    ];
    let complete = numbers.iter().all(|(_, _, number)| number.is_some()) && problems.is_some() && heard.is_some();
    for (name, help, number) in numbers {
        if let Some(number) = number {
            text.gauge(name, help).is(number);
        }
    }
    let mut family = text.gauge("problems", "What `forecourt problems` shows.");
    for row in problems.iter().flatten() {
        family.with(&[("severity", &row.severity), ("kind", &row.kind)], row.count);
    }
    let help = "When a configured station last said something; heartbeats move it every five minutes.";
    let mut family = text.gauge("charger_last_message_timestamp_seconds", help);
    for (station, at) in heard.iter().flatten() {
        family.with(&[("station", station)], at);
    }
    let help = "0: the store did not say everything in time; sessions, problems, ages or sizes are left out of this answer.";
    text.gauge("store_counts_complete", help).is(u8::from(complete));
}
