//! StartTransaction (OCPP 1.6 §6.45). It always becomes a fact; whatever is missing is said in its findings.

use serde::Serialize;

use super::id_tag::{IdTagInfo, id_tag};
use crate::fact::{Answer, Phase, TxFact};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::message_id::MessageId;

pub(super) const START_TRANSACTION: Incoming = Incoming {
    action: "StartTransaction",
    kind: Kind::Transaction { decode, encode },
    examples: &[
        (
            r#"{"connectorId":1,"idTag":"04A1","meterStart":4120,"timestamp":"2026-11-21T13:07:00Z","reservationId":0}"#,
            "Start evse=1 at=2026-11-21T13:07:00Z token=unstated:04A1 register=4120",
        ),
        (
            r#"{"connectorId":"1","idTag":"","meterStart":"-12.75","timestamp":"0000-00-00","reservationId":"7"}"#,
            "Start evse=1 register=-12.75 reservation=7 !token-empty !field-unreadable",
        ),
        ("{}", "Start !field-missing !field-missing !field-missing !field-missing"),
        (
            r#"{"connectorId":-1,"idTag":{},"meterStart":"x","timestamp":true}"#,
            "Start !field-unreadable !field-unreadable !field-unreadable !field-unreadable",
        ),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Start);
    let (mut connector, mut token, mut register, mut at) = (Field::Absent, Field::Absent, Field::Absent, Field::Absent);
    r.object("StartTransaction", |r, key| match key {
        "connectorId" => connector = r.evse_or_connector(key),
        "idTag" => token = id_tag(r),
        "meterStart" => register = r.decimal(key),
        "timestamp" => at = r.time(key),
        // 0 means none (docs/quirks.md Q79).
        "reservationId" => tx.reservation_id = r.integer(key).ok().filter(|id| *id != 0),
        _ => r.skip(),
    });
    tx.evse = connector.expected(r, "connectorId");
    tx.token = token.expected(r, "idTag");
    tx.register_wh = register.expected(r, "meterStart");
    tx.reported_at = at.expected(r, "timestamp");
    tx
}

/// The id is always there, whatever the status (§4.8).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    transaction_id: i64,
    id_tag_info: IdTagInfo<'a>,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let Answer::Started { tx, info } = answer else { return None };
    result(id, &Response { transaction_id: tx.as_str().parse().ok()?, id_tag_info: IdTagInfo::new(info) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{AuthStatus, TokenInfo};
    use crate::units::TxRef;

    #[test]
    fn the_transaction_id_is_a_number_of_ours() {
        let started =
            |tx, status| START_TRANSACTION.answer(&Answer::Started { tx: TxRef::new(tx), info: TokenInfo::from(status) });
        let payload = r#"{"transactionId":1000042,"idTagInfo":{"status":"Invalid"}}"#;
        assert_eq!(started("1000042", AuthStatus::Unknown), payload);
        assert_eq!(started("abc", AuthStatus::Accepted), "none");
        assert_eq!(START_TRANSACTION.answer(&Answer::Empty), "none");
    }
}
