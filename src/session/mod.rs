//! Sessions: what stations said becomes billable facts. Pure.

mod answer;
mod fact;

pub use answer::{Answer, AuthStatus, Refusal, RefusalKind, Registration};
pub use fact::{
    Boot, ChargingState, Context, Fact, LinePhase, Location, Measurand, Phase, Reading, Sample, Status, TxFact, Value,
};
