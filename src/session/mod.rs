//! Sessions: what stations said becomes billable facts. Pure.
//!
//! [`Machine`] turns facts into effects while a session runs; [`metering`] turns the evidence of an ended one into a clean
//! register curve, or into a reason to hold it.

mod answer;
mod clock;
mod fact;
pub mod hold;
mod machine;
mod matching;
mod memory;
pub mod metering;
pub mod overlap;
#[allow(clippy::module_inception)]
mod session;
mod station;
#[cfg(test)]
mod tests;
mod transaction;

pub use answer::{Answer, AuthStatus, Refusal, RefusalKind, Registration};
pub use fact::{
    Boot, ChargingState, Context, Fact, LinePhase, Location, Measurand, Phase, Reading, Sample, Status, TxFact, Value,
};
pub use machine::{Change, Effects, Evidence, Lookup, Machine, Origin, Policy};
pub use memory::Memory;
pub use session::{Reboot, Session, State, TariffRef, phase_code};
