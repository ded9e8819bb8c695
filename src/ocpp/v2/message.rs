//! BootNotification, Authorize, and messages that are only noted.

use std::borrow::Cow;

use crate::fact::{Boot, Fact, Refusal};
use crate::ocpp::lenient::{Field, PayloadReader, filled};
use crate::units::{Token, TokenKind};

/// BootNotification (2.0.1 B01). Vendor and model are required, but may be empty.
pub(super) fn boot_notification(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut vendor, mut model, mut reason) = (Field::Absent, Field::Absent, Field::Absent);
    let mut boot = Boot::default();
    let mut station = Field::Absent;
    r.object("BootNotification", |r, key| match key {
        "reason" => reason = r.text(key),
        "chargingStation" => {
            station = Field::Read(r.object(key, |r, key| match key {
                "vendorName" => vendor = r.text(key),
                "model" => model = r.text(key),
                "serialNumber" => boot.serial = r.text(key).filled(),
                "firmwareVersion" => boot.firmware = r.text(key).filled(),
                "modem" => r.skip(),
                _ => r.unknown(),
            }));
        }
        _ => r.unknown(),
    });
    station.required("chargingStation")?;
    boot.vendor = vendor.stated("chargingStation.vendorName")?.and_then(filled);
    boot.model = model.stated("chargingStation.model")?.and_then(filled);
    boot.reason = reason.stated("reason")?.and_then(filled);
    Ok(Fact::Boot(boot))
}

/// Authorize (2.0.1 C01). Certificates of plug and charge are passed over.
pub(super) fn authorize(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut token = Field::Absent;
    r.object("Authorize", |r, key| match key {
        "idToken" => token = id_token(r),
        "certificate" | "iso15118CertificateHashData" => r.skip(),
        _ => r.unknown(),
    });
    Ok(Fact::Authorize { token: token.required("idToken")? })
}

/// A message whose content stays in the journal.
pub(super) fn noted(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    r.object("payload", |r, _| r.skip());
    Ok(Fact::Noted)
}

/// IdTokenType (2.0.1 C01, C02). A bare text, as 1.6 has it, is a token of unstated kind. A token without text is one only if
/// its kind is NoAuthorization (C02.FR.01).
pub(super) fn id_token(r: &mut PayloadReader<'_>) -> Field<Token> {
    let (mut text, mut kind) = (Field::Absent, None);
    if r.at_object() {
        r.object("idToken", |r, key| match key {
            "idToken" => text = r.text(key),
            "type" => kind = r.text(key).filled(),
            "additionalInfo" => r.skip(),
            _ => r.unknown(),
        });
    } else {
        text = match r.text("idToken") {
            Field::Absent => return Field::Absent,
            Field::Unreadable => return Field::Unreadable,
            bare => bare,
        };
    }
    let kind = match kind {
        Some(name) if name.eq_ignore_ascii_case("NoAuthorization") => TokenKind::NoAuthorization,
        Some(name) => TokenKind::Named(name.into()),
        None => {
            r.note("token-kind-missing", "idToken.type");
            TokenKind::Unstated
        }
    };
    let text = match text {
        Field::Read(text) => text,
        Field::Absent => Cow::Borrowed(""),
        Field::Unreadable => return Field::Unreadable,
    };
    if text.trim().is_empty() && kind != TokenKind::NoAuthorization {
        r.note("token-empty", "idToken.idToken");
        return Field::Unreadable;
    }
    Field::Read(Token::new(kind, &text))
}
