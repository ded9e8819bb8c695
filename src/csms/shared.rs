//! What all connections of stations share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::handshake_limits::{Handshakes, Quiet};
use super::inbound::Budget;
use super::registry::{Registry, Standing};
use super::settings::Settings;
use crate::observe::{Connected, Live};
use crate::store::WriterHandle;
use crate::units::{Clock, StationId, Version};

const UNKNOWN_BUDGET: usize = 2 << 20;
const KNOWN_BUDGET: usize = 8 << 20;

/// Everything a connection needs.
pub struct Csms {
    pub settings: Settings,
    pub store: WriterHandle,
    pub clock: Clock,
    pub live: Arc<Live>,
    pub(super) registry: Registry,
    /// Folded identities of stations that a person has accepted: they may connect like configured ones.
    adopted: Mutex<HashSet<String>>,
    pub(super) budgets: Budgets,
    pub(super) handshakes: Arc<Handshakes>,
    /// Sockets that accept connections now, and all that should.
    pub(super) listening: Listening,
    /// Lines about sockets and upgrades that were turned away.
    pub(super) turned_away: Quiet,
}

/// Before the daemon serves, none of any; 0 of 0 are not all.
#[derive(Default)]
pub(super) struct Listening {
    pub open: AtomicUsize,
    pub all: AtomicUsize,
}

impl Csms {
    /// How many listeners accept connections, and how many should.
    pub fn listening(&self) -> (usize, usize) {
        let Listening { open, all } = &self.listening;
        (open.load(Ordering::Relaxed), all.load(Ordering::Relaxed).max(1))
    }

    /// Stations that are connected and are configured or have said something valid, by name; and how many others are connected.
    pub fn connected(&self) -> (Vec<Connected>, u64) {
        let (mut known, unproven) = self.registry.connected();
        known.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        let connected = |(station, version): (StationId, Version)| Connected {
            station: station.as_str().to_owned(),
            ocpp_version: version.number().to_owned(),
        };
        (known.into_iter().map(connected).collect(), unproven)
    }

    /// `proven`: stations of the store that have said something valid, the last one heard of first.
    pub fn new(
        settings: Settings,
        proven: Vec<StationId>,
        adopted: Vec<StationId>,
        store: WriterHandle,
        clock: Clock,
        live: Arc<Live>,
    ) -> Arc<Self> {
        let registry = Registry::new(settings.max_connections, &settings.stations, proven);
        let budgets = Budgets::new(&settings);
        Arc::new(Self {
            settings,
            store,
            clock,
            live,
            registry,
            adopted: Mutex::new(adopted.iter().map(|station| station.folded()).collect()),
            budgets,
            handshakes: Arc::default(),
            listening: Listening::default(),
            turned_away: Quiet::default(),
        })
    }
}

impl Csms {
    /// A person has decided whether a station is served.
    pub fn set_adopted(&self, station: &StationId, is_adopted: bool) {
        let (name, mut adopted) = (station.folded(), self.adopted.lock().unwrap_or_else(PoisonError::into_inner));
        if is_adopted {
            adopted.insert(name);
        } else {
            adopted.remove(&name);
        }
    }

    pub(super) fn is_adopted(&self, identity: &str) -> bool {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner).contains(&identity.to_ascii_lowercase())
    }
}

/// What large messages of each kind of station may occupy together.
pub(super) struct Budgets {
    unknown: Arc<Budget>,
    proven: Arc<Budget>,
    configured: Arc<Budget>,
}

impl Budgets {
    pub(super) fn new(settings: &Settings) -> Self {
        // One message of the largest size always fits.
        let known = KNOWN_BUDGET.max(settings.max_message_bytes);
        Self { unknown: Budget::new(UNKNOWN_BUDGET), proven: Budget::new(known), configured: Budget::new(known) }
    }

    pub(super) fn of(&self, standing: Standing) -> &Arc<Budget> {
        match standing {
            Standing::Configured => &self.configured,
            Standing::Proven => &self.proven,
            Standing::Unknown => &self.unknown,
        }
    }
}

/// Completes when the daemon stops (or is gone).
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
