//! The daemon's clock: the only place where the system's clocks are read. Everything below the shell is handed the time, so that a
//! simulation can hand in another, and so that a system clock that is wrong reaches neither a station nor a bill.
//!
//! A gateway may have no clock chip (1970 after a power cut) or one that is hours off, and no network to ask. `check` decides from
//! reading to reading whether the system clock can be right; what it rests on at start is the day on which this program was built and
//! what the store says was written last.

mod check;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

pub use check::{Event, Sample};

use self::check::Check;
use crate::units::{Clock, Now, Received, Time, time};

/// News that nobody fetches is dropped beyond this many.
const MAX_NEWS: usize = 32;
/// A look at two clocks takes this long at most; a longer one was interrupted and is taken again.
const ONE_LOOK: Duration = Duration::from_millis(100);

/// What the system clock reads, right or not.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn system_now() -> Time {
    Utc::now()
}

/// The day on which this program was built. It may be newer than the last time the store knows of, and there may be no store.
pub fn built() -> Time {
    let seconds = env!("FORECOURT_BUILT").parse().unwrap_or_default();
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// The gateway's own clock, shared by all who need the time.
pub struct GatewayClock {
    look: Box<dyn Fn() -> Sample + Send + Sync>,
    not_before: Time,
    /// A person vouches for the system clock: what the store says does not count at this start.
    accept: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    check: Option<Check>,
    news: Vec<Event>,
}

/// The clock at a glance.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    pub received: Received,
    /// What the system clock reads.
    pub system: Time,
}

impl GatewayClock {
    /// The system's clocks.
    pub fn system() -> Self {
        let began = Instant::now();
        let look = move || {
            let mut sample = Sample { system: Time::default(), monotonic: Duration::ZERO };
            for _ in 0..3 {
                let before = began.elapsed();
                sample = Sample { system: system_now(), monotonic: before };
                if began.elapsed() - before < ONE_LOOK {
                    break;
                }
            }
            sample
        };
        Self::of(Box::new(look), built())
    }

    /// A simulated clock. It cannot be wrong, and may begin in the past.
    pub fn simulated(now: Now) -> Self {
        let began = now();
        let look = move || {
            let system = now();
            Sample { system, monotonic: (system - began).to_std().unwrap_or_default() }
        };
        Self::of(Box::new(look), Time::default())
    }

    fn of(look: Box<dyn Fn() -> Sample + Send + Sync>, not_before: Time) -> Self {
        Self { look, not_before, accept: false, state: Mutex::default() }
    }

    /// The system clock is right at this start, whatever the store says.
    #[must_use]
    pub fn accepting(mut self) -> Self {
        self.accept = true;
        self
    }

    /// Begins with what the store knows: the last time that was written to it. The first reading.
    pub fn begin(&self, known: Option<Time>) -> Received {
        let floor = known.map_or(self.not_before, |known| known.max(self.not_before));
        let first = (self.look)();
        let (check, event) = if self.accept { Check::accepted(first, floor) } else { Check::new(first, floor) };
        let mut state = self.state();
        state.check = Some(check);
        state.news = event.into_iter().collect();
        drop(state);
        self.received()
    }

    pub fn received(&self) -> Received {
        self.glance().received
    }

    pub fn glance(&self) -> Glance {
        let mut state = self.state();
        // Within the lock, so that readings come to the check in the order in which they were taken.
        let now = (self.look)();
        let State { check, news } = &mut *state;
        let check = check.get_or_insert_with(|| Check::new(now, self.not_before).0);
        let (received, event) = check.read(now);
        news.extend(event.filter(|_| news.len() < MAX_NEWS));
        // As the store will say it: what is decided now is decided again after a restart.
        let received = Received { at: time::cut_to_millis(received.at), ..received };
        Glance { received, system: now.system }
    }

    /// Looks, and tells what happened since the last call.
    pub fn news(&self) -> Vec<Event> {
        self.glance();
        std::mem::take(&mut self.state().news)
    }

    pub fn as_now(self: &Arc<Self>) -> Now {
        let clock = Arc::clone(self);
        Arc::new(move || clock.received().at)
    }

    pub fn as_clock(self: &Arc<Self>) -> Clock {
        let clock = Arc::clone(self);
        Arc::new(move || clock.received())
    }

    /// A panic between two statements leaves nothing half-done.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
