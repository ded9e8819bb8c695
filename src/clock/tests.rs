//! Scripts of readings: what both clocks of the system say, and what must come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;

use super::check::{Check, Event, Sample};
use super::{GatewayClock, built};
use crate::units::{Received, Time};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Seconds around noon of a day in 2026.
fn t(seconds: i64) -> Time {
    Time::from_timestamp(1_795_262_400 + seconds, 0).expect("a time")
}

fn sample(monotonic: i64, system: i64) -> Sample {
    Sample { system: t(system), monotonic: Duration::from_secs(monotonic.unsigned_abs()) }
}

/// Monotonic seconds, what the system clock reads, what is given, and whether it is proven.
type Step = (i64, i64, i64, bool);

/// Plays a script, which begins with the floor and the first reading (at monotonic 0); the events it led to.
fn play(floor: i64, first: i64, script: &[Step]) -> Vec<Event> {
    let (mut check, event) = Check::new(sample(0, first), t(floor));
    let mut events: Vec<Event> = event.into_iter().collect();
    for step in script {
        let (monotonic, system, at, proven) = *step;
        let (received, event) = check.read(sample(monotonic, system));
        assert_eq!(received, Received { at: t(at), proven }, "at {step:?}: {} s", (received.at - t(0)).num_seconds());
        events.extend(event);
    }
    events
}

#[test]
fn a_clock_that_passes_as_it_should_is_followed() {
    let script = [(0, 0, 0, true), (1, 1, 1, true), (600, 601, 601, true), (DAY, DAY - 20, DAY - 20, true)];
    assert_eq!(play(-HOUR, 0, &script), []);
}

#[test]
fn before_what_was_written_last_a_clock_is_wrong_and_right_again_once_it_is_set() {
    let back = -20_000 * DAY;
    let script = [
        (0, back, 0, false),
        (HOUR, back + HOUR, HOUR, false),
        // The time server answers: an hour and a night later than the estimate, which did not count the power cut.
        (HOUR + 5, 9 * HOUR, 9 * HOUR, true),
        (HOUR + 6, 9 * HOUR + 1, 9 * HOUR + 1, true),
    ];
    let events = [Event::Wrong { at: t(0), system: t(back) }, Event::Right { at: t(9 * HOUR), since: t(0) }];
    assert_eq!(play(0, back, &script), events);
}

#[test]
fn thirty_hours_back_while_running() {
    let back = -30 * HOUR;
    let script = [
        (100, 100, 100, true),
        (101, back + 101, 101, false),
        (HOUR, back + HOUR, HOUR, false),
        (HOUR + 60, HOUR + 58, HOUR + 58, true),
        (HOUR + 61, HOUR + 59, HOUR + 59, true),
    ];
    // What was given last is an hour; a clock that is two seconds slower is right.
    let events = [Event::Wrong { at: t(101), system: t(back + 101) }, Event::Right { at: t(HOUR + 58), since: t(101) }];
    assert_eq!(play(-DAY, 0, &script), events);
}

#[test]
fn an_ordinary_correction_makes_time_stand_still_and_never_go_back() {
    let script = [
        (100, 100, 100, true),
        (101, 11, 100, true),
        (150, 60, 100, true),
        (189, 99, 100, true),
        (195, 105, 105, true),
        (200, 110, 110, true),
    ];
    assert_eq!(play(-DAY, 0, &script), []);
    // Many small ones are not one small one.
    let (mut check, _) = Check::new(sample(0, 0), t(-DAY));
    let steps = [(1, -90), (2, -180), (3, -270)];
    let proven: Vec<bool> = steps.iter().map(|(passed, system)| check.read(sample(*passed, *system)).0.proven).collect();
    assert_eq!(proven, [true, false, false]);
}

#[test]
fn back_from_a_jump_ahead_it_is_right_at_once() {
    let script = [
        (10, 10, 10, true),
        (11, 30 * DAY, 30 * DAY, true),
        (HOUR, 30 * DAY + HOUR - 11, 30 * DAY + HOUR - 11, true),
        (HOUR + 5, HOUR, HOUR, true),
        (HOUR + 6, HOUR + 1, HOUR + 1, true),
    ];
    let events = [Event::Ahead { from: t(11), to: t(30 * DAY) }, Event::Back { from: t(30 * DAY + HOUR - 11), at: t(HOUR) }];
    assert_eq!(play(-DAY, 0, &script), events);
}

#[test]
fn back_to_no_line_that_was_seen_it_is_not_right() {
    let ahead = (1, 30 * DAY, 30 * DAY, true);
    let script = [ahead, (2, 15 * DAY, 30 * DAY + 1, false), (3, 15 * DAY + 1, 30 * DAY + 2, false), (4, 4, 4, true)];
    assert_eq!(play(-DAY, 0, &script).len(), 3);
}

#[test]
fn setting_a_clock_that_was_wrong_from_the_start_is_no_jump_to_return_from() {
    // The floor's line leaves out how long the power was gone: thirty hours off is not the way back.
    let script = [(0, -DAY, 0, false), (1, 30 * HOUR, 30 * HOUR, true), (2, 2, 30 * HOUR + 1, false)];
    assert_eq!(play(0, -DAY, &script).len(), 3);
}

#[test]
fn a_chip_some_minutes_ahead_does_not_keep_bills_waiting_for_a_person() {
    let script = [
        (60, 60, 60, true),
        // The first answer of a time server: twenty minutes back.
        (61, 61 - 20 * MINUTE, 61, false),
        (MINUTE * 10, -MINUTE * 10, MINUTE * 10, false),
        (61 + 20 * MINUTE, 61, 61, true),
        (62 + 20 * MINUTE, 62, 62, true),
    ];
    let events = play(-DAY, 0, &script);
    assert_eq!(events[1], Event::Back { from: t(MINUTE * 10), at: t(61) });
    // Two hours are too much to be believed without a person.
    let back = |passed: i64| passed - 2 * HOUR;
    let script = [(60, 60, 60, true), (61, back(61), 61, false), (4 * HOUR, back(4 * HOUR), 4 * HOUR, false)];
    assert_eq!(play(-DAY, 0, &script).len(), 1);
}

#[test]
fn a_person_can_vouch_for_it() {
    let (mut check, event) = Check::accepted(sample(0, 0), t(400 * DAY));
    assert_eq!(event, Some(Event::Accepted { floor: t(400 * DAY), at: t(0) }));
    assert_eq!(check.read(sample(1, 1)), (Received::proven(t(1)), None));
    let (_, event) = Check::accepted(sample(0, 0), t(-400));
    assert_eq!(event, None, "nothing spoke against it");
}

#[test]
fn the_shared_clock_knows_build_date_store_and_news() {
    let system = Arc::new(AtomicI64::new(-100));
    let clock = |accept| {
        let (system, clock) = (Arc::clone(&system), Instants::default());
        let look = move || sample(clock.next(), system.load(Ordering::SeqCst));
        let clock = GatewayClock::of(Box::new(look), t(0));
        if accept { clock.accepting() } else { clock }
    };
    let wrong = clock(false);
    assert!(!wrong.begin(Some(t(500))).proven);
    assert_eq!(wrong.news(), [Event::Wrong { at: t(500), system: t(-100) }]);
    assert_eq!(wrong.news(), []);
    assert!(clock(false).begin(Some(t(-5000))).proven, "a hundred seconds before the build date are within the tolerance");
    system.store(-200, Ordering::SeqCst);
    assert!(!clock(false).begin(None).proven, "before it was built");
    system.store(DAY, Ordering::SeqCst);
    assert!(wrong.received().proven);
    assert_eq!(wrong.news().len(), 1);
    assert!(!clock(false).begin(Some(t(2 * DAY))).proven);
    assert!(clock(true).begin(Some(t(2 * DAY))).proven);
    assert!(built() > t(-3650 * DAY) && built() <= super::system_now());
}

/// Counts seconds with each look.
#[derive(Default)]
struct Instants(AtomicI64);

impl Instants {
    fn next(&self) -> i64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

#[test]
fn a_simulated_clock_is_never_wrong() {
    let now = Arc::new(AtomicI64::new(-20 * 365 * DAY));
    let source = Arc::clone(&now);
    let clock = GatewayClock::simulated(Arc::new(move || t(source.load(Ordering::SeqCst))));
    assert!(clock.begin(None).proven);
    for passed in [0, 1, 360_000, 360_001] {
        now.fetch_add(passed, Ordering::SeqCst);
        let received = clock.received();
        assert_eq!(received, Received::proven(t(now.load(Ordering::SeqCst))));
    }
    assert!(clock.news().iter().all(|event| !matches!(event, Event::Wrong { .. })));
    assert_eq!(clock.glance().system - clock.received().at, TimeDelta::zero());
}
