//! Forecourt: the station controller of an EV charging site. ARCHITECTURE.md draws the house.

pub mod rating;
pub mod session;
pub mod units;
