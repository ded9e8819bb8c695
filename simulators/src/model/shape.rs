//! Faults that are part of the world before anything is said: meters, clocks, power, connection.

use fastrand::Rng;

use super::fault::{Class, Fault};
use super::world::{Ending, Offline, Outage, What, World, percent, pick};
use super::{DAY, HOUR, MINUTE, Millis, SECOND};

/// Which sessions a case's faults concern.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// Sessions whose messages or whose truth a fault changed.
    pub touched: u64,
    /// Sessions of which a fault altered what their bill is made from: ids, registers or times.
    pub damaged: u64,
    /// Sessions whose samples say nothing that could be used.
    pub unmeasured: u64,
    /// Times that nothing which arrives can prove: a wrong clock, and reported late.
    pub clock: bool,
}

impl Marks {
    pub fn touch(&mut self, session: usize) {
        self.touched |= 1 << session;
    }

    pub fn damage(&mut self, session: usize) {
        self.touch(session);
        self.damaged |= 1 << session;
    }

    pub fn unmeasured(&mut self, session: usize) {
        self.touch(session);
        self.unmeasured |= 1 << session;
    }

    pub fn has(mask: u64, session: usize) -> bool {
        mask & (1 << session) != 0
    }
}

/// Sessions that took place and were long enough to be hit in their middle.
pub fn present(world: &World) -> Vec<usize> {
    let there = |index: &usize| {
        let session = &world.sessions[*index];
        !session.absent && !session.closer && session.stop - session.start > MINUTE
    };
    (0..world.sessions.len()).filter(there).collect()
}

pub fn target(world: &World, fault: &Fault) -> Option<usize> {
    let present = present(world);
    (!present.is_empty()).then(|| present[fault.target % present.len()])
}

/// An instant in the middle of a session.
pub fn middle(world: &World, session: usize, rng: &mut Rng) -> Millis {
    let session = &world.sessions[session];
    session.start + (session.stop - session.start) * rng.i64(15..85) / 100
}

pub fn shape(fault: &Fault, world: &mut World, marks: &mut Marks) {
    let rng = &mut fault.rng();
    let Some(session) = target(world, fault) else { return };
    let at = middle(world, session, rng);
    let evse = world.sessions[session].evse;
    let meter = usize::try_from(evse).unwrap_or(1) - 1;
    match fault.class {
        Class::Faulted => {
            let until = at + if percent(rng, 40) { 2 * DAY } else { rng.i64(10 * MINUTE..5 * HOUR) };
            world.sessions[session].replace(at, until, What::Dead);
            marks.touch(session);
        }
        Class::Offline => offline(world, session, at, rng, marks),
        Class::Reboot | Class::PowerCut => {
            let length =
                if fault.class == Class::Reboot { rng.i64(15 * SECOND..2 * MINUTE) } else { rng.i64(5 * MINUTE..10 * HOUR) };
            let ending = pick(rng, &[Ending::StopAtBoot, Ending::StopAtBoot, Ending::StopAtCut, Ending::Silent, Ending::Resume]);
            for hit in world.cut(Outage { from: at, until: at + length, ending }) {
                marks.touch(hit);
                if length > HOUR && world.sessions[hit].cut.is_some_and(|cut| cut.ending == Ending::StopAtBoot) {
                    marks.damage(hit);
                }
            }
        }
        Class::RegisterReset => {
            world.meters[meter].reset_at = Some(at);
            marks.damage(session);
            marks.unmeasured(session);
        }
        Class::RolledOver => {
            const LIMIT: i64 = 100_000_000_000;
            let so_far = world.delivered(evse, at) - world.meters[meter].base;
            world.meters[meter].base = LIMIT - so_far;
            world.meters[meter].rolls_at = Some(LIMIT);
            marks.damage(session);
            marks.unmeasured(session);
        }
        Class::ClockOff | Class::ClockStepped | Class::Clock1970 => clock(fault.class, world, at, rng, marks),
        Class::GatewayClock => {
            let begin = world.begin;
            let error = pick(rng, &[-begin, -begin, -30 * HOUR, -2 * DAY, -400 * DAY]);
            let set = if percent(rng, 70) { at } else { at + rng.i64(HOUR..2 * DAY) };
            world.gateway = vec![(Millis::MIN, error), (set, 0)];
            present(world).into_iter().filter(|index| world.sessions[*index].start < set).for_each(|index| marks.touch(index));
        }
        Class::Restart => {
            let again = at + rng.i64(SECOND..HOUR);
            world.restarts.extend([at, again]);
            marks.touch(session);
        }
        _ => {}
    }
}

fn offline(world: &mut World, session: usize, at: Millis, rng: &mut Rng, marks: &mut Marks) {
    let (start, stop) = (world.sessions[session].start, world.sessions[session].stop);
    let early = start - rng.i64(MINUTE..HOUR);
    let late = stop + rng.i64(MINUTE..20 * HOUR);
    let window = match rng.u32(..4) {
        0 => Offline { from: early, until: at },
        1 => Offline { from: at, until: late },
        2 => Offline { from: at, until: at + (stop - at) / 2 },
        _ => Offline { from: early, until: late },
    };
    world.offline.push(window);
    for index in present(world) {
        if world.sessions[index].start < window.until && world.sessions[index].unplug > window.from {
            marks.touch(index);
        }
    }
}

fn clock(class: Class, world: &mut World, at: Millis, rng: &mut Rng, marks: &mut Marks) {
    let sign = pick(rng, &[-1, 1]);
    let large = [rng.i64(10 * MINUTE..40 * MINUTE), HOUR, HOUR, 12 * HOUR, rng.i64(HOUR..23 * HOUR)];
    let error = sign * pick(rng, &large);
    let few = sign * rng.i64(MINUTE..4 * MINUTE);
    let begin = Millis::MIN;
    let mut small = false;
    world.clock = match class {
        Class::ClockStepped if rng.bool() => vec![(begin, 0), (at, error)],
        Class::ClockStepped => vec![(begin, error), (at, 0)],
        Class::Clock1970 => {
            let error = -world.begin;
            if percent(rng, 60) { vec![(begin, error), (at, 0)] } else { vec![(begin, error)] }
        }
        _ => {
            small = percent(rng, 25);
            vec![(begin, if small { few } else { error })]
        }
    };
    marks.clock = !small;
    for index in present(world) {
        if small { marks.touch(index) } else { marks.damage(index) }
    }
}
