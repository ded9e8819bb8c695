//! The daemon: start and stop, each on one page.
//!
//! ```text
//! start:  tariffs → ports bound → key → store (lock, migrate, restore) → settler → uplink → serve
//! stop:   listeners closed, connections told 1001 → uplink says goodbye → settler → writer empties its queue → lock released
//! ```
//! Threads: the runtime (sockets, uplink), `store` (the one writer), `rating` (settler). Stopping in this order is only
//! politeness: after a `kill -9` at any instant the next start finds the same store.

mod beats;
mod commands;
mod correct;
pub mod in_process;
mod key;
mod logging;
mod observer;
mod office_commands;
mod outbox;
mod policy;
pub mod replay;
pub mod settle;
mod station_calls;
mod station_verbs;
mod tariffs;
mod time;
mod tokens;
mod uplink;
mod web_source;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc as tokio_mpsc, watch};
use tokio::task::JoinHandle as Task;
use tracing::{error, info, warn};

use crate::clock::GatewayClock;
use crate::config::{Config, Mqtt, Quirk, UnknownStations};
use crate::control;
use crate::csms::{self, Csms};
use crate::fact::Request;
use crate::mqtt::{self, SettingsError};
use crate::observe::Live;
use crate::ocpp::{Outgoing, masked, station_settings};
use crate::record::{Hash, Signer as _};
use crate::store::{
    CallText, ConfiguredStation, OpenError, PATIENT, Parts, QUICK, Reader, Reply, Signals, Signing, SiteFacts, StoreError,
    Writer, WriterHandle,
};
use crate::units::{StationId, Version};

use beats::Beats;
pub use key::KeyFileError;
pub use logging::start as start_logging;
pub use tariffs::{Loaded, TariffsError, load as load_tariffs};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tariffs(#[from] TariffsError),
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Listen(std::io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error(transparent)]
    Mqtt(#[from] SettingsError),
    #[error("mqtt.password_file {path}: {source}")]
    Password { path: String, source: std::io::Error },
}

impl StartError {
    /// What the operating system said, where it is at fault.
    pub fn io(&self) -> Option<&std::io::Error> {
        match self {
            Self::Listen(source) | Self::Thread(source) | Self::Password { source, .. } => Some(source),
            Self::Tariffs(TariffsError::Folder { source, .. } | TariffsError::File { source, .. })
            | Self::Key(KeyFileError::File { source, .. }) => Some(source),
            Self::Tariffs(_) | Self::Key(_) | Self::Open(_) | Self::Store(_) | Self::Mqtt(_) => None,
        }
    }
}

/// A running daemon.
pub struct Daemon {
    /// Where stations can connect, with the ports that were bound.
    pub addresses: Vec<SocketAddr>,
    pub epoch: i64,
    stop: watch::Sender<bool>,
    csms: Task<()>,
    control: Option<Task<()>>,
    reloader: Arc<tariffs::Reloader>,
    uplink: Option<Task<()>>,
    /// Health and metrics over HTTP.
    web: Option<Task<()>>,
    releaser: Task<()>,
    /// Looks at the clock.
    timekeeper: Task<()>,
    store: WriterHandle,
    failed: watch::Receiver<Option<String>>,
    /// Wakes the settler.
    wake_settler: mpsc::SyncSender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts everything; returns when stations can connect. An unreachable broker is no reason not to start.
    pub async fn start(config: Config, clock: GatewayClock) -> Result<Self, StartError> {
        let loaded = tariffs::load(&config)?;
        for (path, _, remark) in &loaded.lint {
            warn!(tariff = %path.display(), finding = %remark.code, detail = %remark, "odd tariff");
        }
        let listeners = bind(&config).await?;
        let addresses =
            listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>().map_err(StartError::Listen)?;
        let web = web_source::bind(&config).await.map_err(StartError::Listen)?;
        let key = key::load_or_make(&config.signing.key_file)?;
        let kid = key.kid().to_owned();
        let jwk = key.jwk().to_json();
        let signing = Signing { signer: Box::new(key), jwk };

        let (records, new_records) = watch::channel(0);
        let (epochs, current_epoch) = watch::channel(0);
        let (wake_settler, wake) = mpsc::sync_channel(1);
        let (released, releases) = tokio_mpsc::unbounded_channel();
        let known_tariffs = tariffs::versions(&loaded.catalogue);
        let catalogue = loaded.catalogue.clone();
        let policy = policy::of(&config, loaded.catalogue);
        let (fails, failed) = watch::channel(None);
        let signals = Signals { epoch: epochs, records, due: wake_settler.clone(), failed: fails.clone() };
        let path = &config.store.path;
        let clock = Arc::new(clock);
        let now = clock.as_now();
        let begin = Arc::clone(&clock);
        let begin = Box::new(move |known| begin.begin(known));
        let live = Arc::new(Live::default());
        let beats = Beats::new(settle::MAX_SLEEP, time::LOOK_EVERY);
        let watch = Box::new(observer::Counting { live: Arc::clone(&live), beat: Arc::clone(&beats.store) });
        let parts = Parts { policy, calls, signing, signals, released, now: Arc::clone(&now), begin, watch };
        let mut writer = Writer::open(path, &site_facts(&config), parts)?;
        writer.keep_tariffs(&known_tariffs, now())?;
        for missing in tariffs::missing_for_tokens(&config, &catalogue).map_err(TariffsError::from)? {
            warn!(error = %missing, "sessions of tokens will be held");
        }
        let epoch = writer.epoch();
        let (store, store_thread) = writer.start().map_err(StartError::Thread)?;
        let releaser = tokio::spawn(release(releases));
        let timekeeper = tokio::spawn(time::watch(Arc::clone(&clock), store.clone(), Arc::clone(&beats.clock)));

        let (stop, stopping) = watch::channel(false);
        let settler = settle::Settler {
            site: settle::site_terms(&config),
            config: config.clone(),
            reader: Reader::open(path, PATIENT)?,
            store: store.clone(),
            clock: clock.as_clock(),
            stop: stopping.clone(),
            beat: Arc::clone(&beats.rating),
            tariffs: RefCell::default(),
        };
        let rating_thread = start_settler(settler, wake, fails)?;
        let settings = mqtt_settings(&config.mqtt)?;
        let reader = Reader::open(path, QUICK)?;
        live.acknowledge(epoch, reader.receipted(epoch)?);
        let reader = Arc::new(Mutex::new(reader));
        let (since, observed_epoch, observed_records) = (now(), current_epoch.clone(), new_records.clone());
        let (office, asked) = tokio_mpsc::channel(office_commands::MAX_WAITING);
        let uplink = settings.map(|settings| uplink::Uplink {
            settings,
            site: config.site.id.clone(),
            kid,
            since,
            reader,
            store: store.clone(),
            live: Arc::clone(&live),
            now,
            epoch: current_epoch,
            records: new_records,
            commands: office,
        });
        if uplink.is_none() {
            info!("no broker is configured: records wait in the outbox");
        }
        let uplink = uplink.map(|uplink| tokio::spawn(uplink.run(stopping.clone())));

        let csms = Csms::new(
            csms_settings(&config),
            proven_stations(path)?,
            Reader::open(path, QUICK)?.adopted_stations()?,
            store.clone(),
            clock.as_clock(),
            Arc::clone(&live),
        );
        tokio::spawn(office_commands::serve(Arc::clone(&csms), asked));
        let reloader = Arc::new(tariffs::Reloader::new(config.clone(), store.clone(), clock.as_clock(), &known_tariffs));
        let tokens = tokens::Tokens { store: store.clone(), clock: clock.as_clock() };
        let observer = observer::Observer {
            site: config.site.id.clone(),
            started_at: since,
            live,
            csms: Arc::clone(&csms),
            store: store.clone(),
            clock: Arc::clone(&clock),
            epoch: observed_epoch,
            records: observed_records,
        };
        let web =
            web.map(|listener| web_source::start(listener, &config, observer.clone(), beats, stopping.clone())).transpose()?;
        let corrections = correct::Corrections { config: config.clone(), store: store.clone(), clock: clock.as_clock() };
        let verbs = station_verbs::Verbs { csms: Arc::clone(&csms), clock: clock.as_clock(), store: config.store.path.clone() };
        let tariffs = Arc::clone(&reloader);
        let commands = commands::Commands { csms: Arc::clone(&csms), tariffs, tokens, corrections, observer, verbs };
        let control = start_control(&config.site.control_socket, commands, &stopping);
        let csms = tokio::spawn(csms.serve(listeners, stopping));
        info!(site = config.site.id, epoch, listen = ?addresses, path = config.ocpp.path, store = %path.display(), "ready");
        Ok(Self {
            addresses,
            epoch,
            stop,
            csms,
            control,
            reloader,
            uplink,
            web,
            releaser,
            timekeeper,
            store,
            failed,
            wake_settler,
            threads: vec![rating_thread, store_thread],
        })
    }

    /// Reads the tariff files again (SIGHUP); what is wrong with them is in the log, and changes nothing.
    pub async fn reload(&self) {
        if let Err(error) = self.reloader.reload("SIGHUP", "").await {
            error!(%error, "the tariffs stay as they are");
        }
    }

    /// Completes when the daemon cannot go on, with the reason. Nothing is answered from then on; call [`Self::abandon`].
    pub async fn failed(&mut self) -> String {
        match self.failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // Nobody is left who could fail: the daemon has stopped.
            Err(_) => std::future::pending().await,
        }
    }

    /// Closes the connections and leaves the rest as it is; the next start finds the same store.
    pub async fn abandon(self) {
        self.stop.send_replace(true);
        self.timekeeper.abort();
        if tokio::time::timeout(ABANDON_TIMEOUT, self.csms).await.is_err() {
            warn!("some connections are still open");
        }
        info!("stopped after a failure");
    }

    /// Finishes what is in hand and ends.
    pub async fn stop(self) {
        info!("stopping");
        self.stop.send_replace(true);
        let _ = self.csms.await;
        if let Some(control) = self.control {
            let _ = control.await;
        }
        if let Some(uplink) = self.uplink {
            let _ = uplink.await;
        }
        if let Some(web) = self.web {
            let _ = web.await;
        }
        self.timekeeper.abort();
        let _ = self.timekeeper.await;
        // The settler looks once more, the writer ends with its last handle; both finish what they have.
        let _ = self.wake_settler.try_send(());
        drop(self.reloader);
        drop(self.store);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        if tokio::time::timeout(STOP_TIMEOUT, joined).await.is_err() {
            warn!("the store is still busy; leaving it to its journal");
        }
        self.releaser.abort();
        info!("stopped");
    }
}

/// For the goodbyes to stations.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(5);
/// A commit on slow flash takes a fraction of this.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

async fn bind(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::with_capacity(config.ocpp.listen.len());
    for address in &config.ocpp.listen {
        listeners.push(csms::bind(*address).await.map_err(StartError::Listen)?);
    }
    Ok(listeners)
}

/// Without the socket stations are served all the same: only commands cannot be given.
fn start_control(path: &Path, commands: commands::Commands, stopping: &watch::Receiver<bool>) -> Option<Task<()>> {
    let listener = match control::bind(path) {
        Ok(listener) => listener,
        Err(error) => {
            warn!(%error, "no commands can be given to this daemon");
            return None;
        }
    };
    let handle = move |command, actor| commands.clone().carry_out(command, actor);
    Some(tokio::spawn(control::serve(listener, handle, stopping.clone())))
}

fn start_settler(
    settler: settle::Settler,
    wake: mpsc::Receiver<()>,
    fails: watch::Sender<Option<String>>,
) -> Result<JoinHandle<()>, StartError> {
    let run = move || {
        if catch_unwind(AssertUnwindSafe(|| settler.run(&wake))).is_err() {
            // Without it nothing would be billed, and nobody would notice for a while.
            error!("the rating thread panicked; stopping");
            fails.send_replace(Some("the rating thread panicked".to_owned()));
        }
    };
    std::thread::Builder::new().name("rating".to_owned()).spawn(run).map_err(StartError::Thread)
}

/// Hands replies to the connections that wait for them: one wake-up of the runtime per commit.
async fn release(mut releases: tokio_mpsc::UnboundedReceiver<Vec<Reply>>) {
    while let Some(group) = releases.recv().await {
        group.into_iter().for_each(Reply::send);
    }
}

fn site_facts(config: &Config) -> SiteFacts {
    let key = &config.signing.key_file;
    // Beside the key. A credential's folder is not ours to write in.
    let epoch_file = if key.made_when_absent { &key.path } else { &config.store.path };
    let mut epoch_file = epoch_file.as_os_str().to_owned();
    epoch_file.push(format!(".{}.epoch", config.site.id));
    SiteFacts {
        host: host(),
        epoch_file: epoch_file.into(),
        site: config.site.id.clone(),
        time_zone: config.site.time_zone.name().to_owned(),
        currency: config.site.currency.code.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stations: config.stations.iter().map(configured_station).collect(),
    }
}

fn configured_station(station: &crate::config::Station) -> ConfiguredStation {
    let label = (station.label != station.id).then(|| station.label.clone());
    ConfiguredStation { id: station.id.clone(), label, area: station.area.clone() }
}

/// A hash of the machine's id, which is not to be shown to others itself (machine-id(5)).
fn host() -> Option<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    (!id.is_empty() && id != "uninitialized").then(|| Hash::of(format!("forecourt {id}").as_bytes()).to_string())
}

/// Identities that have said something valid at some time, as far as they are remembered; the last one heard of first.
fn proven_stations(store: &Path) -> Result<Vec<StationId>, StartError> {
    let sql = format!(
        "SELECT station FROM v_station WHERE proven_at IS NOT NULL ORDER BY last_message_at DESC LIMIT {}",
        csms::MAX_PROVEN
    );
    let rows = Reader::open(store, QUICK)?.query(&sql, &[])?;
    Ok(rows.rows.iter().filter_map(|row| row.first()?.as_str()).map(StationId::new).collect())
}

fn csms_settings(config: &Config) -> csms::Settings {
    let quirky = |station: &&crate::config::Station| station.quirks.contains(&Quirk::AssumeOcpp16);
    csms::Settings {
        path: config.ocpp.path.clone(),
        versions: config.ocpp.versions.clone(),
        max_message_bytes: usize::try_from(config.ocpp.max_message_kb).unwrap_or(usize::MAX).saturating_mul(1024),
        max_connections: usize::try_from(config.ocpp.max_connections).unwrap_or(usize::MAX),
        handshake_timeout: Duration::from_secs(config.ocpp.handshake_s.into()),
        // Three heartbeats: stations that heartbeat exactly on time must not be dropped by jitter. A dead link is found in half
        // an hour at the latest.
        quiet_after: Duration::from_secs(config.ocpp.heartbeat_s.saturating_mul(3).clamp(60, 900).into()),
        unknown_silence: Duration::from_secs(config.ocpp.unknown_silence_s.into()),
        only_known: config.ocpp.unknown_stations == UnknownStations::Reject,
        stations: config.stations.iter().map(|station| StationId::new(&station.id)).collect(),
        assume_v16: config.stations.iter().filter(quirky).map(|station| StationId::new(&station.id)).collect(),
    }
}

/// `None`: no broker.
fn mqtt_settings(mqtt: &Mqtt) -> Result<Option<mqtt::Settings>, StartError> {
    let Some(url) = &mqtt.url else { return Ok(None) };
    let password = match &mqtt.password_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| StartError::Password { path: path.display().to_string(), source })?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    let settings = mqtt::Settings {
        url: url.to_string(),
        client_id: mqtt.client_id.clone(),
        username: mqtt.username.clone(),
        password,
        ca_file: mqtt.ca_file.clone(),
        cert_file: mqtt.cert_file.clone(),
        key_file: mqtt.key_file.clone(),
        topic_prefix: mqtt.topic_prefix.clone(),
        window: u16::try_from(mqtt.window).unwrap_or(u16::MAX),
        timing: mqtt::Timing::default(),
    };
    settings.target()?;
    Ok(Some(settings))
}

/// What a request of ours takes: the store keeps calls as they are sent, and does not know OCPP.
fn calls(version: Version, request: &Request) -> Vec<CallText> {
    let text = |(message, payload): (&'static Outgoing, String)| CallText {
        action: message.action,
        shown: masked(&payload),
        payload,
        harmless: message.harmless,
    };
    station_settings::calls(version, request).into_iter().map(text).collect()
}
