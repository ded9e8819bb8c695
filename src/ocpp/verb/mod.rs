//! What people ask of a station in words of their own: `forecourt station reset CP-1 --hard`.
//!
//! A [`Verb`] names its arguments and makes the message of the station's version of them; the command line, its help and
//! docs/messages.md follow from the table. **A new verb is one row** in the file of its kind and the function that makes its message. Values of
//! lists may be written in any case, with hyphens, or as far as they are unmistakable (`boot`, `csms`): `spelled` puts them right. What does
//! not fit the message is found by `call::check` like everything that is sent.
//!
//! Deliberately not here: several messages in turn, with decisions between them (`daemon/station_verbs.rs`).

mod access;
mod asked;
mod charging;
mod daily;
mod device;
pub mod local_list;
mod meaning;
mod screen;
mod spelled;
mod table;
mod upkeep;

use std::collections::BTreeMap;

pub use asked::Asked;
pub use meaning::meaning;
pub use table::{Arg, Kind, Make, Message, Verb};
pub use upkeep::{certificate_delete, certificate_list, certificate_of};

use crate::units::{Time, Version};

/// All verbs, in the order of the help.
pub fn verbs() -> impl Iterator<Item = &'static Verb> {
    [daily::VERBS, device::VERBS, charging::VERBS, access::VERBS, upkeep::VERBS, screen::VERBS].into_iter().flatten()
}

pub fn find(name: &str) -> Option<&'static Verb> {
    verbs().find(|verb| verb.name == name)
}

/// The message for what was asked, with all values spelled as the version has them.
pub fn message(
    make: fn(&Asked<'_>) -> Result<Message, String>,
    version: Version,
    args: &BTreeMap<String, Vec<String>>,
    now: Time,
) -> Result<Message, String> {
    let (action, mut payload) = make(&Asked { version, args, now })?;
    spelled::without_null(&mut payload);
    spelled::spell(version, action, &mut payload);
    Ok((action, payload))
}

#[cfg(test)]
mod tests;
