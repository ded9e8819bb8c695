//! Head office on the command line: verifies what sites publish, keeps it, answers with receipts, says what it saw.
//! Exit 6 when anything was refused or is missing, as `forecourt records verify` does.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use simulators::office::{Event, Login, Office, Options, Record, Tally};
use tokio::sync::broadcast::error::RecvError;

const EXIT_VERIFICATION_FAILED: u8 = 6;

/// Head office: subscribes to the records of every site, verifies, keeps and receipts them
#[derive(Parser)]
struct Args {
    /// Broker to connect to: mqtt://HOST:PORT or mqtts://HOST:PORT
    #[arg(long, default_value = "mqtt://127.0.0.1:1883")]
    broker: String,
    /// Name at the broker
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// Its password, the first line of a file
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Trust only brokers with a certificate of this authority (PEM), instead of those that the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Keep everything verified in this JSON lines file, synced before each receipt
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Trust this JWK set instead of the retained topic `keys`
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Print each verified record's payload as one line of JSON
    #[arg(long)]
    print: bool,
    /// Verify only: no receipts, so that sites keep everything and send it again
    #[arg(long)]
    no_receipts: bool,
    #[arg(long, default_value = "forecourt/v1", value_name = "PREFIX")]
    topic_prefix: String,
    /// Name of our session at the broker
    #[arg(long, default_value = "forecourt-office", value_name = "NAME")]
    client_id: String,
    /// End when this many records are verified
    #[arg(long, value_name = "N")]
    until: Option<usize>,
    /// End after this long
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    simulators::logging::start("warn", false);
    let args = Args::parse();
    let jwks = args.jwks.as_ref().map(std::fs::read_to_string).transpose().context("cannot read the JWK set")?;
    let text = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let password = args.password_file.as_ref().map(text).transpose()?;
    let password = password.map(|text| text.lines().next().unwrap_or_default().to_owned());
    let options = Options {
        login: args.user.clone().zip(password).map(|(user, password)| Login { user, password }),
        ca: args.ca.as_ref().map(text).transpose()?,
        topic_prefix: args.topic_prefix.clone(),
        client_id: args.client_id.clone(),
        keep: args.keep.clone(),
        jwks,
        receipts: !args.no_receipts,
        ..Options::new(&args.broker)
    };
    let office = Office::open(options).await?;
    let restored = office.records();
    if !restored.is_empty() {
        eprintln!("{} records verified again from the kept file", restored.len());
    }
    let patience = args.patience.map_or(Duration::MAX, Duration::from_secs);
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped?,
        () = tokio::time::sleep(patience) => eprintln!("patience ended"),
        done = listen(&office, &args) => done?,
    }
    let tally = office.tally();
    office.close().await?;
    eprintln!("{} verified, {} duplicates, {} refused, {} waiting", tally.verified, tally.duplicates, tally.bad, left(&tally));
    let good = tally.bad == 0 && left(&tally) == 0 && args.until.is_none_or(|wanted| tally.verified >= wanted);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_VERIFICATION_FAILED) })
}

fn left(tally: &Tally) -> usize {
    tally.waiting + tally.keyless
}

async fn listen(office: &Office, args: &Args) -> Result<()> {
    let mut events = office.events();
    while args.until.is_none_or(|wanted| office.tally().verified < wanted) {
        match events.recv().await {
            Ok(event) => show(&event, args.print),
            Err(RecvError::Lagged(missed)) => eprintln!("… {missed} events not shown"),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
    // The receipt of the last one shall still go out.
    if args.until.is_some() && !args.no_receipts {
        let all = |tally: &Tally| tally.receipted >= u64::try_from(tally.verified).unwrap_or(u64::MAX);
        office.until(Duration::from_secs(10), all).await?;
    }
    Ok(())
}

fn show(event: &Event, print: bool) {
    match event {
        Event::Verified { record, .. } if print => println!("{}", record.payload),
        Event::Verified { record, summary, .. } => println!("OK   {} {summary}", place(record)),
        Event::Bad { topic, seq, reason, .. } => {
            eprintln!("BAD  {topic}{}: {reason}", seq.map(|seq| format!(" #{seq}")).unwrap_or_default());
        }
        Event::Waiting { site, epoch, seq, missing } => eprintln!("WAIT {site}/{epoch} #{seq}: #{missing} is missing"),
        Event::Duplicate { site, epoch, seq } => eprintln!("DUP  {site}/{epoch} #{seq}"),
        Event::Keys { site, kids } => eprintln!("KEYS {site}: {}", kids.join(" ")),
        Event::Status { site, online, .. } => eprintln!("SITE {site} {}", if *online { "online" } else { "offline" }),
        Event::Asked { site, epoch, from, to } => eprintln!("ASK  {site}/{epoch} #{from}–#{to} again"),
        Event::Receipted { site, epoch, through } => tracing::info!(site, epoch, through, "receipt sent"),
        Event::Connected => tracing::info!("connected"),
        Event::Disconnected { reason } => eprintln!("broker lost: {reason}"),
    }
}

fn place(record: &Record) -> String {
    format!("{}/{} #{}", record.site, record.epoch, record.seq)
}
