//! StopTransaction (OCPP 1.6 §6.49). It always becomes a fact; whatever is missing is said in its findings.

use serde::Serialize;

use super::id_tag::{IdTagInfo, id_tag};
use super::transaction_id::transaction_id;
use crate::fact::{Answer, Phase, TxFact};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::message_id::MessageId;
use crate::ocpp::sample::readings;

pub(super) const STOP_TRANSACTION: Incoming = Incoming {
    action: "StopTransaction",
    kind: Kind::Transaction { decode, encode },
    examples: &[
        (
            r#"{"transactionId":9223372036854775807,"meterStop":5000.0,"timestamp":"2026-11-21T14:07:00","idTag":"04A1","reason":"EVDisconnected",
               "transactionData":[{"timestamp":"2026-11-21T14:07:00Z","sampledValue":[{"value":"OCMF|{}|{}","format":"SignedData","context":"Transaction.End"}]}]}"#,
            "Stop tx=9223372036854775807 at=2026-11-21T14:07:00Z token=unstated:04A1 register=5000.0 reason=EVDisconnected \
             2026-11-21T14:07:00Z[<OCMF|{}|{}>] !time-without-zone",
        ),
        (
            r#"{"transactionId":-1,"connectorId":2,"disconnectReason":"x","meterStop":4,"timestamp":"2026-11-21T14:07:00Z","transactionData":[]}"#,
            "Stop evse=2 at=2026-11-21T14:07:00Z register=4 !tx-id-not-positive",
        ),
        (
            r#"{"transactionId":"042","meterStop":4,"timestamp":"2026-11-21T14:07:00Z"}"#,
            "Stop tx=42 at=2026-11-21T14:07:00Z register=4",
        ),
        (r#"{"transactionId":null}"#, "Stop !tx-id-missing !field-missing !field-missing"),
        (
            r#"{"transactionId":99999999999999999999,"meterStop":1,"timestamp":"2026-11-21T14:07:00Z"}"#,
            "Stop at=2026-11-21T14:07:00Z register=1 !field-unreadable",
        ),
    ],
};

/// Some stations name the connector too (docs/quirks.md Q78), which helps when the id is useless.
fn decode(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Stop);
    let (mut id, mut register, mut at) = (Field::Absent, Field::Absent, Field::Absent);
    r.object("StopTransaction", |r, key| match key {
        "transactionId" => id = transaction_id(r),
        "connectorId" => tx.evse = r.evse_or_connector(key).ok(),
        "idTag" => tx.token = id_tag(r).ok(),
        "meterStop" => register = r.decimal(key),
        "timestamp" => at = r.time(key),
        "reason" => tx.stop_reason = r.text(key).filled(),
        "transactionData" => readings(r, key, &mut tx.readings),
        _ => r.skip(),
    });
    if id == Field::Absent {
        r.note("tx-id-missing", "StopTransaction without transactionId");
    }
    tx.tx = id.ok();
    tx.register_wh = register.expected(r, "meterStop");
    tx.reported_at = at.expected(r, "timestamp");
    tx
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id_tag_info: Option<IdTagInfo<'a>>,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let info = match answer {
        Answer::Tx { info } => info.as_ref(),
        Answer::Empty => None,
        _ => return None,
    };
    result(id, &Response { id_tag_info: info.map(IdTagInfo::new) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{AuthStatus, TokenInfo};

    #[test]
    fn a_token_is_answered_and_no_other() {
        let with = |status: Option<AuthStatus>| STOP_TRANSACTION.answer(&Answer::Tx { info: status.map(TokenInfo::from) });
        assert_eq!(with(None), "{}");
        assert_eq!(with(Some(AuthStatus::Expired)), r#"{"idTagInfo":{"status":"Expired"}}"#);
        assert_eq!(STOP_TRANSACTION.answer(&Answer::Empty), "{}");
    }
}
