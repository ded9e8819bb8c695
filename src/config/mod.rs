//! Configuration: found in layers, parsed once, resolved once, then trusted.
//!
//! ```text
//! built-in ◁ systemd credentials ◁ forecourt.toml ◁ conf.d/*.toml, by name ◁ FORECOURT__SECTION__KEY ◁ flags    (◁ = yields to)
//!      keys.rs         layer.rs: unknown and reserved keys, each with file and line
//!                          the `config` crate merges, every value keeps its place
//!                              resolve.rs: types, ranges, rules between keys ─▶ Config, or all problems at once
//! ```
//! Stations merge by identity: a later file adds a station, or a key to one. A relative path starts at the folder of the
//! file that names it; in a variable or flag, at the working directory. `""` takes an optional key back. Secrets are only
//! ever named by path. A credential yields to a file that names the key; its place among the defaults keeps a unit's
//! `LoadCredential=` working without a line of configuration.
//!
//! Deliberately not here: whether the files named exist and fit (the modules that use them say that, with more detail), reloading, logs.
//! [`Config::describe`] tells where each value came from.

mod broker;
mod currency;
mod enums;
mod found;
mod keys;
mod layer;
mod nearest;
mod place;
mod problem;
mod reserved;
mod resolve;
mod unknown;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use broker::Broker;
pub use currency::Currency;
pub use enums::{Algorithm, LogFormat, LogLevel, Quirk, Rounding, UnknownStations, UnknownTokens};
pub use keys::{Log, Mqtt, Ocpp, Signing, Site, Station, Store, Tariff};
pub use place::{Place, Source};
pub use problem::{ConfigErrors, Problem};
pub use values::SigningKeyFile;

use layer::Layers;
use resolve::Resolver;

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
    pub log: Log,
    settings: Vec<Setting>,
}

/// One key as it was found.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `section.key`, or `station.{id in lower case}.key`.
    pub key: String,
    /// As one would write it in TOML.
    pub value: String,
    pub place: Place,
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
            layers.texts(resolve::credentials(Path::new(folder)));
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
        let config = Resolver::new(&merged, &layers.ledger, &main, layers.incomplete).config();
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

/// The process's environment. `std::env::vars` would panic on a stray byte; here it shows up as `�` in the error.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// `FORECOURT__OCPP__LISTEN` is `ocpp.listen`.
fn variable(name: &str, value: &str) -> Option<(Source, String, String)> {
    let path = name.strip_prefix(unknown::PREFIX)?.to_ascii_lowercase().replace("__", ".");
    Some((Source::Variable(name.to_owned()), path, value.to_owned()))
}
