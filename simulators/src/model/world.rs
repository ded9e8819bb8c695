//! A site with the truth in it: one station, its meters, the vehicles that charge there and who pays.
//!
//! Everything is integers: milliseconds since 1970 UTC, watts, milliwatt-hours. A world is made from one number and from what
//! its faults need to be possible at all ([`Needs`]); the faults may then change it ([`super::fault`]).
//! Limits: 1 to 3 EVSEs, 1 to 6 sessions and one clean one per EVSE at the end, 40 samples a session.

use fastrand::Rng;

use super::script::Version;
use super::{HOUR, MINUTE, MilliWh, Millis, SECOND};

/// 2026-11-02T00:00:00Z: winter time, so that the site's civil time is one hour ahead of UTC throughout.
const FIRST_DAY: Millis = 1_793_577_600_000;
const DAYS: i64 = 20;
const MAX_SAMPLES: i64 = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Energy flows or may flow.
    Charging,
    /// The vehicle takes nothing although it could.
    Idle,
    /// The station offers nothing.
    Paused,
    /// The station cannot deliver: without power, or faulted.
    Dead,
}

#[derive(Clone, Debug)]
pub struct Part {
    pub from: Millis,
    pub until: Millis,
    pub watts: i64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub evse: u32,
    /// The driver.
    pub tag: u32,
    pub plug: Millis,
    pub start: Millis,
    pub stop: Millis,
    pub unplug: Millis,
    /// Without gaps from `start` to `stop`.
    pub parts: Vec<Part>,
    /// 2.x: the station's name for it.
    pub tx: String,
    /// Ended by this outage.
    pub cut: Option<Outage>,
    /// Never took place.
    pub absent: bool,
    /// The clean one at the end.
    pub closer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A stop is sent after the boot, stamped with the time of the boot.
    StopAtBoot,
    /// A stop is sent after the boot, stamped with the time of the cut.
    StopAtCut,
    /// Nothing more is said about the session.
    Silent,
    /// The session goes on after the boot.
    Resume,
}

/// The station is without power, or restarts.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub from: Millis,
    pub until: Millis,
    pub ending: Ending,
}

/// No connection: transaction messages wait, statuses are lost.
#[derive(Clone, Copy, Debug)]
pub struct Offline {
    pub from: Millis,
    pub until: Millis,
}

/// Meter of one EVSE.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    pub base: MilliWh,
    pub reset_at: Option<Millis>,
    pub rolls_at: Option<MilliWh>,
}

/// A clock's error from an instant on.
pub type Clock = Vec<(Millis, Millis)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tariff {
    /// 0.40/kWh, parking 6.00/h.
    Plain,
    /// 0.50/kWh from 06:00 to 22:00, else 0.30; charging 1.50/h, parking 3.00/h.
    TimeOfUse,
}

#[derive(Clone, Debug)]
pub struct World {
    pub version: Version,
    pub watts: i64,
    /// The daemon knows the station's power.
    pub limit_known: bool,
    pub tariff: Tariff,
    pub meters: Vec<Meter>,
    pub resolution: MilliWh,
    pub lifetime: bool,
    pub interval: Option<Millis>,
    /// What samples carry beside the register.
    pub power: bool,
    pub current: bool,
    pub soc: bool,
    pub phases: bool,
    /// Periodic events repeat the charging state (2.x).
    pub state_always: bool,
    /// The stop carries samples of begin and end (1.6 transactionData).
    pub data_in_stop: bool,
    pub tag_in_stop: bool,
    pub begin: Millis,
    pub sessions: Vec<Session>,
    pub outages: Vec<Outage>,
    pub offline: Vec<Offline>,
    pub clock: Clock,
    pub gateway: Clock,
    /// The daemon is killed and starts again.
    pub restarts: Vec<Millis>,
}

/// What a world must have so that its faults can happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    pub v16: bool,
    pub v2: bool,
    pub samples: bool,
    pub lifetime: bool,
    pub two_evses: bool,
    /// Another session follows on the same EVSE.
    pub successor: bool,
    pub long: bool,
}

pub fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

pub fn percent(rng: &mut Rng, chance: u32) -> bool {
    rng.u32(..100) < chance
}

pub fn offset(clock: &Clock, at: Millis) -> Millis {
    clock.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, error)| *error)
}

impl World {
    pub fn new(seed: u64, needs: Needs) -> Self {
        let mut rng = Rng::with_seed(seed);
        let version = match rng.u32(..10) {
            _ if needs.v16 => Version::V16,
            0..5 if !needs.v2 => Version::V16,
            0..9 => Version::V201,
            _ => Version::V21,
        };
        let watts = pick(&mut rng, &[3_700, 7_400, 11_000, 11_000, 22_000, 22_000, 50_000, 150_000, 350_000]);
        let evses = if needs.two_evses { pick(&mut rng, &[2, 2, 3]) } else { pick(&mut rng, &[1, 1, 1, 2, 2, 3]) };
        let begin = FIRST_DAY + rng.i64(0..DAYS * 24) * HOUR + rng.i64(0..HOUR);
        let mut world = Self {
            version,
            watts,
            limit_known: rng.bool(),
            tariff: pick(&mut rng, &[Tariff::Plain, Tariff::TimeOfUse]),
            meters: Vec::new(),
            resolution: pick(&mut rng, &[1_000, 1_000, 1_000, 10_000, 100_000, 1_000_000]),
            lifetime: needs.lifetime || percent(&mut rng, 80),
            interval: None,
            power: percent(&mut rng, 40),
            current: percent(&mut rng, 20),
            soc: percent(&mut rng, 20),
            phases: percent(&mut rng, 8),
            state_always: rng.bool(),
            data_in_stop: percent(&mut rng, 25),
            tag_in_stop: percent(&mut rng, 70),
            begin,
            sessions: Vec::new(),
            outages: Vec::new(),
            offline: Vec::new(),
            clock: Vec::new(),
            gateway: Vec::new(),
            restarts: Vec::new(),
        };
        for evse in 1..=evses {
            let base = rng.i64(2_000_000..90_000_000) * 1_000;
            world.meters.push(Meter { base, ..Meter::default() });
            let mut at = begin + MINUTE + rng.i64(0..2 * HOUR);
            let several = if evses == 1 { rng.usize(1..=3) } else { rng.usize(1..=2) };
            let count = if needs.successor { several.max(2) } else { several };
            for _ in 0..count {
                let session = world.drive(&mut rng, evse, at, needs.long);
                at = session.unplug
                    + match rng.u32(..100) {
                        0..25 => rng.i64(5 * SECOND..MINUTE),
                        25..60 => rng.i64(MINUTE..30 * MINUTE),
                        _ => rng.i64(HOUR..10 * HOUR),
                    };
                world.sessions.push(session);
            }
        }
        world.sample(&mut rng, needs);
        world
    }

    /// One vehicle: plugged in, charged with more or less power and pauses, left standing, unplugged.
    fn drive(&mut self, rng: &mut Rng, evse: u32, plug: Millis, long: bool) -> Session {
        let fast = self.watts >= 50_000;
        let start = plug + rng.i64(2 * SECOND..MINUTE);
        let mut parts: Vec<Part> = Vec::new();
        let mut at = start;
        let mut add = |what: What, watts: i64, length: Millis| {
            parts.push(Part { from: at, until: at + length, watts, what });
            at += length;
        };
        if percent(rng, 60) {
            add(What::Charging, 0, rng.i64(2 * SECOND..90 * SECOND));
        }
        let stretches = rng.usize(1..=3);
        let least = if fast { 5_000 } else { 1_400 };
        let mut most = self.watts;
        for stretch in 0..stretches {
            let length = match (fast, long) {
                (true, false) => rng.i64(2 * MINUTE..25 * MINUTE),
                (true, true) => rng.i64(10 * MINUTE..30 * MINUTE),
                (false, false) => rng.i64(6 * MINUTE..3 * HOUR),
                (false, true) => rng.i64(30 * MINUTE..3 * HOUR),
            };
            let watts = rng.i64(least.min(most)..=most);
            add(What::Charging, watts, length);
            most = if percent(rng, 70) { watts } else { most };
            if stretch + 1 < stretches {
                match rng.u32(..100) {
                    0..20 => add(What::Paused, 0, rng.i64(2 * MINUTE..HOUR)),
                    20..40 => add(What::Idle, 0, rng.i64(2 * MINUTE..90 * MINUTE)),
                    _ => {}
                }
            }
        }
        if rng.bool() {
            add(What::Idle, 0, if fast { rng.i64(MINUTE..HOUR) } else { rng.i64(5 * MINUTE..9 * HOUR) });
        }
        let before = self.sessions.iter().rev().find(|session| session.evse == evse);
        let fresh = 100 + u32::try_from(self.sessions.len()).unwrap_or_default();
        let tag = before.filter(|_| percent(rng, 15)).map_or(fresh, |session| session.tag);
        let unplug = at + rng.i64(SECOND..2 * MINUTE);
        let tx = format!("{:016x}", rng.u64(..));
        Session { evse, tag, plug, start, stop: at, unplug, parts, tx, cut: None, absent: false, closer: false }
    }

    fn sample(&mut self, rng: &mut Rng, needs: Needs) {
        if !needs.samples && percent(rng, 15) {
            return;
        }
        let longest = self.sessions.iter().map(|session| session.stop - session.start).max().unwrap_or(HOUR);
        let steps = [MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR];
        let from = rng.usize(..4);
        self.interval = steps[from..].iter().copied().find(|step| longest / step <= MAX_SAMPLES).or(Some(HOUR));
        // In a session of few samples, coarse ones would say nothing.
        let shortest = self.sessions.iter().map(|session| session.stop - session.start).min().unwrap_or(HOUR);
        if needs.samples && shortest / self.interval.unwrap_or(HOUR) < 3 {
            self.interval = Some((shortest / 4).max(longest / MAX_SAMPLES));
        }
    }

    /// The clean sessions that end the script, one an EVSE, from `at` on.
    pub fn close(&mut self, seed: u64, at: Millis) {
        let mut rng = Rng::with_seed(seed);
        for evse in 1..=self.evses() {
            let start = at + rng.i64(MINUTE..10 * MINUTE);
            let watts = self.watts.min(11_000);
            let stop = start + 30 * MINUTE;
            let parts = vec![Part { from: start, until: stop, watts, what: What::Charging }];
            self.sessions.push(Session {
                evse,
                tag: 900 + evse,
                plug: start - 20 * SECOND,
                start,
                stop,
                unplug: stop + MINUTE,
                parts,
                tx: format!("{:016x}", rng.u64(..)),
                cut: None,
                absent: false,
                closer: true,
            });
        }
    }

    pub fn evses(&self) -> u32 {
        u32::try_from(self.meters.len()).unwrap_or(1)
    }

    /// Ends or interrupts what runs at the outage's begin; who would have come during it goes elsewhere.
    pub fn cut(&mut self, outage: Outage) -> Vec<usize> {
        let mut touched = Vec::new();
        for (index, session) in self.sessions.iter_mut().enumerate() {
            if session.start > outage.from - SECOND && session.start < outage.until + MINUTE {
                session.absent = true;
            } else if session.start < outage.from && session.stop > outage.from {
                touched.push(index);
                if outage.ending == Ending::Resume && session.stop > outage.until + 2 * MINUTE {
                    session.replace(outage.from, outage.until, What::Dead);
                } else {
                    let ending = if outage.ending == Ending::Resume { Ending::Silent } else { outage.ending };
                    session.end(outage.from);
                    session.cut = Some(Outage { ending, ..outage });
                }
            }
        }
        self.outages.push(outage);
        touched
    }
}

impl Session {
    pub fn is_at(&self, at: Millis) -> bool {
        !self.absent && self.start <= at && at <= self.stop
    }

    /// Over at `at`.
    fn end(&mut self, at: Millis) {
        self.parts.retain(|part| part.from < at);
        if let Some(last) = self.parts.last_mut() {
            last.until = last.until.min(at);
        }
        self.stop = at;
    }

    /// Something else took place in a stretch of it.
    pub fn replace(&mut self, from: Millis, until: Millis, what: What) {
        let until = until.min(self.stop);
        let mut parts = Vec::new();
        for part in &self.parts {
            if part.from < from {
                parts.push(Part { until: part.until.min(from), ..part.clone() });
            }
        }
        parts.push(Part { from, until, watts: 0, what });
        for part in &self.parts {
            if part.until > until {
                parts.push(Part { from: part.from.max(until), ..part.clone() });
            }
        }
        self.parts = parts;
    }
}
