//! The tariff files of `tariff.dir`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::{Mutex, oneshot};
use tracing::{info, warn};

use super::policy;
use crate::config::Config;
use crate::rating::{Catalogue, CatalogueError, Remark, Tariff, TariffError};
use crate::session::TariffRef;
use crate::store::{Job, NewTariffs, OpenError, PATIENT, Reader, StoreError, WriterHandle};
use crate::units::Clock;

#[derive(Debug, thiserror::Error)]
pub enum TariffsError {
    #[error("tariff folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("tariff file {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("tariff file {path}{at}: {source}", at = .line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Tariff { path: PathBuf, line: Option<usize>, source: TariffError },
    #[error("tariff file {path}: currency is {found}, the site's is {wanted}")]
    Currency { path: PathBuf, found: String, wanted: String },
    #[error("{0}")]
    Catalogue(#[from] CatalogueError),
    #[error("the store cannot commit; the tariffs stay as they are")]
    Unavailable,
    #[error(
        "{tokens} tokens on the list have tariff {id}, and no file in {dir} has it: bring the file back, or give the tokens another tariff \
         (forecourt token add TOKEN --tariff ID)"
    )]
    OfTokens { id: String, tokens: u64, dir: PathBuf },
    #[error("which tariffs the list of tokens names: {0}")]
    Tokens(#[from] TokensUnread),
    #[error("{key} names tariff {id}, but no file in {dir} has it{known}")]
    Unknown { key: String, id: String, dir: PathBuf, known: String },
}

/// The store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TokensUnread {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A tariff with its file, for messages.
pub struct Loaded {
    pub catalogue: Catalogue,
    pub files: Vec<PathBuf>,
    /// Oddities of the tariffs, by file, with the line.
    pub lint: Vec<(PathBuf, Option<usize>, Remark)>,
}

/// Reads every `*.json`, sorted by name, and checks that each tariff the configuration names is there.
pub fn load(config: &Config) -> Result<Loaded, TariffsError> {
    let dir = &config.tariff.dir;
    let files = files(dir).map_err(|source| TariffsError::Folder { path: dir.clone(), source })?;
    let mut tariffs = Vec::with_capacity(files.len());
    let mut lint = Vec::new();
    for path in &files {
        let json = std::fs::read_to_string(path).map_err(|source| TariffsError::File { path: path.clone(), source })?;
        let tariff = Tariff::parse(&json).map_err(|source| TariffsError::Tariff {
            path: path.clone(),
            line: source.line(&json),
            source,
        })?;
        if tariff.currency != config.site.currency.code {
            let wanted = config.site.currency.code.to_owned();
            return Err(TariffsError::Currency { path: path.clone(), found: tariff.currency.clone(), wanted });
        }
        let remarks = tariff.lint().into_iter().chain(tariff.lint_owner(&config.site.country_code, &config.site.party_id));
        lint.extend(remarks.map(|remark| (path.clone(), Tariff::line_of(&json, &remark.path), remark)));
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
    let own = config.stations.iter().flat_map(|station| {
        let ids = station.tariff.iter().chain(&station.evse_tariffs);
        ids.map(|id| (format!("station {}", station.id), id))
    });
    for (key, id) in default.into_iter().chain(own) {
        let known: Vec<&str> = catalogue.tariffs().iter().map(|tariff| tariff.id.as_str()).collect();
        if !known.iter().any(|known| known.eq_ignore_ascii_case(id)) {
            let known = if known.is_empty() { String::new() } else { format!("; there are: {}", known.join(", ")) };
            return Err(TariffsError::Unknown { key, id: id.clone(), dir: config.tariff.dir.clone(), known });
        }
    }
    Ok(())
}

/// Hash, id and JSON text of each version, as the store keeps them.
pub fn versions(catalogue: &Catalogue) -> Vec<(String, String, String)> {
    let version = |tariff: &Tariff| (TariffRef::of(tariff).0.into_string(), tariff.id.clone(), tariff.source().to_owned());
    catalogue.tariffs().iter().map(version).collect()
}

/// What the list of tokens names and no file has.
pub fn missing_for_tokens(config: &Config, catalogue: &Catalogue) -> Result<Vec<TariffsError>, TokensUnread> {
    let named = Reader::open(&config.store.path, PATIENT)?.tariffs_of_tokens()?;
    let is_missing = |(id, _): &(String, u64)| !catalogue.tariffs().iter().any(|known| known.id.eq_ignore_ascii_case(id));
    let missing = |(id, tokens)| TariffsError::OfTokens { id, tokens, dir: config.tariff.dir.clone() };
    Ok(named.into_iter().filter(is_missing).map(missing).collect())
}

/// What became of a tariff id. `None`: there was none, or is none any more.
#[derive(Debug, PartialEq, Eq)]
pub struct TariffChange {
    pub id: String,
    /// Hashes of its versions.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Reads the tariff files again while the daemon runs. Sessions that run keep what they began with.
pub struct Reloader {
    config: Config,
    store: WriterHandle,
    clock: Clock,
    /// Id → hashes of the versions in use.
    in_use: Mutex<BTreeMap<String, String>>,
}

impl Reloader {
    pub fn new(config: Config, store: WriterHandle, clock: Clock, versions: &[(String, String, String)]) -> Self {
        Self { config, store, clock, in_use: Mutex::new(by_id(versions)) }
    }

    /// Hashes of the versions of a tariff in use; none: there is no tariff of this id.
    pub async fn versions_of(&self, id: &str) -> Vec<TariffRef> {
        let in_use = self.in_use.lock().await;
        let found = in_use.iter().find(|(known, _)| known.eq_ignore_ascii_case(id));
        found.into_iter().flat_map(|(_, hashes)| hashes.split('+')).map(|hash| TariffRef(hash.into())).collect()
    }

    /// Whether there is a tariff of this id.
    pub async fn knows(&self, id: &str) -> bool {
        self.in_use.lock().await.keys().any(|known| known.eq_ignore_ascii_case(id))
    }

    /// All tariffs or none: a file that is wrong leaves everything as it is.
    pub async fn reload(&self, actor: &str, reason: &str) -> Result<Vec<TariffChange>, TariffsError> {
        let mut in_use = self.in_use.lock().await;
        let loaded = load(&self.config)?;
        for (path, _, remark) in &loaded.lint {
            warn!(tariff = %path.display(), finding = %remark.code, detail = %remark, "odd tariff");
        }
        // Else the sessions of these tokens would be held from now on.
        if let Some(missing) = missing_for_tokens(&self.config, &loaded.catalogue)?.into_iter().next() {
            return Err(missing);
        }
        let versions = versions(&loaded.catalogue);
        let now = by_id(&versions);
        let changes = compare(&in_use, &now);
        if changes.is_empty() {
            info!(actor, "the tariffs were read again; none has changed");
            return Ok(changes);
        }
        let listed = |pick: fn(&TariffChange) -> &Option<String>| {
            let hashes = changes.iter().map(|change| format!("{} {}", change.id, pick(change).as_deref().unwrap_or("-")));
            hashes.collect::<Vec<_>>().join(", ")
        };
        let (before, after) = (listed(|change| &change.before), listed(|change| &change.after));
        let (actor_name, reason) = (actor.to_owned(), reason.to_owned());
        let (reply, kept) = oneshot::channel();
        let at = (self.clock)().at;
        let tariffs = NewTariffs { versions, actor: actor_name, reason, before: before.clone(), after: after.clone(), at };
        self.store.submit(Job::Tariffs(Box::new(tariffs), reply));
        kept.await.map_err(|_| TariffsError::Unavailable)?;
        // Only when the versions are on disk: a session may be locked to one from here on.
        let (reply, set) = oneshot::channel();
        self.store.submit(Job::Policy(Box::new(policy::of(&self.config, loaded.catalogue)), reply));
        set.await.map_err(|_| TariffsError::Unavailable)?;
        info!(actor, before, after, "tariffs changed; sessions that begin from now on are priced by them");
        *in_use = now;
        Ok(changes)
    }
}

fn by_id(versions: &[(String, String, String)]) -> BTreeMap<String, String> {
    let mut ids: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (hash, id, _) in versions {
        ids.entry(id.clone()).or_default().push(hash);
    }
    ids.into_iter()
        .map(|(id, mut hashes)| {
            hashes.sort_unstable();
            (id, hashes.join("+"))
        })
        .collect()
}

fn compare(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<TariffChange> {
    let ids: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |id: &String| TariffChange { id: id.clone(), before: before.get(id).cloned(), after: after.get(id).cloned() };
    ids.into_iter().map(change).filter(|change| change.before != change.after).collect()
}
