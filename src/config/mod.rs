//! Configuration: found in layers, parsed once, resolved once, then trusted.
//!
//! ```text
//! built-in ◁ systemd credentials ◁ forecourt.toml ◁ conf.d/*.toml, by name ◁ FORECOURT__SECTION__KEY ◁ flags    (◁ = yields to)
//!      keys.rs         layer.rs: unknown and reserved keys, each with file and line
//!                          the `config` crate merges, every value keeps its place
//!                              values.rs, types.rs: types, ranges; here: rules between keys ─▶ Config, or all problems at once
//! ```
//! Stations merge by identity: a later file adds a station, or a key to one. A relative path starts at the folder of the
//! file that names it; in a variable or flag, at the working directory. `""` takes an optional key back. Secrets are only
//! ever named by path. A credential yields to a file that names the key; its place among the defaults keeps a unit's
//! `LoadCredential=` working without a line of configuration.
//!
//! Deliberately not here: whether the files named exist and fit (the modules that use them say that, with more detail), reloading, logs.
//! [`Config::describe`] tells where each value came from.

mod found;
mod keys;
mod layer;
mod reserved;
mod types;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use found::{ConfigErrors, Place, Problem, Setting, Source};
pub use keys::{Log, Mqtt, Ocpp, Signing, Site, Station, Store, Tariff, Web};
pub use types::{Algorithm, Broker, Currency, LogFormat, LogLevel, Quirk, Rounding, UnknownStations, UnknownTokens};
pub use values::SigningKeyFile;

use keys::{Reader, below};
use layer::Layers;

/// Read when no `--config` names another.
pub const DEFAULT_FILE: &str = "/etc/forecourt/forecourt.toml";

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    pub site: Site,
    pub store: Store,
    pub ocpp: Ocpp,
    /// By identity; no two differ only in case.
    pub stations: Vec<Station>,
    pub tariff: Tariff,
    pub mqtt: Mqtt,
    pub signing: Signing,
    pub web: Web,
    pub log: Log,
    settings: Vec<Setting>,
}

impl Config {
    /// Reads all layers. `explicit`: the operator named `main`, so it has to exist. `flags` are `(key, value)` pairs such as
    /// `("store.path", "/tmp/a.db")`; a flag's value is read like a variable's (lists with commas, no quotes).
    pub fn load(
        main: &Path,
        explicit: bool,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigErrors> {
        let env: Vec<_> = env.collect();
        let mut layers = Layers::default();
        if let Some((_, folder)) = env.iter().find(|(name, folder)| name == "CREDENTIALS_DIRECTORY" && !folder.is_empty()) {
            layers.texts(credentials(Path::new(folder)));
        }
        let exists = layers.file(main);
        if !exists && explicit {
            layers.unreadable(main, "does not exist".to_owned());
        }
        let folder = main.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        layers.folder(&folder.join("conf.d"));
        layers.texts(env.iter().filter_map(|(name, value)| variable(name, value)));
        layers.texts(flags.iter().map(|(key, value)| (Source::CommandLine, key.clone(), value.clone())));
        Self::merge(main, exists, layers)
    }

    fn merge(main: &Path, exists: bool, layers: Layers) -> Result<Self, ConfigErrors> {
        let (sources, mut layers) = layers.into_sources();
        let main = Place { layer: usize::MAX, line: 0, source: Source::File(main.into()) };
        let builder = sources.into_iter().fold(::config::Config::builder(), |builder, layer| builder.add_source(layer));
        let merged = builder.build().and_then(|merged| ::config::Source::collect(&merged)).map_err(|error| {
            ConfigErrors::new(vec![Problem { place: main.clone(), message: format!("the layers do not fit together: {error}") }])
        })?;
        let config = Reader::new(&merged, &layers.ledger, &main, layers.incomplete).config();
        match config {
            Ok(config) if layers.problems.is_empty() => Ok(config),
            Ok(_) => Err(ConfigErrors::new(layers.problems)),
            Err(problems) => {
                layers.problems.extend(problems);
                if !exists && !layers.incomplete {
                    let message = "does not exist; name a file with --config FILE, or begin with a copy of config/forecourt.toml";
                    layers.problems.push(Problem { place: Place { layer: 1, ..main.clone() }, message: message.to_owned() });
                }
                Err(ConfigErrors::new(layers.problems))
            }
        }
    }

    /// Defaults that depend on other keys.
    fn filled(mut self) -> Self {
        let or = |text: &mut String, default: &str| {
            if text.is_empty() {
                default.clone_into(text);
            }
        };
        or(&mut self.site.name, &self.site.id);
        or(&mut self.mqtt.client_id, &format!("forecourt-{}", self.site.id));
        for station in &mut self.stations {
            or(&mut station.label, &station.id);
        }
        self
    }

    /// Every key with its value and origin, in the order of the documentation. Holds no secret, only paths to them.
    pub fn describe(&self) -> &[Setting] {
        &self.settings
    }

    /// The entry of a station; identities are compared without regard to case.
    pub fn station(&self, id: &str) -> Option<&Station> {
        let id = id.to_lowercase();
        self.stations.iter().find(|station| station.id.to_lowercase() == id)
    }
}

/// From the merged layers to one trusted [`Config`]: every key parsed, then the few rules that look at several keys.
impl Reader<'_> {
    /// Everything, or the problems.
    fn config(mut self) -> Result<Config, Vec<Problem>> {
        let site = Site::read(&mut self);
        let store = Store::read(&mut self);
        let ocpp = Ocpp::read(&mut self);
        let stations = self.stations();
        let tariff = Tariff::read(&mut self);
        let mqtt = Mqtt::read(&mut self);
        let signing = Signing::read(&mut self);
        let web = Web::read(&mut self);
        let log = Log::read(&mut self);
        if let Some(mqtt) = &mqtt {
            self.check_mqtt(mqtt);
        }
        if let (Some(web), Some(ocpp)) = (&web, &ocpp)
            && web.listen.is_some_and(|address| ocpp.listen.contains(&address))
        {
            self.note("web.listen", "is the address of `ocpp.listen`; give each a port of its own");
        }
        self.check_evse_ids(&stations);
        match (site, store, ocpp, tariff, mqtt, signing, web, log) {
            (Some(site), Some(store), Some(ocpp), Some(tariff), Some(mqtt), Some(signing), Some(web), Some(log))
                if self.problems.is_empty() =>
            {
                let settings = self.settings;
                Ok(Config { site, store, ocpp, stations, tariff, mqtt, signing, web, log, settings }.filled())
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
    fn check_mqtt(&mut self, mqtt: &Mqtt) {
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
    fn check_evse_ids(&mut self, stations: &[Station]) {
        for (index, station) in stations.iter().enumerate() {
            for id in &station.evse_ids {
                if let Some(other) = stations.iter().take(index).find(|other| other.evse_ids.contains(id)) {
                    let key = format!("station.{}.evse_ids", station.id.to_lowercase());
                    self.note(&key, &format!("contains {id:?}, which already belongs to station {:?}", other.id));
                }
            }
        }
    }
}

/// The process's environment. `std::env::vars` would panic on a stray byte; here it shows up as `�` in the error.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// `FORECOURT__OCPP__LISTEN` is `ocpp.listen`.
fn variable(name: &str, value: &str) -> Option<(Source, String, String)> {
    let path = name.strip_prefix(reserved::PREFIX)?.to_ascii_lowercase().replace("__", ".");
    Some((Source::Variable(name.to_owned()), path, value.to_owned()))
}

/// Keys that systemd's credentials stand for, those that are there.
fn credentials(folder: &Path) -> impl Iterator<Item = (Source, String, String)> {
    [("mqtt-password", "mqtt.password_file"), ("signing-key", "signing.key_file")]
        .into_iter()
        .map(|(name, key)| (name, key, folder.join(name)))
        .filter(|(_, _, path)| path.exists())
        .filter_map(|(name, key, path)| Some((Source::Credential(name), key.to_owned(), path.to_str()?.to_owned())))
}
