//! Whether the system clock can be right: pure, from one reading to the next.
//!
//! Time is known to have reached what was written last (the floor) and to pass as the monotonic clock says. A system clock that reads
//! earlier than that is wrong; until it reads a possible time again, the last time known to be true plus what has passed since stands
//! in. A clock that is ahead cannot be told from one that was set right, so it is followed, and the jump is remembered: a clock that
//! comes back to where it would be without the jump was wrong in between.
//!
//! | the system clock reads | what follows |
//! |---|---|
//! | up to [`TOLERANCE`] too early | an ordinary correction: our time stands still until it is reached |
//! | earlier | not proven |
//! | at least the estimate, or less by [`TOLERANCE`] | proven at once |
//! | what it would read without a jump ahead that was seen | proven at once, and our time goes back |
//! | up to [`CORRECTION`] too early, but later than all that was written before | proven, and our time goes back: it was ahead, or the error is bearable |
//!
//! Limits: the last [`MAX_JUMPS`] jumps are remembered, until the program ends.

use std::time::Duration;

use chrono::TimeDelta;

use crate::units::{Received, Time};

/// NTP steps a clock by less than this; also the accuracy with which the end of an earlier life is known.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(2);
/// The largest step back that is believed once all that was written before lies behind: a clock chip that ran ahead by some minutes
/// until the first answer of a time server must not keep bills waiting for a person.
pub const CORRECTION: TimeDelta = TimeDelta::hours(1);
/// A jump ahead by more is worth telling a person.
pub const AHEAD: TimeDelta = TimeDelta::minutes(10);
/// Jumps ahead that are remembered.
const MAX_JUMPS: usize = 8;
/// One part in this many is the most by which the kernel lets its clocks drift apart (500 ppm).
const DRIFT: i32 = 2_000;

/// One look at both clocks of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub system: Time,
    /// Since any fixed instant; never goes back.
    pub monotonic: Duration,
}

/// What a person should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The system clock cannot be right: it is at least `at`.
    Wrong { at: Time, system: Time },
    /// It reads a possible time again.
    Right { at: Time, since: Time },
    /// It jumped ahead, which may be right.
    Ahead { from: Time, to: Time },
    /// It was ahead, and our time has gone back from `from` to `at`.
    Back { from: Time, at: Time },
    /// A person says that it is right, although the store holds times up to `floor`.
    Accepted { floor: Time, at: Time },
}

/// A straight line of time: where it was at one instant of the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: Time,
    monotonic: Duration,
}

impl Line {
    fn passed(&self, monotonic: Duration) -> TimeDelta {
        TimeDelta::from_std(monotonic.saturating_sub(self.monotonic)).unwrap_or(TimeDelta::MAX)
    }

    fn at(&self, monotonic: Duration) -> Time {
        self.at.checked_add_signed(self.passed(monotonic)).unwrap_or(Time::MAX_UTC)
    }

    /// How far a right clock may be from this line.
    fn slack(&self, monotonic: Duration) -> TimeDelta {
        TOLERANCE + self.passed(monotonic) / DRIFT
    }
}

/// See the module.
#[derive(Debug)]
pub struct Check {
    /// From the last reading that was believed.
    line: Line,
    /// The line was read from a clock in this life. Else it begins at the floor, and the time before the start is missing in it.
    is_exact: bool,
    /// Since when the system clock is wrong.
    wrong_since: Option<Time>,
    /// Where the line would be without the jumps ahead, oldest first.
    before_jumps: Vec<Line>,
    /// The latest time handed out.
    given: Time,
}

impl Check {
    /// Begins with a first look; `floor` is a time that is known to have passed.
    pub fn new(first: Sample, floor: Time) -> (Self, Option<Event>) {
        let is_exact = first.system >= floor - TOLERANCE;
        let at = if is_exact { first.system.max(floor) } else { floor };
        let line = Line { at: if is_exact { first.system } else { floor }, monotonic: first.monotonic };
        let wrong_since = (!is_exact).then_some(floor);
        let event = (!is_exact).then_some(Event::Wrong { at, system: first.system });
        (Self { line, is_exact, wrong_since, before_jumps: Vec::new(), given: at }, event)
    }

    /// Begins with a clock that a person vouches for, whatever the store says.
    pub fn accepted(first: Sample, floor: Time) -> (Self, Option<Event>) {
        let (check, _) = Self::new(first, first.system);
        let event = Event::Accepted { floor, at: first.system };
        (check, (first.system < floor - TOLERANCE).then_some(event))
    }

    /// The time, and what is new.
    pub fn read(&mut self, now: Sample) -> (Received, Option<Event>) {
        let event = match self.wrong_since {
            None => self.follow(now),
            Some(since) => self.wait(now, since),
        };
        (Received { at: self.given, proven: self.wrong_since.is_none() }, event)
    }

    /// The clock was right until now.
    fn follow(&mut self, now: Sample) -> Option<Event> {
        let estimate = self.line.at(now.monotonic);
        if now.system < estimate - self.line.slack(now.monotonic) {
            if let Some(event) = self.back(now) {
                return Some(event);
            }
            self.wrong_since = Some(estimate.max(self.given));
            self.line = Line { at: estimate.max(self.given), monotonic: now.monotonic };
            self.given = self.line.at;
            return Some(Event::Wrong { at: self.given, system: now.system });
        }
        let jump = now.system - estimate;
        self.jumped(estimate, now);
        if now.system >= self.given {
            self.accept(now);
        }
        (jump > AHEAD).then_some(Event::Ahead { from: estimate, to: now.system })
    }

    /// The clock is wrong since `since`.
    fn wait(&mut self, now: Sample, since: Time) -> Option<Event> {
        let estimate = self.line.at(now.monotonic);
        if now.system >= estimate - self.line.slack(now.monotonic) {
            if self.is_exact {
                self.jumped(estimate, now);
            }
            self.accept(now);
            return Some(Event::Right { at: self.given, since });
        }
        if let Some(event) = self.back(now) {
            return Some(event);
        }
        if now.system >= since && estimate - now.system <= CORRECTION {
            return Some(self.go_back(now));
        }
        self.given = self.given.max(estimate);
        None
    }

    fn accept(&mut self, now: Sample) {
        self.line = Line { at: now.system, monotonic: now.monotonic };
        self.given = self.given.max(now.system);
        self.wrong_since = None;
        self.is_exact = true;
    }

    /// Remembers where the clock would be without its jump.
    fn jumped(&mut self, estimate: Time, now: Sample) {
        if now.system - estimate <= TOLERANCE {
            return;
        }
        if self.before_jumps.len() == MAX_JUMPS {
            self.before_jumps.remove(0);
        }
        self.before_jumps.push(Line { at: estimate, monotonic: now.monotonic });
    }

    /// The clock has come back from a jump ahead.
    fn back(&mut self, now: Sample) -> Option<Event> {
        let agrees = |line: &Line| (now.system - line.at(now.monotonic)).abs() <= line.slack(now.monotonic);
        let place = self.before_jumps.iter().rposition(agrees)?;
        self.before_jumps.truncate(place);
        Some(self.go_back(now))
    }

    fn go_back(&mut self, now: Sample) -> Event {
        let from = self.given;
        self.given = now.system;
        self.accept(now);
        Event::Back { from, at: now.system }
    }
}
