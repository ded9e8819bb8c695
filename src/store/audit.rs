//! Who changed what, and why.

use rusqlite::params;

use super::StoreError;
use super::jobs::NewTariffs;
use super::writer::Writer;
use crate::units::{Time, time};

/// The actor of what nobody asked for.
pub(super) const OURSELVES: &str = "forecourt";

/// A change that a person made, or asked for.
pub(super) struct Change<'a> {
    pub(super) actor: &'a str,
    pub(super) action: &'static str,
    pub(super) object: &'a str,
    pub(super) before: Option<&'a str>,
    pub(super) after: &'a str,
    pub(super) reason: &'a str,
    pub(super) at: Time,
}

impl Writer {
    pub(super) fn audit(&self, change: &Change<'_>) -> Result<(), StoreError> {
        let Change { actor, action, object, before, after, reason, at } = change;
        let sql = "INSERT INTO audit (at, actor, role, action, object, before, after, reason) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        // What the program does by itself nobody has ordered.
        let role = if *actor == OURSELVES { "program" } else { "operator" };
        let values = params![time::to_millis(*at), actor, role, action, object, before, after, reason];
        Ok(self.connection.prepare_cached(sql)?.execute(values).map(drop)?)
    }

    pub(super) fn new_tariffs(&mut self, tariffs: &NewTariffs) -> Result<(), StoreError> {
        self.keep_tariffs(&tariffs.versions, tariffs.at)?;
        let NewTariffs { actor, reason, before, after, at, .. } = tariffs;
        let (action, object) = ("tariff reload", "tariffs");
        self.audit(&Change { actor, action, object, before: Some(before), after, reason, at: *at })
    }
}
