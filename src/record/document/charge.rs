//! The body of a charge: one ended session and its bill; and of the credit that takes one back. Built by [`billing`](crate::billing).

use serde::{Deserialize, Serialize};

use super::cdr::Cdr;
use super::exact::{Quoted, Stamp, findings};
use crate::record::sign::Hash;
use crate::units::Finding;

/// `dimension` of the bill line that brings the total to the tariff's least or greatest price.
pub const PRICE_LIMIT: &str = "PRICE_LIMIT";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChargeBody {
    /// `id` and `last_updated` are filled in when the record is sealed.
    pub cdr: Cdr,
    pub session: SessionFacts,
    /// The bill; empty when nothing was priced.
    pub lines: Vec<BillLine>,
    pub meter: Meter,
    #[serde(deserialize_with = "findings")]
    pub findings: Vec<Finding>,
    pub rating: Rating,
    /// Of a credit, and of a charge that replaces one: what it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Corrects>,
}

/// The charge that a credit takes back, and that a charge after it replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrects {
    pub record_id: String,
    pub epoch: u64,
    pub seq: u64,
    /// Of its JWS text.
    pub hash: Hash,
    /// Why, and who wanted it.
    pub reason: String,
    pub operator: String,
}

impl ChargeBody {
    /// Without these it is no charge.
    pub(super) const MEMBERS: &[&str] = &["cdr", "session", "lines", "meter", "rating"];
}

/// The name of a tariff version, in records and in the store: SHA-256 of its JSON text, without the white space around it.
pub fn tariff_hash(json: &str) -> Hash {
    Hash::of(json.as_bytes())
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionFacts {
    pub session_id: String,
    pub ocpp_version: String,
    /// 1.6 `transactionId`, 2.x `transactionId`: the station's name for it.
    pub transaction_id: String,
    pub station: String,
    pub evse: u32,
    pub connector: u32,
    pub evse_uid: String,
    pub evse_id: String,
    /// OCPP token type, `unstated` for 1.6; `null`: no token.
    pub token_class: Option<String>,
    /// All but the last four characters hidden; of a PIN everything.
    pub token_masked: Option<String>,
    pub auth_method: String,
    pub contract: Option<String>,
    pub payment_method: String,
    pub started_at: Stamp,
    pub ended_at: Stamp,
    pub stop_reason: Option<String>,
}

/// One line of the bill. The sums of the amounts are `cdr.total_cost`, to the last digit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BillLine {
    /// `FLAT`, `ENERGY`, `TIME`, `PARKING_TIME`; `PRICE_LIMIT` for the adjustment to the tariff's least or greatest price.
    pub dimension: String,
    /// First and last instant at which the price applied.
    pub period: LinePeriod,
    /// What was metered, and what is billed after step_size.
    pub measured: Quoted,
    pub quantity: Quoted,
    pub unit: String,
    /// Per unit, excl. VAT.
    pub unit_price: Quoted,
    /// Before rounding, excl. VAT.
    pub exact_excl_vat: Quoted,
    pub amount_excl_vat: Quoted,
    /// `null`: no VAT applies, which is not the same as 0 %.
    pub vat_percent: Option<Quoted>,
    pub vat: Quoted,
    pub amount_incl_vat: Quoted,
    /// Indices from 0 into the tariff's `elements` and the element's `price_components`; `null` for a price limit.
    pub tariff_element: Option<usize>,
    pub price_component: Option<usize>,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LinePeriod {
    pub start: Stamp,
    pub end: Stamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Meter {
    pub serial: Option<String>,
    pub start_register_wh: Quoted,
    pub stop_register_wh: Quoted,
    pub energy_wh: Quoted,
    pub source: String,
    pub signed: Vec<SignedEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedEntry {
    pub nature: String,
    pub at: Stamp,
    pub encoding: String,
    /// As the station sent it.
    pub data: String,
    pub verdict: String,
}

/// By what the session was priced: enough to do it again and get the same bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rating {
    /// Name of the rounding policy.
    pub policy: String,
    /// Program and version that priced.
    pub engine: String,
    pub time_zone: String,
    pub tariff_id: String,
    /// [`tariff_hash`] of the tariff in `cdr.tariffs`.
    pub tariff_sha256: Hash,
}
