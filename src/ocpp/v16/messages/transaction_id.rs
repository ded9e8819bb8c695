//! transactionId, as MeterValues and StopTransaction give it back (OCPP 1.6 §6.31, §6.49).

use crate::ocpp::lenient::{Field, PayloadReader};
use crate::units::TxRef;

/// We assign positive numbers only. Zero and below are what stations send that never got one (docs/quirks.md Q70, Q127).
pub(super) fn transaction_id(r: &mut PayloadReader<'_>) -> Field<TxRef> {
    match r.integer("transactionId") {
        Field::Read(id) if id > 0 => Field::Read(TxRef::new(&id.to_string())),
        Field::Read(id) => {
            r.note("tx-id-not-positive", format!("transactionId {id}"));
            Field::Unreadable
        }
        Field::Absent => Field::Absent,
        Field::Unreadable => Field::Unreadable,
    }
}
