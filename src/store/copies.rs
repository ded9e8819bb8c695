//! What a record says, copied into columns so that plain SQL can read it. The signed text counts; `verify` compares.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Numbers keep their digits, so everything is text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    pub station: Option<String>,
    pub energy_wh: Option<String>,
    pub cost_excl_vat: Option<String>,
    pub cost_incl_vat: Option<String>,
    pub currency: Option<String>,
    pub prev: Option<String>,
    /// The bill, JSON.
    pub lines: Option<String>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    cdr: Option<Cdr<'a>>,
    session: Option<Session>,
    meter: Option<Meter>,
    prev: Option<String>,
    #[serde(borrow)]
    lines: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Cdr<'a> {
    #[serde(borrow)]
    total_cost: Cost<'a>,
    currency: String,
}

#[derive(Deserialize)]
struct Cost<'a> {
    #[serde(borrow)]
    excl_vat: &'a RawValue,
    #[serde(borrow)]
    incl_vat: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Session {
    station: String,
}

#[derive(Deserialize)]
struct Meter {
    energy_wh: String,
}

impl Copies {
    /// From a payload's text. Kinds of record without a bill have none of it.
    pub fn of(payload: &str) -> Self {
        let Ok(payload) = serde_json::from_str::<Payload<'_>>(payload) else { return Self::default() };
        let text = |raw: &RawValue| raw.get().to_owned();
        Self {
            station: payload.session.map(|session| session.station),
            energy_wh: payload.meter.map(|meter| meter.energy_wh),
            cost_excl_vat: payload.cdr.as_ref().map(|cdr| text(cdr.total_cost.excl_vat)),
            cost_incl_vat: payload.cdr.as_ref().and_then(|cdr| cdr.total_cost.incl_vat).map(text),
            currency: payload.cdr.map(|cdr| cdr.currency),
            prev: payload.prev,
            lines: payload.lines.map(text),
        }
    }
}
