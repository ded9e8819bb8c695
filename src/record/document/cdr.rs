//! The OCPI 2.2.1 CDR object (mod_cdrs, CDR object and data types), as far as a charge needs it, in the order of its table.
//!
//! Written and read back by the same types. Numbers are bare and exact. OCPI's fields that we never fill are absent:
//! `authorization_reference`, `total_reservation_cost`, `invoice_reference_id`, `home_charging_compensation`, `remark`; of the
//! location `postal_code`, `coordinates` and what kind of connector it is.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::exact::{Number, Stamp};
use crate::rating::Price;
use crate::units::{Token, TokenKind};

/// OCPI's word for a mandatory text that is not available (transport and format, "not available").
pub const NOT_AVAILABLE: &str = "#NA";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cdr {
    pub country_code: String,
    pub party_id: String,
    /// The record id: unique without asking anyone, and 36 characters long, as OCPI allows.
    pub id: String,
    pub start_date_time: Stamp,
    pub end_date_time: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    pub cdr_token: CdrToken,
    pub auth_method: String,
    pub cdr_location: CdrLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter_id: Option<String>,
    pub currency: String,
    /// Verbatim, white space and all.
    pub tariffs: Vec<Box<RawValue>>,
    pub charging_periods: Vec<ChargingPeriod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_data: Option<SignedData>,
    pub total_cost: CdrPrice,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_fixed_cost: Option<CdrPrice>,
    /// kWh.
    pub total_energy: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_energy_cost: Option<CdrPrice>,
    /// Hours, charging or not.
    pub total_time: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_time_cost: Option<CdrPrice>,
    /// Hours in which the vehicle requested no power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_parking_time: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_parking_cost: Option<CdrPrice>,
    /// Of a credit: `true`, and the id of the CDR that it takes back. Only `total_cost` is negative then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_reference_id: Option<String>,
    pub last_updated: Stamp,
}

/// The one place in a record that names the driver's token: head office bills by it. A PIN is not named even here.
#[derive(Clone, Serialize, Deserialize)]
pub struct CdrToken {
    pub country_code: String,
    pub party_id: String,
    pub uid: String,
    /// `RFID`, `APP_USER`, `AD_HOC_USER`, `OTHER` (OCPI 2.2.1 tokens, TokenType).
    #[serde(rename = "type")]
    pub kind: String,
    pub contract_id: String,
}

impl fmt::Debug for CdrToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uid = Token::new(TokenKind::Unstated, &self.uid).masked();
        f.debug_struct("CdrToken").field("uid", &uid).field("type", &self.kind).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CdrLocation {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub address: String,
    pub city: String,
    pub country: String,
    pub evse_uid: String,
    pub evse_id: String,
    pub connector_id: String,
}

/// Ends where the next one starts, the last one with the session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChargingPeriod {
    pub start_date_time: Stamp,
    pub dimensions: Vec<PeriodDimension>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tariff_id: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeriodDimension {
    #[serde(rename = "type")]
    pub kind: String,
    pub volume: Number,
}

impl ChargingPeriod {
    pub fn volume(&self, kind: &str) -> Option<Number> {
        self.dimensions.iter().find(|dimension| dimension.kind == kind).map(|dimension| dimension.volume)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedData {
    pub encoding_method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    pub signed_values: Vec<SignedValue>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedValue {
    pub nature: String,
    pub plain_data: String,
    /// Base64 of what the meter signed, as the meter wrote it.
    pub signed_data: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrPrice {
    pub excl_vat: Number,
    pub incl_vat: Number,
}

impl CdrPrice {
    pub fn negated(self) -> Self {
        Self { excl_vat: Number(-self.excl_vat.0), incl_vat: Number(-self.incl_vat.0) }
    }
}

impl From<Price> for CdrPrice {
    fn from(price: Price) -> Self {
        Self { excl_vat: Number(price.excl_vat), incl_vat: Number(price.incl_vat) }
    }
}
