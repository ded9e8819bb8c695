//! The payload of a record: what is signed. Written by [`Body::seal`], read back by [`open`](crate::record::open), by the same
//! types.
//!
//! Members stand in the order of the structs, those of [`Header`] first. Readers ignore members they do not know; a member never
//! changes its meaning within `forecourt.record/1`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::body::{Body, PayloadError, SCHEMA};
use super::charge::ChargeBody;
use super::exact::Stamp;
use crate::record::sign::Hash;

#[derive(Clone, Debug, Serialize)]
pub struct Payload {
    #[serde(flatten)]
    pub header: Header,
    /// `None`: of a kind that this version does not know. Its place in the chain can be checked, its contents cannot.
    #[serde(flatten)]
    pub body: Option<Body>,
}

/// The members that every record has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    pub schema: String,
    pub kind: String,
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
}

impl Payload {
    pub fn parse(text: &str) -> Result<Self, PayloadError> {
        let header: Header = serde_json::from_str(text).map_err(|error| unreadable(text, &error))?;
        if header.schema != SCHEMA {
            return Err(PayloadError::Schema(header.schema.chars().take(40).collect()));
        }
        if Uuid::try_parse(&header.record_id).is_err() {
            return Err(PayloadError::Unreadable(format!("record_id {} is not a UUID", header.record_id)));
        }
        if header.seq == 0 || header.site.is_empty() {
            return Err(PayloadError::Unreadable("seq starts at 1 and site is not empty".to_owned()));
        }
        let body = Body::parse(&header.kind, text)?;
        Ok(Self { header, body })
    }

    /// What it bills or takes back.
    pub fn bill(&self) -> Option<&ChargeBody> {
        match &self.body {
            Some(Body::Charge(bill) | Body::Credit(bill)) => Some(bill),
            _ => None,
        }
    }

    pub fn charge(&self) -> Option<&ChargeBody> {
        match &self.body {
            Some(Body::Charge(charge)) => Some(charge),
            _ => None,
        }
    }
}

/// Another schema may have other members.
fn unreadable(text: &str, error: &serde_json::Error) -> PayloadError {
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    match serde_json::from_str(text) {
        Ok(Schema { schema }) if schema != SCHEMA => PayloadError::Schema(schema.chars().take(40).collect()),
        _ => PayloadError::Unreadable(error.to_string()),
    }
}
