//! The snapshot, put together: counters, and what each owner says of itself at this moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::beats::Beat;
use crate::clock::GatewayClock;
use crate::csms::Csms;
use crate::observe::{BOUNDS_MS, ClockState, CommitTimes, Labels, Live, Snapshot, Stations, StoreState};
use crate::store::{Tally, Watch, WriterHandle};
use crate::units::{Time, time};

/// Counts what the store's writer did.
pub struct Counting {
    pub live: Arc<Live>,
    /// Of the writer's thread: it commits or fails at every turn.
    pub beat: Arc<Beat>,
}

impl Watch for Counting {
    fn committed(&self, tally: &Tally) {
        self.beat.turn();
        let live = &self.live;
        live.commits.one();
        live.jobs.add(tally.jobs as u64);
        live.commit_times.note(tally.took);
        live.repeats.add(tally.repeats);
        live.left_out.add(tally.left_out);
        live.sessions_opened.add(tally.sessions_opened);
        tally.findings.iter().for_each(|code| live.findings.count(live.findings.label(code), 0));
        tally.calls.iter().for_each(|state| live.calls.count(live.calls.label(state), 0));
    }

    fn sealed(&self, epoch: i64, seq: u64) {
        self.live.sealed(epoch, seq);
    }

    fn failed(&self) {
        self.beat.turn();
        self.live.commits_failed.one();
    }
}

/// Everybody who is asked for a snapshot.
#[derive(Clone)]
pub struct Observer {
    pub site: String,
    pub started_at: Time,
    pub live: Arc<Live>,
    pub csms: Arc<Csms>,
    pub store: WriterHandle,
    pub clock: Arc<GatewayClock>,
    pub epoch: watch::Receiver<i64>,
    /// Number of the last record that may leave.
    pub records: watch::Receiver<u64>,
}

impl Observer {
    /// The daemon as it is now. Asks no disk.
    pub fn snapshot(&self) -> Snapshot {
        let (live, glance, epoch) = (&self.live, self.clock.glance(), *self.epoch.borrow());
        let (at, last_seq) = (glance.received.at, *self.records.borrow());
        Snapshot {
            at: time::rfc3339(at),
            site: self.site.clone(),
            epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: time::rfc3339(self.started_at),
            uptime_s: u64::try_from((at - self.started_at).num_seconds()).unwrap_or_default(),
            stations: self.stations(),
            messages: live.messages(),
            repeats: live.repeats.get(),
            left_out: live.left_out.get(),
            findings: by_label(&live.findings),
            sessions_opened: live.sessions_opened.get(),
            calls: by_label(&live.calls),
            store: self.store(),
            sealed_seq: live.last_sealed(epoch).max(last_seq),
            last_seq,
            acknowledged_seq: live.acknowledged(epoch),
            uplink: live.uplink(),
            receipts: live.receipts.get(),
            receipts_refused: live.receipts_refused.get(),
            undelivered: live.undelivered.get(),
            clock: ClockState { proven: glance.received.proven, system_at: time::rfc3339(glance.system) },
        }
    }

    fn stations(&self) -> Stations {
        let (connected, unproven) = self.csms.connected();
        let mut by_version = BTreeMap::new();
        for station in &connected {
            *by_version.entry(station.ocpp_version.clone()).or_default() += 1;
        }
        let live = &self.live;
        let (connections, turned_away) = (live.connections.get(), by_label(&live.turned_away));
        Stations { connected, unproven, by_version, connections, turned_away }
    }

    fn store(&self) -> StoreState {
        let live = &self.live;
        let (classes, sum_us, longest_us) = live.commit_times.read();
        StoreState {
            commits_work: self.store.available(),
            queue: self.store.queue() as u64,
            commits: live.commits.get(),
            jobs: live.jobs.get(),
            commits_failed: live.commits_failed.get(),
            commit_times: CommitTimes { at_most_ms: BOUNDS_MS.into_iter().zip(classes).collect(), sum_us, longest_us },
        }
    }
}

fn by_label(labels: &Labels<1>) -> BTreeMap<String, u64> {
    labels.read().into_iter().map(|(name, [count])| (name, count)).collect()
}
