//! Whether a station is served: Accepted, Pending (in the inbox) or Rejected (OCPP 1.6 §4.2, 2.0.1 B01 to B03).
//!
//! A person's decision counts, else a name in the configuration, else what was decided when the station first said something valid. So
//! a station that was accepted once stays accepted, whatever the configuration says of unknown stations later, and none has to send
//! a BootNotification after a reconnect or our restart.
//!
//! What a station says while it is not accepted is recorded like everything else; its tokens are not accepted, so its sessions are held.

use std::collections::HashMap;

use crate::fact::Registration;
use crate::units::StationId;

/// What is kept of a station.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// When it first said something valid.
    pub first: Option<Registration>,
    /// By a person since.
    pub decided: Option<Registration>,
}

/// Of every station that has said something valid; as many as the store has.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    known: HashMap<StationId, Registered>,
}

impl Registrations {
    pub(super) fn load(&mut self, station: StationId, registered: Registered) {
        self.known.insert(station, registered);
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// What is known of a station, and `otherwise` where that decides nothing.
    pub(super) fn of(&self, station: &StationId, otherwise: impl FnOnce() -> Registration) -> Registration {
        match self.known.get(station).copied().unwrap_or_default() {
            Registered { decided: Some(decided), .. } => decided,
            Registered { first: Some(Registration::Accepted), .. } => Registration::Accepted,
            _ => otherwise(),
        }
    }

    pub(super) fn first(&self, station: &StationId) -> Option<Registration> {
        self.known.get(station)?.first
    }

    pub(super) fn set_first(&mut self, station: &StationId, first: Registration) {
        self.known.entry(station.clone()).or_default().first = Some(first);
    }

    pub(super) fn decide(&mut self, station: &StationId, decided: Registration) {
        self.known.entry(station.clone()).or_default().decided = Some(decided);
    }
}
