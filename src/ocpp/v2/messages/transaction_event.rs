//! TransactionEvent (OCPP 2.0.1 E01 to E15; 2.1 adds costDetails, preconditioningStatus, evseSleep and more). It always becomes a fact;
//! whatever is missing is said in its findings.

use serde::Serialize;

use super::id_token::{IdTokenInfo, id_token};
use crate::fact::{Answer, ChargingState, Phase, TxFact};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::message_id::MessageId;
use crate::ocpp::sample::readings;
use crate::units::TxRef;

pub(super) const TRANSACTION_EVENT: Incoming = Incoming {
    action: "TransactionEvent",
    kind: Kind::Transaction { decode, encode },
    examples: &[
        (
            r#"{"eventType":"Started","timestamp":"2026-11-21T13:07:00Z","triggerReason":"Authorized","seqNo":0,"offline":true,
               "transactionInfo":{"transactionId":"b9f6","chargingState":"EVConnected","remoteStartId":17},
               "idToken":{"idToken":"04A1","type":"ISO14443"},"evse":{"id":1,"connectorId":2},"reservationId":5}"#,
            "Start tx=b9f6 seq=0 offline=yes evse=1 connector=2 at=2026-11-21T13:07:00Z token=ISO14443:04A1 charging=EVConnected trigger=Authorized remote=17 reservation=5",
        ),
        (
            r#"{"eventType":"Updated","timestamp":"2026-11-21T13:08:00Z","triggerReason":"MeterValuePeriodic","seqNo":"1","transactionInfo":{"transactionId":77,"stoppedReason":"Local"},"evse":3,
               "meterValue":[{"timestamp":"2026-11-21T13:08:00Z","sampledValue":[{"value":"12.5","unitOfMeasure":{"unit":"kWh"},"signedMeterValue":{"signedMeterData":"YQ=="}}]}],"surprise":1}"#,
            r#"Update tx=77 seq=1 evse=3 at=2026-11-21T13:08:00Z trigger=MeterValuePeriodic 2026-11-21T13:08:00Z[12500,<{"signedMeterData":"YQ=="}>]"#,
        ),
        (
            r#"{"eventType":"ended","timestamp":"2026-11-21T13:09:00Z","triggerReason":"StopAuthorized","seqNo":2,"transactionInfo":{"transactionId":"b9f6","stoppedReason":"VendorMood","chargingState":"Sleeping"},
               "idToken":{"idToken":"","type":"NoAuthorization"},"costDetails":{}}"#,
            "Stop tx=b9f6 seq=2 at=2026-11-21T13:09:00Z token=NoAuthorization: reason=VendorMood trigger=StopAuthorized !field-unreadable",
        ),
        ("{}", "Update !event-type-unknown !tx-id-missing !field-missing !field-missing"),
        (
            r#"{"eventType":7,"timestamp":[],"seqNo":{},"transactionInfo":"b9f6","evse":"two","idToken":[],"meterValue":17,"offline":"maybe"}"#,
            "Update !field-unreadable !field-unreadable !field-unreadable !field-unreadable !field-unreadable \
             !field-unreadable !field-unreadable !event-type-unknown !tx-id-missing",
        ),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Update);
    let (mut phase, mut at, mut seq_no) = (None, Field::Absent, Field::Absent);
    r.object("TransactionEvent", |r, key| match key {
        "eventType" => phase = event_type(r),
        "timestamp" => at = r.time(key),
        "triggerReason" => tx.trigger = r.text(key).filled(),
        "seqNo" => seq_no = r.integer(key),
        "offline" => tx.offline = r.flag(key),
        "transactionInfo" => transaction_info(r, &mut tx),
        "idToken" => tx.token = id_token(r).ok(),
        "evse" => evse(r, &mut tx),
        "meterValue" => readings(r, key, &mut tx.readings),
        // 0 means none (docs/quirks.md Q79).
        "reservationId" => tx.reservation_id = r.integer(key).ok().filter(|id| *id != 0),
        _ => r.skip(),
    });
    match phase {
        Some(phase) => tx.phase = phase,
        None => r.note("event-type-unknown", "eventType, taken as Updated"),
    }
    if tx.phase != Phase::Stop {
        tx.stop_reason = None;
    }
    if tx.tx.is_none() {
        r.note("tx-id-missing", "TransactionEvent without transactionId");
    }
    tx.reported_at = at.expected(r, "timestamp");
    tx.seq_no = seq_no.expected(r, "seqNo");
    tx
}

fn event_type(r: &mut PayloadReader<'_>) -> Option<Phase> {
    const TYPES: [(&str, Phase); 3] = [("Started", Phase::Start), ("Updated", Phase::Update), ("Ended", Phase::Stop)];
    let text = r.text("eventType").ok()?;
    TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim())).map(|(_, phase)| *phase)
}

/// TransactionType (2.0.1 E01 to E08).
fn transaction_info(r: &mut PayloadReader<'_>, tx: &mut TxFact) {
    r.object("transactionInfo", |r, key| match key {
        "transactionId" => tx.tx = r.text(key).filled().map(|id| TxRef::new(&id)),
        "chargingState" => tx.charging = charging_state(r),
        "stoppedReason" => tx.stop_reason = r.text(key).filled(),
        "remoteStartId" => tx.remote_start_id = r.integer(key).ok(),
        _ => r.skip(),
    });
}

fn charging_state(r: &mut PayloadReader<'_>) -> Option<ChargingState> {
    let text = r.text("chargingState").filled()?;
    let state = ChargingState::from_name(&text);
    if state.is_none() {
        r.note("field-unreadable", format!("chargingState: not a state: {}", text.chars().take(20).collect::<String>()));
    }
    state
}

/// EVSEType; a bare number is taken for its id.
fn evse(r: &mut PayloadReader<'_>, tx: &mut TxFact) {
    if !r.at_object() {
        tx.evse = r.evse_or_connector("evse").ok();
        return;
    }
    r.object("evse", |r, key| match key {
        "id" => tx.evse = r.evse_or_connector("evse.id").ok(),
        "connectorId" => tx.connector = r.evse_or_connector("evse.connectorId").ok(),
        _ => r.skip(),
    });
}

/// The status of a token is there exactly when the event carried a token (E01.FR.11, C12.FR.03).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_info: Option<IdTokenInfo<'a>>,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let info = match answer {
        Answer::Tx { info } => info.as_ref(),
        Answer::Empty => None,
        _ => return None,
    };
    result(id, &Response { id_token_info: info.map(IdTokenInfo::new) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{AuthStatus, TokenInfo};

    #[test]
    fn a_token_is_answered_and_no_other() {
        let with = |status: Option<AuthStatus>| TRANSACTION_EVENT.answer(&Answer::Tx { info: status.map(TokenInfo::from) });
        assert_eq!(with(None), "{}");
        assert_eq!(with(Some(AuthStatus::Blocked)), r#"{"idTokenInfo":{"status":"Blocked"}}"#);
        assert_eq!(TRANSACTION_EVENT.answer(&Answer::Empty), "{}");
    }
}
