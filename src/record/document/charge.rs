//! The facts of one ended session, as the caller gathers them for its record. Plain data: nothing here is decided.

use serde_json::value::RawValue;

use crate::record::sign::Hash;
use crate::units::{Finding, MilliWh, SessionId, StationId, Time, Token, TxRef, Version};

#[derive(Clone, Debug)]
pub struct Charge {
    pub session_id: SessionId,
    pub version: Version,
    pub tx: TxRef,
    pub station: StationId,
    /// OCPP EVSE number; with 1.6 the connector number.
    pub evse: u32,
    pub connector: Connector,
    /// OCPI technical name of the EVSE, at most 36 characters.
    pub evse_uid: String,
    /// eMI3 EVSE id, at most 48 characters.
    pub evse_id: String,
    /// `None`: nobody presented a token (free vend).
    pub token: Option<Token>,
    /// The eMSP that owns the token; `None`: the site's own party.
    pub token_owner: Option<Party>,
    pub auth_method: AuthMethod,
    /// What the eMSP gave with its authorization, to be returned in the CDR.
    pub authorization_reference: Option<String>,
    /// How it is paid, in the site's words: `contract`, `card`, `free`, ...
    pub payment_method: String,
    pub contract: Option<String>,
    /// Plug-in or authorization to the end of occupancy: what the CDR covers.
    pub started_at: Time,
    pub ended_at: Time,
    pub meter_serial: Option<String>,
    pub start_register: MilliWh,
    pub stop_register: MilliWh,
    /// Where the registers come from: `start-stop`, `transaction-samples`, ...
    pub register_source: String,
    pub signed: Vec<SignedReading>,
    pub stop_reason: Option<String>,
    pub findings: Vec<Finding>,
    pub site: Site,
    pub tariff: TariffSource,
}

/// OCPI 2.2.1 cdrs, AuthMethod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// The eMSP was asked.
    AuthRequest,
    /// A command (StartSession, ReserveNow) carried the token.
    Command,
    /// Judged here, nobody was asked.
    Whitelist,
}

impl AuthMethod {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthRequest => "AUTH_REQUEST",
            Self::Command => "COMMAND",
            Self::Whitelist => "WHITELIST",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
    pub party_id: String,
}

/// The connector used. The three OCPI names (`IEC_62196_T2`, `SOCKET`, `AC_3_PHASE`) are left out of the CDR when unknown:
/// their lists have no word for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connector {
    pub number: u32,
    pub standard: Option<String>,
    pub format: Option<String>,
    pub power_type: Option<String>,
}

/// Where the session took place and who sells there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub id: String,
    pub name: String,
    pub party: Party,
    /// IANA name; tariff times are civil times there.
    pub time_zone: String,
    /// ISO 4217.
    pub currency: String,
    /// Written as `#NA` (OCPI: not available) when unknown.
    pub address: Option<String>,
    pub city: Option<String>,
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-3; derived from the party's country when absent.
    pub country: Option<String>,
    /// Latitude and longitude of the site in decimal degrees, as text.
    pub coordinates: Option<(String, String)>,
}

/// When in the session a signed value was taken (OCPI 2.2.1 cdrs, SignedValue.nature).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Start,
    Intermediate,
    End,
}

impl Nature {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Intermediate => "Intermediate",
            Self::End => "End",
        }
    }
}

/// One signed meter value, byte for byte as the station sent it: the meter's own text, or the OCPP object around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReading {
    pub nature: Nature,
    pub at: Option<Time>,
    /// `OCMF`, `Alfen Eichrecht`, ...; `None`: taken from the OCPP object or from the look of the data.
    pub encoding: Option<String>,
    pub data: String,
    pub verdict: Verdict,
}

/// What checking a signed meter value against our own key registry gave. Nothing checks them yet: all are `NotChecked`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    #[default]
    NotChecked,
    Valid,
    Invalid,
    /// No key is on file for this meter; a key inside the message proves nothing.
    KeyUnknown,
    /// Format or curve that we cannot check.
    Unsupported,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotChecked => "not-checked",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::KeyUnknown => "key-unknown",
            Self::Unsupported => "unsupported",
        }
    }
}

/// The tariff as it was locked for the session: its JSON text goes into the CDR as it stands.
#[derive(Clone, Debug)]
pub struct TariffSource {
    id: String,
    json: Box<RawValue>,
}

#[derive(Debug, thiserror::Error)]
#[error("tariff {id} is not JSON")]
pub struct TariffSourceError {
    id: String,
    source: serde_json::Error,
}

impl TariffSource {
    /// White space around the JSON text is not part of it.
    pub fn parse(id: &str, json: &str) -> Result<Self, TariffSourceError> {
        let attempt = RawValue::from_string(json.trim().to_owned());
        let json = attempt.map_err(|source| TariffSourceError { id: id.to_owned(), source })?;
        Ok(Self { id: id.to_owned(), json })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn json(&self) -> &RawValue {
        &self.json
    }

    /// SHA-256 of the text as embedded. Computed rather than carried, so that it cannot name another text.
    pub fn sha256(&self) -> Hash {
        Hash::of(self.json.get().as_bytes())
    }
}
