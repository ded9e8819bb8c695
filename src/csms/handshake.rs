//! Who is dialling, and in which version: the judgement of an upgrade request. Pure.
//!
//! Order of the checks: path → identity → known → subprotocol (OCPP-J 1.6 §3.1, 2.0.1 Part 4 §3). An offer without a version
//! that we speak is refused before the upgrade (certification cases TC_088 and TC_B_58 ask for that; the specification's
//! text would complete the handshake and close).

use percent_encoding::percent_decode_str;

use super::settings::Settings;
use crate::units::{Version, is_unprintable, printable};

/// Longer identities are refused: 2.0.1 allows 48 characters, 1.6 sets no limit.
const MAX_IDENTITY: usize = 255;

/// An upgrade request that is turned away: HTTP status, and a text for whoever reads the station's log.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub text: String,
}

impl Refused {
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

/// The station's identity: the last segment of the path, percent-decoded once.
pub fn identity(settings: &Settings, path: &str) -> Result<String, Refused> {
    let segments = |text: &str| text.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (prefix, found) = (segments(&settings.path), segments(path));
    if !found.starts_with(&prefix) {
        return Err(Refused::new(
            404,
            format!("path {path} is not below {}; the connection URL ends in {}/STATION", settings.path, settings.path),
        ));
    }
    let Some(last) = found[prefix.len()..].last() else {
        return Err(Refused::new(404, format!("path {path} names no station; append the station's identity")));
    };
    let decoded =
        percent_decode_str(last).decode_utf8().map_err(|_| Refused::new(400, format!("identity {last} is not UTF-8")))?;
    let decoded = decoded.trim();
    // Names end up in file names, topics, URLs and on terminals: none may be a path or look like another one.
    let forbidden = |c: char| is_unprintable(c) || matches!(c, ':' | '/');
    if decoded.is_empty()
        || matches!(decoded, "." | "..")
        || decoded.chars().count() > MAX_IDENTITY
        || decoded.contains(forbidden)
    {
        let text = format!(
            "identity \"{}\" is empty, a dot name or longer than {MAX_IDENTITY} characters, or has a colon, a slash or an invisible character",
            printable(decoded)
        );
        return Err(Refused::new(400, text));
    }
    Ok(decoded.to_owned())
}

/// The version to speak: the first of the station's offers that we speak. `None` as echo when nothing was offered.
pub fn version(settings: &Settings, offers: &[&str], assume_v16: bool) -> Result<(Version, Option<&'static str>), Refused> {
    let offered: Vec<&str> =
        offers.iter().flat_map(|offer| offer.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect();
    if offered.is_empty() && assume_v16 {
        return Ok((Version::V16, None));
    }
    let spoken = |name: &&str| Version::from_subprotocol(name).filter(|version| settings.versions.contains(version));
    match offered.iter().find_map(spoken) {
        Some(version) => Ok((version, Some(version.subprotocol()))),
        None => {
            let ours: Vec<_> = settings.versions.iter().map(|version| version.subprotocol()).collect();
            let theirs = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
            Err(Refused::new(400, format!("subprotocols offered: {theirs}; spoken here: {}", ours.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settings() -> Settings {
        Settings {
            path: "/ocpp".to_owned(),
            versions: vec![Version::V21, Version::V201, Version::V16],
            max_message_bytes: 1024,
            max_connections: 1,
            handshake_timeout: Duration::from_secs(1),
            quiet_after: Duration::from_secs(1),
            unknown_silence: Duration::from_secs(1),
            only_known: false,
            stations: Vec::new(),
            assume_v16: std::collections::HashSet::new(),
        }
    }

    #[test]
    fn identities_as_stations_write_them() {
        for (path, wanted) in [
            ("/ocpp/CP01", Ok("CP01")),
            ("/ocpp//CP01/", Ok("CP01")),
            ("/ocpp/extra/CP01", Ok("CP01")),
            ("/ocpp/RDAM%7C123", Ok("RDAM|123")),
            ("/ocpp/CP%2001", Ok("CP 01")),
            ("/ocpp/", Err(404)),
            ("/ocpp", Err(404)),
            ("/CP01", Err(404)),
            ("/ocpp/a%3Ab", Err(400)),
            ("/ocpp/%ff", Err(400)),
            ("/ocpp/%20CP01%20", Ok("CP01")),
            ("/ocpp/Z%C3%BCrich", Ok("Zürich")),
            ("/ocpp/..", Err(400)),
            ("/ocpp/%2e", Err(400)),
            ("/ocpp/..%2Fetc", Err(400)),
            ("/ocpp/%0aX", Ok("X")),
            ("/ocpp/X%0aY", Err(400)),
            ("/ocpp/X%1b%5b2J", Err(400)),
            ("/ocpp/X%C2%9b", Err(400)),
            ("/ocpp/%E2%80%AE1-PC", Err(400)),
            ("/ocpp/CP%E2%80%8B1", Err(400)),
            ("/ocpp/CP%E2%80%A81", Err(400)),
        ] {
            let found = identity(&settings(), path);
            assert_eq!(found.as_deref().map_err(|refused| refused.status), wanted.map_err(|status: u16| status), "{path}");
        }
    }

    #[test]
    fn the_stations_first_offer_that_we_speak_wins() {
        let choose = |offers: &[&str], assume| version(&settings(), offers, assume).map_err(|refused| refused.status);
        assert_eq!(choose(&["ocpp1.6, ocpp2.0.1"], false), Ok((Version::V16, Some("ocpp1.6"))));
        assert_eq!(choose(&["ocpp0.1", "ocpp2.1"], false), Ok((Version::V21, Some("ocpp2.1"))));
        assert_eq!(choose(&["ocpp2.0"], false), Err(400));
        assert_eq!(choose(&[], false), Err(400));
        assert_eq!(choose(&[], true), Ok((Version::V16, None)));
    }
}
