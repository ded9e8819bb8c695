//! The uplink, epoch after epoch: records of an epoch that was closed go first, then those of the present one.
//!
//! ```text
//! an older copy of the store was put back: its records without a receipt ──▶ the present epoch, until the next change
//!                                          ▲                                       │
//!                                          └── a record that the broker refused ◀──┘
//! ```
//! What the broker refuses of a closed epoch does not hold up the present one: it is offered again when its wait is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info};

use super::outbox::StoreOutbox;
use crate::mqtt;
use crate::observe::Live;
use crate::store::{Reader, WriterHandle};
use crate::units::{Now, Time};

/// What every epoch's uplink works with.
pub struct Uplink {
    pub settings: mqtt::Settings,
    pub site: String,
    pub kid: String,
    pub since: Time,
    pub reader: Arc<Mutex<Reader>>,
    pub store: WriterHandle,
    pub live: Arc<Live>,
    pub now: Now,
    pub epoch: watch::Receiver<i64>,
    pub records: watch::Receiver<u64>,
    pub commands: mqtt::Commands,
}

/// Epochs with nothing to send but what the broker refused, and when that is offered again.
type Resting = BTreeMap<i64, Instant>;

impl Uplink {
    /// Runs until told to stop.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut resting = Resting::new();
        loop {
            let current = *self.epoch.borrow_and_update();
            let waiting = waiting(&self.reader, current);
            resting.retain(|epoch, until| *until > Instant::now() && waiting.contains(epoch));
            let serving = waiting.into_iter().find(|epoch| !resting.contains_key(epoch)).unwrap_or(current);
            if serving != current {
                info!(epoch = serving, "records of a closed epoch are sent first");
            }
            let (end, ends) = watch::channel(false);
            let rest = Arc::default();
            let outbox = self.outbox(serving, end.clone(), Arc::clone(&rest));
            let turn = mqtt::run(self.settings.clone(), Arc::new(outbox), self.records.clone(), ends);
            tokio::pin!(turn);
            let stopped = tokio::select! {
                // By itself it ends when its epoch has nothing left for now, or when the settings are unusable.
                () = &mut turn => {
                    if !*end.borrow() {
                        return;
                    }
                    if let Some(wait) = rest.get() {
                        info!(epoch = serving, wait_s = wait.as_secs(), "the rest of a closed epoch is offered again later");
                        resting.insert(serving, Instant::now() + *wait);
                    }
                    continue;
                }
                _ = stop.wait_for(|stop| *stop) => true,
                changed = self.epoch.changed() => changed.is_err(),
                () = rested(&self.reader, current, &resting) => false,
            };
            end.send_replace(true);
            turn.await;
            if stopped {
                return;
            }
        }
    }

    fn outbox(&self, epoch: i64, drained: watch::Sender<bool>, rest: Arc<OnceLock<Duration>>) -> StoreOutbox {
        StoreOutbox {
            site: self.site.clone(),
            epoch,
            kid: self.kid.clone(),
            since: self.since,
            reader: Arc::clone(&self.reader),
            store: self.store.clone(),
            live: Arc::clone(&self.live),
            now: Arc::clone(&self.now),
            current: self.epoch.clone(),
            in_epoch_file: self.records.clone(),
            drained,
            rest,
            commands: self.commands.clone(),
        }
    }
}

/// Completes when the rest of a closed epoch is to be offered again, unless head office has confirmed it meanwhile.
async fn rested(reader: &Mutex<Reader>, current: i64, resting: &Resting) {
    let mut order: Vec<_> = resting.iter().map(|(epoch, until)| (*until, *epoch)).collect();
    order.sort_unstable();
    for (until, epoch) in order {
        tokio::time::sleep_until(until).await;
        if waiting(reader, current).contains(&epoch) {
            return;
        }
    }
    std::future::pending().await
}

/// Closed epochs with records to send, oldest first.
fn waiting(reader: &Mutex<Reader>, current: i64) -> Vec<i64> {
    let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    reader.waiting_epochs(current).unwrap_or_else(|error| {
        error!(%error, "cannot look for records of closed epochs");
        Vec::new()
    })
}
