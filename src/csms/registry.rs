//! Which stations are connected, each by one connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::units::StationId;

/// Identities remembered since the start; more can only be somebody inventing them.
pub const MAX_IDENTITIES: usize = 10_000;

/// Shared by all connections; locked for a few map operations at a time, never across an await.
#[derive(Default)]
pub struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    connected: HashMap<StationId, Entry>,
    /// Lower-case identity → identity in its first casing.
    canonical: HashMap<String, StationId>,
    generation: u64,
}

struct Entry {
    generation: u64,
    replaced: Arc<Notify>,
}

/// A connection's claim on its station.
pub struct Claim {
    pub station: StationId,
    generation: u64,
    /// Notified when a newer connection takes over.
    pub replaced: Arc<Notify>,
}

impl Registry {
    pub fn new(known: impl IntoIterator<Item = StationId>) -> Self {
        let canonical = known.into_iter().map(|id| (id.as_str().to_lowercase(), id)).collect();
        Self { inner: Mutex::new(Inner { canonical, ..Inner::default() }) }
    }

    /// The one spelling of an identity: firmware changes the letter case between reboots.
    pub fn canonical(&self, identity: &str) -> Option<StationId> {
        self.lock().canonical.get(&identity.to_lowercase()).cloned()
    }

    /// The newest connection wins at once; the one before is told to close.
    pub fn claim(&self, identity: &str) -> Claim {
        let mut inner = self.lock();
        let station = inner.canonical.entry(identity.to_lowercase()).or_insert_with(|| StationId::new(identity)).clone();
        inner.generation += 1;
        let generation = inner.generation;
        let replaced = Arc::new(Notify::new());
        let entry = Entry { generation, replaced: Arc::clone(&replaced) };
        if let Some(older) = inner.connected.insert(station.clone(), entry) {
            older.replaced.notify_one();
        }
        Claim { station, generation, replaced }
    }

    /// Ends a claim. False when a newer connection holds the station: then nothing is to be torn down.
    pub fn release(&self, claim: &Claim) -> bool {
        let mut inner = self.lock();
        let ours = inner.connected.get(&claim.station).is_some_and(|entry| entry.generation == claim.generation);
        if ours {
            inner.connected.remove(&claim.station);
        }
        ours
    }

    pub fn is_full(&self) -> bool {
        self.lock().canonical.len() >= MAX_IDENTITIES
    }

    pub fn connected(&self) -> usize {
        self.lock().connected.len()
    }

    pub fn is_connected(&self, station: &StationId) -> bool {
        self.lock().connected.contains_key(station)
    }

    /// A panic elsewhere cannot leave the map half-changed: every change is one insert or remove.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_old_connection_leaves_the_new_one_alone() {
        let registry = Registry::default();
        let old = registry.claim("CP01");
        let new = registry.claim("cp01");
        assert_eq!(new.station.as_str(), "CP01");
        assert!(!registry.release(&old));
        assert_eq!(registry.connected(), 1);
        assert!(registry.release(&new));
        assert_eq!(registry.connected(), 0);
    }
}
