//! From an ended session to its bill: a thread that asks the store for ended sessions without a record, judges and prices
//! each (pure), and hands the verdict back to the writer. Run twice it gives the same result; killed at any point, the next
//! start finds the same sessions again. While the system clock is wrong nothing is judged or sealed: ended sessions wait.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tracing::error;

use crate::config::{Config, Station};
use crate::fact::Context;
use crate::rating::{self, LoadSample, Metered, Tariff};
use crate::record::{AuthMethod, Charge, Connector, Draft, Nature, Party, SignedReading, Site, TariffSource, Verdict};
use crate::session::metering::{self, Curve, Signed};
use crate::session::overlap::Span;
use crate::session::{Session, TariffRef, hold};
use crate::store::{Bill, Due, Job, Reader, Settlement, StoreError, WriterHandle};
use crate::units::{Clock, MilliWh, Time};

/// Sessions judged between two looks at the queue.
const BATCH: usize = 32;
/// The longest sleep: a session that waits for missing events is found at the latest by then.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// Tariff versions kept parsed.
const MAX_TARIFFS: usize = 64;
/// The store needs time to recover; asking at once would only burn it.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const WAITING_SLEEP: Duration = Duration::from_secs(5);
const MIN_SLEEP: Duration = Duration::from_millis(50);

/// Why a session is held instead of billed: code and detail.
type Held = (&'static str, String);

pub struct Settler {
    pub config: Config,
    pub reader: Reader,
    pub store: WriterHandle,
    pub clock: Clock,
    pub stop: watch::Receiver<bool>,
    pub tariffs: RefCell<HashMap<TariffRef, Arc<LockedTariff>>>,
}

/// A tariff version that sessions were locked to, parsed once.
pub struct LockedTariff {
    tariff: Tariff,
    source: TariffSource,
}

impl Settler {
    /// Runs until told to stop and nothing is due. Wake it after telling it.
    pub fn run(self, wake: &mpsc::Receiver<()>) {
        loop {
            match self.settle_due() {
                Ok(false) => {}
                Ok(true) => continue,
                Err(failure) => error!(error = %failure, "cannot look for ended sessions; trying again"),
            }
            if *self.stop.borrow() {
                return;
            }
            // A wake-up, a timeout and a closed channel all mean: look again.
            let _ = wake.recv_timeout(self.sleep());
        }
    }

    /// Judges what is due and waits until the verdicts are on disk. Whether there was something.
    fn settle_due(&self) -> Result<bool, StoreError> {
        let now = (self.clock)();
        if !now.proven {
            return Ok(false);
        }
        let due = self.reader.due(now.at, BATCH)?;
        for number in &due {
            let now = (self.clock)();
            if !now.proven {
                break;
            }
            let loaded = self.reader.load_due(*number).and_then(|due| {
                let wanted = due.as_ref().and_then(|due| due.session.tariff.as_ref());
                let tariff = wanted.map(|wanted| self.tariff(wanted)).transpose()?.flatten();
                Ok((due, tariff))
            });
            let (due, tariff) = match loaded {
                Ok((Some(due), tariff)) => (due, tariff),
                Ok((None, _)) => continue,
                Err(StoreError::Content(damage)) => {
                    self.hold_damaged(*number, damage, now.at)?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let outcome =
                catch_unwind(AssertUnwindSafe(|| make_bill(&self.config, &due, tariff.as_deref()))).unwrap_or_else(|_| {
                    error!(session = %due.session.id, station = %due.session.station, "rating panicked; the session is held");
                    Err((hold::INTERNAL, hold::meaning(hold::INTERNAL).to_owned()))
                });
            self.store.submit(Job::Settle(Box::new(Settlement {
                session: *number,
                outcome,
                last_message: due.last_message,
                at: now.at,
            })));
        }
        if !due.is_empty() {
            let (reply, done) = oneshot::channel();
            self.store.submit(Job::Flush(reply));
            if done.blocking_recv().is_err() {
                // Not stored: the sessions are still due.
                std::thread::sleep(AFTER_FAILURE);
                return Ok(false);
            }
        }
        Ok(!due.is_empty())
    }

    fn hold_damaged(&self, session: i64, damage: String, at: Time) -> Result<(), StoreError> {
        error!(session, damage, "an ended session is damaged; it is held");
        self.store.submit(Job::Settle(Box::new(Settlement {
            session,
            outcome: Err((hold::EVIDENCE_DAMAGED, damage)),
            last_message: self.reader.last_message(session)?,
            at,
        })));
        Ok(())
    }

    fn tariff(&self, wanted: &TariffRef) -> Result<Option<Arc<LockedTariff>>, StoreError> {
        if let Some(known) = self.tariffs.borrow().get(wanted) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(json) = self.reader.tariff(wanted)? else { return Ok(None) };
        // Parsed when it was loaded; a text that no longer parses leaves its sessions without a tariff, which holds them.
        let Some(locked) = LockedTariff::parse(&json).map(Arc::new) else { return Ok(None) };
        let mut tariffs = self.tariffs.borrow_mut();
        if tariffs.len() >= MAX_TARIFFS {
            tariffs.clear();
        }
        tariffs.insert(wanted.clone(), Arc::clone(&locked));
        Ok(Some(locked))
    }

    fn sleep(&self) -> Duration {
        let next = self.reader.next_due().ok().flatten();
        // While something waits the clock is looked at often: it may be set, and in a simulation it runs fast.
        next.map_or(MAX_SLEEP, |at| (at - (self.clock)().at).to_std().unwrap_or(MIN_SLEEP).clamp(MIN_SLEEP, WAITING_SLEEP))
    }
}

impl LockedTariff {
    fn parse(json: &str) -> Option<Self> {
        let tariff = Tariff::parse(json).ok()?;
        let source = TariffSource::parse(&tariff.id, json).ok()?;
        Some(Self { tariff, source })
    }
}

/// Meters, prices and drafts one session.
pub fn make_bill(config: &Config, due: &Due, tariff: Option<&LockedTariff>) -> Result<Bill, Held> {
    if !due.damaged.is_empty() {
        return Err((hold::EVIDENCE_DAMAGED, format!("altered on the disk: {}", due.damaged.join(", "))));
    }
    let session = &due.session;
    let station = config.station(session.station.as_str());
    let power = due.station_power(station.and_then(|station| station.max_power_kw));
    let curve = metering::meter(session, &due.entries, &power)?;
    let Some(locked) = tariff else { return Err((hold::NO_TARIFF, hold::meaning(hold::NO_TARIFF).to_owned())) };
    let failed = |what: String| (hold::RATING_FAILED, what);
    let loads = curve.power.iter().map(|(at, kw, amperes)| LoadSample { at: *at, kw: *kw, amperes: *amperes }).collect();
    let metered = Metered::new(curve.start, curve.end, curve.registers.clone(), curve.activity.clone(), loads)
        .map_err(|error| failed(error.to_string()))?;
    let rated = rating::price(&locked.tariff, &metered, config.site.time_zone, config.site.currency.minor_digits)
        .map_err(|error| failed(error.to_string()))?;
    let (first, last) = ends(&curve);
    let charge = charge(config, station, due, &curve, locked.source.clone());
    let span = Span { start: curve.start, end: curve.end, first, last };
    Ok(Bill { draft: Draft::charge(&charge, &rated), span, highest_kw: curve.highest_kw })
}

fn ends(curve: &Curve) -> (MilliWh, MilliWh) {
    let register = |point: Option<&(_, MilliWh)>| point.map(|(_, register)| *register).unwrap_or_default();
    (register(curve.registers.first()), register(curve.registers.last()))
}

fn charge(config: &Config, station: Option<&Station>, due: &Due, curve: &Curve, tariff: TariffSource) -> Charge {
    let session = &due.session;
    let (start_register, stop_register) = ends(curve);
    let mut findings = session.findings.clone();
    findings.extend(curve.findings.iter().cloned());
    let (evse_uid, evse_id) = evse_names(station, session);
    Charge {
        session_id: session.id.clone(),
        version: session.version,
        tx: session.tx.clone(),
        station: session.station.clone(),
        evse: session.evse,
        connector: Connector { number: session.connector_number(), ..Connector::default() },
        evse_uid,
        evse_id,
        token: session.token.clone(),
        token_owner: None,
        auth_method: AuthMethod::Whitelist,
        authorization_reference: None,
        payment_method: if session.token.is_some() { "token" } else { "none" }.to_owned(),
        contract: None,
        started_at: curve.start,
        ended_at: curve.end,
        meter_serial: due.meter_serial.clone(),
        start_register,
        stop_register,
        register_source: curve.source.to_owned(),
        signed: curve.signed.iter().map(signed).collect(),
        stop_reason: session.stop_reason.clone(),
        findings,
        site: Site {
            id: config.site.id.clone(),
            name: config.site.name.clone(),
            party: Party { country_code: config.site.country_code.clone(), party_id: config.site.party_id.clone() },
            time_zone: config.site.time_zone.name().to_owned(),
            currency: config.site.currency.code.to_owned(),
            address: None,
            city: None,
            postal_code: None,
            country: None,
            coordinates: None,
        },
        tariff,
    }
}

/// The EVSE's name within the site, and its eMI3 id when the configuration gives one.
fn evse_names(station: Option<&Station>, session: &Session) -> (String, String) {
    let uid = format!("{}-{}", session.station, session.evse);
    let place = usize::try_from(session.evse).ok().and_then(|evse| evse.checked_sub(1));
    let configured = station.zip(place).and_then(|(station, place)| station.evse_ids.get(place)).cloned();
    (uid.clone(), configured.unwrap_or(uid))
}

fn signed(signed: &Signed) -> SignedReading {
    let nature = match signed.context {
        Context::TransactionBegin => Nature::Start,
        Context::TransactionEnd => Nature::End,
        _ => Nature::Intermediate,
    };
    SignedReading { nature, at: Some(signed.at), encoding: None, data: signed.data.clone(), verdict: Verdict::NotChecked }
}
