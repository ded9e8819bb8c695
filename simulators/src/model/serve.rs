//! The daemon in a process of its own, with a clock that is set from outside: what [`super::daemon`] starts, speaks to and kills.
//!
//! Prints `ready ADDRESS`, then reads milliseconds since 1970 from standard input, a line each, and answers `ok`.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, anyhow};
use forecourt::clock::GatewayClock;
use forecourt::config::Config;
use forecourt::daemon::Daemon;
use forecourt::units::time;

/// Serves until killed, or until nobody holds the other end of its input.
pub fn serve(config: &Path, begin: i64) -> Result<()> {
    let config = Config::load(config, true, std::iter::empty(), &[]).map_err(|errors| anyhow!("{errors}"))?;
    let now = Arc::new(AtomicI64::new(begin));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Arc::clone(&now);
    let daemon = runtime
        .block_on(Daemon::start(
            config,
            GatewayClock::simulated(Arc::new(move || time::from_millis(clock.load(Ordering::SeqCst)))),
        ))
        .map_err(|error| anyhow!(error))?;
    let address = daemon.addresses.first().context("the daemon listens nowhere")?;
    println!("ready {address}");
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if let Ok(millis) = line.trim().parse() {
                now.store(millis, Ordering::SeqCst);
            }
            println!("ok");
            let _ = stdout().flush();
        }
        std::process::exit(0);
    });
    runtime.block_on(std::future::pending::<()>());
    Ok(())
}
