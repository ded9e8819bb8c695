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
        let write = || -> Result<(), StoreError> {
            let at = raw.received.at;
            let station = self.station(&raw.station, at)?.number;
            let finding = Finding::new(hold::INTERNAL, failure.to_string());
            let row =
                self.insert(station, raw.received, raw.action.as_deref(), &raw.text, &Answered::Unanswered, None, &[finding])?;
            let detail = format!("message {row}: {failure}");
            self.problem(hold::INTERNAL, Some(station), raw.action.as_deref().unwrap_or(""), &detail, at)
        };
        let mut write = write;
        if let Err(error) = write() {
            error!(station = %raw.station, %error, "the message could not be quarantined");
        }
    }
}
