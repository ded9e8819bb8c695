//! What happens at a station, in steps that know no OCPP version, and the sessions that must come of it.
//!
//! A scenario is a TOML or JSON file of steps (`simulators/scenarios/`, some built in). A [`Player`] runs it on a
//! [`Station`]: it owns the energy register, keeps the exact times, has each step rendered into 1.6 or 2.x messages, and
//! writes down what head office should be able to bill: registers, energy, idle time, to the watt-hour and the second.
//!
//! Times are exact whatever the clock's speed: a step says when the next thing happens, and that instant, not the one at
//! which the program woke up, is the timestamp. Energy is counted in whole watt-seconds.

mod meter;
mod play;
mod send;
pub(crate) mod state;
mod step;
#[cfg(test)]
mod tests;
pub(crate) mod v16;
pub(crate) mod v2x;

use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Days, FixedOffset, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::station::{Answered, Station, Version};

pub use play::Player;
pub use step::{Border, MessageId, Step, What, Who};

/// Steps and the circumstances they happen in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    #[serde(default)]
    pub summary: String,
    /// Begin at this local time of day, `HH:MM`; otherwise now.
    #[serde(default)]
    pub start_at: Option<String>,
    /// EVSE (2.x) or connector (1.6).
    #[serde(default = "one")]
    pub connector: u32,
    #[serde(default = "default_token")]
    pub token: String,
    /// The register before the first session of a player.
    #[serde(default = "default_register")]
    pub register_wh: i64,
    /// What opens and ends a 2.x transaction; a 1.6 one is always opened by `start` and ended by `stop`.
    #[serde(default)]
    pub tx_start: Border,
    #[serde(default)]
    pub tx_stop: Border,
    #[serde(deserialize_with = "step::read_all")]
    pub steps: Vec<Step>,
}

fn one() -> u32 {
    1
}

fn default_token() -> String {
    "04A1B2C3D4E5F6".into()
}

fn default_register() -> i64 {
    1_000_000
}

const BUILT_IN: &[&str] = &[
    include_str!("../../scenarios/charge.toml"),
    include_str!("../../scenarios/suspend.toml"),
    include_str!("../../scenarios/time-of-use.toml"),
    include_str!("../../scenarios/offline-queue.toml"),
    include_str!("../../scenarios/lost-stop.toml"),
    include_str!("../../scenarios/duplicate.toml"),
    include_str!("../../scenarios/register-reset.toml"),
    include_str!("../../scenarios/parked.toml"),
];

impl Scenario {
    pub fn parse_toml(text: &str) -> Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.start_time()?;
        Ok(scenario)
    }

    pub fn parse_json(text: &str) -> Result<Self> {
        let scenario: Self = serde_json::from_str(text)?;
        scenario.start_time()?;
        Ok(scenario)
    }

    /// Those that need no file.
    pub fn built_in() -> Result<Vec<Self>> {
        BUILT_IN.iter().map(|text| Self::parse_toml(text)).collect()
    }

    /// A built-in one by name, else a `.toml` or `.json` file.
    pub fn find(name_or_path: &str) -> Result<Self> {
        let built_in = Self::built_in()?;
        if let Some(scenario) = built_in.iter().find(|scenario| scenario.name == name_or_path) {
            return Ok(scenario.clone());
        }
        let names: Vec<_> = built_in.iter().map(|scenario| scenario.name.as_str()).collect();
        let path = Path::new(name_or_path);
        if !path.exists() {
            bail!("no scenario {name_or_path}; built in: {}; or a .toml or .json file", names.join(", "));
        }
        let text = std::fs::read_to_string(path)?;
        let parsed =
            if path.extension().is_some_and(|ext| ext == "json") { Self::parse_json(&text) } else { Self::parse_toml(&text) };
        parsed.with_context(|| format!("scenario {}", path.display()))
    }

    /// Plays it once, with a fresh register.
    pub async fn run(&self, station: &Station) -> Result<Outcome> {
        Player::new(station, self).play(self).await
    }

    /// Where a simulated clock should start for this scenario to begin at once: the last `start_at` before `now`.
    pub fn base(&self, now: DateTime<Utc>, offset: FixedOffset) -> Result<DateTime<Utc>> {
        let Some(time) = self.start_time()? else { return Ok(now) };
        let today = at_local_time(now, offset, time)?;
        if today <= now { Ok(today) } else { at_local_time(now - Days::new(1), offset, time) }
    }

    /// The first `start_at` at or after `now`.
    fn begin(&self, now: DateTime<Utc>, offset: FixedOffset) -> Result<DateTime<Utc>> {
        let Some(time) = self.start_time()? else { return Ok(now) };
        let today = at_local_time(now, offset, time)?;
        if today >= now { Ok(today) } else { at_local_time(now + Days::new(1), offset, time) }
    }

    fn start_time(&self) -> Result<Option<NaiveTime>> {
        let parse =
            |text: &String| NaiveTime::parse_from_str(text, "%H:%M").with_context(|| format!("start_at {text} is not HH:MM"));
        self.start_at.as_ref().map(parse).transpose()
    }
}

fn at_local_time(day: DateTime<Utc>, offset: FixedOffset, time: NaiveTime) -> Result<DateTime<Utc>> {
    let local = day.with_timezone(&offset).date_naive().and_time(time);
    Ok(local.and_local_timezone(offset).single().context("no such time")?.to_utc())
}

/// A session as the station knows it happened. Whatever the network did, this is what should be billed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectedSession {
    pub station: String,
    #[serde(serialize_with = "as_text")]
    pub version: Version,
    pub connector: u32,
    /// The transaction id of 2.x; in 1.6 the number the CSMS gave, `None` if it never did.
    pub tx: Option<String>,
    pub token: String,
    pub started_at: DateTime<Utc>,
    pub start_register_wh: i64,
    /// `None`: the end was never reported.
    pub stopped_at: Option<DateTime<Utc>>,
    pub stop_register_wh: Option<i64>,
    /// The last register value the station reported, and when.
    pub last_register_wh: i64,
    pub last_at: DateTime<Utc>,
    /// What really flowed; differs from the registers' difference only when the register was reset.
    pub delivered_wh: i64,
    /// The vehicle or the station had suspended.
    pub idle_s: i64,
    /// Within the transaction, but before `start` or after `stop` (2.x with `tx_start` or `tx_stop` plugged).
    pub parked_s: i64,
    /// Some of it was reported later, from the queue.
    pub offline: bool,
    pub start_message_id: String,
    pub stop_message_id: Option<String>,
}

impl ExpectedSession {
    /// By the registers; `None` while the end is unknown.
    pub fn energy_wh(&self) -> Option<i64> {
        self.stop_register_wh.map(|stop| stop - self.start_register_wh)
    }
}

fn as_text<S: serde::Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub sessions: Vec<ExpectedSession>,
    /// CALLs sent: transaction messages queued (repeats included) and ordinary calls.
    pub messages: usize,
    /// The answers to the transaction messages of this run, in order.
    pub answered: Vec<Answered>,
    /// What was wrong with what the CSMS answered during this run, refusals included.
    pub complaints: Vec<String>,
}
