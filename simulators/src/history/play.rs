//! The history, message by message in the order of arrival.

// Chances and shares, of nothing that is billed.
#![allow(clippy::float_arithmetic)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use forecourt::daemon::in_process::InProcess;
use forecourt::units::{Received, StationId, Version as DaemonVersion};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::demand;
use super::site::{self, Station};
use crate::Version;
use crate::scenario::state::{Call, Moment, Status, iso};
use crate::scenario::{v2x, v16};

pub struct Options {
    pub stations: u32,
    pub sessions: u64,
    pub days: u32,
    /// Samples between start and stop.
    pub samples: u32,
    pub until: DateTime<Utc>,
    pub seed: u64,
    /// Head office has confirmed every record, day by day.
    pub confirmed: bool,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub messages: u64,
    pub sessions: u64,
    /// Sessions that were billed or held.
    pub judged: u64,
    /// Delivered by the meters in those sessions.
    pub energy_wh: i64,
}

/// Sessions that end before the next ones are billed: the more, the fewer transactions.
const SETTLE_EVERY: u64 = 16;
/// Of the time from one plug to the next: charging, and what a gap takes by day. Nights and outages stretch the gaps to the rest.
const STAY: f64 = 0.5;
const GAP: f64 = 0.32;
/// How often a session ends in a fault of the station, and how often a station is without a network.
const FAULTS: f64 = 0.003;
const OUTAGES_PER_DAY: f64 = 0.02;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Boot,
    Plug,
    Start,
    Sample,
    Stop,
    Unplug,
    Fault,
    Repaired,
}

/// What happens at a connector. Ordered by arrival, then by the order in which the station sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    arrives_ms: i64,
    number: u64,
    place: usize,
    happens_ms: i64,
    what: What,
}

/// A connector, and the session on it.
struct Place {
    station: usize,
    connector: u32,
    register_wh: i64,
    began_wh: i64,
    token: String,
    tx: String,
    seq: u32,
    watts: i64,
    /// 1.6: where the transaction's number comes out.
    started: Option<oneshot::Receiver<forecourt::store::Stored>>,
}

/// Fills the store of the site in `folder`, whose files are there (`site::files`). `progress`: sessions so far.
pub fn make(folder: &Path, options: &Options, progress: impl Fn(u64)) -> Result<Made> {
    let from = options.until - TimeDelta::days(i64::from(options.days));
    let config = site::configuration(folder)?;
    let mut player = Player::new(options, from, InProcess::start(&config, from)?);
    player.run(progress)?;
    Ok(player.made)
}

struct Player<'a> {
    options: &'a Options,
    rng: Rng,
    stations: Vec<Station>,
    ids: Vec<StationId>,
    places: Vec<Place>,
    events: BinaryHeap<Reverse<Event>>,
    /// Per station: without a network until then.
    dark_until_ms: Vec<i64>,
    site: InProcess,
    numbers: u64,
    message_ids: u64,
    unsettled: u64,
    day: i64,
    /// Seconds of a connector from one plug to the next, on average.
    cycle_s: f64,
    made: Made,
}

impl<'a> Player<'a> {
    fn new(options: &'a Options, from: DateTime<Utc>, site: InProcess) -> Self {
        let stations = site::stations(options.stations);
        let ids = stations.iter().map(|station| StationId::new(&station.id)).collect();
        let place = |station: usize, connector: u32| Place {
            station,
            connector,
            register_wh: 1_000_000,
            began_wh: 0,
            token: String::new(),
            tx: String::new(),
            seq: 0,
            watts: 0,
            started: None,
        };
        let places: Vec<Place> = stations
            .iter()
            .enumerate()
            .flat_map(|(number, station)| (1..=station.connectors).map(move |connector| (number, connector)))
            .map(|(station, connector)| place(station, connector))
            .collect();
        let seconds = f64::from(options.days) * 86_400.0;
        let cycle_s = seconds * places.len() as f64 / options.sessions.max(1) as f64;
        let mut player = Self {
            options,
            rng: Rng::with_seed(options.seed),
            dark_until_ms: vec![0; stations.len()],
            stations,
            ids,
            places,
            events: BinaryHeap::new(),
            site,
            numbers: 0,
            message_ids: 0,
            unsettled: 0,
            day: from.timestamp() / 86_400,
            cycle_s,
            made: Made::default(),
        };
        for place in 0..player.places.len() {
            let boot = from.timestamp_millis() + place as i64 * 700;
            if player.places[place].connector == 1 {
                player.add(place, boot, What::Boot);
            }
            let gap = demand::gap_s(&mut player.rng, from, cycle_s * GAP);
            player.add(place, boot + 5_000 + ms(gap), What::Plug);
        }
        player
    }

    /// The message waits at the station while that has no network.
    fn add(&mut self, place: usize, happens_ms: i64, what: What) {
        let dark = self.dark_until_ms[self.places[place].station];
        let arrives_ms = if happens_ms < dark { dark + 200 } else { happens_ms };
        self.numbers += 1;
        self.events.push(Reverse(Event { arrives_ms, number: self.numbers, place, happens_ms, what }));
    }

    fn run(&mut self, progress: impl Fn(u64)) -> Result<()> {
        let until = self.options.until.timestamp_millis();
        while let Some(Reverse(event)) = self.events.pop() {
            if event.arrives_ms >= until {
                break;
            }
            self.daily(event.arrives_ms)?;
            self.happen(event)?;
            if self.unsettled >= SETTLE_EVERY {
                self.settle()?;
                progress(self.made.sessions);
            }
        }
        self.site.at(self.options.until);
        self.settle()?;
        if self.options.confirmed {
            self.site.confirm()?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        self.made.judged += self.site.settle()? as u64;
        self.unsettled = 0;
        Ok(())
    }

    /// Once a day: head office answers, and some stations lose their network for a while.
    fn daily(&mut self, now_ms: i64) -> Result<()> {
        let day = now_ms / 86_400_000;
        if day == self.day {
            return Ok(());
        }
        self.day = day;
        if self.options.confirmed {
            self.site.confirm()?;
        }
        for station in 0..self.stations.len() {
            if self.rng.f64() < OUTAGES_PER_DAY {
                self.dark_until_ms[station] = now_ms + ms(3_600.0 * (1.0 + 9.0 * self.rng.f64()));
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<()> {
        let Event { place, happens_ms, what, .. } = event;
        match what {
            What::Boot => self.boot(event)?,
            What::Plug => self.plug(event)?,
            What::Start => {
                let answer = self.call(event, What::Start)?;
                if self.is_16(place) {
                    self.places[place].started = answer;
                }
                self.made.sessions += 1;
            }
            What::Sample => drop(self.call(event, what)?),
            What::Stop => {
                drop(self.call(event, what)?);
                let Place { register_wh, began_wh, .. } = self.places[place];
                self.made.energy_wh += register_wh - began_wh;
                self.unsettled += 1;
            }
            What::Unplug | What::Repaired => {
                self.status(event, Status::Available)?;
                if what == What::Unplug && self.rng.f64() < FAULTS {
                    self.add(place, happens_ms + 30_000, What::Fault);
                } else if self.made.sessions < self.options.sessions {
                    let gap = demand::gap_s(&mut self.rng, at(happens_ms), self.cycle_s * GAP);
                    self.add(place, happens_ms + ms(gap), What::Plug);
                }
            }
            What::Fault => {
                self.fault(event)?;
                let repair = 600.0 + 5_400.0 * self.rng.f64();
                self.add(place, happens_ms + ms(repair), What::Repaired);
            }
        }
        Ok(())
    }

    /// Somebody plugs in: all that follows is known from here on, but for when it arrives.
    fn plug(&mut self, event: Event) -> Result<()> {
        let Event { place, happens_ms, .. } = event;
        let stay = demand::stay_s(&mut self.rng, self.cycle_s * STAY);
        let power = self.stations[self.places[place].station].power_kw * (0.3 + 0.65 * self.rng.f64());
        let driver = demand::driver(&mut self.rng);
        let (start, samples) = (happens_ms + 4_000, i64::from(self.options.samples));
        let stop = start + ms(stay);
        self.numbers += 1;
        let tx = format!("T-{:08}", self.numbers);
        let Place { token, tx: named, seq, watts, .. } = &mut self.places[place];
        (*token, *named, *seq, *watts) = (format!("DRIVER{driver:05}"), tx, 0, (power * 1_000.0) as i64);
        self.status(event, Status::Plugged)?;
        self.add(place, start, What::Start);
        for sample in 1..=samples {
            self.add(place, start + (stop - start) * sample / (samples + 1), What::Sample);
        }
        self.add(place, stop, What::Stop);
        let unplug = stop + 6_000 + ms(self.rng.f64() * 120.0);
        self.add(place, unplug, What::Unplug);
        Ok(())
    }

    fn is_16(&self, place: usize) -> bool {
        self.stations[self.places[place].station].version == Version::V16
    }

    /// A message about the session; the meter has gone on since the last one.
    fn call(&mut self, event: Event, what: What) -> Result<Option<oneshot::Receiver<forecourt::store::Stored>>> {
        let Event { place, happens_ms, .. } = event;
        let step = self.options.samples + 1;
        let stay = self.cycle_s * STAY;
        let here = &mut self.places[place];
        match what {
            What::Start => here.began_wh = here.register_wh,
            _ => here.register_wh += (here.watts as f64 * stay * 0.4 / 3_600.0 / f64::from(step)) as i64,
        }
        let moment = self.moment(place, happens_ms);
        let is_16 = self.is_16(place);
        let mut call = match (what, is_16) {
            (What::Start, true) => v16::started(&moment),
            (What::Start, false) => v2x::started(&moment, "Authorized", "Charging", Some(&moment.token)),
            (What::Sample, true) => v16::metered(&moment),
            (What::Sample, false) => v2x::metered(&moment),
            (_, true) => v16::stopped(&moment, None, None),
            (_, false) => v2x::ended(&moment, "EVDeparted", "Idle", None, Some("EVDisconnected")),
        };
        if is_16 && what != What::Start {
            call.payload["transactionId"] = json!(self.transaction(place)?);
        }
        self.places[place].seq += 1;
        self.send(event, &call)
    }

    /// The number that the answer to the start gave.
    fn transaction(&mut self, place: usize) -> Result<i64> {
        if let Some(mut answer) = self.places[place].started.take() {
            self.site.flush()?;
            let stored = answer.try_recv().context("a start was not answered")?;
            let answer: Value = serde_json::from_str(&stored.answer.unwrap_or_default())?;
            let number = answer[2]["transactionId"].as_i64().context("a start got no transaction")?;
            self.places[place].tx = number.to_string();
        }
        Ok(self.places[place].tx.parse()?)
    }

    fn moment(&self, place: usize, happens_ms: i64) -> Moment {
        let Place { connector, token, tx, seq, register_wh, watts, .. } = &self.places[place];
        Moment {
            at: at(happens_ms),
            connector: *connector,
            token: token.clone(),
            tx: tx.clone(),
            seq: *seq,
            register_wh: *register_wh,
            watts: *watts,
            offline: false,
        }
    }

    fn status(&mut self, event: Event, status: Status) -> Result<()> {
        let moment = self.moment(event.place, event.happens_ms);
        let call = if self.is_16(event.place) { v16::status(&moment, status) } else { v2x::status(&moment, status) };
        self.send(event, &call).map(drop)
    }

    fn fault(&mut self, event: Event) -> Result<()> {
        let (time, connector) = (iso(at(event.happens_ms)), self.places[event.place].connector);
        let payload = if self.is_16(event.place) {
            json!({"connectorId": connector, "errorCode": "GroundFailure", "status": "Faulted", "timestamp": time})
        } else {
            json!({"timestamp": time, "connectorStatus": "Faulted", "evseId": connector, "connectorId": 1})
        };
        self.send(event, &Call::ordinary("StatusNotification", payload)).map(drop)
    }

    fn boot(&mut self, event: Event) -> Result<()> {
        let payload = if self.is_16(event.place) {
            json!({"chargePointVendor": "History", "chargePointModel": "H16", "firmwareVersion": "1.0"})
        } else {
            json!({"reason": "PowerUp", "chargingStation": {"vendorName": "History", "model": "H2", "firmwareVersion": "1.0"}})
        };
        self.send(event, &Call::ordinary("BootNotification", payload)).map(drop)
    }

    fn send(&mut self, event: Event, call: &Call) -> Result<Option<oneshot::Receiver<forecourt::store::Stored>>> {
        let station = self.places[event.place].station;
        let version = match self.stations[station].version {
            Version::V16 => DaemonVersion::V16,
            Version::V201 => DaemonVersion::V201,
            Version::V21 => DaemonVersion::V21,
        };
        self.message_ids += 1;
        let text = format!("[2,\"h{}\",\"{}\",{}]", self.message_ids, call.action, call.payload);
        let received = Received { at: at(event.arrives_ms), proven: true };
        let answer = self.site.frame(&self.ids[station], version, &text, None, received)?;
        if answer.is_none() {
            bail!("a message was not stored: {text}");
        }
        self.made.messages += 1;
        Ok(answer)
    }
}

fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
