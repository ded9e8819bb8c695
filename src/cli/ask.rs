//! Asking the running daemon.

use std::path::Path;
use std::time::Duration;

use super::exit::{Exit, Failure};
use crate::control::{self, Command, Outcome, Reply, Unreachable};

/// The reply to a command; it comes within this time, as far as the daemon can know.
pub fn ask(socket: &Path, command: &Command, patience: Duration) -> Result<Reply, Failure> {
    control::ask(socket, command, patience).map_err(|error| {
        let exit = if matches!(error, Unreachable::TooLong(_)) { Exit::Usage } else { Exit::Unreachable };
        Failure::new(exit, error.to_string())
    })
}

/// How a command ended, as an exit code; the reason goes to stderr.
pub fn ended(reply: &Reply) -> Result<Exit, Failure> {
    let exit = match reply.outcome {
        Outcome::Done => return Ok(Exit::Ok),
        Outcome::Usage => Exit::Usage,
        Outcome::NotFound => Exit::NotFound,
        Outcome::Refused => Exit::Refused,
        Outcome::Unreachable => Exit::Unreachable,
        Outcome::Rejected => Exit::Rejected,
    };
    Err(Failure::new(exit, reply.reason.clone()))
}
