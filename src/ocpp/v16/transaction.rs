//! StartTransaction, MeterValues, StopTransaction. They always become a fact; whatever is missing is said in its findings.

use crate::fact::{Phase, TxFact};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::sample::readings;
use crate::units::{Token, TokenKind, TxRef};

/// StartTransaction (1.6 §6.45).
pub(super) fn start(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Start);
    let (mut connector, mut token, mut register, mut at) = (Field::Absent, Field::Absent, Field::Absent, Field::Absent);
    r.object("StartTransaction", |r, key| match key {
        "connectorId" => connector = r.evse_or_connector(key),
        "idTag" => token = tag(r),
        "meterStart" => register = r.decimal(key),
        "timestamp" => at = r.time(key),
        // 0 means none (docs/quirks.md Q79).
        "reservationId" => tx.reservation_id = r.integer(key).ok().filter(|id| *id != 0),
        _ => r.unknown(),
    });
    tx.evse = connector.expected(r, "connectorId");
    tx.token = token.expected(r, "idTag");
    tx.register_wh = register.expected(r, "meterStart");
    tx.reported_at = at.expected(r, "timestamp");
    tx
}

/// MeterValues (1.6 §6.31). Without a transactionId it belongs to what runs on its connector; that is no oddity.
pub(super) fn meter_values(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Update);
    r.object("MeterValues", |r, key| match key {
        "connectorId" => tx.evse = r.evse_or_connector(key).ok(),
        "transactionId" => tx.tx = transaction_id(r).ok(),
        "meterValue" => readings(r, key, &mut tx.readings),
        _ => r.unknown(),
    });
    tx
}

/// StopTransaction (1.6 §6.49). Some stations name the connector too (docs/quirks.md Q78), which helps when the id is useless.
pub(super) fn stop(r: &mut PayloadReader<'_>) -> TxFact {
    let mut tx = TxFact::new(Phase::Stop);
    let (mut id, mut register, mut at) = (Field::Absent, Field::Absent, Field::Absent);
    r.object("StopTransaction", |r, key| match key {
        "transactionId" => id = transaction_id(r),
        "connectorId" => tx.evse = r.evse_or_connector(key).ok(),
        "idTag" => tx.token = tag(r).ok(),
        "meterStop" => register = r.decimal(key),
        "timestamp" => at = r.time(key),
        "reason" => tx.stop_reason = r.text(key).filled(),
        "transactionData" => readings(r, key, &mut tx.readings),
        _ => r.unknown(),
    });
    if id == Field::Absent {
        r.note("tx-id-missing", "StopTransaction without transactionId");
    }
    tx.tx = id.ok();
    tx.register_wh = register.expected(r, "meterStop");
    tx.reported_at = at.expected(r, "timestamp");
    tx
}

/// A transactionId: we assign positive numbers only. Zero and below are what stations send that never got one
/// (docs/quirks.md Q70, Q127).
fn transaction_id(r: &mut PayloadReader<'_>) -> Field<TxRef> {
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

/// An idTag; an empty one names nobody.
fn tag(r: &mut PayloadReader<'_>) -> Field<Token> {
    match r.text("idTag") {
        Field::Read(text) if text.trim().is_empty() => {
            r.note("token-empty", "idTag");
            Field::Unreadable
        }
        Field::Read(text) => Field::Read(Token::new(TokenKind::Unstated, &text)),
        Field::Absent => Field::Absent,
        Field::Unreadable => Field::Unreadable,
    }
}
