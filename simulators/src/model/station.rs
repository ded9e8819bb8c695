//! What a station says about the sessions of a world when nothing is lost or altered on the way: its own clock and meters may
//! already be wrong (they are part of the world), and it may have been without power or connection.
//!
//! 1.6: StatusNotification carries what the vehicle does and is not queued while offline; StartTransaction, MeterValues and
//! StopTransaction are. 2.x: everything of a transaction is a TransactionEvent with a seqNo, queued, marked `offline`.

use super::script::{Body, Context, Measured, Message, Name, Phase, Quantity, Reading, State, Status, Tx, Version};
use super::world::{Ending, Outage, What, World, offset};
use super::{MINUTE, Millis, SECOND};

/// Messages of one world, in order of arrival.
#[derive(Clone, Debug)]
pub struct Script {
    pub messages: Vec<Message>,
    next_id: u64,
}

struct Writer<'a> {
    world: &'a World,
    messages: Vec<Message>,
}

/// What the station says about the sessions `from` and later of the world.
pub fn script(world: &World, sessions: std::ops::Range<usize>, boot: bool) -> Script {
    let mut writer = Writer { world, messages: Vec::new() };
    if boot {
        writer.boot(world.begin);
    }
    for index in sessions {
        writer.session(index);
    }
    if boot {
        for outage in &world.outages {
            writer.boot(outage.until);
        }
    }
    writer.deliver()
}

impl Script {
    pub fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// By arrival.
    pub fn sort(&mut self) {
        self.messages.sort_by_key(|message| message.sent);
    }

    /// A station without power sends nothing: what would have come then comes after the boot, in order.
    pub fn hold_back(&mut self, outages: &[Outage]) {
        for outage in outages {
            let dark = self.messages.iter_mut().filter(|message| outage.from <= message.sent && message.sent < outage.until);
            for (message, sent) in dark.zip((outage.until + 1_500..).step_by(10)) {
                message.sent = sent;
            }
            self.sort();
        }
    }

    pub fn append(&mut self, other: Script) {
        let shift = self.next_id;
        self.messages.extend(other.messages.into_iter().map(|message| Message { id: message.id + shift, ..message }));
        self.next_id += other.next_id;
        self.sort();
    }

    pub fn last(&self) -> Millis {
        self.messages.iter().map(|message| message.sent).max().unwrap_or_default()
    }
}

impl Writer<'_> {
    fn clock(&self, at: Millis) -> Option<Millis> {
        // Stations write whole seconds.
        let stamped = at + offset(&self.world.clock, at);
        Some(stamped - stamped.rem_euclid(SECOND))
    }

    fn dark(&self, at: Millis) -> bool {
        self.world.outages.iter().any(|outage| outage.from <= at && at < outage.until)
    }

    fn say(&mut self, at: Millis, of: Option<usize>, evse: u32, body: Body) {
        if !self.dark(at) {
            self.messages.push(Message { at, sent: at, id: 0, of, evse, body });
        }
    }

    fn boot(&mut self, at: Millis) {
        self.say(at, None, 0, Body::Boot);
        for evse in 1..=self.world.evses() {
            let here = |session: &&super::world::Session| session.evse == evse && !session.absent;
            let runs = self.world.sessions.iter().filter(here).find(|session| session.plug <= at && at < session.unplug);
            match runs {
                None => self.status(at + SECOND, None, evse, "Available"),
                Some(session) if session.stop > at => self.activity_status(at + SECOND, session, evse),
                Some(_) => self.status(at + SECOND, None, evse, if self.is_16() { "Finishing" } else { "Occupied" }),
            }
        }
    }

    fn activity_status(&mut self, at: Millis, session: &super::world::Session, evse: u32) {
        let what = session.parts.iter().find(|part| part.until > at).map_or(What::Charging, |part| part.what);
        let index = self.world.sessions.iter().position(|other| std::ptr::eq(other, session));
        self.now_does(at, index, evse, what);
    }

    fn is_16(&self) -> bool {
        self.world.version == Version::V16
    }

    fn status(&mut self, at: Millis, of: Option<usize>, evse: u32, state: &'static str) {
        let status = Status { evse, state, at: self.clock(at) };
        self.say(at, of, evse, Body::Status(status));
    }

    fn session(&mut self, index: usize) {
        let session = self.world.sessions[index].clone();
        if session.absent {
            return;
        }
        let evse = session.evse;
        let v16 = self.is_16();
        self.status(session.plug, None, evse, if v16 { "Preparing" } else { "Occupied" });
        self.start(index);
        for (place, part) in session.parts.iter().enumerate() {
            let first = place == 0;
            let waits = first && part.watts == 0 && part.what == What::Charging;
            if v16 && !waits || !first {
                self.now_does(part.from + if first { SECOND } else { 0 }, Some(index), evse, part.what);
            }
        }
        self.samples(index);
        match session.cut {
            None => {
                self.stop(index, session.stop, self.clock(session.stop), if v16 { "Local" } else { "EVDisconnected" });
                if v16 {
                    self.status(session.stop + SECOND / 2, None, evse, "Finishing");
                }
            }
            Some(outage) if outage.ending == Ending::Silent => {}
            Some(outage) => {
                let at = outage.until + 3 * SECOND;
                let claimed = if outage.ending == Ending::StopAtCut { self.clock(outage.from) } else { self.clock(at) };
                self.stop(index, at, claimed, "PowerLoss");
            }
        }
        self.status(session.unplug, None, evse, "Available");
    }

    /// The vehicle or the station begins something else.
    fn now_does(&mut self, at: Millis, of: Option<usize>, evse: u32, what: What) {
        if self.is_16() {
            let state = match what {
                What::Charging => "Charging",
                What::Idle => "SuspendedEV",
                What::Paused => "SuspendedEVSE",
                What::Dead => "Faulted",
            };
            return self.status(at, of, evse, state);
        }
        let state = match what {
            What::Charging => State::Charging,
            What::Idle => State::SuspendedEv,
            What::Paused => State::SuspendedEvse,
            What::Dead => return self.status(at, of, evse, "Faulted"),
        };
        let Some(index) = of else { return };
        let mut tx = self.tx(Phase::Update, index);
        (tx.at, tx.state, tx.trigger) = (self.clock(at), Some(state), Some("ChargingStateChanged"));
        self.say(at, of, evse, Body::Tx(tx));
    }

    fn tx(&self, phase: Phase, index: usize) -> Tx {
        let session = &self.world.sessions[index];
        let mut tx = Tx::new(phase);
        tx.name = match (self.world.version, phase) {
            (Version::V16, Phase::Start) => Name::Nothing,
            (Version::V16, _) => Name::Given(index),
            _ => Name::Text(session.tx.clone()),
        };
        // 1.6 StopTransaction has no connector; 2.x stations name the EVSE once and may leave it out afterwards.
        tx.evse = (self.world.version != Version::V16 || phase != Phase::Stop).then_some(session.evse);
        tx
    }

    fn start(&mut self, index: usize) {
        let session = &self.world.sessions[index];
        let (at, evse, tag) = (session.start, session.evse, session.tag);
        let mut tx = self.tx(Phase::Start, index);
        (tx.at, tx.tag) = (self.clock(at), Some(tag));
        if self.is_16() {
            tx.register = Some(self.world.shown(session, at));
        } else {
            let waits = session.parts.first().is_some_and(|part| part.watts == 0);
            tx.state = Some(if waits { State::Connected } else { State::Charging });
            tx.trigger = Some("Authorized");
            tx.readings = vec![self.reading(index, at, Context::Begin)];
        }
        self.say(at, Some(index), evse, Body::Tx(tx));
    }

    fn samples(&mut self, index: usize) {
        let Some(interval) = self.world.interval else { return };
        let session = &self.world.sessions[index];
        let (start, stop, evse) = (session.start, session.stop, session.evse);
        let mut at = start + interval;
        while at < stop {
            let mut tx = self.tx(Phase::Update, index);
            tx.readings = vec![self.reading(index, at, Context::Periodic)];
            if !self.is_16() {
                (tx.at, tx.trigger) = (self.clock(at), Some("MeterValuePeriodic"));
                tx.state = self.world.state_always.then(|| self.state(index, at));
            }
            self.say(at, Some(index), evse, Body::Tx(tx));
            at += interval;
        }
    }

    fn state(&self, index: usize, at: Millis) -> State {
        let parts = &self.world.sessions[index].parts;
        match parts.iter().find(|part| part.until > at).map_or(What::Charging, |part| part.what) {
            What::Charging => State::Charging,
            What::Idle => State::SuspendedEv,
            What::Paused | What::Dead => State::SuspendedEvse,
        }
    }

    fn stop(&mut self, index: usize, at: Millis, claimed: Option<Millis>, reason: &'static str) {
        let session = &self.world.sessions[index];
        let (evse, tag, end) = (session.evse, session.tag, session.stop);
        let mut tx = self.tx(Phase::Stop, index);
        (tx.at, tx.reason) = (claimed, Some(reason));
        tx.tag = (self.world.tag_in_stop && reason != "PowerLoss").then_some(tag);
        let last = Reading { at: claimed, ..self.reading(index, end, Context::End) };
        if self.is_16() {
            tx.register = Some(self.world.shown(session, end));
            if self.world.data_in_stop {
                tx.readings = vec![self.reading(index, session.start, Context::Begin), last];
            }
        } else {
            (tx.trigger, tx.state) = (Some("EVDeparted"), None);
            tx.readings = vec![last];
        }
        self.say(at, Some(index), evse, Body::Tx(tx));
    }

    /// Everything the station measures at an instant of a session.
    fn reading(&self, index: usize, at: Millis, context: Context) -> Reading {
        let world = self.world;
        let session = &world.sessions[index];
        let mut values = Vec::with_capacity(4);
        let mut add = |quantity, value| values.push(Measured { quantity, value });
        let register = world.shown(session, at);
        if world.phases {
            let third = register / 3;
            (1..=2).for_each(|phase| add(Quantity::RegisterOfPhase(phase), third));
            add(Quantity::RegisterOfPhase(3), register - 2 * third);
        } else {
            add(Quantity::Register, register);
        }
        // At an edge between two parts the power is still the one before.
        let watts = session.parts.iter().find(|part| part.until >= at).map_or(0, |part| part.watts);
        if world.power {
            add(Quantity::Power, watts);
        }
        if world.current {
            add(Quantity::Current, watts * 1_000 / 230);
        }
        if world.soc {
            add(Quantity::StateOfCharge, 20 + (at - session.start) * 70 / (session.stop - session.start).max(1));
        }
        Reading { at: self.clock(at), context, values }
    }

    /// Numbers events, and lets everything wait that was said without a connection.
    fn deliver(mut self) -> Script {
        self.messages.sort_by_key(|message| message.at);
        let mut numbers = vec![0; self.world.sessions.len()];
        let mut script = Script { messages: Vec::with_capacity(self.messages.len()), next_id: 0 };
        let mut queued = 0;
        for mut message in self.messages {
            let offline = self.world.offline.iter().find(|window| window.from <= message.at && message.at < window.until);
            if let (Some(index), false, Body::Tx(tx)) = (message.of, self.world.version == Version::V16, &mut message.body) {
                tx.seq = Some(numbers[index]);
                numbers[index] += 1;
                tx.offline = offline.is_some();
            }
            message.id = script.fresh_id();
            message.sent = message.at + SECOND / 5;
            if let Some(window) = offline {
                if message.is_status() {
                    continue;
                }
                queued += 1;
                message.sent = window.until + (queued * SECOND / 10).min(MINUTE);
            }
            script.messages.push(message);
        }
        script.sort();
        script
    }
}
