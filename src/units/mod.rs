//! The types that all modules share: energy, power, time, identities, findings, spelling.
//!
//! Nothing here knows a protocol, a tariff or a database. Energy is an integer number of milliwatt-hours and money is an
//! exact decimal; binary floats do not occur.

mod energy;
mod escape;
mod finding;
mod identity;
mod json_text;
mod load;
mod spelling;
pub mod time;

pub use energy::MilliWh;
pub use escape::{is_unprintable, printable};
pub use finding::{Code, Finding};
pub use identity::{SessionId, StationId, Token, TokenKind, TxRef, Version};
pub use json_text::{Members, compact, indent};
pub use load::{MicroA, MilliW};
pub use rust_decimal::Decimal;
pub use spelling::{by_likeness, nearest};
pub use time::{Clock, Now, Received, Time};
