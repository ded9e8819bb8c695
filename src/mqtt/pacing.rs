//! What to send next, when to wait, when to send again: the decisions of the uplink, without any input or output.
//!
//! ```text
//!      receipted            cursor                      last committed
//!  ────────┼───────────────────┼──────────────────────────────┤   seq
//!   retired│ handed to the     │ not sent since the last rewind
//!          │ broker, no receipt│
//!          │   ▲ in flight: sent on this connection, no PUBACK yet (≤ window)
//! ```
//!
//! Invariants:
//! - Only a receipt moves `receipted`, and only forwards. A PUBACK frees a place in the window and proves nothing else.
//! - `receipted ≤ cursor`; at most `window` records are in flight; none is in flight twice.
//! - While the outbox holds something unreceipted there is always a deadline or an answer under way that leads to another
//!   attempt: no state is final.
//! - A record is quarantined only after another one got through on the same connection. A dead line or a broker that
//!   refuses everything can therefore never empty the outbox into quarantine.
//!
//! Unreceipted records are sent again (a *rewind*) on the first connection after receipt progress, and when no receipt
//! moved for a time that doubles from `receipt_wait` to `receipt_wait_cap`. A head office that is away for weeks thus costs
//! one pass over the outbox per cap, however often the line flaps.
//!
//! Poison: a record that was the oldest in flight in [`SUSPECT_AFTER`] lost connections in a row is sent last and alone;
//! if it then ends [`QUARANTINE_AFTER`] connections that carried other records, it is quarantined.
//!
//! Deliberately absent: the records (the outbox is the only queue), clocks, random numbers, packet ids.
//! Memory: one number per record in flight.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::backoff::doubled;

/// Connections lost with the same oldest record in flight before that record is sent alone.
pub const SUSPECT_AFTER: u32 = 3;
/// Connections a record sent alone may end before it is quarantined.
pub const QUARANTINE_AFTER: u32 = 3;
/// Records fetched from the outbox at a time.
pub const BATCH: usize = 64;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records in flight, before the broker's own Receive Maximum.
    pub window: u16,
    /// Silence of the head office after which unreceipted records are sent again; doubles to the cap.
    pub receipt_wait: Duration,
    pub receipt_wait_cap: Duration,
    /// Pause after a refusal or a missing subscriber; doubles to the cap.
    pub pause: Duration,
    pub pause_cap: Duration,
    /// A broker that acknowledges nothing for this long is given up.
    pub ack_wait: Duration,
}

/// What the broker allows on this connection (CONNACK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub receive_max: u16,
    pub max_packet: Option<u32>,
}

/// Ask the outbox for at most `limit` records after `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    pub after: u64,
    pub limit: usize,
    /// For the suspect, now that nothing else waits.
    pub alone: bool,
}

/// What to do with one record the outbox gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Send,
    /// In flight, receipted meanwhile, or a suspect that has to wait.
    Skip,
    /// Above the broker's Maximum Packet Size. Withheld on this connection and offered again after the next rewind, so that
    /// correcting the broker is enough.
    TooLarge,
}

/// What follows from a PUBACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Continue,
    Paused(Duration),
    Quarantine(u64),
    Reconnect,
}

/// What the passing of time asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    Nothing,
    /// Everything after this number will be sent again.
    Rewound(u64),
    /// The broker has stopped acknowledging.
    Silent,
}

#[derive(Debug)]
struct Suspect {
    seq: u64,
    deaths: u32,
    deaths_alone: u32,
}

/// The part that dies with its connection.
#[derive(Debug)]
struct Link {
    window: usize,
    max_packet: Option<u32>,
    in_flight: BTreeSet<u64>,
    last_ack: Instant,
    /// The outbox had nothing more after the cursor.
    drained: bool,
    /// One record at a time until one is taken.
    probing: bool,
    paused_until: Option<Instant>,
    /// The pause is for want of a subscriber: a live receipt ends it.
    unheard: bool,
    pauses: u32,
    /// Some record was taken on this connection.
    proven: bool,
    /// The one record in flight is the suspect.
    alone: bool,
}

#[derive(Debug)]
pub struct Pacing {
    limits: Limits,
    receipted: u64,
    cursor: u64,
    /// Highest number ever handed to a broker.
    highest: u64,
    /// Unreceipted records have been sent again since the last receipt progress.
    replayed: bool,
    rewinds: u32,
    /// The cursor has reached the end of the outbox since it last went back. Waiting for a receipt counts from then: on a slow
    /// line a pass may take longer than the wait, and must come to its end all the same.
    passed: bool,
    waiting_since: Instant,
    suspect: Option<Suspect>,
    link: Option<Link>,
}

impl Pacing {
    pub fn new(limits: Limits, receipted: u64, now: Instant) -> Self {
        let limits = Limits { window: limits.window.max(1), ..limits };
        Self {
            limits,
            receipted,
            cursor: receipted,
            highest: receipted,
            replayed: false,
            rewinds: 0,
            passed: false,
            waiting_since: now,
            suspect: None,
            link: None,
        }
    }

    pub fn connected(&mut self, peer: Peer, now: Instant) {
        if !self.replayed && self.cursor > self.receipted {
            self.send_again_from(self.receipted + 1);
            self.replayed = true;
        }
        self.link = Some(Link {
            window: usize::from(self.limits.window.min(peer.receive_max.max(1))),
            max_packet: peer.max_packet,
            in_flight: BTreeSet::new(),
            last_ack: now,
            drained: false,
            probing: false,
            paused_until: None,
            unheard: false,
            pauses: 0,
            proven: false,
            alone: false,
        });
    }

    /// The outbox has new records.
    pub fn committed(&mut self) {
        if let Some(link) = &mut self.link {
            link.drained = false;
        }
    }

    /// What to fetch now. Waits until half the window is free, so that the outbox is not asked once per record.
    pub fn demand(&self, now: Instant) -> Option<Demand> {
        let link = self.link.as_ref()?;
        if link.alone || link.paused_until.is_some_and(|until| now < until) || self.rewind_due(now) {
            return None;
        }
        let careful = link.probing || self.suspect.as_ref().is_some_and(|suspect| suspect.deaths + 1 >= SUSPECT_AFTER);
        let window = if careful { 1 } else { link.window };
        let free = window.saturating_sub(link.in_flight.len());
        if free * 2 < window || free == 0 {
            return None;
        }
        if !link.drained {
            return Some(Demand { after: self.cursor, limit: free.min(BATCH), alone: false });
        }
        let suspect = self.isolated().filter(|seq| *seq <= self.cursor && link.in_flight.is_empty())?;
        Some(Demand { after: suspect - 1, limit: 1, alone: true })
    }

    /// One record of a fetch that asked for `demand`; `size` is an upper bound of its packet's length.
    pub fn offer(&mut self, demand: Demand, seq: u64, size: usize, now: Instant) -> Offer {
        let suspected = self.isolated() == Some(seq);
        let Some(link) = &mut self.link else { return Offer::Skip };
        let first_out = self.cursor == self.receipted;
        if !demand.alone {
            self.cursor = self.cursor.max(seq);
        }
        if demand.alone != suspected {
            return Offer::Skip;
        }
        if seq <= self.receipted || link.in_flight.contains(&seq) {
            return Offer::Skip;
        }
        if link.max_packet.is_some_and(|max| u32::try_from(size).map_or(true, |size| size > max)) {
            return Offer::TooLarge;
        }
        if link.in_flight.is_empty() {
            link.last_ack = now;
        }
        if first_out {
            self.passed = false;
        }
        if self.highest <= self.receipted {
            self.replayed = false; // nothing was outstanding: a new series begins
        }
        self.highest = self.highest.max(seq);
        link.alone = demand.alone;
        link.in_flight.insert(seq);
        Offer::Send
    }

    /// A record that will not be sent at all.
    pub fn pass_over(&mut self, seq: u64) {
        self.cursor = self.cursor.max(seq);
    }

    /// The fetch is over; the outbox gave `count` records.
    pub fn fetched(&mut self, demand: Demand, count: usize, now: Instant) {
        let Some(link) = &mut self.link else { return };
        if !demand.alone {
            link.drained = count < demand.limit;
            if link.drained && !self.passed {
                self.passed = true;
                self.waiting_since = now;
            }
        } else if link.in_flight.is_empty() {
            self.suspect = None; // receipted, quarantined elsewhere, or withheld for its size
        }
    }

    /// A PUBACK for `seq`.
    pub fn acknowledged(&mut self, seq: u64, answer: Answer, now: Instant) -> Next {
        let Some(link) = &mut self.link else { return Next::Continue };
        link.in_flight.remove(&seq);
        link.last_ack = now;
        let alone = std::mem::take(&mut link.alone);
        match answer {
            Answer::Taken => {
                link.proven = true;
                link.probing = false;
                link.pauses = 0;
                link.paused_until = None;
                self.suspect = self.suspect.take().filter(|suspect| suspect.seq != seq);
                Next::Continue
            }
            Answer::BadRecord if alone && link.proven => {
                self.suspect = None;
                Next::Quarantine(seq)
            }
            Answer::BadRecord => {
                self.suspect = Some(Suspect { seq, deaths: SUSPECT_AFTER, deaths_alone: 0 });
                if alone { self.hold_back(seq, answer, alone, now) } else { Next::Continue }
            }
            Answer::NoSubscriber | Answer::Busy | Answer::Denied => self.hold_back(seq, answer, alone, now),
            Answer::Confused => Next::Reconnect,
        }
    }

    /// Not delivered: pause, then try one record at a time from there.
    fn hold_back(&mut self, seq: u64, answer: Answer, alone: bool, now: Instant) -> Next {
        if !alone {
            self.send_again_from(seq);
        }
        let Some(link) = &mut self.link else { return Next::Continue };
        link.drained &= alone;
        link.probing = true;
        if link.paused_until.is_some_and(|until| now < until) {
            return Next::Continue; // one of a volley: the pause has begun
        }
        let pause = doubled(self.limits.pause, link.pauses).min(self.limits.pause_cap);
        link.pauses += 1;
        link.unheard = answer == Answer::NoSubscriber;
        link.paused_until = Some(now + pause);
        Next::Paused(pause)
    }

    /// The store accepted a receipt; the highest receipted number is now `through`. `live` means that it was sent just now
    /// and not kept by the broker: somebody is there.
    pub fn receipted(&mut self, through: u64, live: bool, now: Instant) -> bool {
        if let Some(link) = &mut self.link
            && live
            && link.unheard
        {
            link.paused_until = None;
        }
        if through <= self.receipted {
            return false;
        }
        self.receipted = through;
        self.cursor = self.cursor.max(through);
        self.replayed = false;
        self.rewinds = 0;
        self.waiting_since = now;
        self.suspect = self.suspect.take().filter(|suspect| suspect.seq > through);
        true
    }

    /// To be called when [`Self::deadline`] has passed.
    pub fn tick(&mut self, now: Instant) -> Tick {
        let due = self.rewind_due(now);
        let Some(link) = &mut self.link else { return Tick::Nothing };
        if !link.in_flight.is_empty() {
            let silent = now.saturating_duration_since(link.last_ack) >= self.limits.ack_wait;
            return if silent { Tick::Silent } else { Tick::Nothing };
        }
        if link.paused_until.is_some_and(|until| until <= now) {
            link.paused_until = None;
        }
        if !due || link.paused_until.is_some() {
            return Tick::Nothing;
        }
        link.drained = false;
        self.send_again_from(self.receipted + 1);
        self.replayed = true;
        self.rewinds = self.rewinds.saturating_add(1);
        Tick::Rewound(self.receipted)
    }

    /// When [`Self::tick`] or [`Self::demand`] will have something to say without any other event.
    pub fn deadline(&self) -> Option<Instant> {
        let link = self.link.as_ref()?;
        if !link.in_flight.is_empty() {
            return Some(link.last_ack + self.limits.ack_wait);
        }
        if link.paused_until.is_some() {
            return link.paused_until;
        }
        (self.passed && self.cursor > self.receipted).then(|| self.waiting_since + self.receipt_wait())
    }

    /// The connection is gone. Gives a record to quarantine when it has now proved to be the cause.
    pub fn lost(&mut self) -> Option<u64> {
        let link = self.link.take()?;
        let oldest = *link.in_flight.first()?;
        if !link.alone {
            self.send_again_from(oldest);
        }
        if self.suspect.as_ref().is_none_or(|suspect| suspect.seq != oldest) {
            // Another record was under way, which exonerates an earlier suspect: it goes out again in its turn.
            if let Some(cleared) = self.isolated() {
                self.send_again_from(cleared);
            }
            self.suspect = Some(Suspect { seq: oldest, deaths: 1, deaths_alone: 0 });
            return None;
        }
        let suspect = self.suspect.as_mut()?;
        suspect.deaths = suspect.deaths.saturating_add(1);
        suspect.deaths_alone += u32::from(link.alone && link.proven);
        if suspect.deaths_alone < QUARANTINE_AFTER {
            return None;
        }
        self.suspect = None;
        Some(oldest)
    }

    fn send_again_from(&mut self, seq: u64) {
        self.cursor = self.cursor.min(seq.saturating_sub(1)).max(self.receipted);
        self.passed = false;
    }

    fn isolated(&self) -> Option<u64> {
        self.suspect.as_ref().filter(|suspect| suspect.deaths >= SUSPECT_AFTER).map(|suspect| suspect.seq)
    }

    fn receipt_wait(&self) -> Duration {
        doubled(self.limits.receipt_wait, self.rewinds).min(self.limits.receipt_wait_cap)
    }

    fn rewind_due(&self, now: Instant) -> bool {
        self.passed && self.cursor > self.receipted && now.saturating_duration_since(self.waiting_since) >= self.receipt_wait()
    }
}

#[cfg(test)]
#[path = "pacing_tests.rs"]
mod tests;
