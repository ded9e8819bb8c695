//! `forecourt run`.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::exit::{Exit, Failure};
use crate::clock::{self, GatewayClock};
use crate::config::Config;
use crate::daemon::{self, Daemon};
use crate::units::time::rfc3339_seconds;

/// Serves until SIGTERM or SIGINT; SIGHUP reads the tariffs again. One runtime thread carries all sockets: a site's traffic is a few per cent of a core, and one
/// thread needs no locks between connections; the store and the rating have threads of their own.
/// `accept_clock`: the system clock is right, whatever the store says.
pub fn run(config: Config, accept_clock: bool) -> Result<Exit, Failure> {
    let mut clock = GatewayClock::system();
    if accept_clock {
        impossible_clock()?;
        clock = clock.accepting();
    }
    daemon::start_logging(&config.log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut daemon = Daemon::start(config, clock).await?;
        // Told only when stations can connect; without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        loop {
            tokio::select! {
                _ = terminate.recv() => break info!("SIGTERM"),
                _ = interrupt.recv() => break info!("SIGINT"),
                _ = hang_up.recv() => daemon.reload().await,
                why = daemon.failed() => {
                    daemon.abandon().await;
                    return Err(Failure::new(Exit::Unexpected, why));
                }
            }
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        daemon.stop().await;
        Ok(Exit::Ok)
    });
    // A store call that hangs on a broken disk must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Nobody can vouch for a clock that reads earlier than this program was built.
fn impossible_clock() -> Result<(), Failure> {
    let (now, built) = (clock::system_now(), clock::built());
    if now >= built {
        return Ok(());
    }
    let (now, built) = (rfc3339_seconds(now), rfc3339_seconds(built));
    let text = format!("--accept-clock: the system clock says {now}, but this program was built on {built}; set the clock first");
    Err(Failure::new(Exit::Usage, text))
}
