//! A charging station on the command line: plays scenarios against a CSMS, and says what should be billed.
//! Exit 6 when the CSMS said something wrong, 7 when it could not be reached.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use chrono::{FixedOffset, Utc};
use clap::Parser;
use simulators::{
    Clock, Scenario, Station, Version,
    scenario::{Outcome, Player},
    station::Options,
};

const EXIT_COMPLAINTS: u8 = 6;
const EXIT_UNREACHABLE: u8 = 7;

/// Simulated charging station (OCPP 1.6, 2.0.1, 2.1)
#[derive(Parser)]
struct Args {
    /// Where stations connect; the identity is appended
    #[arg(long, default_value = "ws://127.0.0.1:9000/ocpp")]
    url: String,
    /// Identity of the station
    #[arg(long, default_value = "CP01")]
    id: String,
    /// OCPP version: 1.6, 2.0.1 or 2.1
    #[arg(long, default_value = "2.0.1")]
    version: Version,
    /// HTTP Basic password
    #[arg(long)]
    password: Option<String>,
    /// Name of a built-in scenario, or a .toml or .json file
    #[arg(long, default_value = "charge", value_name = "NAME|FILE", value_parser = find)]
    scenario: Scenario,
    /// So many times faster than real time; 0 does not wait at all
    #[arg(long, default_value_t = 1)]
    speed: u32,
    #[arg(long, default_value_t = 1, value_name = "N")]
    repeat: u32,
    /// Instead of the scenario's token
    #[arg(long)]
    token: Option<String>,
    /// Instead of the scenario's EVSE or connector
    #[arg(long)]
    connector: Option<u32>,
    /// Local time of `start_at`, such as +01:00
    #[arg(long, default_value = "+00:00", allow_hyphen_values = true)]
    utc_offset: FixedOffset,
    /// Seconds to wait for the CSMS before giving up
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Print each session that should be billed as one line of JSON
    #[arg(long)]
    sessions: bool,
    /// List the built-in scenarios and end
    #[arg(long)]
    list: bool,
}

fn find(name: &str) -> Result<Scenario, String> {
    Scenario::find(name).map_err(|error| format!("{error:#}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    simulators::logging::start("warn", false);
    let args = Args::parse();
    if args.list {
        Scenario::built_in()?.iter().for_each(|scenario| println!("{:16} {}", scenario.name, scenario.summary));
        return Ok(ExitCode::SUCCESS);
    }
    let scenario = args.scenario;
    let base = scenario.base(Utc::now(), args.utc_offset)?;
    let clock = if args.speed == 0 { Clock::instant(base) } else { Clock::starting(base, args.speed) };
    let patience = Duration::from_secs(args.patience);
    let options = Options { password: args.password.clone(), clock, ..Options::new(&args.url, &args.id, args.version) };
    let station = Station::start(options);
    if let Err(error) = station.connected(patience).await {
        eprintln!("{}: {}", args.url, station.snapshot().last_error.unwrap_or(error.to_string()));
        return Ok(ExitCode::from(EXIT_UNREACHABLE));
    }
    let mut player = Player::new(&station, &scenario);
    player.patience = patience;
    player.utc_offset = args.utc_offset;
    player.token.clone_from(&args.token);
    player.connector = args.connector;
    let mut complaints = 0;
    for _ in 0..args.repeat {
        let outcome = player.play(&scenario).await?;
        complaints += outcome.complaints.len();
        show(&outcome, args.sessions)?;
    }
    Ok(if complaints == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_COMPLAINTS) })
}

fn show(outcome: &Outcome, as_json: bool) -> Result<()> {
    for session in &outcome.sessions {
        if as_json {
            println!("{}", serde_json::to_string(session)?);
            continue;
        }
        let energy = session.energy_wh().map_or("end not reported".to_owned(), |energy| format!("{energy} Wh"));
        let tx = session.tx.as_deref().unwrap_or("without a number");
        println!("{} connector {} transaction {tx}: {energy}, idle {} s", session.station, session.connector, session.idle_s);
    }
    outcome.complaints.iter().for_each(|complaint| eprintln!("WRONG {complaint}"));
    eprintln!("{} messages, {} transaction messages answered", outcome.messages, outcome.answered.len());
    Ok(())
}
