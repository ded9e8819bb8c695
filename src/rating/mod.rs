//! Rating: what a session costs, and why. Pure: no clock, no socket, no file, no random number, no binary float.
//!
//! ```text
//! tariff file ─Tariff::parse─▶ Catalogue ─choose(id, start)─▶ Tariff ─┐
//! cleaned meter readings, activity ─Metered::new─▶ Metered ───────────┼─price─▶ Rated {periods, lines, totals}
//! time zone of the site, digits of the currency ──────────────────────┘
//! ```
//! [`price()`] first splits the session at every instant at which the tariff might change its mind (`split`), then sums each
//! price component's exact volume (`price`), and only then rounds, once per bill line, and adds VAT and price limits (`bill`).
//!
//! Invariants: periods are gap-free and their energies add up to the register difference; lines add up to totals to the last
//! digit; splitting a period further changes no total. The tariff is the one valid when the session started, to its end.
//!
//! What was decided where OCPI is silent or engines differ: docs/rating.md.
//!
//! Not here: reservations (parsed, never charged), several tariffs in one session, export of energy.
//! Limits: sessions of 366 days, registers of 10^15 mWh, tariff files of 1 MiB, numbers of 10^7 with 6 decimals.

mod bill;
mod catalogue;
mod describe;
mod json;
mod lint;
mod load;
mod metered;
mod moment;
mod parse;
mod price;
mod rated;
mod split;
mod tariff;
#[cfg(test)]
mod tests;
mod text;
mod volume;

pub use catalogue::{Catalogue, CatalogueError};
pub use describe::WeekRow;
pub use lint::{PER_KWH_FROM, Remark};
pub use metered::{LoadSample, MAX_SESSION_DAYS, Metered, MeteredError};
pub use price::{ROUNDING, RatingError, price};
pub use rated::{Activity, Dimension, Line, LineSource, Period, Price, Rated, Totals};
pub use tariff::{Element, PriceBound, PriceComponent, Reservation, Restrictions, Tariff, TariffError, TariffType, Taxes};
