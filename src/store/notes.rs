//! Notes between the rows of the journal: when memory was read anew from the store, which tariffs were in use, what the
//! list of tokens said, when a session was judged, and what a person corrected.
//!
//! What follows from a message depends on the messages before it and on these; noted, it can be derived again (`replay.rs`). Each note is
//! in the transaction of what it notes. Limits: one note per start, failed group, change of tariffs, of a token, verdict, and correction.

use rusqlite::params;
use serde_json::{Value as Json, json};

use super::StoreError;
use super::writer::Writer;
use crate::fact::{AuthStatus, Registration};
use crate::session::TariffRef;
use crate::station::{ListedToken, Place};
use crate::units::{StationId, Time, Token, TokenKind, time};

pub(super) const BEGIN: &str = "begin";
pub(super) const TARIFFS: &str = "tariffs";
pub(super) const TOKEN: &str = "token";
pub(super) const VERDICT: &str = "verdict";
pub(super) const REGISTRATION: &str = "registration";
pub(super) const CORRECTION: &str = "correction";

impl Writer {
    /// Memory begins anew from the store, before the next message.
    pub(super) fn note_begin(&mut self) -> Result<(), StoreError> {
        if self.begun_anew {
            self.note_state(BEGIN)?;
            self.begun_anew = false;
        }
        Ok(())
    }

    /// Other tariffs are used from the next message on.
    pub(super) fn note_tariffs(&self) -> Result<(), StoreError> {
        self.note_state(TARIFFS)
    }

    fn note_state(&self, kind: &str) -> Result<(), StoreError> {
        let catalogue = self.machine.policy().tariffs.catalogue();
        let hashes: Vec<Box<str>> = catalogue.tariffs().iter().map(|tariff| TariffRef::of(tariff).0).collect();
        let hashes = serde_json::to_string(&hashes).map_err(|error| StoreError::Content(error.to_string()))?;
        let sql = "INSERT INTO journal_note (after_message, at, kind, epoch, tx_offset, detail) \
             VALUES ((SELECT coalesce(max(id), 0) FROM message), ?1, ?2, ?3, ?4, ?5)";
        let at = time::to_millis((self.now)());
        self.connection.prepare_cached(sql)?.execute(params![at, kind, self.epoch, self.tx_offset, hashes])?;
        Ok(())
    }

    /// A token stands on the list like this, or not at all.
    pub(super) fn note_token(&self, token: &Token, listed: Option<&ListedToken>, at: Time) -> Result<(), StoreError> {
        let on_list = listed.map(|listed| {
            let ListedToken { token, status, group, expires_at, places, tariff } = listed;
            let places: Vec<String> = places.iter().map(Place::to_string).collect();
            let (kind, until) = (token.kind.as_str(), expires_at.map(time::to_millis));
            json!({"kind": kind, "status": status.as_str(), "group": group, "until": until, "stations": places, "tariff": tariff})
        });
        let detail = json!({"token": token.reveal(), "listed": on_list}).to_string();
        let sql = "INSERT INTO journal_note (after_message, at, kind, detail) \
             VALUES ((SELECT coalesce(max(id), 0) FROM message), ?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![time::to_millis(at), TOKEN, detail])?;
        Ok(())
    }

    /// A person has decided whether a station is served.
    pub(super) fn note_registration(&self, station: &StationId, to: Registration, at: Time) -> Result<(), StoreError> {
        let detail = json!({"station": station.as_str(), "registration": to.as_str()}).to_string();
        let sql = "INSERT INTO journal_note (after_message, at, kind, detail) \
             VALUES ((SELECT coalesce(max(id), 0) FROM message), ?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![time::to_millis(at), REGISTRATION, detail])?;
        Ok(())
    }

    /// A session is billed or held, by what the journal says of it so far.
    pub(super) fn note_verdict(&self, session: i64, at: Time) -> Result<(), StoreError> {
        let sql = "INSERT INTO journal_note (after_message, at, kind, session) \
             VALUES ((SELECT coalesce(max(id), 0) FROM message), ?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![time::to_millis(at), VERDICT, session])?;
        Ok(())
    }

    /// A person corrects a bill, by what the journal says of its session so far.
    pub(super) fn note_correction(&self, session: i64, detail: &str, at: Time) -> Result<(), StoreError> {
        let sql = "INSERT INTO journal_note (after_message, at, kind, session, detail) \
             VALUES ((SELECT coalesce(max(id), 0) FROM message), ?1, ?2, ?3, ?4)";
        self.connection.prepare_cached(sql)?.execute(params![time::to_millis(at), CORRECTION, session, detail])?;
        Ok(())
    }
}

/// Reads what [`Writer::note_registration`] wrote.
pub(super) fn registration_of(detail: &str) -> Option<(String, Registration)> {
    let detail: Json = serde_json::from_str(detail).ok()?;
    Some((detail["station"].as_str()?.to_owned(), Registration::from_name(detail["registration"].as_str()?)?))
}

/// Reads what [`Writer::note_token`] wrote.
pub(super) fn token_of(detail: &str) -> Option<(Token, Option<ListedToken>)> {
    let detail: Json = serde_json::from_str(detail).ok()?;
    let text = detail["token"].as_str()?;
    let listed = &detail["listed"];
    if listed.is_null() {
        return Some((Token::new(TokenKind::Unstated, text), None));
    }
    let token = Token::new(TokenKind::from_name(listed["kind"].as_str()?), text);
    let places = listed["stations"].as_array()?.iter().filter_map(|place| Place::parse(place.as_str()?)).collect();
    let listed = ListedToken {
        token: token.clone(),
        status: AuthStatus::from_name(listed["status"].as_str()?)?,
        group: listed["group"].as_str().map(Box::from),
        expires_at: listed["until"].as_i64().map(time::from_millis),
        places,
        tariff: listed["tariff"].as_str().map(str::to_owned),
    };
    Some((token, Some(listed)))
}
