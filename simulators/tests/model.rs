//! Sessions with a known truth through faulty stations: what machine, metering and rating bill for them never exceeds it, is for
//! the driver who charged, and none that was answered is lost, but for the few known cases. `.ci/run` runs a million of them with the program `model`; here are
//! enough for every `cargo test`. Prints its seed; a failure prints the truth, the messages and the bill of the smallest case.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::fmt::Write;

use simulators::model::machine::Tariffs;
use simulators::model::run::{self, Report};
use simulators::model::{Case, Class, report};

const SEED: u64 = 20_261_128;
const SESSIONS: u64 = 20_000;

fn run(only: &[Class], sessions: u64) -> (Report, Tariffs) {
    let tariffs = Tariffs::new().unwrap();
    println!("seed {SEED}");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = run::run(SEED, sessions, only, threads, &tariffs);
    (report, tariffs)
}

#[test]
fn no_more_bills_are_wrong_than_are_known_to_be() {
    let (result, tariffs) = run(&[], SESSIONS);
    let total = result.total();
    assert!(total.sessions > SESSIONS / 2, "{total:?}");
    let checked = result.check();
    let mut text = String::new();
    if checked.is_err() {
        let _ = write!(text, "{}{}", report::failures(&result, &tariffs), report::table(&result));
    }
    assert_eq!(checked, Ok(()), "seed {SEED}\n{text}");
}

#[test]
fn every_class_of_fault_happens() {
    for class in Class::ALL {
        let (result, _) = run(&[*class], 200);
        let touched = result.groups.iter().find(|(group, _)| group.name() == class.name());
        let tally = touched.map(|(_, tally)| tally.clone()).unwrap_or_default();
        assert!(tally.sessions > 0, "{}", class.name());
    }
}

/// A case is made from its number alone, and threads change nothing.
#[test]
fn the_same_seed_gives_the_same_report() {
    let tariffs = Tariffs::new().unwrap();
    let table = |threads| report::table(&run::run(7, 1_000, &[], threads, &tariffs));
    assert_eq!(table(1), table(3));
    assert_eq!(report::describe(&Case::new(42, &[]), &tariffs), report::describe(&Case::new(42, &[]), &tariffs));
}
