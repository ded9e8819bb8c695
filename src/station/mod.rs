//! Stations: what the site decides about everything that a station says. Pure.
//!
//! [`Machine`] takes every fact. Boot, registration, connectors, authorization and security events are decided here; what concerns
//! a transaction goes on to `session`, which knows nothing of this module.

mod authorization;
mod clock_lag;
mod machine;
mod onboarding;
mod place;
mod policy;
mod presence;
mod registration;
#[cfg(test)]
mod tests;

pub use authorization::{Authorizer, ListedToken, UnknownTokens};
pub use machine::{Change, Effects, Machine};
pub use place::Place;
pub use policy::{Onboarding, Policy};
pub use registration::Registered;
