//! Sends sessions with a known truth through faulty stations into the daemon's pure machine and says what came of them.
//!
//! Exit code 1 when more bills were wrong, or more sessions lost, than are known to be.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulators::model::machine::Tariffs;
use simulators::model::{Case, Class, daemon, report, run, serve};

#[derive(Parser)]
struct Args {
    /// How many true sessions, about.
    #[arg(long, default_value_t = 1_000_000)]
    sessions: u64,
    /// Where everything begins: the same seed gives the same sessions, messages and bills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this class of fault, one a case; may be given several times.
    #[arg(long = "fault", value_parser = class)]
    faults: Vec<Class>,
    /// One case, by its own seed (with the same --fault), described in full.
    #[arg(long)]
    replay: Option<u64>,
    /// Prints the table as Markdown and what the classes mean.
    #[arg(long)]
    table: bool,
    /// Does not describe the failures one by one.
    #[arg(long)]
    quiet: bool,
    #[arg(long)]
    threads: Option<usize>,
    /// So many cases are spoken to the real daemon over WebSockets instead, and it is killed again and again.
    #[arg(long)]
    daemon: Option<usize>,
    /// With --daemon: messages between two kills, on average.
    #[arg(long, default_value_t = 300)]
    kill_every: usize,
    /// The daemon itself, as --daemon starts it.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
    #[arg(long, hide = true, default_value_t = 0)]
    begin: i64,
}

fn class(name: &str) -> Result<Class, String> {
    Class::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        format!("no such class of fault; there are: {}", known.join(", "))
    })
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(config) = args.serve {
        serve::serve(&config, args.begin)?;
        return Ok(ExitCode::SUCCESS);
    }
    let tariffs = Tariffs::new()?;
    if let Some(cases) = args.daemon {
        return with_daemon(args.seed, cases, args.kill_every, &tariffs);
    }
    if let Some(seed) = args.replay {
        print!("{}", report::describe(&Case::new(seed, &args.faults), &tariffs));
        return Ok(ExitCode::SUCCESS);
    }
    // Panics are counted and described with their cases; their traces would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let began = Instant::now();
    let result = run::run(args.seed, args.sessions, &args.faults, threads, &tariffs);
    let took = began.elapsed();
    let total = result.total();
    if !args.quiet {
        print!("{}", report::failures(&result, &tariffs));
    }
    print!("{}", report::table(&result));
    if args.table {
        print!("\n{}", report::legend());
    }
    eprintln!(
        "seed {}: {} sessions in {} cases, {} billed right, {} too little, {} held, {} wrong; {} ms with {threads} threads",
        args.seed,
        total.sessions - total.unreported,
        result.cases,
        total.right,
        total.too_little,
        total.helds(),
        total.wrongs(),
        took.as_millis()
    );
    match result.check() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("model: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The real daemon, killed again and again.
fn with_daemon(seed: u64, cases: usize, kill_every: usize, tariffs: &Tariffs) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("forecourt-model-").tempdir()?;
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let program = std::env::current_exe()?;
    let ran = runtime.block_on(daemon::run(&program, folder.path(), seed, cases, kill_every))?;
    let mut result = run::Report::default();
    let mut differ = 0;
    for (case, simulated, outcomes) in &ran.cases {
        for ((_, check), session) in result.count(case, simulated, outcomes) {
            println!("{check} for session #{session} of --replay {}", case.seed);
        }
        let (_, pure) = run::outcomes(simulated, tariffs);
        for (session, (real, pure)) in outcomes.iter().zip(&pure).enumerate().filter(|(_, (real, pure))| real != pure) {
            differ += 1;
            println!("differs: {real:?}, by the pure machine {pure:?}: session #{session} of --replay {}", case.seed);
        }
    }
    let total = result.total();
    print!("{}", report::table(&result));
    eprintln!(
        "seed {seed}: {} sessions in {cases} cases, {} messages, {} kills; {} wrong; {differ} sessions differ from the pure machine; {} ms",
        total.sessions - total.unreported,
        ran.messages,
        ran.kills,
        total.wrongs(),
        began.elapsed().as_millis()
    );
    if let Err(why) = result.check() {
        eprintln!("model: {why}; the store is in {}", folder.keep().display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
