//! What stands in a record: its members, how they are written, and the arithmetic that they must keep. Knows no key and no signature.

mod cdr;
mod charge;
pub(super) mod check;
mod country;
mod draft;
mod exact;
mod kind;
mod payload;
mod signed;

pub use cdr::{Cdr, CdrLocation, CdrPrice, CdrToken, ChargingPeriod, Coordinates, PeriodDimension, SignedData, SignedValue};
pub use charge::{AuthMethod, Charge, Connector, Nature, Party, SignedReading, Site, TariffSource, TariffSourceError, Verdict};
pub use draft::Draft;
#[cfg(test)]
pub(super) use draft::ENGINE;
pub use exact::{Number, Quoted, Stamp};
pub use kind::Kind;
pub use payload::{BillLine, LinePeriod, Meter, Payload, Rating, SCHEMA, SessionFacts, SignedEntry};

/// Media type of a record's JWS, in its protected header.
pub const TYP: &str = "forecourt-record+json";
