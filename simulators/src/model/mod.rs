//! A model of a site with the truth in it, that speaks through faulty stations: what the daemon's pure machine, its metering and
//! its rating bill is held against what is true.
//!
//! ```text
//! seed ─▶ faults ─▶ world (truth) ─▶ station's messages ─▶ faults again (lost, late, altered …) ─▶ script
//!                      │                                                                            │
//!                      └────────────▶ check ◀── sessions: billed, held, open ◀── machine ◀──────────┘
//! ```
//! | module | is |
//! |---|---|
//! | `world`, `truth` | vehicles, meters, drivers; true energy, times, activity, price |
//! | `script`, `station` | what a station says about it, in terms that the protocols share |
//! | `fault`, `shape`, `damage` | classes of faults: how they change the world, how they change the messages |
//! | `machine` | the daemon's pure library: facts in, bills out |
//! | `serve`, `daemon`, `frames` | the real daemon: OCPP-J in, killed again and again, bills from its store |
//! | `check` | the promises, each by name |
//! | `run`, `shrink`, `report` | many cases in threads, the smallest case that still fails, tables |
//!
//! Written from the protocols and from what the daemon promises, not from how it does it. A case follows from one number alone, so
//! that any failure replays.

pub mod case;
pub mod check;
pub mod daemon;
pub mod damage;
pub mod fault;
pub mod frames;
pub mod machine;
pub mod report;
pub mod run;
pub mod script;
pub mod serve;
pub mod shape;
pub mod shrink;
pub mod station;
pub mod truth;
pub mod world;

pub use case::Case;
pub use fault::Class;

/// Milliseconds since 1970 UTC, or a number of milliseconds.
pub type Millis = i64;
/// Milliwatt-hours.
pub type MilliWh = i64;

pub const SECOND: Millis = 1_000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;
