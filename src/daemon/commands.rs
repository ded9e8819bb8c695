//! Commands from the control socket, carried out. One function per command.

use std::sync::Arc;

use serde_json::{Value, json};

use super::correct::Corrections;
use super::observer::Observer;
use super::station_calls;
use super::station_verbs::Verbs;
use super::tariffs::{Reloader, TariffChange};
use super::tokens::Tokens;
use crate::control::{Command, Outcome, Reply};
use crate::csms::Csms;
use crate::fact::Registration;
use crate::store::{Registering, RegistrationOutcome};

pub const MAX_REASON: usize = 500;

/// What commands work on.
#[derive(Clone)]
pub struct Commands {
    pub csms: Arc<Csms>,
    pub tariffs: Arc<Reloader>,
    pub tokens: Tokens,
    pub corrections: Corrections,
    pub observer: Observer,
    pub verbs: Verbs,
}

impl Commands {
    pub async fn carry_out(self, command: Command, actor: String) -> Reply {
        match command {
            Command::StationCall(call) if is_long(&call.reason) => long_reason(),
            Command::StationVerb(asked) if is_long(&asked.reason) => long_reason(),
            Command::StationVerb(asked) => self.verbs.carry_out(asked, actor).await,
            Command::StationCall(call) => station_calls::call(&self.csms, call, actor).await,
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

pub fn is_long(reason: &str) -> bool {
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
