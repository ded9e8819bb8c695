//! The first changes of a start, before any message.

use rusqlite::params;
use tracing::error;

use super::epochs::ConfiguredStation;
use super::writer::Writer;
use super::{clock, registrations};
use crate::units::time;

impl Writer {
    /// No station is connected yet, the link is not up, our key is known, and stations are called as the configuration spells them.
    pub(super) fn begin_run(&mut self, configured: &[ConfiguredStation]) -> rusqlite::Result<()> {
        let now = time::to_millis((self.now)());
        let names = self.connection.transaction()?;
        names.execute("DELETE FROM configured_station", [])?;
        for ConfiguredStation { id, label, area } in configured {
            names.execute("UPDATE station SET name = ?1 WHERE name = ?1", [id])?;
            names.execute(
                "INSERT OR IGNORE INTO configured_station (name, label, area) VALUES (?1, ?2, ?3)",
                params![id, label, area],
            )?;
        }
        // What the configuration names need not be adopted.
        names.execute(
            "DELETE FROM problem WHERE kind = ?1 AND station IN (SELECT st.number FROM station st JOIN configured_station cf ON cf.name = st.name)",
            [registrations::PENDING],
        )?;
        names.commit()?;
        self.connection.execute("UPDATE station SET connected_at = NULL", [])?;
        clock::shorten_waits(&self.connection, time::from_millis(now))?;
        self.connection.execute("UPDATE uplink SET up = 0, since = ?1, error = NULL WHERE up", [now])?;
        let kid = self.signing.signer.kid();
        let changed = "SELECT count(*) > 0 AND sum(kid = ?1) = 0 FROM key";
        if self.connection.query_row(changed, [kid], |row| row.get::<_, Option<bool>>(0))?.unwrap_or(false) {
            error!(kid, "another key signs from now on; head office must learn it before it can verify new records");
            self.connection.execute(
                "INSERT INTO problem (kind, subject, detail, first_at, last_at) VALUES ('signing-key-changed', ?1,  'records are signed by another key than before; tell head office', ?2, ?2) ON CONFLICT DO NOTHING",
                params![kid, now],
            )?;
        }
        self.connection.execute(
            "INSERT INTO key (kid, jwk, since) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![kid, self.signing.jwk, now],
        )?;
        Ok(())
    }
}
