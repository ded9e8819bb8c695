//! Exit codes and failures.

use std::process::ExitCode;

use crate::daemon::StartError;
use crate::store::{OpenError, StoreError, io_may_pass};

/// What a script can rely on. The numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Unexpected = 1,
    Usage = 2,
    NotFound = 3,
    Configuration = 4,
    Store = 5,
    Verification = 6,
    /// The daemon or the station cannot be reached.
    Unreachable = 7,
    Refused = 8,
    /// The station said no.
    Rejected = 9,
    /// Not now, but it may pass by itself (EX_TEMPFAIL of sysexits.h): the unit starts the daemon again.
    Later = 75,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that could not do its work: the code, and the sentence for stderr (empty when all was said already).
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub text: String,
}

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(if error.may_pass() { Exit::Later } else { Exit::Store }, error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(if error.may_pass() { Exit::Later } else { Exit::Store }, error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Unexpected, error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let text = error.to_string();
        let person = match error {
            StartError::Open(error) => return error.into(),
            StartError::Store(error) => return error.into(),
            StartError::Tariffs(_) | StartError::Key(_) | StartError::Mqtt(_) | StartError::Password { .. } => {
                Exit::Configuration
            }
            StartError::Listen(_) | StartError::Thread(_) => Exit::Unexpected,
        };
        let of_the_system = error.io();
        Self::new(if of_the_system.is_some_and(io_may_pass) { Exit::Later } else { person }, text)
    }
}
