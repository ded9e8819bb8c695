//! What stands in a record: its members, how they are written, and the arithmetic that they must keep. Knows no key and no signature.

mod body;
mod cdr;
mod charge;
pub(super) mod check;
mod exact;
mod payload;

pub use body::{Body, GatewayChange, PayloadError, SCHEMA};
pub use cdr::{Cdr, CdrLocation, CdrPrice, CdrToken, ChargingPeriod, NOT_AVAILABLE, PeriodDimension, SignedData, SignedValue};
pub use charge::{
    BillLine, ChargeBody, Corrects, LinePeriod, Meter, PRICE_LIMIT, Rating, SessionFacts, SignedEntry, tariff_hash,
};
pub use exact::{Number, Quoted, Stamp, hours};
pub use payload::{Header, Payload};

/// Media type of a record's JWS, in its protected header.
pub const TYP: &str = "forecourt-record+json";
