//! Records the broker does not take. Each is quarantined alone, so that the others go on, and each is offered again.
//!
//! ```text
//! suspected ──sent alone──▶ refused ──wait──▶ sent alone ──▶ refused ──longer wait──▶ …
//!     └────────────────────────┴──── taken by the broker, or passed by a receipt ────▶ forgotten
//! ```
//!
//! Invariants:
//! - Nothing is quarantined for ever: every entry has a next try. Head office's receipts are cumulative, so one record that was
//!   given up would hold back the receipt of all that follow.
//! - A record only suspected (of ending connections) is tried at once, last and alone; its waits begin with the first refusal.
//! - One record is tried at a time: an answer or the end of a connection belongs to it alone.
//!
//! Limits: [`MOST`] entries of about 60 bytes; waits double from `wait` to `wait_cap`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::backoff::doubled;

/// Records quarantined at a time. Beyond that the broker refuses everything rather than single records, and the stream pauses.
pub const MOST: usize = 1_000;
/// Connections a suspect sent alone may end before that counts as a refusal.
pub const DEATHS: u32 = 3;

#[derive(Debug)]
struct Entry {
    /// Times it was refused.
    tries: u32,
    /// Connections it ended since it was last refused or suspected.
    deaths: u32,
    next: Instant,
    /// It was larger than the broker takes.
    size: Option<usize>,
}

/// A record that was refused once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub seq: u64,
    pub tries: u32,
    /// Until it is offered again.
    pub wait: Duration,
}

#[derive(Debug)]
pub struct Quarantine {
    entries: BTreeMap<u64, Entry>,
    wait: Duration,
    wait_cap: Duration,
}

impl Quarantine {
    pub fn new(wait: Duration, wait_cap: Duration) -> Self {
        Self { entries: BTreeMap::new(), wait, wait_cap }
    }

    pub fn contains(&self, seq: u64) -> bool {
        self.entries.contains_key(&seq)
    }

    /// The lowest number that was refused, and how many were.
    pub fn refused_ones(&self) -> Option<(u64, usize)> {
        let mut refused = self.entries.iter().filter(|(_, entry)| entry.tries > 0).map(|(seq, _)| *seq);
        Some((refused.next()?, refused.count() + 1))
    }

    pub fn is_lowest(&self, seq: u64) -> bool {
        self.entries.keys().next() == Some(&seq)
    }

    /// Refused before this process began: to be offered again at once.
    pub fn remember(&mut self, seq: u64, tries: u32, now: Instant) {
        if self.entries.len() < MOST {
            self.entries.insert(seq, Entry { tries, deaths: 0, next: now, size: None });
        }
    }

    /// To be tried alone. `false`: no place is left.
    pub fn suspect(&mut self, seq: u64, now: Instant) -> bool {
        if self.entries.len() >= MOST && !self.contains(seq) {
            return false;
        }
        self.entries.entry(seq).or_insert(Entry { tries: 0, deaths: 0, next: now, size: None });
        true
    }

    /// Refused, by the broker or for its size. `None`: no place is left.
    pub fn refused(&mut self, seq: u64, size: Option<usize>, now: Instant) -> Option<Quarantined> {
        if !self.suspect(seq, now) {
            return None;
        }
        let entry = self.entries.get_mut(&seq)?;
        entry.tries = entry.tries.saturating_add(1);
        entry.deaths = 0;
        entry.size = size;
        let wait = doubled(self.wait, entry.tries - 1).min(self.wait_cap);
        entry.next = now + wait;
        Some(Quarantined { seq, tries: entry.tries, wait })
    }

    /// The connection ended while `seq` was sent alone. `working`: it had carried other records before.
    pub fn ended_connection(&mut self, seq: u64, working: bool, now: Instant) -> Option<Quarantined> {
        let entry = self.entries.get_mut(&seq)?;
        if working {
            entry.deaths += 1;
            return if entry.tries > 0 || entry.deaths >= DEATHS { self.refused(seq, None, now) } else { None };
        }
        if entry.tries > 0 {
            // A dead line proves nothing against the record; but neither may it try the line at every connection.
            entry.next = now + doubled(self.wait, entry.tries - 1).min(self.wait_cap);
        }
        None
    }

    /// Taken by the broker. `true` when it had been refused before.
    pub fn taken(&mut self, seq: u64) -> bool {
        self.entries.remove(&seq).is_some_and(|entry| entry.tries > 0)
    }

    pub fn remove(&mut self, seq: u64) {
        self.entries.remove(&seq);
    }

    pub fn receipted(&mut self, through: u64) {
        self.entries = self.entries.split_off(&through.saturating_add(1));
    }

    /// Another record was under way when a connection ended: takes back every mere suspicion, and gives the lowest such number.
    pub fn absolve(&mut self) -> Option<u64> {
        let lowest = self.entries.iter().find(|(_, entry)| entry.tries == 0).map(|(seq, _)| *seq);
        self.entries.retain(|_, entry| entry.tries > 0);
        lowest
    }

    /// A new connection allows packets of this size: what fits now is tried at once.
    pub fn allowed(&mut self, max_packet: Option<u32>, now: Instant) {
        let fits = |size: usize| max_packet.is_none_or(|max| u32::try_from(size).is_ok_and(|size| size <= max));
        for entry in self.entries.values_mut().filter(|entry| entry.size.is_some_and(fits)) {
            entry.size = None;
            entry.next = now;
        }
    }

    /// Whose turn it is, among numbers up to `cursor`; who waited longest goes first.
    pub fn due(&self, cursor: u64, now: Instant) -> Option<u64> {
        let due = self.entries.range(..=cursor).filter(|(_, entry)| entry.next <= now);
        due.min_by_key(|(seq, entry)| (entry.next, **seq)).map(|(seq, _)| *seq)
    }

    pub fn next(&self, cursor: u64) -> Option<Instant> {
        self.entries.range(..=cursor).map(|(_, entry)| entry.next).min()
    }
}
