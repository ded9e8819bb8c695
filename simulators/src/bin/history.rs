//! Makes a site with a past: configuration, tariffs, key, and a store full of sessions that the daemon itself has billed.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use clap::Parser;
use simulators::history::{self, Options};

#[derive(Parser)]
#[command(about = "Makes a site with a past, to look at and to measure on")]
struct Args {
    /// A new folder, for forecourt.toml, tariffs, key and store
    #[arg(long)]
    dir: PathBuf,
    /// About so many
    #[arg(long, default_value_t = 20_000)]
    sessions: u64,
    #[arg(long, default_value_t = 365)]
    days: u32,
    #[arg(long, default_value_t = 12)]
    stations: u32,
    /// Samples between start and stop of a session
    #[arg(long, default_value_t = 4)]
    samples: u32,
    /// Where the past ends, RFC 3339; now when left out
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// The same seed and end give the same frames
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As if head office had confirmed every record
    #[arg(long)]
    confirmed: bool,
}

fn main() -> Result<()> {
    let Args { dir, sessions, days, stations, samples, until, seed, confirmed } = Args::parse();
    if dir.join("forecourt.db").exists() {
        bail!("{} has a store already; choose another folder", dir.display());
    }
    if stations == 0 || days == 0 {
        bail!("a past needs at least one station and one day");
    }
    history::files(&dir, stations)?;
    let options = Options { stations, sessions, days, samples, until: until.unwrap_or_else(Utc::now), seed, confirmed };
    let (began, told) = (Instant::now(), std::cell::Cell::new(Instant::now()));
    let made = history::make(&dir, &options, |sessions| {
        if told.get().elapsed().as_secs() >= 5 {
            told.set(Instant::now());
            eprintln!("{sessions} sessions after {} s", began.elapsed().as_secs());
        }
    })?;
    println!(
        "{} messages, {} sessions, {} billed or held, {:.0} s",
        made.messages,
        made.sessions,
        made.judged,
        began.elapsed().as_secs_f64()
    );
    println!("look at it: forecourt --config {} status", dir.join("forecourt.toml").display());
    Ok(())
}
