//! The uplink, epoch after epoch: records of an epoch that was closed go first, then those of the present one.
//!
//! ```text
//! an older copy of the store was put back: its records without a receipt ──▶ the present epoch, until the next change
//! ```

use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tracing::{error, info};

use super::outbox::StoreOutbox;
use crate::mqtt;
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
    pub now: Now,
    pub epoch: watch::Receiver<i64>,
    pub records: watch::Receiver<u64>,
}

impl Uplink {
    /// Runs until told to stop.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let current = *self.epoch.borrow_and_update();
            let serving = self.oldest_waiting(current).unwrap_or(current);
            if serving != current {
                info!(epoch = serving, "records of a closed epoch are sent first");
            }
            let (end, ends) = watch::channel(false);
            let outbox = StoreOutbox {
                site: self.site.clone(),
                epoch: serving,
                kid: self.kid.clone(),
                since: self.since,
                reader: Arc::clone(&self.reader),
                store: self.store.clone(),
                now: Arc::clone(&self.now),
                current: self.epoch.clone(),
                witnessed: self.records.clone(),
                drained: end.clone(),
            };
            let turn = mqtt::run(self.settings.clone(), Arc::new(outbox), self.records.clone(), ends);
            tokio::pin!(turn);
            let stopped = tokio::select! {
                // By itself it ends when its epoch has nothing left, or when the settings are unusable.
                () = &mut turn => if *end.borrow() { continue } else { return },
                _ = stop.wait_for(|stop| *stop) => true,
                changed = self.epoch.changed() => changed.is_err(),
            };
            end.send_replace(true);
            turn.await;
            if stopped {
                return;
            }
        }
    }

    fn oldest_waiting(&self, current: i64) -> Option<i64> {
        let reader = self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        reader.oldest_waiting_epoch(current).unwrap_or_else(|error| {
            error!(%error, "cannot look for records of closed epochs");
            None
        })
    }
}
