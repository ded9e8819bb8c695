//! The made-up site: its stations, its configuration, its tariffs.

// Chances and shares, of nothing that is billed.
#![allow(clippy::float_arithmetic)]

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, anyhow};
use forecourt::config::Config;

use crate::Version;

pub struct Station {
    pub id: String,
    pub version: Version,
    /// AC or DC.
    pub is_dc: bool,
    pub power_kw: f64,
    pub connectors: u32,
}

/// Every third station is a DC one, every second speaks 2.0.1.
pub fn stations(count: u32) -> Vec<Station> {
    let station = |number: u32| {
        let is_dc = number.is_multiple_of(3);
        Station {
            id: format!("CP-{number:02}"),
            version: if number.is_multiple_of(2) { Version::V201 } else { Version::V16 },
            is_dc,
            power_kw: if is_dc { 150.0 } else { 22.0 },
            connectors: 2,
        }
    };
    (1..=count).map(station).collect()
}

const AC: &str = r#"{"country_code":"DE","party_id":"HIS","id":"ac","currency":"EUR","elements":[
  {"price_components":[{"type":"ENERGY","price":0.45,"vat":19.0,"step_size":1},{"type":"PARKING_TIME","price":3.00,"vat":19.0,"step_size":60}],
   "restrictions":{"start_time":"07:00","end_time":"21:00"}},
  {"price_components":[{"type":"ENERGY","price":0.39,"vat":19.0,"step_size":1}]}],
 "last_updated":"2020-01-01T00:00:00Z"}
"#;
const DC: &str = r#"{"country_code":"DE","party_id":"HIS","id":"dc","currency":"EUR","elements":[
  {"price_components":[{"type":"FLAT","price":0.50,"vat":19.0,"step_size":1},{"type":"ENERGY","price":0.59,"vat":19.0,"step_size":1}]}],
 "last_updated":"2020-01-01T00:00:00Z"}
"#;

/// Writes what an operator would: forecourt.toml and the tariffs, in a folder. The store and the key come beside them.
pub fn files(folder: &Path, count: u32) -> Result<()> {
    std::fs::create_dir_all(folder.join("tariffs"))?;
    std::fs::write(folder.join("tariffs/ac.json"), AC)?;
    std::fs::write(folder.join("tariffs/dc.json"), DC)?;
    let mut text = String::from(
        r#"# Written by `history`: a made-up site with a past.
[site]
id = "history"
name = "Made up, not a real site"
country_code = "DE"
party_id = "HIS"
time_zone = "Europe/Berlin"
currency = "EUR"
[store]
path = "forecourt.db"
[ocpp]
listen = "127.0.0.1:9000"
onboarding = false
[tariff]
dir = "tariffs"
default = "ac"
[mqtt]
url = ""
[signing]
key_file = "signing-key.pem"
"#,
    );
    for Station { id, is_dc, power_kw, .. } in stations(count) {
        let (label, tariff) = if is_dc { ("Fast charger", "dc") } else { ("Car park", "ac") };
        writeln!(text, "[[station]]\nid = \"{id}\"\nlabel = \"{label} {id}\"\ntariff = \"{tariff}\"\nmax_power_kw = {power_kw}")?;
    }
    std::fs::write(folder.join("forecourt.toml"), text)?;
    Ok(())
}

pub fn configuration(folder: &Path) -> Result<Config> {
    Config::load(&folder.join("forecourt.toml"), true, std::iter::empty(), &[]).map_err(|errors| anyhow!("{errors}"))
}
