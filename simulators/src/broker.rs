//! An MQTT 5 broker inside this program, for the demo and the tests: loopback, anonymous, retained messages and sessions
//! kept in memory only. Stopping it forgets everything, which is what a test of the outbox wants.
//!
//! Not for production: a site uses the operator's broker. Limits: those of `mqtt5`, with 10,000 clients and 1 MiB packets.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use mqtt5::broker::{
    BrokerConfig, MqttBroker,
    config::{StorageBackend, StorageConfig},
    server::BrokerShutdownHandle,
};
use tokio::task::JoinHandle;

/// A record and its neighbours are far smaller; a larger packet is a fault.
const MAX_PACKET: usize = 1024 * 1024;

/// A running broker. Dropping it stops it; [`Broker::stop`] also waits until its port is free.
#[derive(Debug)]
pub struct Broker {
    addr: SocketAddr,
    shutdown: Option<Shutdown>,
    running: JoinHandle<()>,
}

struct Shutdown(BrokerShutdownHandle);

impl std::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shutdown")
    }
}

impl Broker {
    /// On a free loopback port.
    pub async fn start() -> Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// On this address; port 0 = a free one. Returns when connections are accepted.
    pub async fn start_on(listen: SocketAddr) -> Result<Self> {
        let storage = StorageConfig { backend: StorageBackend::Memory, enable_persistence: true, ..StorageConfig::default() };
        let config = BrokerConfig {
            bind_addresses: vec![listen],
            max_packet_size: MAX_PACKET,
            storage_config: storage,
            sys_topics_enabled: false,
            ..BrokerConfig::default()
        };
        let mut broker = MqttBroker::with_config(config).await.with_context(|| format!("broker cannot listen on {listen}"))?;
        let addr = broker.local_addr().context("broker has no address")?;
        let mut ready = broker.ready_receiver();
        let shutdown = Shutdown(broker.shutdown_handle());
        let running = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!(%error, "broker failed");
            }
        });
        ready.wait_for(|ready| *ready).await.context("broker ended before it was ready")?;
        Ok(Self { addr, shutdown: Some(shutdown), running })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As the daemon's `[mqtt] url` and [`crate::office::Options::broker`] want it.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }

    /// Stops and waits for the end. All sessions and retained messages are forgotten.
    pub async fn stop(mut self) {
        self.signal();
        if let Err(error) = (&mut self.running).await {
            tracing::error!(%error, "broker did not end well");
        }
    }

    fn signal(&mut self) {
        if let Some(Shutdown(handle)) = self.shutdown.take() {
            handle.shutdown();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.signal();
    }
}
