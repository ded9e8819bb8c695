//! Plays N charging stations against an OCPP server, checks every answer, measures, and says what was answered.
//!
//! Exit 0 when every answer was right, 1 when one was wrong or missing.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use simulators::load::{Options, run};

#[derive(Parser)]
#[command(about = "Plays charging stations, checks every answer, measures")]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> Result<ExitCode> {
    let options = Cli::parse().options;
    let report = run::run(&options)?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        report.print();
    }
    Ok(if report.error_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
