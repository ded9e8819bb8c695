//! Every key: its type, built-in default and parser, in one table. **A new key is one line here**; the struct field, the
//! list of known keys and the reading all come from that line. (A key that needs others to be judged: see `mod.rs`.)
//!
//! ```text
//! /// What it is.
//! key: type = Default("as written in TOML, unquoted") or Required("an example"), parser;
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;

use ::config::{Map, Value, ValueKind};
use chrono_tz::Tz;

use super::found::{Found, Ledger, Place, Problem, Setting, Wrong};
use super::types::{Algorithm, Broker, Currency, LogFormat, LogLevel, Quirk, Rounding, UnknownStations, UnknownTokens, broker};
use super::values::*;
use crate::units::{Decimal, Version};

/// What holds when no layer names the key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unset {
    /// Text as an environment variable would give it; `""` = absent.
    Default(&'static str),
    /// An error, which shows this example.
    Required(&'static str),
}

use Unset::{Default, Required};

pub(super) struct Key {
    /// `section.key`.
    pub(super) path: &'static str,
    pub(super) unset: Unset,
}

/// Reads keys from the merged layers and notes what is wrong.
pub(super) struct Reader<'a> {
    pub(super) merged: &'a Map<String, Value>,
    ledger: &'a Ledger,
    /// Where a missing key is missing.
    main: &'a Place,
    incomplete: bool,
    /// Folded identity of the station being read.
    pub(super) station: Option<&'a str>,
    pub(super) settings: Vec<Setting>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(merged: &'a Map<String, Value>, ledger: &'a Ledger, main: &'a Place, incomplete: bool) -> Self {
        Self { merged, ledger, main, incomplete, station: None, settings: Vec::new(), problems: Vec::new() }
    }

    /// The parsed value of a key. `None` when it is missing or wrong, which is then noted.
    pub(super) fn value<T>(&mut self, path: &str, unset: Unset, parse: impl Fn(&Found<'_>) -> Result<T, Wrong>) -> Option<T> {
        let (section, leaf) = path.split_once('.')?;
        let mut table = below(self.merged, section);
        if let Some(station) = self.station {
            table = table.and_then(|stations| below(stations, station));
        }
        let Some(value) = table.and_then(|table| table.get(leaf)) else {
            if let Unset::Required(example) = unset
                && !self.incomplete
            {
                let message = format!("`{path}` is missing; write e.g. {example} below {}", heading(section));
                self.problems.push(Problem { place: self.main.clone(), message });
            }
            return None;
        };
        let found = Found::new(value, self.ledger);
        match parse(&found) {
            Ok(parsed) => {
                let key = self.station.map_or_else(|| path.to_owned(), |id| format!("station.{id}.{leaf}"));
                self.settings.push(Setting { key, value: found.show(), place: found.place.clone() });
                Some(parsed)
            }
            Err(wrong) => {
                let label = match table.filter(|_| self.station.is_some()).and_then(|station| station.get("id")) {
                    Some(id) => format!("station {}: `{leaf}`", Found::new(id, self.ledger).show()),
                    None => format!("`{path}`"),
                };
                let message = format!("{label} {}; {}", wrong.found, wrong.expected);
                self.problems.push(Problem { place: wrong.place, message });
                None
            }
        }
    }

    /// A problem with a key that was read.
    pub(super) fn note(&mut self, key: &str, message: &str) {
        let place = self.settings.iter().find(|setting| setting.key == key).map_or(self.main, |setting| &setting.place);
        self.problems.push(Problem { place: place.clone(), message: format!("`{key}` {message}") });
    }
}

pub(super) fn below<'a>(table: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    match &table.get(name)?.kind {
        ValueKind::Table(inner) => Some(inner),
        _ => None,
    }
}

/// `[ocpp]`, but `[[station]]`.
pub(super) fn heading(section: &str) -> String {
    if section == "station" { "[[station]]".to_owned() } else { format!("[{section}]") }
}

macro_rules! section {
    ($(#[$doc:meta])* $struct:ident = $section:literal {
        $( $(#[$key_doc:meta])* $key:ident: $type:ty = $unset:expr, $parse:expr; )*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $struct {
            $( $(#[$key_doc])* pub $key: $type, )*
        }

        impl $struct {
            const KEYS: &'static [Key] = &[$( Key { path: concat!($section, ".", stringify!($key)), unset: $unset }, )*];

            /// `None` when any key is missing or wrong; the reader then holds a problem for each.
            pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
                $( let $key = reader.value(concat!($section, ".", stringify!($key)), $unset, $parse); )*
                Some(Self { $( $key: $key?, )* })
            }
        }
    };
}

section! {
    /// Who bills, in which money, by which clock.
    Site = "site" {
        /// Stands in every record and MQTT topic.
        id: String = Required("id = \"harbour-1\""), name(36, "-_.");
        /// For people. Default: the id.
        name: String = Default(""), or_empty(text(100));
        /// ISO 3166-1, of the charge point operator (OCPI CDR).
        country_code: String = Required("country_code = \"DE\""), capitals(2, false, "two capital letters of ISO 3166-1, such as \"DE\"");
        /// OCPI party of the charge point operator.
        party_id: String = Required("party_id = \"FCT\""), capitals(3, true, "three capital letters or digits, such as \"FCT\"");
        /// Tariffs switch and days end by this clock.
        time_zone: Tz = Required("time_zone = \"Europe/Berlin\""), time_zone;
        currency: Currency = Required("currency = \"EUR\""), currency;
        /// Unix socket for commands to the running daemon.
        control_socket: PathBuf = Default("/run/forecourt/control.sock"), path;
    }
}

section! {
    Store = "store" {
        path: PathBuf = Default("/var/lib/forecourt/forecourt.db"), path;
    }
}

section! {
    /// The stations' side.
    Ocpp = "ocpp" {
        /// Never empty.
        listen: Vec<SocketAddr> = Default("0.0.0.0:9000"), listeners;
        /// URL path before the station's identity; `/` = none.
        path: String = Default("/ocpp"), url_path;
        /// Accepted subprotocols, in any order: of several, the station's first offer counts. Never empty.
        versions: Vec<Version> = Default("ocpp2.1, ocpp2.0.1, ocpp1.6"), some("OCPP versions", word::<Version>);
        /// Told to stations in the answer to their BootNotification.
        heartbeat_s: u32 = Default("300"), number(10, 86_400, "seconds");
        /// Told to stations that are Pending or Rejected instead.
        boot_retry_s: u32 = Default("60"), number(1, 86_400, "seconds");
        unknown_stations: UnknownStations = Default("accept"), word;
        unknown_tokens: UnknownTokens = Default("accept"), word;
        /// Minimum for every station. Without effect: 0 is the only value that is not reserved.
        security_profile: u32 = Default("0"), level(3);
        /// Larger frames close the connection.
        max_message_kb: u32 = Default("1024"), number(64, 16_384, "kilobytes");
        /// Further connections are turned away with 503.
        max_connections: u32 = Default("500"), number(1, 10_000, "connections");
        /// From accepting a connection to the end of its WebSocket upgrade.
        handshake_s: u32 = Default("10"), number(1, 120, "seconds");
        /// A station that is neither configured nor in the store, and has said nothing valid by then, is dropped.
        unknown_silence_s: u32 = Default("60"), number(1, 600, "seconds");
        /// After boot stations are told to send what billing needs; `false`: nothing of ours is sent unasked.
        onboarding: bool = Default("true"), truth;
        /// Between samples while a vehicle charges, as stations are told at onboarding.
        meter_interval_s: u32 = Default("60"), number(5, 3_600, "seconds");
    }
}

section! {
    /// One known station.
    Station = "station" {
        id: String = Required("id = \"CP-1\""), station_id;
        /// For people, in lists beside the id.
        label: String = Default(""), or_empty(text(100));
        /// eMI3 ids, that of EVSE 1 first.
        evse_ids: Vec<String> = Default(""), list(64, "EVSE ids", name(48, "*-_."));
        max_power_kw: Option<Decimal> = Default(""), optional(kilowatts);
        /// Where on the site, for people: `v_station` has it.
        area: Option<String> = Default(""), optional(text(50));
        /// A tariff id; default: `tariff.default`.
        tariff: Option<String> = Default(""), optional(text(36));
        /// Tariff ids, that of EVSE 1 (1.6: connector) first; where it ends, `tariff` counts.
        evse_tariffs: Vec<String> = Default(""), list(64, "tariff ids", text(36));
        quirks: Vec<Quirk> = Default(""), list(16, "quirks", word::<Quirk>);
    }
}

section! {
    Tariff = "tariff" {
        /// OCPI tariff files, `*.json`.
        dir: PathBuf = Default("/etc/forecourt/tariffs"), path;
        /// Id of the tariff for stations that name none. Without it their sessions are held.
        default: Option<String> = Default(""), optional(text(36));
        rounding: Rounding = Default("line-half-away"), word;
    }
}

section! {
    /// The way to the head office.
    Mqtt = "mqtt" {
        /// `None`: records stay in the outbox.
        url: Option<Broker> = Default(""), optional(broker);
        /// Default: `forecourt-{site.id}`.
        client_id: String = Default(""), or_empty(name(64, "-_."));
        username: Option<String> = Default(""), optional(text(200));
        /// systemd credential `mqtt-password`.
        password_file: Option<PathBuf> = Default(""), optional(path);
        /// Instead of the system's certificate authorities.
        ca_file: Option<PathBuf> = Default(""), optional(path);
        /// Ours, when the broker asks for one; with `key_file`.
        cert_file: Option<PathBuf> = Default(""), optional(path);
        key_file: Option<PathBuf> = Default(""), optional(path);
        topic_prefix: String = Default("forecourt/v1"), topic;
        /// Records sent and not yet acknowledged by the broker.
        window: u32 = Default("100"), number(1, 1_000, "records");
    }
}

section! {
    Signing = "signing" {
        /// systemd credential `signing-key`.
        key_file: SigningKeyFile = Default("/var/lib/forecourt/signing-key.pem"), signing_key_file;
        algorithm: Algorithm = Default("ES256"), word;
    }
}

section! {
    /// HTTP for those who watch the daemon.
    Web = "web" {
        /// `None`: no HTTP.
        listen: Option<SocketAddr> = Default(""), optional(listener);
    }
}

section! {
    Log = "log" {
        level: LogLevel = Default("info"), word;
        format: LogFormat = Default("text"), word;
    }
}

/// Every section with its keys.
const SECTIONS: &[(&str, &[Key])] = &[
    ("site", Site::KEYS),
    ("store", Store::KEYS),
    ("ocpp", Ocpp::KEYS),
    ("station", Station::KEYS),
    ("tariff", Tariff::KEYS),
    ("mqtt", Mqtt::KEYS),
    ("signing", Signing::KEYS),
    ("web", Web::KEYS),
    ("log", Log::KEYS),
];

pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|(name, _)| *name)
}

pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|(_, keys)| keys.iter())
}

/// The keys of one section; none for an unknown one.
pub(super) fn of(section: &str) -> &'static [Key] {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

pub(super) fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

pub(super) fn is_key(path: &str) -> bool {
    all().any(|key| key.path == path)
}
