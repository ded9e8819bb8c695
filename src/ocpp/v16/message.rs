//! The messages of 1.6 outside transactions.

use crate::fact::{Boot, ChargingState, Fact, Refusal, Status};
use crate::ocpp::lenient::{Field, PayloadReader, filled};
use crate::units::{Token, TokenKind};

/// BootNotification (1.6 §6.3). Vendor and model are required, but may be empty: a refusal would keep the station out for ever.
pub(super) fn boot_notification(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut vendor, mut model) = (Field::Absent, Field::Absent);
    let mut box_serial = None;
    let mut boot = Boot::default();
    r.object("BootNotification", |r, key| match key {
        "chargePointVendor" => vendor = r.text(key),
        "chargePointModel" => model = r.text(key),
        "chargePointSerialNumber" => boot.serial = r.text(key).filled(),
        "chargeBoxSerialNumber" => box_serial = r.text(key).filled(),
        "firmwareVersion" => boot.firmware = r.text(key).filled(),
        "meterSerialNumber" => boot.meter_serial = r.text(key).filled(),
        "meterType" => boot.meter_type = r.text(key).filled(),
        "iccid" | "imsi" => r.skip(),
        _ => r.unknown(),
    });
    boot.vendor = vendor.stated("chargePointVendor")?.and_then(filled);
    boot.model = model.stated("chargePointModel")?.and_then(filled);
    boot.serial = boot.serial.or(box_serial);
    Ok(Fact::Boot(boot))
}

/// Heartbeat (1.6 §6.29).
pub(in crate::ocpp) fn heartbeat(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    r.object("Heartbeat", |r, _| r.unknown());
    Ok(Fact::Heartbeat)
}

/// StatusNotification (1.6 §6.47). Connector 0 is the station; every other connector is an EVSE of its own.
pub(super) fn status_notification(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut connector, mut state, mut error) = (Field::Absent, Field::Absent, Field::Absent);
    let mut reported_at = None;
    r.object("StatusNotification", |r, key| match key {
        "connectorId" => connector = r.evse_or_connector(key),
        "status" => state = r.text(key),
        "errorCode" => error = r.text(key),
        "timestamp" => reported_at = r.time(key).ok(),
        "info" | "vendorId" | "vendorErrorCode" => r.skip(),
        _ => r.unknown(),
    });
    let evse = connector.required("connectorId")?;
    let state = state.required("status")?.trim().to_owned();
    let error = error.expected(r, "errorCode").and_then(filled).filter(|code| !code.eq_ignore_ascii_case("NoError"));
    Ok(Fact::Status(Status {
        evse,
        connector: evse.min(1),
        charging: charging(&state),
        state,
        error,
        reported_at,
        findings: std::mem::take(&mut r.findings),
    }))
}

/// What a 1.6 status says about a running charge.
fn charging(state: &str) -> Option<ChargingState> {
    const STATES: [(&str, ChargingState); 6] = [
        ("Available", ChargingState::Idle),
        ("Preparing", ChargingState::EvConnected),
        ("Charging", ChargingState::Charging),
        ("SuspendedEV", ChargingState::SuspendedEv),
        ("SuspendedEVSE", ChargingState::SuspendedEvse),
        ("Finishing", ChargingState::EvConnected),
    ];
    let known = STATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(state)).map(|(_, charging)| *charging);
    known.or_else(|| ChargingState::out_of_service(state))
}

/// Authorize (1.6 §6.1). An empty tag is a tag that nobody has.
pub(super) fn authorize(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut tag = Field::Absent;
    r.object("Authorize", |r, key| match key {
        "idTag" => tag = r.text(key),
        _ => r.unknown(),
    });
    let tag = tag.required("idTag")?;
    if tag.trim().is_empty() {
        r.note("token-empty", "idTag");
    }
    Ok(Fact::Authorize { token: Token::new(TokenKind::Unstated, &tag) })
}

/// DataTransfer (1.6 §6.15, the same in 2.x).
pub(in crate::ocpp) fn data_transfer(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut vendor = Field::Absent;
    r.object("DataTransfer", |r, key| match key {
        "vendorId" => vendor = r.text(key),
        "messageId" | "data" => r.skip(),
        _ => r.unknown(),
    });
    Ok(Fact::DataTransfer { vendor: vendor.required("vendorId")?.into_owned() })
}

/// SecurityEventNotification (1.6 security whitepaper, A04; 2.0.1 A04). Stations send it unasked at boot.
pub(in crate::ocpp) fn security_event(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut kind = Field::Absent;
    let (mut detail, mut reported_at) = (None, None);
    r.object("SecurityEventNotification", |r, key| match key {
        "type" => kind = r.text(key),
        "techInfo" => detail = r.text(key).filled(),
        "timestamp" => reported_at = r.time(key).ok(),
        _ => r.unknown(),
    });
    Ok(Fact::SecurityEvent { kind: kind.required("type")?.into_owned(), detail, reported_at })
}
