//! The steps of a scenario. A step is a bare word (`"plug"`) or a table (`{ meter = { minutes = 10, watts = 11000 } }`).

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// The cable goes in.
    Plug {},
    /// A token is shown and asked about. Skipped while offline.
    Authorize {
        token: Option<String>,
        #[serde(default = "accepted")]
        expect: String,
    },
    /// Energy may flow: the transaction starts, or is authorized when it started with the cable.
    Start {
        token: Option<String>,
        #[serde(default = "accepted")]
        expect: String,
    },
    /// Energy flows at this power, and the register is reported after each interval.
    Meter {
        watts: i64,
        #[serde(default)]
        minutes: i64,
        #[serde(default)]
        seconds: i64,
        #[serde(default = "minute")]
        every_s: i64,
    },
    /// The vehicle takes no power (`ev`), or the station gives none (`evse`).
    Suspend {
        #[serde(default)]
        by: Who,
    },
    Resume {},
    /// Time passes; with `every_s` the register is reported meanwhile.
    Wait {
        #[serde(default)]
        minutes: i64,
        #[serde(default)]
        seconds: i64,
        every_s: Option<i64>,
    },
    /// The connection ends without a close frame.
    Disconnect {},
    /// It comes back, and what was queued is delivered before the next step.
    Reconnect {},
    /// The driver ends it.
    Stop {
        reason: Option<String>,
        token: Option<String>,
    },
    /// The cable comes out.
    Unplug {},
    /// A message is sent again, as it was, with the same or a new message id.
    Repeat {
        #[serde(default)]
        what: What,
        #[serde(default)]
        id: MessageId,
    },
    /// The transaction ends, and the station never says so.
    LoseStop {},
    /// The register jumps: meter swapped or reset.
    ResetRegister {
        to_wh: i64,
    },
    /// Power loss: the connection goes, comes back, and the station boots.
    Reboot {},
    Heartbeat {},
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    #[default]
    Ev,
    Evse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Start,
    Stop,
    #[default]
    Last,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageId {
    Same,
    #[default]
    New,
}

/// Where a 2.x transaction begins or ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// With `start` and `stop`, as in 1.6.
    #[default]
    Energy,
    /// With `plug` and `unplug`.
    Plugged,
}

fn accepted() -> String {
    "Accepted".into()
}

fn minute() -> i64 {
    60
}

/// Reads the list of steps from any format: a bare word is a table without members.
pub fn read_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Step>, D::Error> {
    let raw = Vec::<Value>::deserialize(deserializer)?;
    let read = |(index, value): (usize, Value)| {
        let value = if let Value::String(word) = value { json!({word: {}}) } else { value };
        serde_json::from_value(value).map_err(|error| D::Error::custom(format!("step {}: {error}", index + 1)))
    };
    raw.into_iter().enumerate().map(read).collect()
}
