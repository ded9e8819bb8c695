//! Registration of stations as it is read: into the machine at start, and for those who let stations in.

use rusqlite::Connection;

use super::StoreError;
use super::reader::Reader;
use crate::fact::Registration;
use crate::station::Registered;
use crate::units::StationId;

/// Kind of the problem that a station waits in the inbox.
pub(super) const PENDING: &str = "station-pending";

/// Of every station of which something is known.
pub(super) fn all(connection: &Connection) -> Result<Vec<(StationId, Registered)>, StoreError> {
    let sql = "SELECT name, first_registration, registration FROM station WHERE first_registration IS NOT NULL OR registration IS NOT NULL";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let read = |text: Option<String>| text.as_deref().and_then(Registration::from_name);
        Ok((StationId::new(&row.get::<_, String>(0)?), Registered { first: read(row.get(1)?), decided: read(row.get(2)?) }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Reader {
    /// Stations that a person has accepted.
    pub fn adopted_stations(&self) -> Result<Vec<StationId>, StoreError> {
        let is_adopted =
            |(id, registered): (StationId, Registered)| (registered.decided == Some(Registration::Accepted)).then_some(id);
        Ok(all(self.reading.connection())?.into_iter().filter_map(is_adopted).collect())
    }
}
