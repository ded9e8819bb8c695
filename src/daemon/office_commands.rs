//! Commands of head office over MQTT: `cmd/call` is `forecourt station call` from afar.
//!
//! `{"station","action","payload","timeout_s","reason"}`, the last three optional; the answer is that of `station call --json`, with the reason
//! of a refusal as its `error`. The call is checked, queued and audited like one of a person; its actor is [`ACTOR`]. Who may publish on the
//! topic is for the broker to say: a signature of head office cannot be checked without its keys, and a signed command is refused.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::commands::{MAX_REASON, is_long};
use super::station_calls::{Answered, Called, ask};
use crate::control::{Outcome, StationCall};
use crate::csms::Csms;
use crate::mqtt::Command;
use crate::units::compact;

/// Commands on their way here.
pub const MAX_WAITING: usize = 8;
const ACTOR: &str = "head office";
const TIMEOUT_S: u64 = 30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfficeCall {
    station: String,
    action: String,
    payload: Option<Box<RawValue>>,
    timeout_s: Option<u64>,
    #[serde(default)]
    reason: String,
}

/// Carries out what comes, each beside the others, until nobody can ask any more.
pub async fn serve(csms: Arc<Csms>, mut asked: mpsc::Receiver<Command>) {
    while let Some(Command { payload, reply }) = asked.recv().await {
        let csms = Arc::clone(&csms);
        tokio::spawn(async move {
            // Whoever asked may have gone; what was done is on record.
            let _ = reply.send(call(&csms, &payload).await);
        });
    }
}

async fn call(csms: &Csms, payload: &[u8]) -> String {
    let answered = match read(payload) {
        Ok(call) => {
            let StationCall { station, action, .. } = &call;
            info!(actor = ACTOR, station, action, "command");
            let (station, action) = (station.clone(), action.clone());
            let answered = ask(csms, call, ACTOR.to_owned()).await;
            let called =
                answered.called.unwrap_or_else(|| Box::new(refused(station, action, answered.outcome, &answered.reason)));
            Answered { called: Some(called), ..answered }
        }
        Err(why) => {
            warn!(actor = ACTOR, error = why, "a command was refused");
            let called = refused(String::new(), String::new(), Outcome::Usage, &why);
            Answered { outcome: Outcome::Usage, reason: why, called: Some(Box::new(called)) }
        }
    };
    serde_json::to_string(&answered.called).unwrap_or_default()
}

fn read(payload: &[u8]) -> Result<StationCall, String> {
    if payload.iter().filter(|byte| **byte == b'.').count() == 2 && payload.starts_with(b"ey") {
        return Err(
            "the command is signed, and there are no keys of head office to check it with (mqtt.office_keys_file)".to_owned()
        );
    }
    let asked: OfficeCall = serde_json::from_slice(payload).map_err(|error| format!("not a command: {error}"))?;
    if is_long(&asked.reason) {
        return Err(format!("the reason must be at most {MAX_REASON} characters"));
    }
    let payload = asked.payload.map_or_else(|| "{}".to_owned(), |payload| compact(payload.get()));
    let timeout_s = asked.timeout_s.unwrap_or(TIMEOUT_S);
    Ok(StationCall { station: asked.station, action: asked.action, payload, timeout_s, reason: asked.reason })
}

#[derive(Serialize)]
struct Why<'a> {
    code: &'static str,
    description: &'a str,
}

fn refused(station: String, action: String, outcome: Outcome, why: &str) -> Called {
    let outcome = match outcome {
        Outcome::Usage => "usage",
        Outcome::NotFound => "not-found",
        _ => "refused",
    };
    let error = serde_json::value::to_raw_value(&Why { code: outcome, description: why }).ok();
    Called { station, action, outcome, error, ..Called::default() }
}
