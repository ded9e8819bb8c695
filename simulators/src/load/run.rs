//! A run: everyone connects and boots, warm-up, window, running sessions finish, hang up, report.

// Rates and seconds are statistics, for people; the exact counts stay integers.
#![allow(clippy::float_arithmetic)]

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use super::kernel::{Counters, Spent};
use super::script::Script;
use super::station::{Site, live};
use super::tally::Tally;
use super::{Mode, Options, Report};

const MAX_PHASE_S: f64 = 600.0;
const CONNECT_S: u64 = 60;
const FINISH_S: u64 = 60;
const FAREWELL_S: u64 = 5;
const CONNECTING_AT_ONCE: usize = 64;

/// Plays what `options` ask for. A wrong answer is in the report, not an error.
///
/// # Errors
/// When the run could not take place: bad options, a watched process that is gone.
pub fn run(options: &Options) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, play(options))
}

async fn play(options: &Options) -> Result<Report> {
    let site = Rc::new(site(options)?);
    let (go, go_seen) = watch::channel(false);
    let (hold, hold_seen) = watch::channel(true);
    let mut stations = JoinSet::new();
    for index in 0..options.stations {
        stations.spawn_local(live(Rc::clone(&site), index, go_seen.clone(), hold_seen.clone()));
    }
    let booting = Instant::now();
    while site.tally.ready.get() < options.stations && site.tally.error_count.get() == 0 {
        if booting.elapsed() > Duration::from_secs(CONNECT_S) {
            site.tally.wrong(format!("{} of {} stations booted in {CONNECT_S} s", site.tally.ready.get(), options.stations));
        }
        sleep(Duration::from_millis(5)).await;
    }
    let mut window = Window::default();
    if site.tally.error_count.get() == 0 {
        go.send_replace(true);
        window = measure(options, &site).await?;
    }
    site.tally.stopping.set(true);
    go.send_replace(true);
    hold.send_replace(false);
    let finished = async { while stations.join_next().await.is_some() {} };
    if timeout(Duration::from_secs(FINISH_S + FAREWELL_S), finished).await.is_err() {
        site.tally.wrong(format!("{} stations still waited for an answer after {FINISH_S} s", stations.len()));
        stations.shutdown().await;
    }
    Ok(report(options, &site, &window))
}

#[derive(Default)]
struct Window {
    seconds: f64,
    server: Option<Spent>,
}

async fn measure(options: &Options, site: &Site) -> Result<Window> {
    sleep(Duration::from_secs_f64(options.warmup)).await;
    let before = options.watch_pid.map(Counters::read).transpose()?;
    let start = Instant::now();
    site.tally.measuring.set(true);
    sleep(Duration::from_secs_f64(options.seconds)).await;
    site.tally.measuring.set(false);
    let seconds = start.elapsed().as_secs_f64();
    let server = match (before, options.watch_pid) {
        (Some(before), Some(pid)) => Some(before.spent(pid).context("the server has gone")?),
        _ => None,
    };
    Ok(Window { seconds, server })
}

fn site(options: &Options) -> Result<Site> {
    let seconds = 0.0..=MAX_PHASE_S;
    if !seconds.contains(&options.warmup) || !seconds.contains(&options.seconds) {
        bail!("--warmup and --seconds may be up to {MAX_PHASE_S}");
    }
    if !(0.001..=1000.0).contains(&options.rate) {
        bail!("--rate must be between 0.001 and 1000 a second");
    }
    let url = options.url.trim_end_matches('/').to_owned();
    let rest = url.strip_prefix("ws://").context("--url must start with ws://")?;
    let address = rest.split('/').next().unwrap_or_default().to_owned();
    let now = chrono::Utc::now();
    Ok(Site {
        script: Script::new(options.version, options.samples, options.meter_values)?,
        mode: options.mode,
        period: Duration::from_secs_f64(1.0 / options.rate),
        url,
        address,
        // Wraps after 12 days, which is enough to keep runs against one store apart, and keeps ids within 36 characters.
        run: format!("{:x}", now.timestamp_millis() & 0x3fff_ffff),
        first_time: now.timestamp() - i64::from(options.days_back) * 86_400,
        stations: options.stations,
        doors: Semaphore::new(CONNECTING_AT_ONCE),
        tally: Tally::default(),
    })
}

fn report(options: &Options, site: &Site, window: &Window) -> Report {
    let tally = &site.tally;
    let latencies = tally.latencies.borrow();
    if latencies.total() == 0 && tally.error_count.get() == 0 && options.mode != Mode::Held {
        tally.wrong("nothing was answered during the window".to_owned());
    }
    Report {
        version: options.version.name().to_owned(),
        mode: options.mode.name().to_owned(),
        stations: options.stations,
        seconds: window.seconds,
        messages: latencies.total(),
        per_second: if window.seconds > 0.0 { latencies.total() as f64 / window.seconds } else { 0.0 },
        p50_us: latencies.quantile(500),
        p99_us: latencies.quantile(990),
        max_us: latencies.max(),
        server: window.server,
        answered: tally.answered_by_action(),
        answered_total: tally.answered_total(),
        sessions: tally.sessions.get(),
        energy_wh: tally.energy_wh.get(),
        server_calls: tally.server_calls.get(),
        error_count: tally.error_count.get(),
        errors: tally.errors.borrow().clone(),
    }
}
