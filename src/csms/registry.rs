//! Which stations are connected, each by one connection, and who gets a place when there are few.
//!
//! Three kinds: *configured* stations ([[station]]), *proven* ones, which have said something valid at some time, and *unknown stations*.
//! - Each configured station has a place that nobody else takes.
//! - A proven one takes any other place, at the limit that of the unknown who has been connected for the longest time.
//! - Unknown stations take what is free. Of those that have said nothing yet, [`MAX_SILENT_PER_PEER`] may come from one address.
//!
//! Names of unknown stations are forgotten when they disconnect, so that invented ones cost nothing and never count for long. Of proven
//! names [`MAX_PROVEN`] are remembered; then the one that has not connected for the longest time makes room. What is lost with
//! a name is its spelling and its precedence over unknown stations; its sessions are in the store.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::calls::{MAX_WAITING, OutgoingCall};
use crate::units::{StationId, Version};

/// Proven identities remembered, beside those of the configuration.
pub const MAX_PROVEN: usize = 10_000;
/// A station says something as soon as it is connected: so many at a time are a whole car park after a power cut.
pub const MAX_SILENT_PER_PEER: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Configured,
    Proven,
    Unknown,
}

/// Why a connection that works has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ousted {
    /// A newer connection of this station.
    Newer,
    /// A known station needed the place.
    Displaced,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    Full { places: usize },
    SilentPeer,
}

/// Shared by all connections; locked for a few map operations at a time, never across an await.
pub struct Registry {
    max_connections: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    connected: HashMap<StationId, Entry>,
    /// Lower-case identity → what is known of it. Unknown stations only while they are connected.
    names: HashMap<String, Name>,
    configured: usize,
    proven: usize,
    generation: u64,
}

struct Name {
    id: StationId,
    standing: Standing,
    /// Generation of its last connection.
    last: u64,
}

struct Entry {
    generation: u64,
    standing: Standing,
    peer: Peer,
    silent: bool,
    version: Version,
    /// To its connection.
    calls: mpsc::Sender<OutgoingCall>,
    /// Taken when the connection is told to end; then it does not count any more.
    oust: Option<oneshot::Sender<Ousted>>,
}

/// What its connection hears from elsewhere in the program.
pub struct Orders {
    pub ousted: oneshot::Receiver<Ousted>,
    pub calls: mpsc::Receiver<OutgoingCall>,
}

/// A station that can be called.
pub struct Callee {
    pub station: StationId,
    pub version: Version,
    pub calls: mpsc::Sender<OutgoingCall>,
}

/// A connection's claim on its station.
pub struct Claim {
    pub station: StationId,
    pub standing: Standing,
    generation: u64,
}

/// The address that counts: all of an IPv6 network is one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl Peer {
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into())),
            v4 => Self(v4),
        }
    }
}

impl Registry {
    pub fn new(max_connections: usize, configured: &[StationId], proven: impl IntoIterator<Item = StationId>) -> Self {
        let mut inner = Inner::default();
        let all = configured.iter().cloned().map(|id| (id, Standing::Configured));
        for (id, standing) in all.chain(proven.into_iter().map(|id| (id, Standing::Proven))) {
            inner.names.entry(fold(id.as_str())).or_insert(Name { id, standing, last: 0 });
        }
        inner.configured = inner.names.values().filter(|name| name.standing == Standing::Configured).count();
        inner.proven = inner.names.len() - inner.configured;
        Self { max_connections, inner: Mutex::new(inner) }
    }

    /// The one spelling of an identity: firmware changes the letter case between reboots.
    pub fn canonical(&self, identity: &str) -> Option<StationId> {
        self.lock().names.get(&fold(identity)).map(|name| name.id.clone())
    }

    /// Whether a connection would get a place now; nothing changes.
    pub fn admits(&self, identity: &str, peer: Peer) -> Result<(), NoPlace> {
        let inner = self.lock();
        inner.admits(identity, peer, self.places(&inner)).map(drop)
    }

    /// Takes a place. The newest connection of a station wins at once; the one before is told to close.
    pub fn claim(&self, identity: &str, peer: Peer, version: Version) -> Result<(Claim, Orders), NoPlace> {
        let mut inner = self.lock();
        let places = self.places(&inner);
        if let Some(displaced) = inner.admits(identity, peer, places)? {
            inner.oust(&displaced, Ousted::Displaced);
        }
        inner.generation += 1;
        let generation = inner.generation;
        let unknown = || Name { id: StationId::new(identity), standing: Standing::Unknown, last: 0 };
        let name = inner.names.entry(fold(identity)).or_insert_with(unknown);
        name.last = generation;
        let (station, standing) = (name.id.clone(), name.standing);
        inner.oust(&station, Ousted::Newer);
        let (oust, ousted) = oneshot::channel();
        let (call, calls) = mpsc::channel(MAX_WAITING);
        let silent = standing == Standing::Unknown;
        let entry = Entry { generation, standing, peer, silent, version, calls: call, oust: Some(oust) };
        inner.connected.insert(station.clone(), entry);
        Ok((Claim { station, standing, generation }, Orders { ousted, calls }))
    }

    /// The connection of a station that has said something valid.
    pub fn callee(&self, identity: &str) -> Option<Callee> {
        let inner = self.lock();
        let station = inner.names.get(&fold(identity))?.id.clone();
        let entry = inner.connected.get(&station).filter(|entry| entry.oust.is_some() && entry.standing != Standing::Unknown)?;
        Some(Callee { station, version: entry.version, calls: entry.calls.clone() })
    }

    /// Stations that are connected and not unknown, and how many unknown ones are.
    pub fn connected(&self) -> (Vec<(StationId, Version)>, u64) {
        let inner = self.lock();
        let is_known = |entry: &&Entry| entry.standing != Standing::Unknown;
        let known = inner.connected.iter().filter(|(_, entry)| is_known(entry));
        let known: Vec<_> = known.map(|(station, entry)| (station.clone(), entry.version)).collect();
        let unknown = inner.connected.len() - known.len();
        (known, unknown as u64)
    }

    /// The station said something valid.
    pub fn prove(&self, claim: &Claim) {
        let mut inner = self.lock();
        let folded = fold(claim.station.as_str());
        let Some(name) = inner.names.get_mut(&folded).filter(|name| name.standing == Standing::Unknown) else { return };
        name.standing = Standing::Proven;
        if let Some(entry) = inner.connected.get_mut(&claim.station) {
            (entry.standing, entry.silent) = (Standing::Proven, false);
        }
        inner.proven += 1;
        if inner.proven > MAX_PROVEN {
            inner.forget_one();
        }
    }

    /// Ends a claim. False when a newer connection holds the station: then nothing is to be torn down.
    pub fn release(&self, claim: &Claim) -> bool {
        let mut inner = self.lock();
        let ours = inner.connected.get(&claim.station).is_some_and(|entry| entry.generation == claim.generation);
        if ours {
            inner.connected.remove(&claim.station);
            let folded = fold(claim.station.as_str());
            if inner.names.get(&folded).is_some_and(|name| name.standing == Standing::Unknown) {
                inner.names.remove(&folded);
            }
        }
        ours
    }

    fn places(&self, inner: &Inner) -> usize {
        self.max_connections.max(inner.configured)
    }

    /// A panic elsewhere cannot leave the maps half-changed: every change is a few inserts or removes.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The unknown to displace, if one has to go.
    fn admits(&self, identity: &str, peer: Peer, places: usize) -> Result<Option<StationId>, NoPlace> {
        let name = self.names.get(&fold(identity));
        let standing = name.map_or(Standing::Unknown, |name| name.standing);
        let present = || self.connected.values().filter(|entry| entry.oust.is_some());
        if standing == Standing::Configured || name.is_some_and(|name| self.connected.contains_key(&name.id)) {
            return Ok(None);
        }
        let silent = present().filter(|entry| entry.silent && entry.peer == peer).count();
        if standing == Standing::Unknown && silent >= MAX_SILENT_PER_PEER {
            return Err(NoPlace::SilentPeer);
        }
        let configured = present().filter(|entry| entry.standing == Standing::Configured).count();
        if present().count() + self.configured.saturating_sub(configured) < places {
            return Ok(None);
        }
        let unknown = self.connected.iter().filter(|(_, entry)| entry.oust.is_some() && entry.standing == Standing::Unknown);
        match unknown.min_by_key(|(_, entry)| entry.generation) {
            Some((oldest, _)) if standing == Standing::Proven => Ok(Some(oldest.clone())),
            _ => Err(NoPlace::Full { places }),
        }
    }

    fn oust(&mut self, station: &StationId, why: Ousted) {
        if let Some(oust) = self.connected.get_mut(station).and_then(|entry| entry.oust.take()) {
            // A connection that is ending by itself does not listen any more.
            let _ = oust.send(why);
        }
    }

    fn forget_one(&mut self) {
        let gone = |name: &Name| name.standing == Standing::Proven && !self.connected.contains_key(&name.id);
        let oldest = self.names.iter().filter(|(_, name)| gone(name)).min_by_key(|(_, name)| name.last);
        if let Some(folded) = oldest.map(|(folded, _)| folded.clone()) {
            self.names.remove(&folded);
            self.proven -= 1;
        }
    }
}

fn fold(identity: &str) -> String {
    identity.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::of(IpAddr::from([192, 0, 2, last]))
    }

    fn registry(places: usize, configured: &[&str], proven: &[&str]) -> Registry {
        let ids = |names: &[&str]| names.iter().map(|name| StationId::new(name)).collect::<Vec<_>>();
        Registry::new(places, &ids(configured), ids(proven))
    }

    fn claim(registry: &Registry, identity: &str) -> (Claim, oneshot::Receiver<Ousted>) {
        let claimed = registry.claim(identity, peer(1), Version::V16);
        let (claim, orders) = claimed.unwrap_or_else(|why| panic!("{identity}: {why:?}"));
        (claim, orders.ousted)
    }

    #[test]
    fn the_end_of_an_old_connection_leaves_the_new_one_alone() {
        let registry = registry(1, &[], &["CP01"]);
        let (old, mut ousted) = claim(&registry, "CP01");
        let (new, _keep) = claim(&registry, "cp01");
        assert_eq!((new.station.as_str(), ousted.try_recv()), ("CP01", Ok(Ousted::Newer)));
        assert!(!registry.release(&old));
        assert_eq!(registry.admits("other", peer(1)), Err(NoPlace::Full { places: 1 }));
        assert!(registry.release(&new));
        assert_eq!(registry.admits("other", peer(1)), Ok(()));
    }

    #[test]
    fn unknown_stations_never_keep_a_known_station_out() {
        let registry = registry(3, &["CONF"], &["PROV"]);
        let (first, mut first_ousted) = claim(&registry, "X1");
        let (_, mut second_ousted) = claim(&registry, "X2");
        // The third place is that of the configured station.
        assert_eq!(registry.admits("X3", peer(1)), Err(NoPlace::Full { places: 3 }));
        let (proven, _proven) = claim(&registry, "PROV");
        assert_eq!((first_ousted.try_recv(), second_ousted.try_recv().is_err()), (Ok(Ousted::Displaced), true));
        let (_, _configured) = claim(&registry, "conf");
        // The displaced one goes in its own time; its name goes with it.
        assert!(registry.release(&first));
        assert_eq!(registry.canonical("X1"), None);
        assert_eq!(registry.admits("PROV-2", peer(1)), Err(NoPlace::Full { places: 3 }));
        assert!(registry.release(&proven));
        assert_eq!(registry.canonical("prov"), Some(StationId::new("PROV")));
    }

    #[test]
    fn one_address_has_few_silent_sockets_and_a_word_ends_the_silence() {
        let registry = registry(1_000, &[], &[]);
        let claims: Vec<_> = (0..MAX_SILENT_PER_PEER).map(|number| claim(&registry, &format!("X{number}"))).collect();
        assert_eq!(registry.admits("Y", peer(1)), Err(NoPlace::SilentPeer));
        assert_eq!(registry.admits("Y", peer(2)), Ok(()));
        registry.prove(&claims[0].0);
        assert_eq!(registry.admits("Y", peer(1)), Ok(()));
        let (v6, other) = ("2001:db8::1".parse().map(Peer::of), "2001:db8::ffff".parse().map(Peer::of));
        assert_eq!(v6, other);
        assert_eq!("::ffff:192.0.2.1".parse().map(Peer::of), Ok(peer(1)));
    }

    #[test]
    fn invented_names_that_were_proven_push_out_each_other_and_nobody_else() {
        let registry = registry(
            10,
            &["CONF"],
            (0..MAX_PROVEN)
                .map(|n| format!("P{n}"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice(),
        );
        let (real, _ousted) = claim(&registry, "REAL");
        registry.prove(&real);
        assert!(registry.release(&real));
        let (another, _ousted) = claim(&registry, "ANOTHER");
        registry.prove(&another);
        assert!(
            registry.canonical("real").is_some()
                && registry.canonical("another").is_some()
                && registry.canonical("conf").is_some()
        );
        assert_eq!(registry.lock().proven, MAX_PROVEN);
    }
}
