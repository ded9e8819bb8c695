//! Counters: one relaxed add each, no lock, no allocation once a label is known.
//!
//! Limits: [`MAX_LABELS`] labels in a set, [`MAX_LABEL`] characters each. What is beyond is counted as `other`, so that no station can
//! make a set grow by what it invents.

use std::array::from_fn;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// More than the actions of any version of OCPP, and than our codes of findings.
pub const MAX_LABELS: usize = 128;
/// The longest action has 34.
const MAX_LABEL: usize = 50;
/// Name of what has no label of its own.
pub const OTHER: &str = "other";
/// Upper bounds of the classes of durations, in milliseconds.
pub const BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// Only grows, from the start of the daemon.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn one(&self) {
        self.add(1);
    }

    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn at_least(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }
}

/// Counters by label; of each label one for every column.
#[derive(Debug)]
pub struct Labels<const COLUMNS: usize> {
    slots: [Slot<COLUMNS>; MAX_LABELS],
    other: [Counter; COLUMNS],
}

#[derive(Debug)]
struct Slot<const COLUMNS: usize> {
    name: OnceLock<Box<str>>,
    counts: [Counter; COLUMNS],
}

/// Where a label is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(Option<usize>);

impl<const COLUMNS: usize> Default for Labels<COLUMNS> {
    fn default() -> Self {
        let counts = || from_fn(|_| Counter::default());
        Self { slots: from_fn(|_| Slot { name: OnceLock::new(), counts: counts() }), other: counts() }
    }
}

impl<const COLUMNS: usize> Labels<COLUMNS> {
    /// The label of a name that we gave, or have understood.
    pub fn label(&self, name: &str) -> Label {
        if name.len() > MAX_LABEL {
            return Label(None);
        }
        // Slots are taken in order and never given back: a name stands before the first free one, or nowhere.
        Label(self.slots.iter().position(|slot| **slot.name.get_or_init(|| name.into()) == *name))
    }

    /// The label of a name that anybody may have invented: `other`, unless it has one.
    pub fn known(&self, name: &str) -> Label {
        let taken = self.slots.iter().map_while(|slot| slot.name.get());
        Label(taken.zip(0..).find(|(known, _)| ***known == *name).map(|(_, place)| place))
    }

    pub fn count(&self, label: Label, column: usize) {
        let counts = label.0.and_then(|place| self.slots.get(place)).map_or(&self.other, |slot| &slot.counts);
        if let Some(counter) = counts.get(column) {
            counter.one();
        }
    }

    /// What was counted so far, labels in the order in which they came.
    pub fn read(&self) -> Vec<(String, [u64; COLUMNS])> {
        let numbers = |counts: &[Counter; COLUMNS]| from_fn(|column| counts[column].get());
        let named = self.slots.iter().map_while(|slot| Some((slot.name.get()?.to_string(), numbers(&slot.counts))));
        let all = named.chain([(OTHER.to_owned(), numbers(&self.other))]);
        all.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect()
    }
}

/// How long something took, in classes.
#[derive(Debug, Default)]
pub struct Durations {
    /// One more than there are bounds: the last holds what took longer than any.
    classes: [Counter; BOUNDS_MS.len() + 1],
    sum_us: Counter,
    longest_us: Counter,
}

impl Durations {
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_MS.iter().position(|bound| micros <= bound * 1_000).unwrap_or(BOUNDS_MS.len());
        self.classes[class].one();
        self.sum_us.add(micros);
        self.longest_us.at_least(micros);
    }

    /// How many took at most so long, for each bound and for all; their sum, and the longest.
    pub fn read(&self) -> (Vec<u64>, u64, u64) {
        let mut sum = 0;
        let classes = self.classes.iter().map(|class| {
            sum += class.get();
            sum
        });
        (classes.collect(), self.sum_us.get(), self.longest_us.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_labels_is_bounded_and_what_is_beyond_is_other() {
        let labels = Labels::<2>::default();
        let heartbeat = labels.label("Heartbeat");
        labels.count(heartbeat, 0);
        labels.count(labels.label("Heartbeat"), 1);
        labels.count(labels.known("Invented"), 1);
        labels.count(labels.known("Heartbeat"), 1);
        labels.count(heartbeat, 7);
        assert_eq!(labels.read(), [("Heartbeat".to_owned(), [1, 2]), (OTHER.to_owned(), [0, 1])]);
        labels.count(labels.label(&"x".repeat(MAX_LABEL + 1)), 0);
        (0..2 * MAX_LABELS).for_each(|number| labels.count(labels.label(&format!("n{number}")), 0));
        let read = labels.read();
        assert_eq!((read.len(), read.last().map(|(_, counts)| counts[0])), (MAX_LABELS + 1, Some(MAX_LABELS as u64 + 2)));
    }

    #[test]
    fn labels_of_several_threads_are_one() {
        let labels = Labels::<1>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|number| labels.count(labels.label(&format!("n{}", number % 7)), 0)));
            }
        });
        let read = labels.read();
        assert_eq!((read.len(), read.iter().map(|(_, counts)| counts[0]).sum::<u64>()), (7, 4_000));
    }

    #[test]
    fn durations_fall_into_classes() {
        let durations = Durations::default();
        [500, 1_000, 1_001, 6_000_000].map(Duration::from_micros).into_iter().for_each(|took| durations.note(took));
        let (classes, sum, longest) = durations.read();
        assert_eq!((classes[0], classes[1], classes[11], classes[12]), (2, 3, 3, 4));
        assert_eq!((sum, longest), (6_002_501, 6_000_000));
    }
}
