//! What the machine remembers of a session's evidence: which events came, how far its register got, which samples it has seen.
//!
//! It is derived: adding a session's evidence in the order of the journal gives the same memory again, after a restart too.
//! Limits: [`MAX_EVENTS`] events one by one, [`MAX_RANGES`] ranges of numbers, [`MAX_SAMPLES`] fingerprints of samples.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use super::evidence::Evidence;
use crate::fact::register::register_of;
use crate::fact::{ChargingState, Phase, Sample, Value};
use crate::units::{MilliWh, Time, time};

/// Events remembered one by one, to recognise repeats.
const MAX_EVENTS: usize = 256;
/// Runs of numbers without a gap; a station that leaves more gaps than this has lost its session anyway.
const MAX_RANGES: usize = 256;
/// Messages with samples remembered, to recognise one that is sent again under a new message id.
const MAX_SAMPLES: usize = 32;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub events: Events,
    /// The station's own time of the start, as it said it: tells one start from another whatever its clock is worth.
    pub said_start: Option<Time>,
    /// The first register that came with the start, and the latest one, with the time it was measured.
    pub first_register: Option<MilliWh>,
    pub last_register: Option<(Time, MilliWh)>,
    /// When the latest message happened, as the station said it.
    pub last_said: Option<Time>,
    /// 1.6: the connector was Available since, and is not any more: the vehicle is another.
    pub was_left: bool,
    is_free: bool,
    samples: VecDeque<u64>,
}

impl Memory {
    /// Adds one message's evidence. `at`: when it happened, as far as the station is believed.
    pub fn add(&mut self, evidence: &Evidence, at: Time) {
        self.add_known(evidence, fingerprint(evidence), at);
    }

    /// The same when its fingerprint is known already: it costs as much as all else here.
    pub(super) fn add_known(&mut self, evidence: &Evidence, fingerprint: Option<u64>, at: Time) {
        if let Some(seq) = evidence.seq_no {
            self.events.add(EventKey::of(evidence, seq));
        }
        self.was_left |= self.is_free && evidence.charging.is_some_and(|state| state != ChargingState::Idle);
        self.is_free |= evidence.charging == Some(ChargingState::Idle) && evidence.seq_no.is_none();
        self.last_said = evidence.said_at().or(self.last_said);
        if evidence.phase == Phase::Start {
            self.said_start = self.said_start.or(evidence.reported_at);
        }
        for reading in &evidence.readings {
            let Some(register) = register_of(reading).filter(MilliWh::is_register) else { continue };
            if evidence.phase == Phase::Start && self.first_register.is_none() {
                self.first_register = Some(register);
            }
            self.reach(reading.measured_at.unwrap_or(at), register);
        }
        if let Some(fingerprint) = fingerprint {
            if self.samples.len() == MAX_SAMPLES {
                self.samples.pop_front();
            }
            self.samples.push_back(fingerprint);
        }
    }

    /// A register was read. A lower one than before says nothing here: drop-outs, samples that count from 0.
    pub fn reach(&mut self, at: Time, register: MilliWh) {
        if self.last_register.is_none_or(|(_, known)| known <= register) {
            self.last_register = Some((at, register));
        }
    }

    /// The very samples that came before: a station repeats a message whose answer it missed under a new message id.
    pub(super) fn has_samples(&self, fingerprint: Option<u64>) -> bool {
        fingerprint.is_some_and(|fingerprint| self.samples.contains(&fingerprint))
    }
}

/// Samples with a time of their own are the same when all of them are; without one, equal values may well be new.
pub(super) fn fingerprint(evidence: &Evidence) -> Option<u64> {
    let is_plain = evidence.phase == Phase::Update && evidence.seq_no.is_none() && !evidence.readings.is_empty();
    if !is_plain || evidence.readings.iter().any(|reading| reading.measured_at.is_none()) {
        return None;
    }
    let mut sum = Fingerprint(u64::from(evidence.evse));
    for reading in &evidence.readings {
        reading.measured_at.map(time::to_millis).hash(&mut sum);
        for Sample { measurand, context, location, phase, value } in &reading.samples {
            (measurand, context, location, phase).hash(&mut sum);
            match value {
                // As it was sent: a message that comes again says it with the same digits.
                Value::Number(number) => number.serialize().hash(&mut sum),
                Value::Signed(text) => text.hash(&mut sum),
            }
        }
    }
    Some(sum.finish())
}

/// Tells one message of a session from the 32 before it. Nobody gains by making two alike, so it need not withstand attacks, and it is
/// made of every message: each word costs a multiplication.
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // An odd number without a pattern.
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

/// One event: number, the station's time in milliseconds, phase. A number that comes again with another time or phase is another
/// event, because stations restart their counter after a reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKey {
    seq: i64,
    at: Option<i64>,
    phase: u8,
}

impl EventKey {
    pub fn of(evidence: &Evidence, seq: i64) -> Self {
        Self { seq, at: evidence.reported_at.map(time::to_millis), phase: evidence.phase.code() }
    }
}

/// Which events of a 2.x transaction have come: `seqNo` grows by one per event (OCPP 2.0.1 E01.FR.07), so a transaction is
/// complete when its first and last event and all numbers between are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    recent: VecDeque<EventKey>,
    /// Numbers seen, as ranges without a gap, ascending.
    seen: Vec<(i64, i64)>,
}

impl Events {
    /// Whether this very event was seen lately.
    pub fn has(&self, event: EventKey) -> bool {
        self.recent.contains(&event)
    }

    fn add(&mut self, event: EventKey) {
        if self.recent.len() == MAX_EVENTS {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
        let seq = event.seq;
        let place = self.seen.partition_point(|(_, high)| high.saturating_add(1) < seq);
        match self.seen.get_mut(place) {
            Some((low, _)) if seq.saturating_add(1) < *low => self.seen.insert(place, (seq, seq)),
            Some((low, high)) => (*low, *high) = ((*low).min(seq), (*high).max(seq)),
            None => self.seen.push((seq, seq)),
        }
        // The number may have closed the gap to the next range.
        if let (Some((_, high)), Some((low, top))) = (self.seen.get(place).copied(), self.seen.get(place + 1).copied())
            && high.saturating_add(1) >= low
        {
            self.seen[place].1 = high.max(top);
            self.seen.remove(place + 1);
        }
        // Joined ranges hide a gap, which would only cost a finding; forgetting one would invent it.
        if self.seen.len() > MAX_RANGES {
            let (low, _) = self.seen.remove(0);
            self.seen[0].0 = low;
        }
    }

    /// The highest number seen.
    pub fn highest(&self) -> Option<i64> {
        self.seen.last().map(|(_, high)| *high)
    }

    /// Numbers were seen, and none is missing between the lowest and the highest.
    pub fn is_gap_free(&self) -> bool {
        self.seen.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: &[i64]) -> Events {
        let mut events = Events::default();
        numbers.iter().for_each(|seq| events.add(EventKey { seq: *seq, at: Some(*seq), phase: 1 }));
        events
    }

    #[test]
    fn gaps_are_found_in_any_order() {
        for (numbers, gap_free, highest) in [
            (&[][..], false, None),
            (&[7], true, Some(7)),
            (&[0, 1, 2], true, Some(2)),
            (&[2, 0, 1, 1], true, Some(2)),
            (&[0, 2], false, Some(2)),
            (&[0, 5, 3, 1, 4, 2, 9], false, Some(9)),
            (&[i64::MAX, i64::MIN, i64::MAX - 1], false, Some(i64::MAX)),
        ] {
            let events = events(numbers);
            assert_eq!((events.is_gap_free(), events.highest()), (gap_free, highest), "{numbers:?}");
        }
    }

    #[test]
    fn a_repeat_of_long_ago_fills_no_gap() {
        let mut numbers: Vec<i64> = (0..1000).filter(|number| *number != 500).collect();
        numbers.extend([3, 4, 5]);
        assert!(!events(&numbers).is_gap_free());
    }

    #[test]
    fn a_thousand_gaps_stay_a_gap() {
        let numbers: Vec<i64> = (0..1000).map(|number| number * 2).collect();
        let events = events(&numbers);
        assert!(!events.is_gap_free());
        assert_eq!(events.seen.len(), MAX_RANGES);
    }
}
