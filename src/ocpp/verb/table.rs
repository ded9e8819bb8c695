//! What a verb is, and what its arguments are.

use serde_json::Value;

use super::asked::Asked;
use crate::units::Version;

/// A verb of `forecourt station`.
#[derive(Debug)]
pub struct Verb {
    /// One word, or two of which the first is shared (`profile set`).
    pub name: &'static str,
    pub about: &'static str,
    pub args: &'static [Arg],
    pub make: Make,
    /// The messages that it is made of, in 1.6 and in 2.x; none: that version has no such thing.
    pub actions: [&'static [&'static str]; 2],
    /// The answer is what was asked for, and is shown.
    pub shows: bool,
}

/// What a verb leads to.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// One message.
    One(fn(&Asked<'_>) -> Result<Message, String>),
    /// Settings are read, changed where they differ, and read again.
    Settings,
    /// The local list is sent under the next version number.
    LocalList,
    /// A certificate is looked for by its serial number, and deleted.
    CertificateDelete,
}

/// An action, and its payload.
pub type Message = (&'static str, Value);

/// An argument of a verb.
#[derive(Debug)]
pub struct Arg {
    pub name: &'static str,
    /// What stands for its value in the help; empty: it is a flag.
    pub value: &'static str,
    pub about: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By its place.
    Needed,
    Optional,
    /// By its place; any number.
    Many,
    /// `--name VALUE`
    Option,
    /// `--name VALUE`, and it must be there.
    NeededOption,
    /// `--name`
    Flag,
    /// `--name FILE`: its text.
    File,
    /// By its place: a token; `-` reads it from standard input.
    Token,
    /// By its place: a session that runs, named by its id, its transaction or its EVSE; its transaction is passed on. None: the only one.
    Session,
}

pub(super) const fn arg(kind: Kind, name: &'static str, value: &'static str, about: &'static str) -> Arg {
    Arg { name, value, about, kind }
}

pub(super) const EVSE: Arg = arg(Kind::Option, "evse", "N", "Number of the EVSE; in 1.6 that of the connector");
pub(super) const NEEDED_EVSE: Arg = arg(Kind::NeededOption, "evse", "N", "Number of the EVSE; in 1.6 that of the connector");
pub(super) const CONNECTOR: Arg = arg(Kind::Option, "connector", "N", "Number of the connector of that EVSE (2.x)");
pub(super) const REQUEST: Arg =
    arg(Kind::Option, "request", "N", "Number of the request in the reports that follow [default: of the time]");

impl Verb {
    pub fn actions(&self, version: Version) -> &'static [&'static str] {
        let [v16, v2] = self.actions;
        if version == Version::V16 { v16 } else { v2 }
    }

    /// Whether this version has messages for it, else why not.
    pub fn fits(&self, version: Version) -> Result<(), String> {
        if self.actions(version).is_empty() {
            return Err(format!("OCPP {} has no message for `{}`", version.number(), self.name));
        }
        Ok(())
    }
}
