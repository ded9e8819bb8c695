//! Signs of life of the loops that everything depends on, for `/healthz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::store::ALIVE;

/// Beyond its longest sleep, a loop may take this long for one turn: slow flash, and many bills, take a fraction of it.
const GRACE: Duration = Duration::from_secs(120);

/// Of every loop. The runtime needs none: when it stands still, nobody answers.
#[derive(Clone)]
pub struct Beats {
    pub store: Arc<Beat>,
    pub rating: Arc<Beat>,
    pub clock: Arc<Beat>,
}

impl Beats {
    /// How long the rating thread and the watch over the clock sleep at most.
    pub fn new(rating: Duration, clock: Duration) -> Self {
        Self {
            store: Beat::new("the store thread", ALIVE),
            rating: Beat::new("the rating thread", rating),
            clock: Beat::new("the watch over the clock", clock),
        }
    }

    /// What is wrong with those that stand still.
    pub fn stalled(&self) -> Vec<String> {
        [&self.store, &self.rating, &self.clock].into_iter().filter_map(|beat| beat.stalled()).collect()
    }
}

/// A loop says here that it turns.
#[derive(Debug)]
pub struct Beat {
    name: &'static str,
    allowed: Duration,
    began: Instant,
    /// Milliseconds after `began`.
    last: AtomicU64,
}

impl Beat {
    /// `sleeps`: how long the loop sleeps at most when there is nothing to do.
    pub fn new(name: &'static str, sleeps: Duration) -> Arc<Self> {
        Arc::new(Self { name, allowed: sleeps + GRACE, began: Instant::now(), last: AtomicU64::new(0) })
    }

    pub fn turn(&self) {
        self.last.store(millis(self.began.elapsed()), Relaxed);
    }

    /// What is wrong, if the loop stands still.
    pub fn stalled(&self) -> Option<String> {
        self.stalled_after(self.began.elapsed())
    }

    fn stalled_after(&self, elapsed: Duration) -> Option<String> {
        let silent = Duration::from_millis(millis(elapsed).saturating_sub(self.last.load(Relaxed)));
        (silent > self.allowed).then(|| {
            let (silent, allowed) = (silent.as_secs(), self.allowed.as_secs());
            format!(
                "{} has not turned for {silent} s (at most {allowed} s are usual): see the log, then restart the daemon",
                self.name
            )
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_named_when_it_was_silent_for_longer_than_it_may_be() {
        let beat = Beat::new("the store thread", Duration::from_secs(60));
        assert_eq!(beat.stalled_after(Duration::from_secs(180)), None);
        let told = beat.stalled_after(Duration::from_secs(181)).unwrap_or_default();
        assert!(told.starts_with("the store thread has not turned for 181 s"), "{told}");
        beat.last.store(120_000, Relaxed);
        assert_eq!(beat.stalled_after(Duration::from_secs(300)), None);
        assert!(beat.stalled_after(Duration::from_secs(301)).is_some());
    }
}
