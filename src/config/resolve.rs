//! From the merged layers to one trusted [`Config`]: every key parsed, then the few rules that look at several keys.

use std::path::Path;

use ::config::{Map, Value, ValueKind};

use super::found::{Found, Wrong};
use super::keys::{Log, Mqtt, Ocpp, Signing, Site, Station, Store, Tariff, Unset};
use super::place::{Ledger, Place, Source};
use super::problem::Problem;
use super::unknown::heading;
use super::{Config, Setting};

/// Reads keys from the merged layers and notes what is wrong.
pub(super) struct Resolver<'a> {
    merged: &'a Map<String, Value>,
    ledger: &'a Ledger,
    /// Where a missing key is missing.
    main: &'a Place,
    incomplete: bool,
    /// Folded identity of the station being read.
    station: Option<&'a str>,
    settings: Vec<Setting>,
    problems: Vec<Problem>,
}

impl<'a> Resolver<'a> {
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

    /// Everything, or the problems.
    pub(super) fn config(mut self) -> Result<Config, Vec<Problem>> {
        let site = Site::read(&mut self);
        let store = Store::read(&mut self);
        let ocpp = Ocpp::read(&mut self);
        let stations = self.stations();
        let tariff = Tariff::read(&mut self);
        let mqtt = Mqtt::read(&mut self);
        let signing = Signing::read(&mut self);
        let log = Log::read(&mut self);
        if let Some(mqtt) = &mqtt {
            self.judge_mqtt(mqtt);
        }
        self.judge_evse_ids(&stations);
        match (site, store, ocpp, tariff, mqtt, signing, log) {
            (Some(site), Some(store), Some(ocpp), Some(tariff), Some(mqtt), Some(signing), Some(log))
                if self.problems.is_empty() =>
            {
                let settings = self.settings;
                Ok(Config { site, store, ocpp, stations, tariff, mqtt, signing, log, settings }.filled())
            }
            _ => Err(self.problems),
        }
    }

    /// In order of identity.
    fn stations(&mut self) -> Vec<Station> {
        let mut ids: Vec<&str> =
            below(self.merged, "station").map(|table| table.keys().map(String::as_str).collect()).unwrap_or_default();
        ids.sort_unstable();
        let mut stations = Vec::new();
        for id in ids {
            self.station = Some(id);
            stations.extend(Station::read(self));
        }
        self.station = None;
        stations
    }

    /// A connection that could not come about as written.
    fn judge_mqtt(&mut self, mqtt: &Mqtt) {
        let Some(broker) = &mqtt.url else { return };
        if mqtt.password_file.is_some() && mqtt.username.is_none() {
            self.note("mqtt.password_file", "needs `mqtt.username` beside it");
        }
        if mqtt.cert_file.is_some() != mqtt.key_file.is_some() {
            let (there, missing) = if mqtt.cert_file.is_some() { ("cert_file", "key_file") } else { ("key_file", "cert_file") };
            self.note(&format!("mqtt.{there}"), &format!("needs `mqtt.{missing}` beside it"));
        }
        let tls = [("mqtt.ca_file", &mqtt.ca_file), ("mqtt.cert_file", &mqtt.cert_file), ("mqtt.key_file", &mqtt.key_file)];
        for (key, _) in tls.iter().filter(|(_, file)| file.is_some() && !broker.tls) {
            self.note(key, &format!("has no effect on {broker}; make it mqtts:// or remove the file"));
        }
    }

    /// One EVSE id names one EVSE (OCPI 2.2.1 locations, EVSE.evse_id).
    fn judge_evse_ids(&mut self, stations: &[Station]) {
        for (index, station) in stations.iter().enumerate() {
            for id in &station.evse_ids {
                if let Some(other) = stations.iter().take(index).find(|other| other.evse_ids.contains(id)) {
                    let key = format!("station.{}.evse_ids", station.id.to_lowercase());
                    self.note(&key, &format!("contains {id:?}, which already belongs to station {:?}", other.id));
                }
            }
        }
    }

    /// A problem with a key that was read.
    fn note(&mut self, key: &str, message: &str) {
        let place = self.settings.iter().find(|setting| setting.key == key).map_or(self.main, |setting| &setting.place);
        self.problems.push(Problem { place: place.clone(), message: format!("`{key}` {message}") });
    }
}

fn below<'a>(table: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    match &table.get(name)?.kind {
        ValueKind::Table(inner) => Some(inner),
        _ => None,
    }
}

/// Keys that systemd's credentials stand for, those that are there.
pub(super) fn credentials(folder: &Path) -> impl Iterator<Item = (Source, String, String)> {
    [("mqtt-password", "mqtt.password_file"), ("signing-key", "signing.key_file")]
        .into_iter()
        .map(|(name, key)| (name, key, folder.join(name)))
        .filter(|(_, _, path)| path.exists())
        .filter_map(|(name, key, path)| Some((Source::Credential(name), key.to_owned(), path.to_str()?.to_owned())))
}
