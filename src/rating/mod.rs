//! Rating: what a session costs, and why. Pure.

mod rated;

pub use rated::{Activity, Dimension, Line, LineSource, Period, Price, Rated, Totals};
