//! TransactionEvent and MeterValues. They always become a fact; whatever is missing is said in its findings.

use super::message::id_token;
use crate::fact::{ChargingState, Phase, TxFact};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::sample::readings;
use crate::units::TxRef;

/// TransactionEvent (2.0.1 E01 to E15; 2.1 adds costDetails, preconditioningStatus, evseSleep and more).
pub(super) fn transaction_event(r: &mut PayloadReader<'_>) -> TxFact {
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
        "numberOfPhasesUsed" | "cableMaxCurrent" | "preconditioningStatus" | "evseSleep" | "costDetails" => r.skip(),
        _ => r.unknown(),
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
        "timeSpentCharging" | "operationMode" | "tariffId" | "transactionLimit" => r.skip(),
        _ => r.unknown(),
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
        _ => r.unknown(),
    });
}

/// MeterValues (2.0.1 J01): outside transactions; evseId 0 is the main meter.
pub(super) fn meter_values(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Update);
    let mut evse = Field::Absent;
    r.object("MeterValues", |r, key| match key {
        "evseId" => evse = r.evse_or_connector(key),
        "meterValue" => readings(r, key, &mut tx.readings),
        _ => r.unknown(),
    });
    tx.evse = evse.expected(r, "evseId");
    tx
}
