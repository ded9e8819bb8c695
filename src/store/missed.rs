//! Live state: what jobs that nobody waits for say (connected, gone, seen, the link, problems). When their group fails nobody
//! repeats them, so they are kept and applied before the next group.

use std::collections::HashSet;

use tracing::error;

use super::jobs::Job;
use crate::units::Time;

/// More than one turn of every connection that a site may have. Beyond it the oldest are dropped.
const MAX_MISSED: usize = 20_000;

/// Live jobs whose group has failed.
#[derive(Default)]
pub(super) struct Missed {
    jobs: Vec<Job>,
    /// In the transaction that runs now, to be known again should it fail.
    trying: Vec<Job>,
    /// `trying` begins with jobs that had failed before.
    again: usize,
    /// At most as many as are read at a start.
    known_damage: HashSet<i64>,
}

impl Missed {
    /// Puts what was missed before the jobs of a group.
    pub(super) fn join(&mut self, group: &mut Vec<Job>) {
        self.again = self.jobs.len();
        group.splice(0..0, self.jobs.drain(..));
        self.trying = group.iter().filter_map(copy).collect();
    }

    pub(super) fn take(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }

    /// For the next transaction, in which it has its last chance.
    pub(super) fn put(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// A journal row that is not as it was written; said once per start, as the problem that the next group writes.
    pub(super) fn damaged(&mut self, row: i64, at: Time) {
        if self.known_damage.insert(row) {
            error!(message = row, "a row of the journal was altered on the disk");
            let subject = format!("message {row}");
            let detail = "its row was altered on the disk; forecourt verify --all looks for more".to_owned();
            self.jobs.push(Job::Problem { kind: "store-damaged", station: None, subject, detail, at });
        }
    }

    pub(super) fn committed(&mut self) {
        self.trying.clear();
    }

    /// Keeps them for the next transaction. When the jobs are at fault, those that failed for the second time are left out, so
    /// that one which can never be applied does not fail every group from now on.
    pub(super) fn failed(&mut self, is_storage: bool) {
        let mut kept = std::mem::take(&mut self.trying);
        if !is_storage {
            kept.drain(..self.again);
        }
        let surplus = kept.len().saturating_sub(MAX_MISSED);
        kept.drain(..surplus);
        self.jobs = kept;
    }
}

fn copy(job: &Job) -> Option<Job> {
    match job {
        Job::Connected { station, version, peer, at } => {
            Some(Job::Connected { station: station.clone(), version: *version, peer: peer.clone(), at: *at })
        }
        Job::Disconnected { station, at } => Some(Job::Disconnected { station: station.clone(), at: *at }),
        Job::Seen { station, at } => Some(Job::Seen { station: station.clone(), at: *at }),
        Job::Problem { kind, station, subject, detail, at } => {
            let (station, subject, detail) = (station.clone(), subject.clone(), detail.clone());
            Some(Job::Problem { kind, station, subject, detail, at: *at })
        }
        Job::Link { up, error, sent, at } => Some(Job::Link { up: *up, error: error.clone(), sent: *sent, at: *at }),
        // What the station said is in the row; the next boot asks again.
        Job::CallEnded { number, end, at, .. } => Some(Job::CallEnded { number: *number, end: end.clone(), at: *at, said: None }),
        // Somebody waits for these and asks again; a late answer may be as long as a message, and is lost.
        Job::Message(..)
        | Job::Settle(_)
        | Job::Append { .. }
        | Job::Receipt { .. }
        | Job::Undelivered { .. }
        | Job::Call(..)
        | Job::LateAnswer { .. }
        | Job::CallSent { .. }
        | Job::WaitingCalls(..)
        | Job::Tariffs(..)
        | Job::Tokens(..)
        | Job::Register(..)
        | Job::Correct(..)
        | Job::Policy(..)
        | Job::Clock(..)
        | Job::Flush(_) => None,
    }
}
