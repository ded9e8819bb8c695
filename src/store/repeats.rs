//! Transaction messages that come again under their id because their answer was lost: the stored answer, and no second row.
//!
//! The last ids of a station are in memory, and read back from the end of the journal at start. A BootNotification ends them: counters begin
//! anew there, and a station without a clock may send the very text of an earlier session again. Messages that are repeated under a new id
//! are known by what they say (`session`). Limit: [`MAX_REMEMBERED`] ids per station.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::jobs::{Answered, Message};
use super::known_station::KnownStation;
use super::restore;
use super::writer::Writer;
use crate::units::StationId;

const MAX_REMEMBERED: usize = 32;

impl Writer {
    /// The same transaction message again (its answer was lost): the same answer, and no second row.
    pub(super) fn repeat(&mut self, message: &Message, id_hash: Option<u64>) -> Result<Option<Answered>, StoreError> {
        let (Some(id_hash), Some(station)) = (id_hash, self.stations.get(&message.station)) else { return Ok(None) };
        for (_, row) in station.remembered.iter().filter(|(known, _)| *known == id_hash) {
            let same = self
                .connection
                .prepare_cached("SELECT answer FROM message WHERE id = ?1 AND text = ?2")?
                .query_row(params![row, message.text], |row| row.get(0).map(Answered::of))
                .optional()?;
            if let Some(answer) = same {
                self.connection.prepare_cached("UPDATE message SET repeats = repeats + 1 WHERE id = ?1")?.execute([row])?;
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Takes up what the journal says of a recent message; a BootNotification ends what came before it.
    pub(super) fn cache_message(&mut self, recent: restore::Recent) {
        let station = self.stations.entry(recent.station.clone()).or_insert_with(|| KnownStation::new(recent.number));
        match recent.message_id {
            Some(id) => self.remember(&recent.station, Some(hash(&id)), recent.row),
            None => station.remembered.clear(),
        }
    }

    pub(super) fn remember(&mut self, id: &StationId, id_hash: Option<u64>, row: i64) {
        let (Some(id_hash), Some(station)) = (id_hash, self.stations.get_mut(id)) else { return };
        if station.remembered.len() == MAX_REMEMBERED {
            station.remembered.pop_front();
        }
        station.remembered.push_back((id_hash, row));
    }
}

pub(super) fn hash(message_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message_id.hash(&mut hasher);
    hasher.finish()
}
