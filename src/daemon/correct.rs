//! Corrections of bills: a credit, and where wanted a new charge, from what a person asked and what is in the store.
//!
//! What was asked is noted beside the journal as [`Asked`], so that a replay makes the same records of it ([`prepare_noted`]).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::settle;
use super::tariffs::Reloader;
use crate::billing::{self, StationTerms};
use crate::config::Config;
use crate::control::{Correct, Outcome, Reply};
use crate::rating::{Catalogue, Tariff};
use crate::record::{self, Body, ChargeBody, Corrects, Hash, JwkSet, Quoted};
use crate::session::TariffRef;
use crate::session::metering::START_STOP;
use crate::store::{Corrected, Correction, PATIENT, Reader, Replacement, StoreError, WriterHandle};
use crate::units::{Clock, Decimal, MilliWh, Time};

/// What commands on bills work on.
#[derive(Clone)]
pub struct Corrections {
    pub config: Config,
    pub store: WriterHandle,
    pub clock: Clock,
}

/// What was asked, as it is noted.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Asked {
    epoch: u64,
    seq: u64,
    actor: String,
    reason: String,
    write_off: bool,
    /// Hash of the version.
    tariff: Option<String>,
    energy_wh: Option<Quoted>,
}

/// Why there is no correction: which kind of mistake, and the sentence.
type Refusal = (Outcome, String);

struct Prepared {
    correction: Correction,
    session_id: String,
    before: (String, String),
    after: (String, String),
    currency: String,
}

impl Corrections {
    pub async fn correct(&self, asked: Correct, tariffs: &Reloader, actor: String) -> Reply {
        match self.corrected(asked, tariffs, actor).await {
            Ok(reply) => reply,
            Err((outcome, why)) => Reply::refused(outcome, why),
        }
    }

    async fn corrected(&self, wanted: Correct, tariffs: &Reloader, actor: String) -> Result<Reply, Refusal> {
        if wanted.reason.trim().is_empty() {
            return Err((Outcome::Usage, "a correction needs a reason; it stands in the record".to_owned()));
        }
        let received = (self.clock)();
        if !received.proven {
            return Err((Outcome::Refused, "the gateway's clock is wrong, and nothing is sealed until it is right".to_owned()));
        }
        let dry_run = wanted.dry_run;
        let candidates = match &wanted.tariff {
            None => Vec::new(),
            Some(id) => {
                let versions = tariffs.versions_of(id).await;
                if versions.is_empty() {
                    return Err((Outcome::NotFound, format!("no tariff {id} is loaded")));
                }
                versions
            }
        };
        let (config, at) = (self.config.clone(), received.at);
        let prepared = tokio::task::spawn_blocking(move || {
            let reader = Reader::open(&config.store.path, PATIENT).map_err(|error| (Outcome::Refused, error.to_string()))?;
            let asked = asked(&reader, wanted, &candidates, actor)?;
            let present = reader.epoch().map(i64::unsigned_abs).map_err(of_store)?;
            if asked.epoch != present {
                let why = "its epoch was closed because this store may be an older copy or not the only one: head office may have the record's credit \
                     already, under a number that is not here; take it back at head office";
                return Err((Outcome::Refused, format!("record {} of epoch {}: {why}", asked.seq, asked.epoch)));
            }
            prepare(&reader, &config, &asked, at, true)
        });
        let prepared = prepared.await.map_err(|error| (Outcome::Refused, format!("internal error: {error}")))??;
        let Prepared { correction, session_id, before, after, currency } = prepared;
        let old = correction.seq;
        let made = if dry_run {
            None
        } else {
            let made = self.store.correct(correction).await;
            let made = made.map_err(|_| (Outcome::Refused, "the store cannot commit; nothing was corrected".to_owned()))?;
            Some(made.map_err(|why| (Outcome::Refused, format!("nothing was corrected: {why}")))?)
        };
        let (credit, charge) = made.map_or((None, None), |Corrected { credit, charge }| (Some(credit), charge));
        let result = json!({"session_id": session_id, "charge_seq": old, "credit_seq": credit, "new_charge_seq": charge,
            "cost_excl_vat_before": before.0, "cost_incl_vat_before": before.1, "cost_excl_vat_after": after.0,
            "cost_incl_vat_after": after.1, "currency": currency});
        Ok(Reply::new(Outcome::Done, String::new(), &result))
    }
}

fn of_store(error: StoreError) -> Refusal {
    (Outcome::Refused, error.to_string())
}

/// The charge in question, of a sound record, with its hash.
fn charge_of(reader: &Reader, epoch: u64, seq: u64) -> Result<(ChargeBody, Hash), Refusal> {
    let missing = || (Outcome::NotFound, format!("no record {seq}; forecourt records lists them"));
    let stored = reader.record(i64::try_from(epoch).map_err(|_| missing())?, seq).map_err(of_store)?.ok_or_else(missing)?;
    let keys = JwkSet::parse(&reader.jwks().map_err(of_store)?).map_err(|error| (Outcome::Refused, error.to_string()))?;
    let verified = record::verify_one(&stored.jws, &keys);
    let verified = verified.map_err(|error| (Outcome::Refused, format!("record {seq} is not sound: {error}")))?;
    match verified.payload.body {
        Some(Body::Charge(charge)) => Ok((*charge, verified.hash)),
        _ => Err((Outcome::Usage, format!("record {seq} is a {}, not a charge", stored.kind))),
    }
}

fn asked(reader: &Reader, wanted: Correct, candidates: &[TariffRef], actor: String) -> Result<Asked, Refusal> {
    let Correct { seq, epoch, reason, write_off, tariff, energy_wh, dry_run: _ } = wanted;
    let present = || reader.epoch().map(i64::unsigned_abs).map_err(of_store);
    let epoch = epoch.map_or_else(present, Ok)?;
    if write_off && (tariff.is_some() || energy_wh.is_some()) {
        return Err((Outcome::Usage, "what is written off has no tariff and no energy".to_owned()));
    }
    let energy_wh = energy_wh.map(|text| energy(&text)).transpose()?;
    let tariff = match tariff {
        None => None,
        Some(id) => {
            let start = charge_of(reader, epoch, seq)?.0.cdr.start_date_time.0;
            let mut versions = Vec::with_capacity(candidates.len());
            for candidate in candidates {
                let json = reader.tariff(candidate).map_err(of_store)?.unwrap_or_default();
                versions.extend(Tariff::parse_stored(&json));
            }
            let catalogue = Catalogue::new(versions).map_err(|error| (Outcome::Refused, error.to_string()))?;
            let chosen = catalogue.choose(&id, start).map(|tariff| TariffRef::of(tariff).0.into_string());
            Some(chosen.ok_or_else(|| {
                let start = crate::units::time::rfc3339(start);
                (Outcome::Refused, format!("no version of tariff {id} is valid for a session that began at {start}"))
            })?)
        }
    };
    Ok(Asked { epoch, seq, actor, reason, write_off, tariff, energy_wh })
}

fn energy(text: &str) -> Result<Quoted, Refusal> {
    let read: Option<Decimal> = text.parse().ok();
    let fits = |wh: &Decimal| MilliWh::from_wh(*wh).is_some_and(|energy| energy.is_register() && energy.wh() == *wh);
    read.filter(fits)
        .map(Quoted)
        .ok_or_else(|| (Outcome::Usage, format!("{text:?} is no energy in Wh, with up to three decimals")))
}

/// What a note says, again.
pub(super) fn prepare_noted(reader: &Reader, config: &Config, note: &str, at: Time) -> Result<Correction, String> {
    let asked: Asked = serde_json::from_str(note).map_err(|error| error.to_string())?;
    prepare(reader, config, &asked, at, false).map(|prepared| prepared.correction).map_err(|(_, why)| why)
}

/// `is_new`: nobody has done it yet, and it must change something.
fn prepare(reader: &Reader, config: &Config, asked: &Asked, at: Time, is_new: bool) -> Result<Prepared, Refusal> {
    let (charge, hash) = charge_of(reader, asked.epoch, asked.seq)?;
    let session_id = charge.session.session_id.clone();
    let gone = || (Outcome::NotFound, format!("session {session_id} is not in the store"));
    let session = reader.find_session(&session_id).map_err(of_store)?.ok_or_else(gone)?;
    let corrects = Corrects {
        record_id: charge.cdr.id.clone(),
        epoch: asked.epoch,
        seq: asked.seq,
        hash,
        reason: asked.reason.clone(),
        operator: asked.actor.clone(),
    };
    let credit = billing::credit(&charge, corrects.clone());
    let cost = |charge: &ChargeBody| (charge.cdr.total_cost.excl_vat.to_string(), charge.cdr.total_cost.incl_vat.to_string());
    let (before, currency) = (cost(&charge), charge.cdr.currency.clone());
    let mut after = ("0".to_owned(), "0".to_owned());
    let mut replacement = None;
    if !asked.write_off {
        let made = replace(reader, config, asked, session, &charge, corrects)?;
        if let Body::Charge(new) = &made.bill.body {
            if is_new && asked.energy_wh.is_none() && same(&charge, new) {
                let why = "the session would be charged the same: nothing to correct";
                return Err((Outcome::Refused, why.to_owned()));
            }
            after = cost(new);
        }
        replacement = Some(made);
    }
    let note = serde_json::to_string(asked).map_err(|error| (Outcome::Refused, error.to_string()))?;
    let (actor, reason) = (asked.actor.clone(), asked.reason.clone());
    let correction = Correction { session, epoch: asked.epoch, seq: asked.seq, credit, replacement, actor, reason, note, at };
    Ok(Prepared { correction, session_id, before, after, currency })
}

/// The new charge: from all evidence that there is now, by the tariff of the old one unless another was asked for.
fn replace(
    reader: &Reader,
    config: &Config,
    asked: &Asked,
    session: i64,
    charge: &ChargeBody,
    corrects: Corrects,
) -> Result<Replacement, Refusal> {
    let due = reader.load_due(session).map_err(of_store)?;
    let mut due = due.ok_or_else(|| (Outcome::NotFound, "the session is not in the store".to_owned()))?;
    (due.session.start_register, due.session.stop_register) = station_ends(reader, charge)?;
    let lost = || (Outcome::Refused, "the tariff cannot be read; name another with --tariff, or write the charge off".to_owned());
    let (tariff, hash) = match &asked.tariff {
        Some(hash) => {
            let json = reader.tariff(&TariffRef(hash.as_str().into())).map_err(of_store)?.ok_or_else(lost)?;
            (Tariff::parse_stored(&json).map_err(|_| lost())?, Some(hash.clone()))
        }
        None => {
            let tariff = charge.cdr.tariffs.first().and_then(|json| Tariff::parse_stored(json.get()).ok()).ok_or_else(lost)?;
            (tariff, due.session.tariff.as_ref().map(|tariff| tariff.0.to_string()))
        }
    };
    let hash = hash.unwrap_or_else(|| TariffRef::of(&tariff).0.into_string());
    let station = config.station(due.session.station.as_str());
    let terms = station.map(|station| StationTerms { max_power_kw: station.max_power_kw, evse_ids: &station.evse_ids });
    let energy = asked.energy_wh.and_then(|wh| MilliWh::from_wh(wh.0));
    let site = settle::site_terms(config);
    let bill = billing::again(&due, &tariff, &site, terms.unwrap_or_default(), energy, corrects);
    let bill = bill.map_err(|(code, detail)| {
        (
            Outcome::Refused,
            format!("the session cannot be charged anew ({code}): {detail}; --write-off only takes the charge back"),
        )
    })?;
    Ok(Replacement { bill, is_stated: energy.is_some(), tariff: hash, last_message: due.last_message })
}

/// The registers that the station named itself at start and stop (1.6). The session's row has those of its bill, which a person may have
/// stated; the last charge that was measured knows where they came from.
fn station_ends(reader: &Reader, charge: &ChargeBody) -> Result<(Option<MilliWh>, Option<MilliWh>), Refusal> {
    let mut measured = charge.clone();
    while let (true, Some(Corrects { epoch, seq, .. })) = (measured.meter.source == billing::STATED, &measured.corrects) {
        measured = charge_of(reader, *epoch, *seq)?.0;
    }
    let meter = &measured.meter;
    let named = |wh: Quoted| (meter.source == START_STOP).then(|| MilliWh::from_wh(wh.0)).flatten();
    Ok((named(meter.start_register_wh), named(meter.stop_register_wh)))
}

/// Nothing that a driver pays for would change.
fn same(old: &ChargeBody, new: &ChargeBody) -> bool {
    let lines = |charge: &ChargeBody| serde_json::to_string(&charge.lines).ok();
    let span = |charge: &ChargeBody| (charge.cdr.start_date_time, charge.cdr.end_date_time, charge.cdr.total_energy);
    old.cdr.total_cost == new.cdr.total_cost && lines(old) == lines(new) && span(old) == span(new)
}
