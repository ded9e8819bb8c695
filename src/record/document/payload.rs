//! The payload of a record: what is signed. Written by [`Draft::seal`](crate::record::Draft::seal), read back by
//! [`open`](crate::record::open), by the same types.
//!
//! Member order is that of the struct and fixed: `schema, kind, site, epoch, seq, prev, record_id, created_at, cdr, session,
//! lines, meter, findings, rating`. Readers ignore members they do not know; a member never changes its meaning within
//! `forecourt.record/1`. Kinds without a CDR lack `cdr`, `session`, `lines`, `meter` and `rating`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::cdr::Cdr;
use super::exact::{Quoted, Stamp};
use super::kind::Kind;
use crate::record::sign::Hash;
use crate::units::Finding;

pub const SCHEMA: &str = "forecourt.record/1";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payload {
    pub schema: String,
    pub kind: Kind,
    pub site: String,
    /// One store's life, by the milliseconds of its creation; never used again.
    pub epoch: u64,
    /// From 1 within the epoch, without gaps.
    pub seq: u64,
    /// Of the JWS text of the record before; `null` in the first record of an epoch, never absent.
    #[serde(deserialize_with = "Option::deserialize")]
    pub prev: Option<Hash>,
    /// UUIDv7.
    pub record_id: String,
    pub created_at: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdr: Option<Cdr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionFacts>,
    /// The bill; empty when nothing was priced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<BillLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter: Option<Meter>,
    #[serde(deserialize_with = "findings")]
    pub findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
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
    pub at: Option<Stamp>,
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
    /// SHA-256 of the tariff's text exactly as it stands in `cdr.tariffs`.
    pub tariff_sha256: Hash,
}

fn findings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Finding>, D::Error> {
    #[derive(Deserialize)]
    struct Entry {
        code: String,
        detail: String,
    }
    let entries = Vec::<Entry>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|entry| Finding { code: Cow::Owned(entry.code), detail: entry.detail }).collect())
}
