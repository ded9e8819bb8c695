//! The tariff files of `tariff.dir`.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::rating::{Catalogue, CatalogueError, Tariff, TariffError};
use crate::units::Finding;

#[derive(Debug, thiserror::Error)]
pub enum TariffsError {
    #[error("tariff folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("tariff file {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("tariff file {path}: {source}")]
    Tariff { path: PathBuf, source: TariffError },
    #[error("tariff file {path}: currency is {found}, the site's is {wanted}")]
    Currency { path: PathBuf, found: String, wanted: String },
    #[error("{0}")]
    Catalogue(#[from] CatalogueError),
    #[error("{key} names tariff {id}, but no file in {dir} has it{known}")]
    Unknown { key: String, id: String, dir: PathBuf, known: String },
}

/// A tariff with its file, for messages.
pub struct Loaded {
    pub catalogue: Catalogue,
    pub files: Vec<PathBuf>,
    /// Oddities of the tariffs, by file.
    pub lint: Vec<(PathBuf, Finding)>,
}

/// Reads every `*.json`, sorted by name, and checks that each tariff the configuration names is there.
pub fn load(config: &Config) -> Result<Loaded, TariffsError> {
    let dir = &config.tariff.dir;
    let files = files(dir).map_err(|source| TariffsError::Folder { path: dir.clone(), source })?;
    let mut tariffs = Vec::with_capacity(files.len());
    let mut lint = Vec::new();
    for path in &files {
        let json = std::fs::read_to_string(path).map_err(|source| TariffsError::File { path: path.clone(), source })?;
        let tariff = Tariff::parse(&json).map_err(|source| TariffsError::Tariff { path: path.clone(), source })?;
        if tariff.currency != config.site.currency.code {
            let wanted = config.site.currency.code.to_owned();
            return Err(TariffsError::Currency { path: path.clone(), found: tariff.currency.clone(), wanted });
        }
        lint.extend(tariff.lint().into_iter().map(|finding| (path.clone(), finding)));
        tariffs.push(tariff);
    }
    let catalogue = Catalogue::new(tariffs)?;
    named(config, &catalogue)?;
    Ok(Loaded { catalogue, files, lint })
}

fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn named(config: &Config, catalogue: &Catalogue) -> Result<(), TariffsError> {
    let default = config.tariff.default.as_ref().map(|id| ("tariff.default".to_owned(), id));
    let own = config.stations.iter().filter_map(|station| Some((format!("station {}", station.id), station.tariff.as_ref()?)));
    for (key, id) in default.into_iter().chain(own) {
        let known: Vec<&str> = catalogue.tariffs().iter().map(|tariff| tariff.id.as_str()).collect();
        if !known.iter().any(|known| known.eq_ignore_ascii_case(id)) {
            let known = if known.is_empty() { String::new() } else { format!("; there are: {}", known.join(", ")) };
            return Err(TariffsError::Unknown { key, id: id.clone(), dir: config.tariff.dir.clone(), known });
        }
    }
    Ok(())
}
