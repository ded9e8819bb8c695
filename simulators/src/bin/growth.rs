//! What people ask daily of a store that has grown for years: how long it takes, and in how much memory.
//!
//! Makes the store first (`history`; a million sessions take some 16 GB), or takes one that was made.

// Rates are statistics.
#![allow(clippy::float_arithmetic)]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use chrono::Utc;
use clap::Parser;
use simulators::growth;
use simulators::history::{self, Options};

#[derive(Parser)]
#[command(about = "Measures what is asked daily on a store of that many sessions")]
struct Args {
    /// Release build of forecourt
    #[arg(long, value_name = "FILE")]
    forecourt: PathBuf,
    #[arg(long, default_value_t = 1_000_000)]
    sessions: u64,
    #[arg(long, default_value_t = 60)]
    stations: u32,
    #[arg(long, default_value_t = 730)]
    days: u32,
    /// Where the store is made, and stays; one that is there already is used
    #[arg(long)]
    dir: PathBuf,
}

fn main() -> Result<()> {
    let Args { forecourt, sessions, stations, days, dir } = Args::parse();
    if !dir.join("forecourt.db").exists() {
        history::files(&dir, stations)?;
        let options = Options { stations, sessions, days, samples: 4, until: Utc::now(), seed: 1, confirmed: true };
        let began = Instant::now();
        let made = history::make(&dir, &options, |_| {})?;
        let per_second = made.messages as f64 / began.elapsed().as_secs_f64();
        println!("made {} messages, {} sessions at {per_second:.0} messages a second", made.messages, made.sessions);
    }
    growth::measure(&forecourt, &dir)
}
