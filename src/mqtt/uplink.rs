//! Connection after connection, for as long as the daemon runs.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tracing::{debug, error};

use super::backoff::Backoff;
use super::driver::Site;
use super::link::{self, End, Signals};
use super::outbox::{Outbox, OutboxError};
use super::outbox_calls::OutboxCalls;
use super::pacing::{Limits, Pacing};
use super::settings::{Settings, Timing};
use super::wire::Topics;

/// Carries records until `shutdown` becomes true (or its sender is gone). `records` changes whenever something was committed;
/// its value is not looked at. Returns early only when the settings are unusable, which `forecourt check` reports first.
pub async fn run(settings: Settings, outbox: Arc<dyn Outbox>, records: watch::Receiver<u64>, shutdown: watch::Receiver<bool>) {
    let mut outbox = OutboxCalls::new(outbox);
    let target = match settings.target() {
        Ok(target) => target,
        Err(error) => return outbox.report(false, Some(error.to_string())).await,
    };
    let timing = settings.timing;
    let window = settings.window;
    let identity = outbox.identity();
    let topics = Topics::new(&settings.topic_prefix, &identity.site);
    let site = Site { settings: Arc::new(settings), target, identity, topics };
    let mut signals = Signals { records, shutdown };
    let mut backoff = Backoff::new(timing.reconnect, timing.reconnect_cap);
    let mut pacing: Option<Pacing> = None;
    loop {
        let mut good = false;
        let end = match turn(&site, &mut outbox, &mut pacing, limits(window, timing), &mut signals, &mut good).await {
            End::Shutdown => return outbox.report(false, None).await,
            End::Store(error) => {
                error!(%error, source = %error.source, "uplink cannot use the outbox");
                error.to_string()
            }
            End::Lost(reason) => reason,
        };
        let wait = backoff.ended(good, fastrand::u64(..));
        debug!(error = end, wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "uplink waits");
        outbox.report(false, Some(end)).await;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = signals.shutdown() => return outbox.report(false, None).await,
        }
    }
}

/// One connection, from what the store remembers to what the pacing learns from its end. `good`: it carried something, or lasted.
async fn turn(
    site: &Site,
    outbox: &mut OutboxCalls,
    pacing: &mut Option<Pacing>,
    limits: Limits,
    signals: &mut Signals,
    good: &mut bool,
) -> End {
    let pacing = match pacing {
        Some(pacing) => pacing,
        None => match begin(outbox, limits).await {
            Ok(begun) => pacing.insert(begun),
            Err(error) => return End::Store(error),
        },
    };
    let end = link::connection(site, outbox, pacing, signals).await;
    *good = pacing.worked(Instant::now());
    if let (Some(quarantine), End::Lost(reason)) = (pacing.lost(Instant::now()), &end) {
        let reason = format!("the connection ends whenever this record is sent: {reason}");
        if let Err(error) = outbox.quarantine(quarantine, reason).await {
            return End::Store(error);
        }
    }
    end
}

/// From what the store remembers.
async fn begin(outbox: &mut OutboxCalls, limits: Limits) -> Result<Pacing, OutboxError> {
    let now = Instant::now();
    let receipted = outbox.receipted().await?;
    outbox.sent(receipted).await;
    let mut pacing = Pacing::new(limits, receipted, now);
    for (seq, tries) in outbox.quarantined().await? {
        pacing.remember_quarantined(seq, tries, now);
    }
    Ok(pacing)
}

fn limits(window: u16, timing: Timing) -> Limits {
    Limits {
        window,
        receipt_wait: timing.receipt_wait,
        receipt_wait_cap: timing.receipt_wait_cap,
        pause: timing.pause,
        pause_cap: timing.pause_cap,
        quarantine_wait: timing.quarantine_wait,
        quarantine_wait_cap: timing.quarantine_wait_cap,
        lasting: timing.lasting,
        ack_wait: timing.ack_wait,
    }
}
