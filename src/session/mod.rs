//! Sessions: what stations said becomes billable facts. Pure.
//!
//! [`Sessions`] turns transaction messages into changes of sessions while these run; [`metering`] turns the evidence of an ended
//! one into a clean register curve, or into a reason to hold it. `station` knows everything else about a station.

mod arrival;
mod evidence;
pub mod hold;
mod matching;
mod memory;
pub mod metering;
mod open_sessions;
pub mod overlap;
#[allow(clippy::module_inception)]
mod session;
mod sessions;
mod tariff_choice;
mod transaction;

pub use arrival::Arrival;
pub use evidence::{Evidence, JournalEntry};
pub use memory::Memory;
pub use session::{Reboot, Session, State, TariffRef};
pub use sessions::{Change, Lookup, Origin, Sessions};
pub use tariff_choice::TariffChoice;
pub use transaction::Outcome;

/// A station offline and without a clock says nothing about when it happened; metering holds such a session.
const OFFLINE_TIME: &str = "offline-time-unknown";
/// Finding: a session began at a station that was in the inbox or blocked. Whoever began it, nobody may charge there.
const NOT_SERVED: &str = "station-not-accepted";
