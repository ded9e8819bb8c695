//! Registration of stations: on disk, in the machine's memory, in the audit and in the notes of the journal, all in one transaction.

use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::audit::Change;
use super::jobs::{Registering, RegistrationOutcome};
use super::registrations::PENDING;
use super::writer::Writer;
use crate::fact::Registration;
use crate::units::StationId;

impl Writer {
    /// The station said something valid for the first time.
    pub(super) fn admit(&mut self, id: &StationId, number: i64) -> Result<(), StoreError> {
        let first = self.machine.admit(id).as_str();
        self.connection
            .prepare_cached("UPDATE station SET first_registration = coalesce(first_registration, ?2) WHERE number = ?1")?
            .execute(params![number, first])?;
        Ok(())
    }

    /// A person decides on a station that has connected at some time, or was turned away.
    pub(super) fn register(&mut self, registering: &Registering) -> Result<RegistrationOutcome, StoreError> {
        let Registering { station, to, actor, reason, at } = registering;
        let known = "SELECT name FROM station WHERE name = ?1 UNION ALL SELECT name FROM configured_station WHERE name = ?1 COLLATE NOCASE \
             UNION ALL SELECT subject FROM problem WHERE kind = 'station-refused' AND subject = ?1 COLLATE NOCASE LIMIT 1";
        let known: Option<String> =
            self.connection.prepare_cached(known)?.query_row([station.as_str()], |row| row.get(0)).optional()?;
        let Some(name) = known else { return Ok(RegistrationOutcome::UnknownStation) };
        let id = StationId::new(&name);
        let number = self.station(&id, *at)?.number;
        let before = self.machine.registration(&id);
        let sql = "UPDATE station SET registration = ?2 WHERE number = ?1";
        self.connection.prepare_cached(sql)?.execute(params![number, to.as_str()])?;
        if *to != Registration::Pending {
            self.connection
                .prepare_cached("DELETE FROM problem WHERE kind = ?1 AND station = ?2")?
                .execute(params![PENDING, number])?;
            let refused = "DELETE FROM problem WHERE kind = 'station-refused' AND subject = ?1 COLLATE NOCASE";
            self.connection.prepare_cached(refused)?.execute([name.as_str()])?;
        }
        self.audit(&Change {
            actor,
            action: "station registration",
            object: &name,
            before: Some(before.as_str()),
            after: to.as_str(),
            reason,
            at: *at,
        })?;
        self.note_registration(&id, *to, *at)?;
        self.machine.register(&id, *to);
        Ok(RegistrationOutcome::Registered { station: id, before })
    }
}
