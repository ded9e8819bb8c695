//! What a record is about: one type per kind. A new kind is a type here, its name in [`Body::kind`] and [`Body::parse`], its
//! rules in `check.rs`, and a builder where its facts are known.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::charge::ChargeBody;
use super::exact::{Stamp, findings};
use crate::units::{Finding, Time};

pub const SCHEMA: &str = "forecourt.record/1";

const CHARGE: &str = "charge";
const CREDIT: &str = "credit";
const GATEWAY_CHANGE: &str = "gateway-change";

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// One ended session, billed.
    Charge(Box<ChargeBody>),
    /// A charge taken back, line by line.
    Credit(Box<ChargeBody>),
    /// First record of an epoch that follows another one.
    GatewayChange(GatewayChange),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayChange {
    /// Why the epoch began.
    #[serde(deserialize_with = "findings")]
    pub findings: Vec<Finding>,
}

impl Body {
    /// The name of the kind, in the record and in its MQTT topic. It never changes its meaning.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Charge(_) => CHARGE,
            Self::Credit(_) => CREDIT,
            Self::GatewayChange(_) => GATEWAY_CHANGE,
        }
    }

    /// `None`: a kind that this version does not know.
    pub(super) fn parse(kind: &str, payload: &str) -> Result<Option<Self>, PayloadError> {
        match kind {
            CHARGE => body(CHARGE, ChargeBody::MEMBERS, payload).map(|charge| Some(Self::Charge(Box::new(charge)))),
            CREDIT => body(CREDIT, ChargeBody::MEMBERS, payload).map(|credit| Some(Self::Credit(Box::new(credit)))),
            GATEWAY_CHANGE => body(GATEWAY_CHANGE, &[], payload).map(|change| Some(Self::GatewayChange(change))),
            _ => Ok(None),
        }
    }

    /// Fills in what is known only when the record has its place.
    pub(in crate::record) fn place(&mut self, record_id: &str, created_at: Time) {
        match self {
            Self::Charge(bill) | Self::Credit(bill) => {
                record_id.clone_into(&mut bill.cdr.id);
                bill.cdr.last_updated = Stamp(created_at);
            }
            Self::GatewayChange(_) => {}
        }
    }
}

fn body<T: for<'de> Deserialize<'de>>(kind: &str, needed: &[&str], payload: &str) -> Result<T, PayloadError> {
    serde_json::from_str(payload).map_err(|error| {
        let members: BTreeMap<String, IgnoredAny> = serde_json::from_str(payload).unwrap_or_default();
        let missing: Vec<&str> = needed.iter().filter(|name| !members.contains_key(**name)).copied().collect();
        match missing.is_empty() || members.is_empty() {
            true => PayloadError::Unreadable(error.to_string()),
            false => PayloadError::MemberMissing { kind: kind.to_owned(), missing: missing.join(", ") },
        }
    })
}

/// Why a payload is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error("schema \"{0}\" is not {SCHEMA}: a newer program may read it")]
    Schema(String),
    #[error("the payload cannot be read: {0}")]
    Unreadable(String),
    #[error("a {kind} record lacks {missing}")]
    MemberMissing { kind: String, missing: String },
}

impl PayloadError {
    /// Stable.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Schema(_) => "schema-unknown",
            Self::Unreadable(_) => "payload-unreadable",
            Self::MemberMissing { .. } => "member-missing",
        }
    }
}
