//! Forecourt: the station controller of an EV charging site. ARCHITECTURE.md describes it.

pub mod billing;
pub mod cli;
pub mod clock;
pub mod config;
mod control;
mod csms;
pub mod daemon;
pub mod fact;
pub mod mqtt;
mod observe;
pub mod ocpp;
pub mod rating;
pub mod record;
pub mod session;
pub mod station;
pub mod store;
pub mod units;
mod web;
