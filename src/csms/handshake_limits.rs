//! Sockets that have not completed their upgrade, and log lines about those that are turned away.
//!
//! Both can be had for nothing by anybody who reaches the port, so both are counted per address: somebody who only opens
//! sockets must not keep stations from shaking hands, nor fill the log.
//! Limits: [`MAX_TOTAL`] handshakes at a time, [`MAX_PER_PEER`] from one address, `ocpp.handshake_s` each; [`LINES`] log lines
//! about refusals a minute, the rest is counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::registry::Peer;

pub const MAX_TOTAL: usize = 256;
pub const MAX_PER_PEER: usize = 128;
const LINES: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Handshakes {
    under_way: Mutex<HashMap<Peer, usize>>,
}

/// Counts until it is dropped.
pub struct Handshake {
    all: Arc<Handshakes>,
    peer: Peer,
}

impl Handshakes {
    /// `None`: too many are under way.
    pub fn begin(self: &Arc<Self>, peer: Peer) -> Option<Handshake> {
        let mut under_way = self.lock();
        let of_peer = under_way.get(&peer).copied().unwrap_or(0);
        if of_peer >= MAX_PER_PEER || under_way.values().sum::<usize>() >= MAX_TOTAL {
            return None;
        }
        under_way.insert(peer, of_peer + 1);
        Some(Handshake { all: Arc::clone(self), peer })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Peer, usize>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut under_way = self.all.lock();
        match under_way.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(under_way.remove(&self.peer)),
        }
    }
}

/// Lets a few log lines a minute through.
#[derive(Default)]
pub struct Quiet {
    state: Mutex<Option<(Instant, u32)>>,
}

impl Quiet {
    /// Whether to log this one, and how many were not logged in the minute before.
    pub fn line(&self) -> Option<u32> {
        self.line_at(Instant::now())
    }

    fn line_at(&self, now: Instant) -> Option<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = state.unwrap_or((now, 0));
        let (since, count, unsaid) =
            if now - since >= MINUTE { (now, 1, count.saturating_sub(LINES)) } else { (since, count.saturating_add(1), 0) };
        *state = Some((since, count));
        (count <= LINES).then_some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_handshakes() {
        let all = Arc::new(Handshakes::default());
        let peer = |last| Peer::of(std::net::IpAddr::from([192, 0, 2, last]));
        let mut held: Vec<_> = (0..MAX_PER_PEER).map(|_| all.begin(peer(1)).expect("room")).collect();
        assert!(all.begin(peer(1)).is_none());
        assert!(all.begin(peer(2)).is_some());
        held.pop();
        held.push(all.begin(peer(1)).expect("room again"));
        drop(held);
        assert!(all.lock().is_empty());
    }

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let quiet = Quiet::default();
        let now = Instant::now();
        let lines = (0..1_000).filter(|_| quiet.line_at(now).is_some()).count();
        assert_eq!(lines, LINES as usize);
        assert_eq!(quiet.line_at(now + MINUTE), Some(1_000 - LINES));
        assert_eq!(quiet.line_at(now + MINUTE), Some(0));
    }
}
