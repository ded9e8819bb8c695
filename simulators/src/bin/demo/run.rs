//! The running demo: waits for what stations, daemon and head office report, and prints it.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;
use simulators::{
    Version,
    office::{Event, Record},
};
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Args,
    reconciliation::{Agreed, Reconciliation},
    screen::{Screen, Style, kwh, span},
    site::{SITE, Site},
    stations::{self, STATIONS, StationEvent},
    watch::{Change, Watch},
};

const LOOK: Duration = Duration::from_millis(200);
/// Real time between what happens at a station and our line about it, above which the line says so.
const LATE: TimeDelta = TimeDelta::seconds(2);
/// Real time from the last unplugged cable to a verified and acknowledged record: usually well below a second.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    Interrupted,
}

pub struct Demo<'a> {
    site: &'a Site,
    screen: &'a mut Screen,
    watch: Watch,
    reconciliation: Reconciliation,
    once: bool,
    speed: u32,
    began: Instant,
    running: JoinSet<()>,
    reports: mpsc::Receiver<StationEvent>,
    events: broadcast::Receiver<Event>,
    finished: usize,
    /// Problems printed so far.
    printed: usize,
}

impl<'a> Demo<'a> {
    pub fn new(site: &'a Site, screen: &'a mut Screen, args: &Args) -> Result<Self> {
        let watch = Watch::open(&site.store(), args.speed)?;
        let events = site.office.events();
        let (running, reports) = stations::start(&site.stations_url(), &site.clock, args.once);
        let (once, speed) = (args.once, args.speed);
        let reconciliation = Reconciliation::default();
        let mut demo = Self {
            site,
            screen,
            watch,
            reconciliation,
            once,
            speed,
            began: Instant::now(),
            running,
            reports,
            events,
            finished: 0,
            printed: 0,
        };
        demo.introduce();
        Ok(demo)
    }

    fn introduce(&mut self) {
        let (url, store) = (self.site.stations_url(), self.site.store());
        let start = self.site.clock.base().format("%a %d %b %Y %H:%M");
        let title = self.screen.styled(Style::Strong, "DEMO  forecourt, a simulated site: nothing here is real, nothing is kept");
        let screen = &mut *self.screen;
        screen.line(title);
        screen.line("");
        screen.line(format!("  clock      {} × real time, from {start} UTC", self.speed));
        screen.line(format!("  site       {SITE}, a temporary store: {}", store.display()));
        for station in &STATIONS {
            let version = station.version.to_string();
            screen.line(format!("  {:9}  OCPP {version:5}  EUR {}, + 19 % VAT", station.id, station.tariff.sentence()));
        }
        screen.line("");
        screen.line("From another terminal, in this folder, while this runs:");
        let cli = format!("cargo run --quiet --bin forecourt -- --store {}", store.display());
        screen.line(format!("  look inside   {cli} status"));
        screen.line("                (or: sessions, records, session explain ID, verify --all)");
        let versions = Version::ALL.map(|version| version.to_string()).join(", ");
        let slower = if self.speed == 1 { "" } else { "; a real one needs --speed 1" };
        screen.line(format!("  add a station {url}/ANY-ID  (OCPP {versions}{slower})"));
        screen.line(format!("  subscribe     {}, topics forecourt/v1/{SITE}/#", self.site.broker.url()));
        screen.line("  be head office and verify the next record (bash; Debian: apt install mosquitto-clients jose)");
        self.one_liner();
        let end = if self.once { "It ends after one session of each station." } else { "It goes on until Ctrl-C." };
        self.screen.line(end);
        self.screen.line("");
    }

    /// Needs nothing of ours: the retained keys, the next record, another program's verification.
    fn one_liner(&mut self) {
        let sub = |topic: &str| {
            let addr = self.site.broker.addr();
            format!("mosquitto_sub -N -h {} -p {} -t forecourt/v1/{SITE}/{topic} -C 1", addr.ip(), addr.port())
        };
        let line = format!("  jose jws ver -i <({}) -k <({}) -O - && echo VERIFIED", sub("records/charge"), sub("keys"));
        let line = self.screen.styled(Style::Strong, &line);
        self.screen.line(line);
    }

    /// Until one session of each station is billed, or for as long as somebody reads.
    pub async fn run(&mut self) -> Result<End> {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut all_finished = None;
        loop {
            tokio::select! {
                _ = looks.tick() => self.look()?,
                Some(event) = self.reports.recv() => self.station(event)?,
                event = self.events.recv() => self.office(event)?,
            }
            if self.screen.closed {
                return Ok(End::Interrupted);
            }
            if self.once && self.finished == STATIONS.len() {
                let since = *all_finished.get_or_insert_with(Instant::now);
                if self.is_complete()? || since.elapsed() > PATIENCE {
                    return Ok(End::Done);
                }
            }
        }
    }

    fn is_complete(&self) -> Result<bool> {
        Ok(self.reconciliation.is_even() && self.watch.outbox()? == 0)
    }

    /// What the daemon sees of its stations.
    fn look(&mut self) -> Result<()> {
        let now = self.site.clock.now();
        for (session, change) in self.watch.look(now)? {
            let energy = kwh(session.energy_wh);
            let lasted = session.started_at.zip(session.stopped_at).map(|(from, to)| span((to - from).num_seconds()));
            let over = format!("{}  {energy} in {}", session.id, lasted.unwrap_or_default());
            let (at, what, style, text) = match change {
                Change::Started => (session.started_at, "start", Style::Plain, session.id),
                Change::Charging => (None, "", Style::Plain, energy),
                Change::NotCharging => (None, "", Style::Plain, format!("{energy}, the car takes no more")),
                Change::Offline => (None, "", Style::Plain, format!("{energy}, then the network failed")),
                Change::Stopped => (session.stopped_at, "stop", Style::Plain, over),
                Change::Held(reason) => (None, "HELD", Style::Bad, format!("{}  for a person: {reason}", session.id)),
            };
            let at = at.unwrap_or(now);
            let late = if now - at > LATE * i32::try_from(self.speed).unwrap_or(1) { ", reported afterwards" } else { "" };
            self.screen.event(at, &session.station, what, style, format!("{text}{late}"));
        }
        Ok(())
    }

    fn station(&mut self, event: StationEvent) -> Result<()> {
        match event {
            StationEvent::Plugged { station, description } => {
                self.screen.event(self.site.clock.now(), station.id, "plug", Style::Plain, description);
            }
            StationEvent::Finished { station, outcome } => {
                self.look()?;
                self.finished += 1;
                match outcome {
                    Ok(outcome) => {
                        for session in outcome.sessions {
                            let agreed = self.reconciliation.happened(session, station.tariff);
                            self.agreed(agreed);
                        }
                        for complaint in outcome.complaints {
                            self.problem(format!("{} complains of the daemon: {complaint}", station.id));
                        }
                    }
                    Err(error) => self.problem(format!("{} could not go on: {error:#}", station.id)),
                }
            }
        }
        Ok(())
    }

    fn office(&mut self, event: Result<Event, broadcast::error::RecvError>) -> Result<()> {
        match event {
            Ok(Event::Verified { record, .. }) => {
                self.look()?;
                self.verified(&record);
                let ours = record.text("/session/station").is_some_and(|station| stations::find(&station).is_some());
                if ours && record.kind == "charge" {
                    let agreed = self.reconciliation.verified(record);
                    self.agreed(agreed);
                }
            }
            Ok(Event::Bad { topic, reason, .. }) => {
                self.reconciliation.refused(&format!("{topic}: {reason}"));
                self.print_problems();
            }
            Ok(Event::Disconnected { reason }) => {
                self.screen.event(
                    self.site.clock.now(),
                    "head office",
                    "link",
                    Style::Bad,
                    format!("lost, trying again: {reason}"),
                );
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                self.problem(format!("{missed} events of head office went unseen"))
            }
            Err(broadcast::error::RecvError::Closed) => anyhow::bail!("head office closed"),
        }
        Ok(())
    }

    fn verified(&mut self, record: &Record) {
        let station = record.text("/session/station").unwrap_or_default();
        let text = format!("record {}  {station}  {}: signature, sums and chain are in order", record.seq, record.summary());
        self.screen.event(self.site.clock.now(), "head office", "verified", Style::Good, text);
    }

    /// What came of a session or record: a pair that agrees, problems, or nothing so far.
    fn agreed(&mut self, agreed: Option<Agreed>) {
        let before = self.reconciliation.totals.agreed - usize::from(agreed.is_some());
        if let Some(Agreed { record, price }) = agreed {
            let text =
                format!("record {}  with its station on times and energy, with its tariff on EUR {}", record.seq, price.incl_vat);
            self.screen.event(self.site.clock.now(), "comparison", "agrees", Style::Good, text);
        }
        self.print_problems();
        let enough = STATIONS.len();
        if !self.once && before < enough && self.reconciliation.totals.agreed >= enough {
            self.screen.line("");
            self.screen.line("Verify the next record yourself, from another terminal:");
            self.one_liner();
            self.screen.line("");
        }
    }

    fn problem(&mut self, problem: String) {
        self.reconciliation.problem(problem);
        self.print_problems();
    }

    fn print_problems(&mut self) {
        for problem in &self.reconciliation.problems[self.printed..] {
            self.screen.event(self.site.clock.now(), "comparison", "WRONG", Style::Bad, problem);
        }
        self.printed = self.reconciliation.problems.len();
    }

    /// Lets what has ended be billed, and says what came of it all. Whether all is well.
    pub async fn conclude(mut self, end: End) -> Result<bool> {
        while let Ok(event) = self.reports.try_recv() {
            self.station(event)?;
        }
        self.running.abort_all();
        let deadline = Instant::now() + PATIENCE;
        while self.reconciliation.waiting().next().is_some() && Instant::now() < deadline {
            tokio::select! {
                event = self.events.recv() => self.office(event)?,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        while self.watch.outbox()? > 0 && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
        let held: Vec<_> = self
            .reconciliation
            .waiting()
            .filter_map(|session| self.watch.held(&session.station, session.tx.as_deref()?))
            .collect();
        held.into_iter().for_each(|reason| self.reconciliation.problem(format!("a session is held: {reason}")));
        let tally = self.site.office.tally();
        if tally.waiting + tally.keyless > 0 {
            self.reconciliation
                .problem(format!("{} records wait at head office for others, {} for keys", tally.waiting, tally.keyless));
        }
        let outbox = self.watch.outbox()?;
        if outbox > 0 {
            self.reconciliation.problem(format!("{outbox} records are not acknowledged by head office"));
        }
        self.reconciliation.close(end == End::Interrupted);
        if self.once && end == End::Done && self.reconciliation.is_good() && self.reconciliation.totals.agreed < STATIONS.len() {
            self.reconciliation.problem(format!(
                "{} of {} stations had a session that agrees",
                self.reconciliation.totals.agreed,
                STATIONS.len()
            ));
        }
        self.summarize(outbox);
        Ok(self.reconciliation.is_good())
    }

    fn summarize(&mut self, outbox: u64) {
        let (totals, good) = (self.reconciliation.totals, self.reconciliation.is_good());
        let real = span(i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX));
        let simulated = span((self.site.clock.now() - self.site.clock.base()).num_seconds());
        let screen = &mut *self.screen;
        screen.line("");
        screen.line(screen.styled(Style::Strong, &format!("DEMO  summary of {real}, {simulated} of simulated time")));
        screen.line(format!("  sessions   {} finished, {} metered", totals.sessions, kwh(totals.energy_wh)));
        screen.line(format!("  records    {} verified, {outbox} not acknowledged", totals.records));
        screen.line(format!("  agreeing   {} with station and tariff, EUR {} billed incl. VAT", totals.agreed, totals.billed));
        let faults = format!("  {} lost, {} unverified, {} mispriced", totals.lost, totals.unverified, totals.mispriced);
        screen.line(screen.styled(if good { Style::Good } else { Style::Bad }, &faults));
        for problem in &self.reconciliation.problems {
            screen.line(screen.styled(Style::Bad, &format!("  wrong: {problem}")));
        }
    }
}
