//! One case: a world, the faults in it, and the script that comes of both. Made from one number.

use fastrand::Rng;

use super::fault::{Class, Fault};
use super::script::Message;
use super::shape::{Marks, shape};
use super::world::{Needs, World, percent};
use super::{HOUR, MINUTE, damage, station};

/// The clean sessions at the end begin so long after the last message.
const BEFORE_CLOSING: i64 = 25 * HOUR;

#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    pub faults: Vec<Fault>,
    needs: Needs,
    /// Sessions left out: by shrinking only.
    pub without: Vec<usize>,
}

/// What a case comes to: the world, the messages in order of arrival, and what can be known of them.
pub struct Simulated {
    pub world: World,
    pub messages: Vec<Message>,
    pub marks: Marks,
}

impl Case {
    /// The case of a number. `only`: these classes, one at a time; none: any, alone and mixed, or no fault at all.
    pub fn new(seed: u64, only: &[Class]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let count = match rng.u32(..100) {
            _ if !only.is_empty() => 1,
            0..5 => 0,
            5..70 => 1,
            70..88 => 2,
            _ => rng.usize(3..=5),
        };
        let from = if only.is_empty() { Class::ALL } else { only };
        let mut faults: Vec<Fault> = Vec::new();
        while faults.len() < count {
            let class = from[rng.usize(..from.len())];
            if faults.iter().all(|fault| !fault.class.excludes(class)) {
                faults.push(Fault { class, target: rng.usize(..1_000), seed: rng.u64(..) });
            } else if percent(&mut rng, 5) {
                break;
            }
        }
        let needs = faults.iter().fold(Needs::default(), |needs, fault| needs.and(fault.class.needs()));
        Self { seed, faults, needs, without: Vec::new() }
    }

    pub fn simulate(&self) -> Simulated {
        let mut world = World::new(self.seed ^ 0x5EED_0F7A_11FA_C750, self.needs);
        let mut marks = Marks::default();
        for index in &self.without {
            world.sessions[*index].absent = true;
        }
        for fault in &self.faults {
            shape(fault, &mut world, &mut marks);
        }
        let main = world.sessions.len();
        let mut script = station::script(&world, 0..main, true);
        for fault in &self.faults {
            damage::damage(fault, &world, &mut script, &mut marks);
        }
        script.hold_back(&world.outages);
        let closing = script.last().max(world.begin) + BEFORE_CLOSING;
        let closing = world.gateway.last().map_or(closing, |(set, _)| closing.max(*set + BEFORE_CLOSING));
        if !world.clock.is_empty() {
            world.clock.push((closing - HOUR, 0));
        }
        world.close(self.seed, closing + MINUTE);
        let end = station::script(&world, main..world.sessions.len(), false);
        script.append(end);
        Simulated { world, messages: script.messages, marks }
    }
}
