//! Faults that happen to messages: lost, repeated, late, altered, under a wrong name.

use fastrand::Rng;

use super::fault::{Class, Fault};
use super::script::{Body, Measured, Message, Name, Phase, Quantity, Status, Tx, Version};
use super::shape::{Marks, middle, present, target};
use super::station::Script;
use super::world::{World, percent, pick};
use super::{HOUR, MINUTE, MilliWh, Millis, SECOND};

/// A fault about to happen to the messages of one session.
struct Hit<'a> {
    world: &'a World,
    script: &'a mut Script,
    marks: &'a mut Marks,
    rng: Rng,
    /// The session it happens to.
    session: usize,
}

pub fn damage(fault: &Fault, world: &World, script: &mut Script, marks: &mut Marks) {
    let Some(session) = target(world, fault) else { return };
    let mut hit = Hit { world, script, marks, rng: fault.rng(), session };
    match fault.class {
        Class::StatusesLost | Class::StatusStuck | Class::FalseFault => hit.statuses(fault.class),
        Class::SamplesLost | Class::StopLost | Class::StartLost | Class::OnlySamples => hit.lose(fault.class),
        Class::RepeatedSame | Class::RepeatedNew => hit.repeat(fault.class == Class::RepeatedSame),
        Class::Reordered => hit.reorder(),
        Class::DelayedDays => hit.delay(fault),
        Class::IdReused | Class::FactoryReset | Class::OldId => hit.ids(fault),
        Class::StopNoId => hit.rename_stop(Name::Nothing),
        Class::StopForeignId => hit.rename_stop(Name::Text("9223372036854775807".to_owned())),
        Class::StartZero | Class::StopZero | Class::BothZero | Class::KwhStart | Class::KwhStop | Class::KwhAll => {
            hit.registers(fault.class);
        }
        Class::EndsExchanged | Class::SamplesOther => hit.other_evse(fault.class),
        Class::StopAhead => {
            let ahead = hit.rng.i64(HOUR..23 * HOUR);
            hit.each(Phase::Stop, |tx| shift(tx, ahead));
            hit.marks.damage(session);
            hit.marks.clock = true;
        }
        Class::TimesMissing => hit.times(),
        Class::StopTagMissing => hit.each(Phase::Stop, |tx| tx.tag = None),
        Class::StopTagOther => {
            let other = 700 + world.sessions[session].tag;
            hit.each(Phase::Stop, |tx| tx.tag = Some(other));
        }
        Class::ConnectorZero => hit.connector_zero(),
        Class::DropOuts => hit.drop_outs(),
        Class::IntervalOnly => hit.intervals(),
        _ => {}
    }
    script.sort();
}

fn shift(tx: &mut Tx, by: Millis) {
    tx.at = tx.at.map(|at| at + by);
    tx.readings.iter_mut().for_each(|reading| reading.at = reading.at.map(|at| at + by));
}

fn changes_state(message: &Message) -> bool {
    message.is_status() || message.tx().is_some_and(|tx| tx.trigger == Some("ChargingStateChanged"))
}

impl Hit<'_> {
    fn each(&mut self, phase: Phase, change: impl Fn(&mut Tx)) {
        for message in &mut self.script.messages {
            if message.is(self.session, phase)
                && let Some(tx) = message.tx_mut()
            {
                change(tx);
                self.marks.touch(self.session);
            }
        }
    }

    /// A status of the target's EVSE during the target's session.
    fn statuses(&mut self, class: Class) {
        let session = &self.world.sessions[self.session];
        let (evse, index) = (session.evse, self.session);
        let ours = move |message: &Message| {
            let here = message.evse == evse && (session.plug..=session.unplug).contains(&message.at);
            changes_state(message) && (message.of == Some(index) || (message.is_status() && here))
        };
        self.marks.touch(index);
        let mut rng = self.rng.clone();
        if class == Class::StatusesLost {
            let chance = pick(&mut rng, &[100, 100, 60, 30]);
            return self.script.messages.retain(|message| !ours(message) || !percent(&mut rng, chance));
        }
        let from = if class == Class::FalseFault {
            middle(self.world, index, &mut rng)
        } else {
            let said: Vec<Millis> =
                self.script.messages.iter().filter(|message| ours(message)).map(|message| message.at).collect();
            if said.is_empty() { return } else { pick(&mut rng, &said) }
        };
        self.script.messages.retain(|message| !ours(message) || message.at <= from);
        for message in self.script.messages.iter_mut().filter(|message| message.of == Some(index) && message.at > from) {
            if let Some(tx) = message.tx_mut() {
                tx.state = None;
            }
        }
        if class == Class::FalseFault {
            let state = pick(&mut rng, &["Faulted", "Unavailable", "Reserved"]);
            let at = Some(from - from.rem_euclid(SECOND));
            let id = self.script.fresh_id();
            let body = Body::Status(Status { evse, state, at });
            self.script.messages.push(Message { at: from, sent: from, id, of: Some(index), evse, body });
        }
    }

    fn lose(&mut self, class: Class) {
        let index = self.session;
        self.marks.touch(index);
        let mut rng = self.rng.clone();
        let (from, chance) =
            if rng.bool() { (Millis::MIN, pick(&mut rng, &[100, 80, 30])) } else { (middle(self.world, index, &mut rng), 100) };
        let until = if rng.bool() { Millis::MAX } else { from.saturating_add(2 * HOUR) };
        self.script.messages.retain(|message| match message.tx().map(|tx| tx.phase) {
            Some(phase) if message.of == Some(index) => match (class, phase) {
                (Class::SamplesLost, Phase::Update) => !(from..until).contains(&message.at) || !percent(&mut rng, chance),
                (Class::StartLost | Class::OnlySamples, Phase::Start) => false,
                (Class::StopLost | Class::OnlySamples, Phase::Stop) => false,
                _ => true,
            },
            _ => true,
        });
    }

    fn repeat(&mut self, same: bool) {
        let index = self.session;
        let ours: Vec<Message> =
            self.script.messages.iter().filter(|message| message.of == Some(index) && message.tx().is_some()).cloned().collect();
        if ours.is_empty() {
            return;
        }
        self.marks.touch(index);
        for _ in 0..self.rng.usize(1..=4) {
            let ends: Vec<&Message> = ours.iter().filter(|message| !message.is(index, Phase::Update)).collect();
            let message = if self.rng.bool() && !ends.is_empty() {
                ends[self.rng.usize(..ends.len())].clone()
            } else {
                ours[self.rng.usize(..ours.len())].clone()
            };
            let id = if same { message.id } else { self.script.fresh_id() };
            let later = match self.rng.u32(..4) {
                0..3 => self.rng.i64(SECOND..5 * MINUTE),
                _ => self.rng.i64(5 * MINUTE..9 * HOUR),
            };
            self.script.messages.push(Message { id, sent: message.sent + later, ..message });
        }
    }

    fn reorder(&mut self) {
        let index = self.session;
        self.marks.touch(index);
        let seconds = pick(&mut self.rng, &[5, 30, 60]);
        for message in &mut self.script.messages {
            if message.of == Some(index) {
                message.sent += self.rng.i64(0..seconds * SECOND);
            }
        }
        // Start and stop, too, are overtaken now and then by what came just after them.
        let end = pick(&mut self.rng, &[Phase::Start, Phase::Stop]);
        let late = self.rng.i64(SECOND..90 * SECOND);
        self.script.messages.iter_mut().filter(|message| message.is(index, end)).for_each(|message| message.sent += late);
    }

    /// The target's successors on its EVSE.
    fn successors(&self, of: usize) -> Vec<usize> {
        let (evse, stop) = (self.world.sessions[of].evse, self.world.sessions[of].stop);
        let later = |index: &usize| self.world.sessions[*index].evse == evse && self.world.sessions[*index].start >= stop;
        present(self.world).into_iter().filter(later).collect()
    }

    /// Two sessions that follow each other on an EVSE; the fault's target chooses which.
    fn pair(&mut self, fault: &Fault) -> Option<(usize, usize)> {
        let first: Vec<usize> = present(self.world).into_iter().filter(|index| !self.successors(*index).is_empty()).collect();
        let before = *first.get(fault.target % first.len().max(1))?;
        let after = self.successors(before);
        Some((before, after[self.rng.usize(..after.len())]))
    }

    fn delay(&mut self, fault: &Fault) {
        let Some((old, running)) = self.pair(fault) else { return };
        self.marks.touch(old);
        self.marks.touch(running);
        let arrival = middle(self.world, running, &mut self.rng);
        let nameless = percent(&mut self.rng, 20);
        let session = self.world.sessions[old].clone();
        let v2 = self.world.version != Version::V16;
        self.script.messages.retain(|message| {
            !(message.is_status() && message.evse == session.evse && (session.plug..=session.unplug).contains(&message.at))
        });
        let queue = self.script.messages.iter_mut().filter(|message| message.of == Some(old));
        for (message, sent) in queue.zip((arrival..).step_by(100)) {
            message.sent = sent;
            let Some(tx) = message.tx_mut() else { continue };
            tx.offline = v2;
            if nameless && !v2 && tx.phase != Phase::Start {
                tx.name = Name::Nothing;
            }
        }
    }

    fn ids(&mut self, fault: &Fault) {
        let Some((old, new)) = self.pair(fault) else { return };
        self.marks.damage(new);
        self.marks.touch(old);
        if fault.class == Class::IdReused {
            self.script.messages.retain(|message| !message.is(old, Phase::Stop));
        }
        let name = match self.world.version {
            Version::V16 => Name::Given(old),
            _ => Name::Text(self.world.sessions[old].tx.clone()),
        };
        let which = if fault.class == Class::OldId { self.rng.u32(..3) } else { 3 };
        for message in self.script.messages.iter_mut().filter(|message| message.of == Some(new)) {
            let Some(tx) = message.tx_mut() else { continue };
            let hit = match which {
                0 => tx.phase == Phase::Stop,
                1 => tx.phase == Phase::Update,
                2 => tx.phase != Phase::Start,
                _ => true,
            };
            if hit {
                tx.name = name.clone();
            }
        }
    }

    fn rename_stop(&mut self, name: Name) {
        if self.world.version != Version::V16 {
            return;
        }
        let without_tag = percent(&mut self.rng, 30);
        self.each(Phase::Stop, |tx| {
            tx.name = name.clone();
            tx.tag = tx.tag.filter(|_| !without_tag);
        });
        self.marks.damage(self.session);
    }

    fn registers(&mut self, class: Class) {
        let zero = |_: MilliWh| 0;
        let kilo = |value: MilliWh| value / 1_000;
        // When all registers are a thousandth, only the power could show it.
        if class != Class::KwhAll || self.world.power {
            self.marks.damage(self.session);
        }
        if matches!(class, Class::StartZero | Class::BothZero) {
            self.each(Phase::Start, |tx| tx.change_registers(zero));
        }
        if matches!(class, Class::StopZero | Class::BothZero) {
            self.each(Phase::Stop, |tx| tx.change_registers(zero));
        }
        if matches!(class, Class::KwhStart | Class::KwhAll) {
            self.each(Phase::Start, |tx| tx.change_registers(kilo));
        }
        if matches!(class, Class::KwhStop | Class::KwhAll) {
            self.each(Phase::Stop, |tx| tx.change_registers(kilo));
        }
        if class == Class::KwhAll {
            self.marks.unmeasured(self.session);
            self.each(Phase::Update, |tx| tx.change_registers(kilo));
        }
    }

    fn other_evse(&mut self, class: Class) {
        let world = self.world;
        let here = world.sessions[self.session].evse;
        let there = here % world.evses() + 1;
        if here == there {
            return;
        }
        let both = class == Class::EndsExchanged;
        let resolution = world.resolution;
        // A session without a sample of its own could not be distinguished from a right one.
        let sampled = |index: usize| {
            let own = |message: &Message| message.is(index, Phase::Update) && message.tx().is_some_and(Tx::has_register);
            self.script.messages.iter().any(own)
        };
        let sampled: Vec<bool> = (0..world.sessions.len()).map(sampled).collect();
        for message in &mut self.script.messages {
            let Some(index) = message.of.filter(|index| sampled[*index]) else { continue };
            let other = match message.evse {
                evse if evse == here => there,
                evse if evse == there => here,
                _ => continue,
            };
            let (at, ours) = (message.at, index == self.session);
            let Some(tx) = message.tx_mut() else { continue };
            let hit = if both { tx.phase != Phase::Update } else { ours && tx.phase == Phase::Update };
            if hit && tx.has_register() {
                let value = world.delivered(other, at);
                tx.change_registers(|_| value - value % resolution);
                self.marks.damage(index);
                if !both {
                    self.marks.unmeasured(index);
                }
            }
        }
    }

    fn times(&mut self) {
        let which = self.rng.u32(1..8);
        for (bit, phase) in [(1, Phase::Start), (2, Phase::Update), (4, Phase::Stop)] {
            if which & bit != 0 {
                self.each(phase, |tx| {
                    tx.at = None;
                    tx.readings.iter_mut().for_each(|reading| reading.at = None);
                });
            }
        }
    }

    fn connector_zero(&mut self) {
        let which = self.rng.u32(1..4);
        for (bit, phase) in [(1, Phase::Start), (2, Phase::Update)] {
            if which & bit != 0 {
                self.each(phase, |tx| tx.evse = Some(0));
            }
        }
    }

    fn drop_outs(&mut self) {
        let samples: Vec<usize> = (0..self.script.messages.len())
            .filter(|place| {
                let message = &self.script.messages[*place];
                message.is(self.session, Phase::Update) && message.tx().is_some_and(Tx::has_register)
            })
            .collect();
        if samples.is_empty() {
            return;
        }
        self.marks.damage(self.session);
        self.marks.unmeasured(self.session);
        for _ in 0..self.rng.usize(1..=3) {
            let place = samples[self.rng.usize(..samples.len())];
            let spike = if self.rng.bool() { None } else { Some(self.rng.i64(1_000..900_000_000)) };
            if let Some(tx) = self.script.messages[place].tx_mut() {
                tx.change_registers(|value| spike.map_or(0, |spike| value + spike));
            }
        }
    }

    /// The whole station measures intervals; in 2.x start and stop then have no register at all.
    fn intervals(&mut self) {
        let world = self.world;
        let ends_too = world.version != Version::V16 && self.rng.bool();
        let mut last = vec![None; world.sessions.len()];
        self.script.messages.sort_by_key(|message| message.at);
        for message in &mut self.script.messages {
            let (Some(index), at) = (message.of, message.at) else { continue };
            let Some(tx) = message.tx_mut().filter(|tx| tx.phase == Phase::Update || ends_too) else { continue };
            if tx.readings.is_empty() {
                continue;
            }
            // Without a register at its ends nothing can be compared with other sessions of the meter.
            if ends_too {
                self.marks.damage(index)
            } else {
                self.marks.touch(index)
            }
            let session = &world.sessions[index];
            let before = last[index].replace(at).unwrap_or(session.start);
            let energy = session.energy_until(at) - session.energy_until(before);
            for reading in &mut tx.readings {
                reading.values.retain(|value| !matches!(value.quantity, Quantity::Register | Quantity::RegisterOfPhase(_)));
                reading.values.insert(0, Measured { quantity: Quantity::Interval, value: energy });
            }
        }
    }
}
