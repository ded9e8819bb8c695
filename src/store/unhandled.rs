//! Messages that we cannot handle: kept for whoever mends us, unanswered.

use tracing::error;

use super::StoreError;
use super::jobs::Answered;
use super::jobs::Raw;
use super::journal::Row;
use super::writer::Writer;
use crate::session::hold;
use crate::units::Finding;

impl Writer {
    /// Keeps the text of a message that we cannot handle, for whoever mends us. It stays unanswered: the station keeps it, too.
    pub(super) fn quarantine(&mut self, raw: &Raw, failure: &StoreError) {
        // Row and problem together: whoever sees the one finds the other.
        let kept = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from).and_then(|()| {
            self.keep_raw(raw, failure)?;
            Ok(self.connection.execute_batch("COMMIT")?)
        });
        if let Err(error) = kept {
            error!(station = %raw.station, %error, "the message could not be quarantined");
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
                // A station that was new in it has no row any more.
                self.stations.remove(&raw.station);
            }
        }
    }

    fn keep_raw(&mut self, raw: &Raw, failure: &StoreError) -> Result<(), StoreError> {
        let Raw { station: id, version, received, action, text } = raw;
        let (action, answer) = (action.as_deref(), Answered::Unanswered);
        let station = self.station(id, received.at)?.number;
        let findings = [Finding::new(hold::INTERNAL, failure.to_string())];
        let (version, received) = (*version, *received);
        let row = Row { station, version, received, action, text, answer: &answer, findings: &findings, heard_at: None };
        let detail = format!("message {}: {failure}", self.insert(&row, None)?);
        self.problem(hold::INTERNAL, Some(station), action.unwrap_or(""), &detail, received.at)
    }
}
