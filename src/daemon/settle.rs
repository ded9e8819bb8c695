//! The thread that bills: asks the store for ended sessions without a record, lets [`billing`] make the bill of each (pure), and
//! hands it, or the reason to hold the session, back to the writer. Run twice it gives the same result; killed at any point, the next
//! start finds the same sessions again. While the system clock is wrong nothing is judged or sealed: ended sessions wait.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tracing::error;

use super::beats::Beat;
use crate::billing::{self, Bill, Due, Held, SiteTerms, StationTerms};
use crate::config::Config;
use crate::rating::Tariff;
use crate::session::{TariffRef, hold};
use crate::store::{Job, Reader, Settlement, StoreError, WriterHandle};
use crate::units::{Clock, Time};

/// Sessions judged between two looks at the queue.
const BATCH: usize = 32;
/// The longest sleep: a session that waits for missing events is found at the latest by then.
pub const MAX_SLEEP: Duration = Duration::from_secs(60);
/// Tariff versions kept parsed.
const MAX_TARIFFS: usize = 64;
/// The store needs time to recover; asking at once would only burn it.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const WAITING_SLEEP: Duration = Duration::from_secs(5);
const MIN_SLEEP: Duration = Duration::from_millis(50);

pub struct Settler {
    pub config: Config,
    pub site: SiteTerms,
    pub reader: Reader,
    pub store: WriterHandle,
    pub clock: Clock,
    pub stop: watch::Receiver<bool>,
    pub beat: Arc<Beat>,
    pub tariffs: RefCell<HashMap<TariffRef, Arc<Tariff>>>,
}

impl Settler {
    /// Runs until told to stop and nothing is due. Wake it after telling it.
    pub fn run(self, wake: &mpsc::Receiver<()>) {
        loop {
            self.beat.turn();
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
        let mut stations = HashSet::new();
        for number in &due {
            self.beat.turn();
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
            // What a station's bill says of its power counts for its next one: that is made when this one is on disk.
            if !stations.insert(due.session.station.clone()) {
                break;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| bill(&self.config, &self.site, &due, tariff.as_deref())))
                .unwrap_or_else(|_| {
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

    fn tariff(&self, wanted: &TariffRef) -> Result<Option<Arc<Tariff>>, StoreError> {
        if let Some(known) = self.tariffs.borrow().get(wanted) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(json) = self.reader.tariff(wanted)? else { return Ok(None) };
        // Parsed when it was loaded; a text that no longer parses leaves its sessions without a tariff, which holds them.
        let Some(locked) = Tariff::parse_stored(&json).ok().map(Arc::new) else { return Ok(None) };
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

/// Bill, or reason to hold, of an ended session.
pub(super) fn bill(config: &Config, site: &SiteTerms, due: &Due, tariff: Option<&Tariff>) -> Result<Bill, Held> {
    let station = config.station(due.session.station.as_str());
    let station = station.map(|station| StationTerms { max_power_kw: station.max_power_kw, evse_ids: &station.evse_ids });
    billing::bill(due, tariff, site, station.unwrap_or_default())
}

pub(super) fn site_terms(config: &Config) -> SiteTerms {
    let site = &config.site;
    SiteTerms {
        id: site.id.clone(),
        name: site.name.clone(),
        country_code: site.country_code.clone(),
        party_id: site.party_id.clone(),
        time_zone: site.time_zone,
        currency: site.currency.code.to_owned(),
        minor_digits: site.currency.minor_digits,
    }
}
