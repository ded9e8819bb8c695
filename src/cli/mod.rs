//! The command line: noun, then verb. Reads open the store read-only, so they work while the daemon runs and while it is down.
//!
//! A new command is a variant of `Command` and one function. Data goes to stdout, talk to stderr. Exit codes are promises:
//! see `Exit`.

mod args;
mod ask;
mod cdr;
mod check;
mod correct;
mod exit;
mod list;
mod output;
mod recompute;
mod records;
mod run;
mod sessions;
mod station;
mod status;
mod table;
mod tariff;
mod tariff_args;
mod tariff_files;
mod tokens;
mod verb_grammar;
mod verbs;

use std::path::PathBuf;
use std::process::ExitCode;

use chrono_tz::Tz;
use clap::Parser;

use crate::clock;
use crate::config::{self, Config};
use crate::control::Correct;
use crate::store::{PATIENT, Reader};
use crate::units::printable;
use args::{Args, AuditVerb, Command, OutboxVerb, RecordVerb, SessionVerb, StationVerb, TokenVerb};
use exit::{Exit, Failure};
use output::Output;
use tariff_args::{CdrVerb, TariffVerb};

/// Parses the arguments, runs the command, says what went wrong.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(&args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.text.is_empty() {
                // Line by line: the breaks are ours, what stands between may come from anywhere.
                let lines: Vec<_> = failure.text.split('\n').map(printable).collect();
                eprintln!("forecourt: {}", lines.join("\n"));
            }
            failure.exit.into()
        }
    }
}

fn dispatch(args: &Args) -> Result<Exit, Failure> {
    let output = Output::new(&args.show);
    match &args.command {
        Command::Run { accept_clock } => run::run(load_config(args)?, *accept_clock),
        Command::Check => check::check(load_config(args), &output),
        Command::Status => {
            // Without a configuration nobody knows where the daemon listens; the store says the rest.
            let socket = load_config(args).ok().map(|config| config.site.control_socket);
            status::status(&open(args, &output)?, &store_path(args)?, socket.as_deref(), &output)
        }
        Command::Stations => {
            let socket = load_config(args).ok().map(|config| config.site.control_socket);
            status::stations(&open(args, &output)?, &store_path(args)?, socket.as_deref(), &output)
        }
        Command::Station { verb: StationVerb::Call { id, action, payload, timeout, reason } } => {
            let socket = load_config(args)?.site.control_socket;
            station::call(&socket, id, action, payload.as_deref(), *timeout, reason, &output)
        }
        Command::Station { verb: StationVerb::Adopt { id, reason } } => {
            station::register(&load_config(args)?.site.control_socket, id, "accepted", reason, &output)
        }
        Command::Station { verb: StationVerb::Block { id, reason } } => {
            station::register(&load_config(args)?.site.control_socket, id, "rejected", reason, &output)
        }
        Command::Station { verb: StationVerb::Verb(given) } => {
            verbs::carry_out(&load_config(args)?.site.control_socket, given, &output)
        }
        Command::Tariff { verb: TariffVerb::Reload { reason } } => {
            tariff::reload(&load_config(args)?.site.control_socket, reason, &output)
        }
        Command::Tariff { verb: TariffVerb::Check { files, power } } => tariff_files::check(files, *power, &output),
        Command::Tariff { verb: TariffVerb::Explain { file, week } } => {
            let zone = load_config(args).map_or(Tz::UTC, |config| config.site.time_zone);
            tariff_files::explain(file, week.unwrap_or_else(|| clock::system_now().with_timezone(&zone).date_naive()), &output)
        }
        Command::Tariff { verb: TariffVerb::Diff { before, after } } => tariff_files::diff(before, after, &output),
        Command::Cdr { verb: CdrVerb::Verify { file, tariff, time_zone, tolerance } } => {
            let zone = match time_zone {
                Some(zone) => *zone,
                None => load_config(args)?.site.time_zone,
            };
            cdr::verify(file, tariff.as_deref(), zone, *tolerance, &output)
        }
        Command::Tokens { listed, limit } => tokens::list(&open(args, &output)?, *listed, *limit, &output),
        Command::Token { verb: TokenVerb::Why { token, station } } => {
            tokens::why(&open(args, &output)?, &load_config(args)?, token, station.as_deref(), &output)
        }
        Command::Token { verb } => tokens::change(&load_config(args)?.site, verb, &output),
        Command::Calls { station, state, limit } => {
            let state = state.map(|state| state.as_str());
            station::calls(&open(args, &output)?, station.as_deref(), state, *limit, &output)
        }
        Command::Audit { verb: AuditVerb::List { limit } } => station::audit(&open(args, &output)?, *limit, &output),
        Command::Sessions(filter) => sessions::list(&open(args, &output)?, filter, &output),
        Command::Session { verb: SessionVerb::Show { id } } => sessions::show(&open(args, &output)?, id, &output),
        Command::Session { verb: SessionVerb::Explain { id } } => sessions::explain(&open(args, &output)?, id, &output),
        Command::Records { from, to, limit } => records::list(&open(args, &output)?, *from, *to, *limit, &output),
        Command::Record { verb: RecordVerb::Show { seq, epoch } } => records::show(&open(args, &output)?, *seq, *epoch, &output),
        Command::Record { verb: RecordVerb::Verify { seq, epoch } } => {
            records::verify_one(&open(args, &output)?, *seq, *epoch, &output)
        }
        Command::Record { verb: RecordVerb::Recompute { seq, epoch, .. } } => {
            let wanted = seq.map(|seq| {
                Ok::<_, Failure>((epoch.map_or_else(|| open(args, &output)?.epoch().map_err(Failure::from), Ok)?, seq))
            });
            recompute::recompute(&load_config(args)?, wanted.transpose()?, &output)
        }
        Command::Verify { file: Some(file), jwks, .. } => {
            records::verify_file(file, jwks.as_deref(), || open(args, &output), &output)
        }
        Command::Verify { from, .. } => records::verify_all(&open(args, &output)?, &store_path(args)?, *from, &output),
        Command::Correct { seq, epoch, reason, tariff, energy_wh, write_off, dry_run } => {
            let (seq, epoch, write_off, dry_run) = (*seq, *epoch, *write_off, *dry_run);
            let (reason, tariff, energy_wh) = (reason.clone(), tariff.clone(), energy_wh.clone());
            let asked = Correct { seq, epoch, reason, write_off, tariff, energy_wh, dry_run };
            correct::correct(&load_config(args)?.site.control_socket, asked, &output)
        }
        Command::Outbox { verb: OutboxVerb::Status } => status::outbox(&open(args, &output)?, &store_path(args)?, &output),
        Command::Outbox { verb: OutboxVerb::List { limit } } => records::outbox(&open(args, &output)?, *limit, &output),
        Command::Problems { limit } => status::problems(&open(args, &output)?, *limit, &output),
        Command::Messages(filter) => sessions::messages(&open(args, &output)?, filter, &output),
    }
}

fn load_config(args: &Args) -> Result<Config, Failure> {
    let explicit = args.config.is_some();
    let main = args.config.clone().unwrap_or_else(|| PathBuf::from(config::DEFAULT_FILE));
    let flags = args.store.iter().map(|store| ("store.path".to_owned(), store.display().to_string())).collect::<Vec<_>>();
    Config::load(&main, explicit, config::environment(), &flags)
        .map_err(|errors| Failure::new(Exit::Configuration, errors.to_string()))
}

/// `--store` alone is enough for reading: the store knows its site, time zone and currency.
fn store_path(args: &Args) -> Result<PathBuf, Failure> {
    match &args.store {
        Some(path) => Ok(path.clone()),
        None => Ok(load_config(args)?.store.path),
    }
}

/// Opens the store for reading; from here on times are shown as the site's clocks show them.
fn open(args: &Args, output: &Output) -> Result<Reader, Failure> {
    let store = Reader::open(&store_path(args)?, PATIENT)?;
    output.at_site(&store.time_zone()?);
    Ok(store)
}
