//! Watches the gateway's own clock, and tells log and store when it is wrong, set, or ahead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::beats::Beat;
use crate::clock::{Event, GatewayClock};
use crate::store::{BEHIND, ClockNews, Job, WriterHandle};
use crate::units::time::rfc3339_seconds as show;

/// News that waits for a store that cannot commit.
const MAX_UNTOLD: usize = 32;
/// A clock that is set is noticed within this time, also while no station speaks.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until it is aborted. Begins with the state at start, whatever the last life of the daemon left in the store.
pub async fn watch(clock: Arc<GatewayClock>, store: WriterHandle, beat: Arc<Beat>) {
    let mut untold = VecDeque::from([state(&clock)]);
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        beat.turn();
        untold.extend(news(&clock));
        // What a store that cannot commit has dropped is told again.
        while let Some(news) = untold.front() {
            let (reply, stored) = oneshot::channel();
            store.submit(Job::Clock(Box::new(news.clone()), reply));
            if stored.await.is_err() {
                break;
            }
            untold.pop_front();
        }
        // Unstored news is a log line all the same.
        untold.truncate(MAX_UNTOLD);
    }
}

fn state(clock: &GatewayClock) -> ClockNews {
    let glance = clock.glance();
    let (proven, at) = (glance.received.proven, glance.received.at);
    ClockNews { proven, system: glance.system, went_back: false, recovered: None, problem: None, at }
}

/// What happened since the last call, logged.
fn news(clock: &GatewayClock) -> Vec<ClockNews> {
    clock.news().into_iter().map(|event| tell(event, state(clock))).collect()
}

fn tell(event: Event, state: ClockNews) -> ClockNews {
    let recovered =
        |since, at| Some(format!("the system clock was wrong from {} and is right again since {}", show(since), show(at)));
    match event {
        Event::Wrong { at, system } => {
            let detail = format!(
                "the system clock says {}, but it is {} or later; stations are served and every message is kept, but bills wait until \
                 the clock is set; if it is right, run `forecourt run --accept-clock` once",
                show(system),
                show(at)
            );
            warn!(system = %show(system), estimate = %show(at), "the system clock is wrong; bills wait until it is set");
            ClockNews { proven: false, at, system, problem: Some((BEHIND, detail)), ..state }
        }
        Event::Right { at, since } => {
            info!(now = %show(at), wrong_since = %show(since), "the system clock is right again");
            ClockNews { proven: true, at, recovered: recovered(since, at), ..state }
        }
        Event::Ahead { from, to } => {
            warn!(%from, %to, "the system clock jumped ahead");
            let detail = format!(
                "the system clock jumped ahead from {} to {}; if that is wrong, set it back: what was ahead is then noticed",
                show(from),
                show(to)
            );
            ClockNews { problem: Some(("ahead", detail)), ..state }
        }
        Event::Back { from, at } => {
            warn!(from = %show(from), now = %show(at), "the system clock was ahead and is back");
            let detail = format!(
                "the system clock was ahead: it was set back from {} to {}; what was written before may carry times that are too late",
                show(from),
                show(at)
            );
            let recovered = Some(format!("the system clock was ahead until {}; it is right since then", show(at)));
            ClockNews { proven: true, at, went_back: true, recovered, problem: Some(("set back", detail)), ..state }
        }
        Event::Accepted { floor, at } => {
            warn!(now = %show(at), floor = %show(floor), "the system clock counts as right by request (--accept-clock)");
            let detail = format!(
                "--accept-clock at {}: the system clock counts as right, although the store holds times up to {}",
                show(at),
                show(floor)
            );
            let recovered = Some(format!("a person accepted the system clock at {}", show(at)));
            ClockNews { proven: true, at, went_back: true, recovered, problem: Some(("accepted", detail)), ..state }
        }
    }
}
