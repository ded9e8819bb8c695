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
//! - A record the broker does not take is quarantined (`quarantine`) and offered again, alone, with growing waits; the others go on.
//!   It counts as quarantined for a person to see only after another record got through on the same connection, or when it is
//!   the first of its kind: a dead line, or a broker that refuses everything, does not fill the list of faults.
//!
//! Unreceipted records are sent again (a *rewind*) on the first connection after receipt progress, and when no receipt
//! moved for a time that doubles from `receipt_wait` to `receipt_wait_cap`. A head office that is away for weeks thus costs
//! one pass over the outbox per cap, however often the line flaps.
//!
//! A record that ends connections: one that was the oldest in flight in [`SUSPECT_AFTER`] lost connections in a row is sent last
//! and alone; if it then ends `quarantine::DEATHS` connections that carried other records, it counts as refused.
//!
//! Deliberately absent: the records (the outbox is the only queue), clocks, random numbers, packet ids.
//! Memory: one number per record in flight, and what is quarantined.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::backoff::doubled;
use super::puback::Answer;
use super::quarantine::{Quarantine, Quarantined};

/// Connections lost with the same oldest record in flight before that record is sent alone.
pub const SUSPECT_AFTER: u32 = 3;
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
    /// Before a record that was quarantined is offered again; doubles to the cap.
    pub quarantine_wait: Duration,
    pub quarantine_wait_cap: Duration,
    /// A connection that was up for this long was good, even if there was nothing to carry.
    pub lasting: Duration,
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
    /// For a record that was quarantined, now that nothing else waits.
    pub alone: bool,
}

/// What to do with one record the outbox gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Send,
    /// In flight, receipted meanwhile, or quarantined and not its turn.
    Skip,
    /// Above the broker's Maximum Packet Size. Set aside, and offered again on the first connection that allows its size.
    TooLarge(Option<Quarantined>),
}

/// What follows from a PUBACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Continue,
    Paused(Duration),
    /// Refused, and a person should see it. It is offered again after the wait.
    Quarantined(Quarantined),
    /// The broker took a record that it had refused.
    TakenAfterAll,
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

/// The oldest record in flight when the last connections ended.
#[derive(Debug)]
struct Suspect {
    seq: u64,
    deaths: u32,
}

/// The part that dies with its connection.
#[derive(Debug)]
struct Link {
    since: Instant,
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
    /// The one record in flight had been quarantined.
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
    quarantine: Quarantine,
    /// Highest number a broker has taken.
    taken: u64,
    /// A record was taken, or a receipt retired some, since [`Self::worked`] was asked.
    progress: bool,
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
            quarantine: Quarantine::new(limits.quarantine_wait, limits.quarantine_wait_cap),
            taken: receipted,
            progress: false,
            link: None,
        }
    }

    /// A record that was refused before this process began.
    pub fn remember_quarantined(&mut self, seq: u64, tries: u32, now: Instant) {
        self.quarantine.remember(seq, tries, now);
    }

    /// The lowest number the broker refuses, and how many it refuses.
    pub fn refused_ones(&self) -> Option<(u64, usize)> {
        self.quarantine.refused_ones()
    }

    /// Highest number that a broker has taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The broker has answered everything but what it refused, and the next try of that is only due after this time.
    pub fn resting(&self, now: Instant) -> Option<Duration> {
        let link = self.link.as_ref()?;
        let busy = !link.drained || !link.in_flight.is_empty() || link.paused_until.is_some();
        self.quarantine.refused_ones().filter(|_| !busy)?;
        self.quarantine.next(self.cursor)?.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Everything was offered, and no receipt came in the time in which one should have.
    pub fn unanswered(&self) -> bool {
        self.rewinds > 0 && self.taken > self.receipted
    }

    /// Whether the connection that ends now was good: the wait before the next one is short again. Ask before [`Self::lost`].
    pub fn worked(&mut self, now: Instant) -> bool {
        let lasted = self.link.as_ref().is_some_and(|link| now.saturating_duration_since(link.since) >= self.limits.lasting);
        std::mem::take(&mut self.progress) || lasted
    }

    pub fn connected(&mut self, peer: Peer, now: Instant) {
        if !self.replayed && self.cursor > self.receipted {
            self.send_again_from(self.receipted + 1);
            self.replayed = true;
        }
        self.quarantine.allowed(peer.max_packet, now);
        self.link = Some(Link {
            since: now,
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
        let one_at_a_time = link.probing || self.suspect.as_ref().is_some_and(|suspect| suspect.deaths + 1 >= SUSPECT_AFTER);
        let window = if one_at_a_time { 1 } else { link.window };
        let free = window.saturating_sub(link.in_flight.len());
        if free * 2 < window || free == 0 {
            return None;
        }
        if !link.drained {
            return Some(Demand { after: self.cursor, limit: free.min(BATCH), alone: false });
        }
        let seq = self.quarantine.due(self.cursor, now).filter(|_| link.in_flight.is_empty())?;
        Some(Demand { after: seq - 1, limit: 1, alone: true })
    }

    /// The fetch for `demand` has come to `seq`. `false`: nothing is to be done about it now.
    pub fn reached(&mut self, demand: Demand, seq: u64) -> bool {
        if demand.alone {
            return seq == demand.after + 1 && self.quarantine.contains(seq);
        }
        if self.cursor == self.receipted {
            self.passed = false; // nothing was outstanding: waiting for a receipt begins when this series has been offered
        }
        self.cursor = self.cursor.max(seq);
        !self.quarantine.contains(seq)
    }

    /// One record of a fetch that asked for `demand`; `size` is an upper bound of its packet's length.
    pub fn offer(&mut self, demand: Demand, seq: u64, size: usize, now: Instant) -> Offer {
        if !self.reached(demand, seq) || seq <= self.receipted {
            return Offer::Skip;
        }
        let Some(link) = &mut self.link else { return Offer::Skip };
        if link.in_flight.contains(&seq) {
            return Offer::Skip;
        }
        if link.max_packet.is_some_and(|max| u32::try_from(size).map_or(true, |size| size > max)) {
            return Offer::TooLarge(self.quarantine.refused(seq, Some(size), now));
        }
        if link.in_flight.is_empty() {
            link.last_ack = now;
        }
        if self.highest <= self.receipted {
            self.replayed = false; // nothing was outstanding: a new series begins
        }
        self.highest = self.highest.max(seq);
        link.alone = demand.alone;
        link.in_flight.insert(seq);
        Offer::Send
    }

    /// A record that cannot be sent as it is.
    pub fn unsendable(&mut self, seq: u64, now: Instant) -> Option<Quarantined> {
        self.quarantine.refused(seq, None, now)
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
        } else if link.in_flight.is_empty() && self.quarantine.due(self.cursor, now) == Some(demand.after + 1) {
            self.quarantine.remove(demand.after + 1); // not in the outbox any more
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
                self.progress = true;
                self.taken = self.taken.max(seq);
                self.suspect = self.suspect.take().filter(|suspect| suspect.seq != seq);
                if self.quarantine.taken(seq) { Next::TakenAfterAll } else { Next::Continue }
            }
            Answer::BadRecord if alone => {
                let visible = link.proven || self.quarantine.is_lowest(seq);
                self.quarantine.refused(seq, None, now).filter(|_| visible).map_or(Next::Continue, Next::Quarantined)
            }
            // Once more, alone, when the others are through.
            Answer::BadRecord if self.quarantine.suspect(seq, now) => Next::Continue,
            Answer::BadRecord => self.hold_back(seq, answer, alone, now),
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
        self.taken = self.taken.max(through);
        self.progress = true;
        self.quarantine.receipted(through);
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
        let rewind = (self.passed && self.cursor > self.receipted).then(|| self.waiting_since + self.receipt_wait());
        [rewind, self.quarantine.next(self.cursor)].into_iter().flatten().min()
    }

    /// The connection is gone. Gives the record that has now proved to be the cause.
    pub fn lost(&mut self, now: Instant) -> Option<Quarantined> {
        let link = self.link.take()?;
        let oldest = *link.in_flight.first()?;
        if link.alone {
            return self.quarantine.ended_connection(oldest, link.proven, now);
        }
        self.send_again_from(oldest);
        // This record was under way, which absolves earlier suspects: they go out again in their turn.
        if let Some(absolved) = self.quarantine.absolve() {
            self.send_again_from(absolved);
        }
        let deaths = self.suspect.take().filter(|suspect| suspect.seq == oldest).map_or(0, |suspect| suspect.deaths) + 1;
        if deaths < SUSPECT_AFTER || !self.quarantine.suspect(oldest, now) {
            self.suspect = Some(Suspect { seq: oldest, deaths: deaths.min(SUSPECT_AFTER) });
        }
        None
    }

    fn send_again_from(&mut self, seq: u64) {
        self.cursor = self.cursor.min(seq.saturating_sub(1)).max(self.receipted);
        self.passed = false;
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
