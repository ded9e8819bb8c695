//! Commands from the control socket, carried out. One function per command.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::correct::Corrections;
use super::observer::Observer;
use super::tariffs::{Reloader, TariffChange};
use super::tokens::Tokens;
use crate::control::{Command, Outcome, Reply, StationCall};
use crate::csms::{CallOutcome, CallRequest, Csms};
use crate::fact::Registration;
use crate::ocpp::call::{NotSent, Verdict, verdict};
use crate::store::{CallEnd, Registering, RegistrationOutcome};
use crate::units::{compact, printable};

/// No station takes longer for anything it answers at all.
const MAX_TIMEOUT_S: u64 = 600;
const MAX_REASON: usize = 500;
/// Of a status that no station should have.
const MAX_SHOWN: usize = 60;

/// What commands work on.
#[derive(Clone)]
pub struct Commands {
    pub csms: Arc<Csms>,
    pub tariffs: Arc<Reloader>,
    pub tokens: Tokens,
    pub corrections: Corrections,
    pub observer: Observer,
}

impl Commands {
    pub async fn carry_out(self, command: Command, actor: String) -> Reply {
        match command {
            Command::StationCall(call) => station_call(&self.csms, call, actor).await,
            Command::StationRegister { station, registration, reason } => {
                station_register(&self.csms, station, &registration, reason, actor).await
            }
            Command::TariffReload { reason } => tariff_reload(&self.tariffs, &reason, &actor).await,
            Command::TokenSet { reason, .. } | Command::TokenBlock { reason, .. } | Command::TokenRemove { reason, .. }
                if is_long(&reason) =>
            {
                long_reason()
            }
            Command::TokenSet { tokens, reason } => self.tokens.set(tokens, &self.tariffs, reason, actor).await,
            Command::TokenBlock { token, reason } => self.tokens.block(token, reason, actor).await,
            Command::TokenRemove { tokens, reason } => self.tokens.remove(tokens, reason, actor).await,
            Command::Correct(asked) if is_long(&asked.reason) => long_reason(),
            Command::Correct(asked) => self.corrections.correct(asked, &self.tariffs, actor).await,
            Command::Observe => observe(&self.observer),
        }
    }
}

fn is_long(reason: &str) -> bool {
    reason.chars().count() > MAX_REASON
}

fn long_reason() -> Reply {
    Reply::refused(Outcome::Usage, format!("the reason must be at most {MAX_REASON} characters"))
}

/// Changes nothing; the result is an `observe::Snapshot`.
fn observe(observer: &Observer) -> Reply {
    match serde_json::to_value(observer.snapshot()) {
        Ok(result) => Reply::new(Outcome::Done, String::new(), &result),
        Err(error) => Reply::refused(Outcome::Refused, format!("the snapshot cannot be written as JSON: {error}")),
    }
}

async fn tariff_reload(tariffs: &Reloader, reason: &str, actor: &str) -> Reply {
    if is_long(reason) {
        return long_reason();
    }
    match tariffs.reload(actor, reason).await {
        Ok(changes) => {
            let row = |change: &TariffChange| {
                let what = match (&change.before, &change.after) {
                    (None, _) => "new",
                    (_, None) => "removed",
                    _ => "changed",
                };
                json!({"tariff_id": change.id, "change": what, "before": change.before, "after": change.after})
            };
            Reply::new(Outcome::Done, String::new(), &changes.iter().map(row).collect::<Value>())
        }
        Err(error) => Reply::refused(Outcome::Refused, format!("the tariffs stay as they are: {error}")),
    }
}

/// A person decides whether a station is served; its next BootNotification is answered so.
async fn station_register(csms: &Csms, station: String, registration: &str, reason: String, actor: String) -> Reply {
    if is_long(&reason) {
        return long_reason();
    }
    let Some(to) = Registration::from_name(registration) else {
        return Reply::refused(Outcome::Usage, "a registration is accepted, pending or rejected".to_owned());
    };
    let unknown = format!("no station {station} has connected or was turned away; forecourt stations lists them");
    let registering = Registering { station, to, actor, reason, at: (csms.clock)().at };
    match csms.store.register(registering).await {
        Ok(RegistrationOutcome::Registered { station, before }) => {
            csms.set_adopted(&station, to == Registration::Accepted);
            let [before, to] = [before, to].map(|one| one.as_str().to_lowercase());
            let result = json!({"station": station.as_str(), "before": before, "registration": to});
            Reply::new(Outcome::Done, String::new(), &result)
        }
        Ok(RegistrationOutcome::UnknownStation) => Reply::refused(Outcome::NotFound, unknown),
        Err(_) => Reply::refused(Outcome::Refused, "the store cannot commit; the station stays as it is".to_owned()),
    }
}

/// What came of a call; what the station said is as it said it.
#[derive(Serialize)]
struct Called<'a> {
    station: &'a str,
    action: &'a str,
    outcome: &'a str,
    status: Option<&'a str>,
    payload: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

/// JSON text for a reply, which is a line.
fn in_one_line(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(compact(text)).ok()
}

async fn station_call(csms: &Csms, call: StationCall, actor: String) -> Reply {
    let StationCall { station, action, payload, timeout_s, reason } = call;
    if !(1..=MAX_TIMEOUT_S).contains(&timeout_s) {
        return Reply::refused(Outcome::Usage, format!("the time-out must be 1 to {MAX_TIMEOUT_S} seconds"));
    }
    if is_long(&reason) {
        return long_reason();
    }
    let (timeout, name) = (Duration::from_secs(timeout_s), station.clone());
    let request = CallRequest { station, action: action.clone(), payload, timeout, actor, reason };
    let called = Called { station: &name, action: &action, outcome: "", status: None, payload: None, error: None };
    let unreachable = |outcome: &str, why: &str| {
        let error = to_raw_value(&json!({"code": outcome, "description": why})).ok();
        let called = Called { outcome, error: error.as_deref(), ..called };
        Reply::new(Outcome::Unreachable, why.to_owned(), &called)
    };
    match csms.call(request).await {
        CallOutcome::UnknownStation => {
            Reply::refused(Outcome::NotFound, format!("no station {name}; forecourt stations lists them"))
        }
        CallOutcome::NotSent(NotSent::Action { known }) => Reply::refused(
            Outcome::Usage,
            format!("{action} is not sent to a station of this version; there are: {}", known.join(", ")),
        ),
        CallOutcome::NotSent(NotSent::Payload(violation)) => {
            Reply::refused(Outcome::Usage, format!("{action} was not sent: {violation}"))
        }
        CallOutcome::TooMany(why) => Reply::refused(Outcome::Refused, why),
        CallOutcome::Unavailable => Reply::refused(Outcome::Refused, "the store cannot commit, so nothing is sent".to_owned()),
        CallOutcome::Ended(CallEnd::NotConnected) => {
            let why = format!("{name} went, or the store could not note the call, before it was sent; nothing was sent");
            unreachable("not-connected", &why)
        }
        CallOutcome::NotConnected => {
            let why = format!("{name} is not connected, or has said nothing valid yet; nothing was sent");
            unreachable("not-connected", &why)
        }
        CallOutcome::NotJson(why) => Reply::refused(Outcome::Usage, format!("the payload is not JSON: {why}")),
        CallOutcome::Unrecorded => Reply::refused(
            Outcome::Refused,
            format!("the call has ended, but the store cannot commit; `forecourt calls --station {name}` shows it once it can"),
        ),
        CallOutcome::Ended(CallEnd::Withdrawn) => {
            let why = format!("{name} was busy with other calls for {timeout_s} s; this one was withdrawn, and not sent");
            unreachable("timeout", &why)
        }
        CallOutcome::Ended(CallEnd::Timeout) => unreachable("timeout", &format!("{name} did not answer within {timeout_s} s")),
        CallOutcome::Ended(CallEnd::Unknown) => {
            unreachable("unknown", &format!("the connection of {name} ended before its answer; it may have done it"))
        }
        CallOutcome::Ended(CallEnd::CallError { error }) => {
            let read: Value = serde_json::from_str(&error).unwrap_or_default();
            let part = |name: &str| read.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let text = format!("{} {}", part("code"), part("description"));
            let reason = format!("{name} answered with an error: {}", printable(&text));
            let error = in_one_line(&error);
            Reply::new(Outcome::Rejected, reason, &Called { outcome: "call-error", error: error.as_deref(), ..called })
        }
        CallOutcome::Ended(CallEnd::Answered { payload, .. }) => {
            let Verdict { status, yes } = verdict(&action, &payload);
            let (outcome, reason) = match (&status, yes) {
                (_, true) => (Outcome::Done, String::new()),
                (Some(status), _) => {
                    let status: String = status.chars().take(MAX_SHOWN).collect();
                    (Outcome::Rejected, format!("{name} answered {}", printable(&status)))
                }
                (None, _) => (Outcome::Rejected, format!("{name} answered without saying that it did it")),
            };
            let payload = in_one_line(&payload);
            let called = Called { outcome: "answered", status: status.as_deref(), payload: payload.as_deref(), ..called };
            Reply::new(outcome, reason, &called)
        }
    }
}
