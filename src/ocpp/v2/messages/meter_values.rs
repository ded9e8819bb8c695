//! MeterValues (OCPP 2.0.1 J01): outside transactions; evseId 0 is the main meter.

use crate::fact::{Phase, TxFact};
use crate::ocpp::incoming::{Incoming, Kind, acknowledge_transaction};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::sample::readings;

pub(super) const METER_VALUES: Incoming = Incoming {
    action: "MeterValues",
    kind: Kind::Transaction { decode, encode: acknowledge_transaction },
    examples: &[
        (
            r#"{"evseId":0,"meterValue":[{"timestamp":"2026-11-21T13:08:00Z","sampledValue":[{"value":1.10}]}]}"#,
            "Update evse=0 2026-11-21T13:08:00Z[1.10]",
        ),
        ("{}", "Update !field-missing"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Update);
    let mut evse = Field::Absent;
    r.object("MeterValues", |r, key| match key {
        "evseId" => evse = r.evse_or_connector(key),
        "meterValue" => readings(r, key, &mut tx.readings),
        _ => r.skip(),
    });
    tx.evse = evse.expected(r, "evseId");
    tx
}
