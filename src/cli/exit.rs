//! Exit codes and failures.

use std::process::ExitCode;

use crate::daemon::StartError;
use crate::store::{OpenError, StoreError};

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
        Self::new(Exit::Store, error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Exit::Store, error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Unexpected, error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::Tariffs(_) | StartError::Key(_) | StartError::Mqtt(_) | StartError::Password { .. } => {
                Exit::Configuration
            }
            StartError::Open(_) | StartError::Store(_) => Exit::Store,
            StartError::Listen(_) | StartError::Thread(_) => Exit::Unexpected,
        };
        Self::new(exit, error.to_string())
    }
}
