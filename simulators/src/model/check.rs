//! What must hold of the bills, whatever a station said: each promise has a name.
//!
//! | check | promises |
//! |---|---|
//! | `energy-too-much` | a bill's energy is at most the truth + one step of the meter + 1 Wh |
//! | `parking-too-much` | parking is at most the true idle time + `Tolerance::time` |
//! | `time-too-much` | charging time is at most the true one + `Tolerance::time`; a stretch between two samples that arrived in which the register rose counts as charging |
//! | `money-too-much` | a bill is at most the true price + what these tolerances cost + energy between two samples that straddle a change of price + 2 cents |
//! | `wrong-driver` | the token billed is the driver's, and nobody pays for another's energy |
//! | `twice` | the bills of one session together, or the register intervals billed at one EVSE, do not exceed it |
//! | `lost` | a session whose start or stop was answered is billed or held |
//! | `open-for-ever` | after a clean session on the same EVSE, a day later, nothing is open |
//! | `wrong-date` | a bill begins within ten minutes of the truth and ends at most ten minutes after it |
//! | `held-without-fault`, `too-little-without-fault` | a session at a station without faults is billed, in full |
//! | `panic` | nothing said makes machine, metering or rating panic |
//! | `no-finding` | a bill that is too low because its inputs were altered has a finding |

use super::machine::{Bill, End, Kept};
use super::script::{Body, Message, Phase};
use super::shape::Marks;
use super::truth::{CENT, Micro, energy_price, hours};
use super::world::{Session, What, World, offset};
use super::{MINUTE, MilliWh, Millis, machine};

/// What became of one true session.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Right,
    /// Less than the truth by more than the tolerance: allowed, and counted. The flag: although its inputs were altered, no
    /// finding says so.
    TooLittle {
        silent: bool,
    },
    Held(String),
    Wrong(&'static str),
    /// Neither its start nor its stop arrived.
    Unreported,
}

/// Dates further off than this are wrong.
const DATE: Millis = 10 * MINUTE;
/// A clock that is off by less than this is taken as right.
const CLOCK: Millis = 5 * MINUTE;

/// The least power, in W, at which vehicles charge: a meter of coarse steps may stand still for as long as that takes for two.
const SLOWEST: i64 = 1_400;

/// By how much a bill may differ from the truth.
#[derive(Clone, Copy, Debug)]
struct Tolerance {
    energy: MilliWh,
    time: Millis,
    /// Charging time that samples allow beyond the true one.
    unmeasured: Millis,
    money: Micro,
}

/// The outcome of every true session, in their order.
pub fn check(world: &World, messages: &[Message], marks: &Marks, kept: &[Kept]) -> Vec<Outcome> {
    let bills: Vec<Billed<'_>> = kept.iter().filter_map(|kept| Billed::of(world, kept)).collect();
    let mut outcomes: Vec<Outcome> =
        (0..world.sessions.len()).map(|index| Case { world, messages, marks, kept, bills: &bills, index }.outcome()).collect();
    for billed in bills.iter().filter(|billed| billed.owner.is_none()) {
        let of = billed.kept.start_of.or(billed.kept.stop_of).or(billed.kept.all_of.first().copied());
        if let Some(index) = of {
            outcomes[index] = Outcome::Wrong("wrong-driver");
        }
    }
    for (place, one) in bills.iter().enumerate() {
        let Some(index) = one.owner else { continue };
        let twice = |other: &Billed<'_>| other.owner.is_some_and(|of| of != index && overlap(world, marks, one, other));
        if bills[..place].iter().any(twice) && !matches!(outcomes[index], Outcome::Wrong(_)) {
            outcomes[index] = Outcome::Wrong("twice");
        }
    }
    outcomes
}

/// A bill and the true session it is for.
struct Billed<'a> {
    kept: &'a Kept,
    bill: &'a Bill,
    /// `None`: it names a driver who has nothing to do with it.
    owner: Option<usize>,
}

impl<'a> Billed<'a> {
    fn of(world: &World, kept: &'a Kept) -> Option<Self> {
        let End::Billed(bill) = &kept.end else { return None };
        let sessions = kept.start_of.into_iter().chain(kept.stop_of).chain(kept.all_of.iter().copied());
        let drives = |index: &usize| bill.tag.as_ref().is_none_or(|tag| *tag == machine::tag_text(world.sessions[*index].tag));
        Some(Self { kept, bill, owner: sessions.into_iter().find(drives) })
    }
}

/// Whether two bills of one EVSE contain the same energy, by meters that nothing is wrong with.
fn overlap(world: &World, marks: &Marks, one: &Billed<'_>, other: &Billed<'_>) -> bool {
    let good = |billed: &Billed<'_>| billed.owner.is_some_and(|index| !Marks::has(marks.damaged, index));
    let simple = world.lifetime && world.meters.iter().all(|meter| meter.reset_at.is_none() && meter.rolls_at.is_none());
    let (a, b) = (one.bill, other.bill);
    let common = a.last.min(b.last) - a.first.max(b.first);
    // A register that counts from 0 was made of intervals.
    let read = a.first > 0 && b.first > 0;
    simple && read && a.evse != 0 && a.evse == b.evse && common > world.resolution && good(one) && good(other)
}

/// One true session, and all there is about it.
struct Case<'a> {
    world: &'a World,
    messages: &'a [Message],
    marks: &'a Marks,
    kept: &'a [Kept],
    bills: &'a [Billed<'a>],
    index: usize,
}

impl Case<'_> {
    fn truth(&self) -> &Session {
        &self.world.sessions[self.index]
    }

    fn outcome(&self) -> Outcome {
        let ours: Vec<&Billed<'_>> = self.bills.iter().filter(|billed| billed.owner == Some(self.index)).collect();
        if !ours.is_empty() {
            return self.billed(&ours);
        }
        let ends = |message: &&Message| message.is(self.index, Phase::Start) || message.is(self.index, Phase::Stop);
        if !self.messages.iter().any(|message| ends(&message)) {
            return Outcome::Unreported;
        }
        let of = |kept: &&Kept| {
            kept.start_of == Some(self.index) || kept.stop_of == Some(self.index) || kept.all_of.contains(&self.index)
        };
        let mut open = false;
        for kept in self.kept.iter().filter(of) {
            match &kept.end {
                End::Held(reason) => return Outcome::Held(reason.clone()),
                End::Open => open = true,
                End::Billed(_) => {}
            }
        }
        Outcome::Wrong(if open { "open-for-ever" } else { "lost" })
    }

    fn billed(&self, ours: &[&Billed<'_>]) -> Outcome {
        let tolerance = self.tolerance();
        if let Some(wrong) = ours.iter().find_map(|billed| self.check_bill(billed, &tolerance)) {
            return Outcome::Wrong(wrong);
        }
        let (energy, cost) = ours.iter().fold((0, 0), |(energy, cost), billed| {
            (energy + billed.bill.last - billed.bill.first, cost + billed.bill.cost * CENT)
        });
        let price = self.price();
        let timed = self.times_are_known();
        if energy > self.truth().energy() + tolerance.energy || (timed && cost > price + tolerance.money + CENT) {
            return Outcome::Wrong("twice");
        }
        if cost < price - tolerance.money {
            let found = ours.iter().any(|billed| !billed.kept.findings.is_empty());
            return Outcome::TooLittle { silent: !found && Marks::has(self.marks.damaged, self.index) };
        }
        Outcome::Right
    }

    /// What is wrong with a bill.
    fn check_bill(&self, billed: &Billed<'_>, tolerance: &Tolerance) -> Option<&'static str> {
        let (truth, bill) = (self.truth(), billed.bill);
        let tariff = self.world.tariff;
        let spent = |what| truth.spent(what, truth.start, truth.stop);
        if bill.last - bill.first > truth.energy() + tolerance.energy {
            let others = billed.kept.all_of.iter().any(|index| self.world.sessions[*index].tag != truth.tag);
            return Some(if others { "wrong-driver" } else { "energy-too-much" });
        }
        if !self.times_are_known() {
            return None;
        }
        if bill.idle > spent(What::Idle) + self.unreported_dead_time() + tolerance.time {
            return Some("parking-too-much");
        }
        if tariff.per_hour_charging() > 0 && bill.charging > spent(What::Charging) + tolerance.unmeasured + tolerance.time {
            return Some("time-too-much");
        }
        if bill.cost * CENT > self.price() + tolerance.money {
            return Some("money-too-much");
        }
        let off = (bill.start - truth.start).abs() > DATE || bill.end > truth.stop + DATE;
        off.then_some("wrong-date")
    }

    /// Not of a session reported late by a station whose clock was wrong, nor of one reported while the gateway's clock was wrong, too:
    /// nothing could prove its times.
    fn times_are_known(&self) -> bool {
        let gateway = &self.world.gateway;
        let unprovable = |message: &Message| {
            let late = message.sent > message.at + DATE;
            message.of == Some(self.index) && message.tx().is_some() && (late || offset(gateway, message.sent) != 0)
        };
        !self.marks.clock || !self.messages.iter().any(unprovable)
    }

    /// Time in which the station could not deliver, where the status that says so was lost: it looks like any other time without energy.
    fn unreported_dead_time(&self) -> Millis {
        let truth = self.truth();
        let out_of_service = |message: &Message| matches!(&message.body, Body::Status(status) if ["Faulted", "Unavailable", "Reserved"].contains(&status.state));
        let reported = self.messages.iter().any(|message| {
            message.evse == truth.evse && (truth.start..=truth.stop).contains(&message.at) && out_of_service(message)
        });
        if reported { 0 } else { truth.spent(What::Dead, truth.start, truth.stop) }
    }

    fn price(&self) -> Micro {
        let (truth, tariff) = (self.truth(), self.world.tariff);
        let spent = |what| truth.spent(what, truth.start, truth.stop);
        energy_price(tariff, truth)
            + hours(spent(What::Charging), tariff.per_hour_charging())
            + hours(spent(What::Idle), tariff.per_hour_parking())
    }

    fn tolerance(&self) -> Tolerance {
        let (world, truth) = (self.world, self.truth());
        let energy = world.resolution + 1_000;
        let known = self.known();
        let time = if known.len() == 2 && Marks::has(self.marks.touched, self.index) {
            // Nothing was measured between start and stop, and statuses may have been lost: no message could show it.
            truth.stop - truth.start
        } else {
            2 * world.interval.unwrap_or(0) + 2 * world.resolution * 3_600 / SLOWEST + 2 * MINUTE
        };
        let register = |at: Millis| truth.energy_until(at) / world.resolution;
        let mut unmeasured = 0;
        let mut straddled: MilliWh = 0;
        let changes = world.tariff.changes(truth.start - CLOCK, truth.stop + CLOCK);
        for pair in known.windows(2) {
            let (from, until) = (pair[0], pair[1]);
            if register(until) > register(from) {
                unmeasured += until - from - truth.spent(What::Charging, from, until);
            }
            if changes.iter().any(|at| (from - CLOCK..until + CLOCK).contains(at)) {
                straddled += truth.energy_until(until + CLOCK) - truth.energy_until(from - CLOCK);
            }
        }
        let tariff = world.tariff;
        let money = energy * tariff.highest_per_kwh()
            + hours(time + unmeasured, tariff.per_hour_charging())
            + hours(time + self.unreported_dead_time(), tariff.per_hour_parking())
            + straddled * 20
            + 2 * CENT;
        Tolerance { energy, time, unmeasured, money }
    }

    /// Instants at which the register is known to whoever reads the messages.
    fn known(&self) -> Vec<Millis> {
        let truth = self.truth();
        let mut known = vec![truth.start, truth.stop];
        if !Marks::has(self.marks.unmeasured, self.index) {
            let samples = self.messages.iter().filter(|message| message.is(self.index, Phase::Update));
            let samples = samples.filter(|message| message.tx().is_some_and(super::script::Tx::has_register));
            known.extend(samples.map(|message| message.at));
        }
        known.sort_unstable();
        known
    }
}
