//! Messages that we cannot handle: kept for whoever mends us, unanswered.

use tracing::error;

use super::StoreError;
use super::jobs::Raw;
use super::journal::Answered;
use super::writer::Writer;
use crate::session::hold;
use crate::units::Finding;

impl Writer {
    /// Keeps the text of a message that we cannot handle, for whoever mends us. It stays unanswered: the station keeps it, too.
    pub(super) fn quarantine(&mut self, raw: &Raw, failure: &StoreError) {
        // Row and problem together: whoever sees the one finds the other.
        let mut write = || -> Result<(), StoreError> {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            let at = raw.received.at;
            let station = self.station(&raw.station, at)?.number;
            let finding = Finding::new(hold::INTERNAL, failure.to_string());
            let row =
                self.insert(station, raw.received, raw.action.as_deref(), &raw.text, &Answered::Unanswered, None, &[finding])?;
            let detail = format!("message {row}: {failure}");
            self.problem(hold::INTERNAL, Some(station), raw.action.as_deref().unwrap_or(""), &detail, at)?;
            Ok(self.connection.execute_batch("COMMIT")?)
        };
        if let Err(error) = write() {
            error!(station = %raw.station, %error, "the message could not be quarantined");
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
                // A station that was new in it has no row any more.
                self.stations.remove(&raw.station);
            }
        }
    }
}
