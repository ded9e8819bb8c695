//! The site behind the demo: broker, daemon and head office on loopback, everything on disk in one temporary folder.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context, Result, anyhow};
use chrono::{FixedOffset, Offset, Utc};
use forecourt::{clock::GatewayClock, config::Config, daemon::Daemon};
use simulators::{Broker, Clock, Office, Scenario, office};
use tempfile::TempDir;

use super::{
    Args,
    price::{AC, DC},
    stations::STATIONS,
};

pub const SITE: &str = "demo";
const STORE: &str = "forecourt.db";

pub struct Site {
    pub clock: Clock,
    pub broker: Broker,
    pub daemon: Daemon,
    pub office: Office,
    folder: TempDir,
}

impl Site {
    pub async fn open(args: &Args) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("forecourt-demo-").tempdir().context("no temporary folder can be made")?;
        let clock = clock(args.speed)?;
        let broker = Broker::start_on(free("--broker-port", args.broker_port)?).await?;
        let office = Office::open(office::Options::new(broker.url())).await?;
        let config = configuration(&folder, &broker, free("--station-port", args.station_port)?)?;
        let daemon = Daemon::start(
            config,
            GatewayClock::simulated(Arc::new({
                let clock = clock.clone();
                move || clock.now()
            })),
        );
        let daemon = daemon.await.map_err(|error| anyhow!(error))?;
        Ok(Self { clock, broker, daemon, office, folder })
    }

    /// Where stations connect; their identity is appended.
    pub fn stations_url(&self) -> String {
        let address = self.daemon.addresses.first().copied().unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        format!("ws://{address}/ocpp")
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join(STORE)
    }

    /// Stops everything, consumers last. `keep`: the folder stays, for a look at what went wrong.
    pub async fn close(self, keep: bool) -> Result<Option<PathBuf>> {
        self.daemon.stop().await;
        self.office.close().await?;
        self.broker.stop().await;
        if keep {
            return Ok(Some(self.folder.keep().join(STORE)));
        }
        self.folder.close().context("the temporary folder cannot be removed")?;
        Ok(None)
    }
}

/// Tried before anything starts, for a better error than those that will listen there give.
fn free(option: &str, port: u16) -> Result<SocketAddr> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).map(drop).with_context(|| {
        format!("cannot listen on {address}; choose another port with {option}, or leave the option out for a free one")
    })?;
    Ok(address)
}

/// Real time for real stations. A faster clock starts shortly before a price changes, and in the past, so that it does not
/// run ahead of the real one for a while.
fn clock(speed: u32) -> Result<Clock> {
    if speed == 1 {
        return Ok(Clock::real());
    }
    let utc: FixedOffset = Utc.fix();
    Ok(Clock::starting(Scenario::find("time-of-use")?.base(Utc::now(), utc)?, speed))
}

/// As an operator would: files, then the daemon's own way to load them.
fn configuration(folder: &TempDir, broker: &Broker, listen: SocketAddr) -> Result<Config> {
    let tariffs = folder.path().join("tariffs");
    std::fs::create_dir(&tariffs)?;
    for tariff in [AC, DC] {
        std::fs::write(tariffs.join(format!("{}.json", tariff.id)), tariff.to_ocpi())?;
    }
    let mut text = format!(
        r#"# Written by `cargo demo`.
[site]
id = "{SITE}"
name = "DEMO, not a real site"
country_code = "DE"
party_id = "DMO"
time_zone = "UTC"
currency = "EUR"
[store]
path = "{STORE}"
[ocpp]
listen = "{listen}"
[tariff]
dir = "tariffs"
default = "{}"
[mqtt]
url = "{}"
[signing]
key_file = "signing-key.pem"
"#,
        AC.id,
        broker.url()
    );
    for station in &STATIONS {
        text +=
            &format!("[[station]]\nid = \"{}\"\nlabel = \"{}\"\ntariff = \"{}\"\n", station.id, station.label, station.tariff.id);
    }
    let path = folder.path().join("forecourt.toml");
    std::fs::write(&path, text)?;
    Config::load(&path, true, std::iter::empty(), &[]).map_err(|errors| anyhow!("{errors}"))
}
