//! The three stations, one of each OCPP version, and the scenarios they run.

use std::time::Duration;

use anyhow::{Context, Result};
use simulators::{
    Clock, Scenario, Station, Version,
    scenario::{Outcome, Player, Step},
    station::Options,
};
use tokio::{sync::mpsc, task::JoinSet};

use super::price::{self, Tariff};

/// A power of whole watt-hours a second is shared by seconds without a rest: what [`super::price`] counts on.
const WATTS_PER_WH_A_SECOND: i64 = 3600;
/// Simulated, between two sessions of a station.
const PAUSE_MIN: std::ops::Range<u64> = 5..20;
/// Real time, after a scenario that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

pub struct DemoStation {
    pub id: &'static str,
    pub label: &'static str,
    pub version: Version,
    pub tariff: Tariff,
    /// In this order, again and again. Where the price depends on the time of day, only those of constant power.
    scenarios: &'static [&'static str],
}

pub const STATIONS: [DemoStation; 3] = [
    DemoStation {
        id: "demo-16",
        label: "Left of the entrance, OCPP 1.6",
        version: Version::V16,
        tariff: price::AC,
        scenarios: &["charge", "offline-queue", "suspend", "duplicate"],
    },
    DemoStation {
        id: "demo-201",
        label: "Right of the entrance, OCPP 2.0.1",
        version: Version::V201,
        tariff: price::AC,
        scenarios: &["suspend", "duplicate", "charge", "offline-queue"],
    },
    DemoStation {
        id: "demo-21",
        label: "Fast charger, OCPP 2.1",
        version: Version::V21,
        tariff: price::DC,
        scenarios: &["time-of-use", "duplicate", "time-of-use", "offline-queue"],
    },
];

pub fn find(station: &str) -> Option<&'static DemoStation> {
    STATIONS.iter().find(|known| known.id == station)
}

/// What happens in a scenario, in a few words.
fn description(scenario: &str) -> &'static str {
    match scenario {
        "charge" => "twenty minutes with the same card",
        "suspend" => "the car will be full and block the place for an hour",
        "time-of-use" => "fast, dearer from 17:00 to 21:00",
        "offline-queue" => "the network will fail; two sessions are reported afterwards",
        "duplicate" => "start, readings and stop will be sent two and three times",
        _ => "",
    }
}

/// What the stations report to the demo.
pub enum StationEvent {
    Plugged { station: &'static DemoStation, description: &'static str },
    Finished { station: &'static DemoStation, outcome: Result<Outcome> },
}

/// Starts the stations; they end when they are done, or when the set is dropped.
pub fn start(url: &str, clock: &Clock, once: bool) -> (JoinSet<()>, mpsc::Receiver<StationEvent>) {
    let (sender, events) = mpsc::channel(16);
    let mut running = JoinSet::new();
    for demo in &STATIONS {
        let station = Station::start(Options { clock: clock.clone(), ..Options::new(url, demo.id, demo.version) });
        running.spawn(run(demo, station, once, sender.clone()));
    }
    (running, events)
}

async fn run(demo: &'static DemoStation, station: Station, once: bool, events: mpsc::Sender<StationEvent>) {
    let mut player = None;
    for name in demo.scenarios.iter().cycle() {
        let outcome = async {
            let scenario = scenario(name)?;
            let player = player.get_or_insert_with(|| Player::new(&station, &scenario));
            let plugged = StationEvent::Plugged { station: demo, description: description(name) };
            events.send(plugged).await.context("the demo ended")?;
            player.play(&scenario).await
        };
        let outcome = outcome.await;
        let failed = outcome.is_err();
        if events.send(StationEvent::Finished { station: demo, outcome }).await.is_err() || once {
            return;
        }
        if failed {
            // A fresh player does not begin in the middle of a scenario.
            player = None;
            tokio::time::sleep(AFTER_FAILURE).await;
        }
        station.clock().sleep(Duration::from_secs(60 * fastrand::u64(PAUSE_MIN))).await;
    }
}

/// A built-in scenario, at any time of day, with powers that divide.
fn scenario(name: &str) -> Result<Scenario> {
    let mut scenario = Scenario::find(name)?;
    scenario.start_at = None;
    for step in &mut scenario.steps {
        if let Step::Meter { watts, .. } = step {
            *watts -= *watts % WATTS_PER_WH_A_SECOND;
        }
    }
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_exists_and_has_a_description() {
        for station in &STATIONS {
            for name in station.scenarios {
                assert!(!description(name).is_empty() && scenario(name).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn where_the_hour_matters_power_is_constant_within_a_session() {
        for name in find("demo-21").unwrap().scenarios {
            let mut power = None;
            for step in scenario(name).unwrap().steps {
                match step {
                    Step::Start { .. } => power = None,
                    Step::Meter { watts, .. } => assert_eq!(*power.get_or_insert(watts), watts, "{name}"),
                    Step::Suspend { .. } | Step::ResetRegister { .. } => panic!("{name} is not of constant power"),
                    _ => {}
                }
            }
        }
    }
}
