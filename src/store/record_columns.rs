//! What a record says, copied into columns so that plain SQL can read it. The signed text counts; `verify` compares.

use crate::record::Payload;

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

impl Copies {
    /// Kinds of record without a bill have none of it.
    pub fn of(payload: &Payload) -> Self {
        let prev = payload.header.prev.map(|hash| hash.to_string());
        let Some(charge) = payload.bill() else { return Self { prev, ..Self::default() } };
        let cost = charge.cdr.total_cost;
        Self {
            station: Some(charge.session.station.clone()),
            // A credit takes no energy back.
            energy_wh: payload.charge().map(|charge| charge.meter.energy_wh.to_string()),
            cost_excl_vat: Some(cost.excl_vat.to_string()),
            cost_incl_vat: Some(cost.incl_vat.to_string()),
            currency: Some(charge.cdr.currency.clone()),
            prev,
            // The same types write them as in the record, with the same digits.
            lines: serde_json::to_string(&charge.lines).ok(),
        }
    }
}
