//! MeterValues (OCPP 1.6 §6.31). Without a transactionId it belongs to what runs on its connector; that is no oddity.

use super::transaction_id::transaction_id;
use crate::fact::{Phase, TxFact};
use crate::ocpp::incoming::{Incoming, Kind, acknowledge_transaction};
use crate::ocpp::lenient::PayloadReader;
use crate::ocpp::sample::readings;

pub(super) const METER_VALUES: Incoming = Incoming {
    action: "MeterValues",
    kind: Kind::Transaction { decode, encode: acknowledge_transaction },
    examples: &[
        (
            r#"{"meterValue":[{"timestamp":"2026-11-21T13:07:00Z","sampledValue":[{"value":"1.5","unit":"kWh"},{"value":""}]}],"transactionId":9,"connectorId":1}"#,
            "Update tx=9 evse=1 2026-11-21T13:07:00Z[1500] !sample-skipped",
        ),
        (
            r#"{"connectorId":0,"transactionId":null,"meterValue":{"timestamp":"2026-11-21T13:07:00Z","sampledValue":[]}}"#,
            "Update evse=0 2026-11-21T13:07:00Z[] !list-of-one",
        ),
        (r#"{"connectorId":1,"transactionId":0}"#, "Update evse=1 !tx-id-not-positive"),
        (r#"{"connectorId":1,"meterValue":"none"}"#, "Update evse=1 !field-unreadable"),
        ("null", "Update"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Update);
    r.object("MeterValues", |r, key| match key {
        "connectorId" => tx.evse = r.evse_or_connector(key).ok(),
        "transactionId" => tx.tx = transaction_id(r).ok(),
        "meterValue" => readings(r, key, &mut tx.readings),
        _ => r.skip(),
    });
    tx
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Answer, AuthStatus};

    #[test]
    fn no_token_status_is_sent() {
        for answer in [Answer::Empty, Answer::Tx { info: None }, Answer::Tx { info: Some(AuthStatus::Blocked.into()) }] {
            assert_eq!(METER_VALUES.answer(&answer), "{}");
        }
    }
}
