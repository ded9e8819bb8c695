//! `cargo demo`: a whole site on this machine, to look at.
//!
//! ```text
//! stations: three ─ws─▶ site: daemon, temporary store ─▶ broker ─▶ head office
//!        │ what happened         │ watch: sessions, live             │ records, verified
//!        └───────▶ reconciliation ◀──── run: the lines on the screen ◀─┘
//! ```
//! The reconciliation compares what the stations know with what head office verified, and prices each session by itself
//! (`price`). Only `site` imports the daemon, and of it only how it is configured, started and stopped.
//!
//! Limits: loopback only; 7,200 times real time, beyond which delays of the machine become hours of the simulation.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod price;
mod reconciliation;
mod run;
mod screen;
mod site;
mod stations;
mod watch;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use run::{Demo, End};
use screen::Screen;
use site::Site;

/// As `forecourt verify` when something does not add up.
const EXIT_NOT_GOOD: u8 = 6;
const EXIT_INTERRUPTED: u8 = 130;

/// A demo site: three simulated charging stations (OCPP 1.6, 2.0.1, 2.1), the forecourt daemon with a temporary store, an
/// MQTT broker and a head office that verifies every billing record
#[derive(Debug, Parser)]
#[command(
    name = "cargo demo",
    after_help = "Exit codes: 0 all is well, 1 could not start, 2 usage, \
6 something was lost, unverified or mispriced, 130 interrupted."
)]
pub struct Args {
    /// End after one session of each station, with a result
    #[arg(long)]
    once: bool,
    /// Simulated time runs N times as fast as real time
    #[arg(long, value_name = "N", default_value_t = 360, value_parser = clap::value_parser!(u32).range(1..=7200))]
    speed: u32,
    /// Loopback port for stations [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    station_port: u16,
    /// Loopback port of the MQTT broker [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    broker_port: u16,
    /// The daemon's log on stderr, not only its errors (-vv: more)
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let level = ["error,mqtt5=off", "info,mqtt5=warn", "debug,mqtt5=info"][usize::from(args.verbose.min(2))];
    simulators::logging::start(level, screen::is_coloured(&std::io::stderr()));
    let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Into::into).and_then(|runtime| {
        let outcome = runtime.block_on(run(&args));
        // After a second Ctrl-C the daemon's threads may still be busy.
        runtime.shutdown_timeout(Duration::from_millis(100));
        outcome
    });
    outcome.unwrap_or_else(|error: anyhow::Error| {
        eprintln!("demo: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(args: &Args) -> Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut stopped = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let mut screen = Screen::new();
    let site = tokio::select! {
        site = Site::open(args) => site?,
        () = stopped() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    };
    let mut demo = Demo::new(&site, &mut screen, args)?;
    let end = tokio::select! {
        end = demo.run() => end?,
        () = stopped() => End::Interrupted,
    };
    let good = tokio::select! {
        good = demo.conclude(end) => good?,
        () = stopped() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    };
    tokio::select! {
        kept = site.close(!good) => if let Some(kept) = kept? {
            eprintln!("The store is kept for a look: {}", kept.display());
        },
        () = stopped() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    }
    Ok(match (good, args.once && end == End::Interrupted) {
        (false, _) => ExitCode::from(EXIT_NOT_GOOD),
        // Not the result that was asked for.
        (true, true) => ExitCode::from(EXIT_INTERRUPTED),
        (true, false) => ExitCode::SUCCESS,
    })
}
