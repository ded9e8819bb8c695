//! Who plays what: three stations, one of each OCPP version, and the stories that happen to them.

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
/// Real time, after a play that broke down.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

pub struct Member {
    pub id: &'static str,
    pub label: &'static str,
    pub version: Version,
    pub tariff: Tariff,
    /// In this order, again and again. Where the price depends on the time of day, only those of constant power.
    stories: &'static [&'static str],
}

pub const CAST: [Member; 3] = [
    Member {
        id: "demo-16",
        label: "Left of the entrance, OCPP 1.6",
        version: Version::V16,
        tariff: price::AC,
        stories: &["charge", "offline-queue", "suspend", "duplicate"],
    },
    Member {
        id: "demo-201",
        label: "Right of the entrance, OCPP 2.0.1",
        version: Version::V201,
        tariff: price::AC,
        stories: &["suspend", "duplicate", "charge", "offline-queue"],
    },
    Member {
        id: "demo-21",
        label: "Fast charger, OCPP 2.1",
        version: Version::V21,
        tariff: price::DC,
        stories: &["time-of-use", "duplicate", "time-of-use", "offline-queue"],
    },
];

pub fn member(station: &str) -> Option<&'static Member> {
    CAST.iter().find(|member| member.id == station)
}

/// What a story is about, as one would tell it on the forecourt.
fn plot(story: &str) -> &'static str {
    match story {
        "charge" => "twenty minutes with the same card",
        "suspend" => "the car will be full and block the place for an hour",
        "time-of-use" => "fast, dearer from 17:00 to 21:00",
        "offline-queue" => "the network will fail; two sessions are told afterwards",
        "duplicate" => "start, readings and stop will be sent two and three times",
        _ => "",
    }
}

/// What the stations have to tell.
pub enum Said {
    Plugged { member: &'static Member, plot: &'static str },
    Finished { member: &'static Member, outcome: Result<Outcome> },
}

/// Sends the stations on; they end when they are done, or when the set is dropped.
pub fn perform(url: &str, clock: &Clock, once: bool) -> (JoinSet<()>, mpsc::Receiver<Said>) {
    let (tell, told) = mpsc::channel(16);
    let mut plays = JoinSet::new();
    for member in &CAST {
        let station = Station::start(Options { clock: clock.clone(), ..Options::new(url, member.id, member.version) });
        plays.spawn(live(member, station, once, tell.clone()));
    }
    (plays, told)
}

async fn live(member: &'static Member, station: Station, once: bool, tell: mpsc::Sender<Said>) {
    let mut player = None;
    for story in member.stories.iter().cycle() {
        let outcome = async {
            let scenario = scene(story)?;
            let player = player.get_or_insert_with(|| Player::new(&station, &scenario));
            tell.send(Said::Plugged { member, plot: plot(story) }).await.context("the demo ended")?;
            player.play(&scenario).await
        };
        let outcome = outcome.await;
        let failed = outcome.is_err();
        if tell.send(Said::Finished { member, outcome }).await.is_err() || once {
            return;
        }
        if failed {
            // Whatever it was, a fresh player does not stand in the middle of it.
            player = None;
            tokio::time::sleep(AFTER_FAILURE).await;
        }
        station.clock().sleep(Duration::from_secs(60 * fastrand::u64(PAUSE_MIN))).await;
    }
}

/// A built-in scenario, at any time of day, with powers that divide.
fn scene(story: &str) -> Result<Scenario> {
    let mut scenario = Scenario::find(story)?;
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
    fn every_story_exists_and_has_a_plot() {
        for member in &CAST {
            for story in member.stories {
                assert!(!plot(story).is_empty() && scene(story).is_ok(), "{story}");
            }
        }
    }

    #[test]
    fn where_the_hour_matters_power_is_constant_within_a_session() {
        for story in member("demo-21").unwrap().stories {
            let mut power = None;
            for step in scene(story).unwrap().steps {
                match step {
                    Step::Start { .. } => power = None,
                    Step::Meter { watts, .. } => assert_eq!(*power.get_or_insert(watts), watts, "{story}"),
                    Step::Suspend { .. } | Step::ResetRegister { .. } => panic!("{story} is not of constant power"),
                    _ => {}
                }
            }
        }
    }
}
