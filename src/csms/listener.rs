//! Listening sockets and the upgrade.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tracing::{info, warn};

use super::Settings;
use super::connection::{self, Connection};
use super::handshake::{self, Refused};
use super::registry::{Claim, MAX_IDENTITIES, Registry};
use crate::store::{Job, WriterHandle};
use crate::units::{Now, StationId, Version};

/// Sockets beyond `max_connections` that may be shaking hands, so that a station can replace its dead connection at the limit.
pub const SPARE_SOCKETS: usize = 64;
const SUBPROTOCOL: &str = "sec-websocket-protocol";
/// Small: a site has many idle stations. Larger messages grow it for as long as they need.
const READ_BUFFER: usize = 4 * 1024;

/// How long a stop waits for stations to take what is on its way to them. One that does not read must not hold it up.
const GOODBYE: Duration = Duration::from_secs(3);

/// Everything a connection needs.
pub struct Csms {
    pub settings: Settings,
    pub store: WriterHandle,
    pub now: Now,
    registry: Registry,
}

/// Binds one listening address; the error names it.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| io::Error::new(error.kind(), format!("ocpp.listen {address}: {error}")))
}

impl Csms {
    /// `known`: stations of the configuration and of the store, in their canonical casing.
    pub fn new(settings: Settings, known: Vec<StationId>, store: WriterHandle, now: Now) -> Arc<Self> {
        let registry = Registry::new(known);
        Arc::new(Self { settings, store, now, registry })
    }

    /// Accepts on all listeners until `stop` turns true, then closes every connection with 1001 and waits for them.
    pub async fn serve(self: Arc<Self>, listeners: Vec<TcpListener>, stop: watch::Receiver<bool>) {
        let sockets = Arc::new(Semaphore::new(self.settings.max_connections + SPARE_SOCKETS));
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(Arc::clone(&self).accept(listener, Arc::clone(&sockets), stop.clone()));
        }
        while accepting.join_next().await.is_some() {}
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, sockets: Arc<Semaphore>, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => match Arc::clone(&sockets).try_acquire_owned() {
                        Ok(permit) => drop(connections.spawn(Arc::clone(&self).welcome(socket, peer, permit, stop.clone()))),
                        Err(_) => warn!(%peer, limit = self.settings.max_connections, "too many connections; turned away"),
                    },
                    // Out of file descriptors and the like: accepting again at once would spin.
                    Err(error) => {
                        warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!(%error, "a connection panicked; the others go on");
                    }
                }
                () = super::stopped(&mut stop) => break,
            }
        }
        drop(listener);
        let goodbyes = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE, goodbyes).await.is_err() {
            warn!(stations = connections.len(), "stations that do not take our goodbye are left without one");
        }
    }

    async fn welcome(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        _permit: OwnedSemaphorePermit,
        mut stop: watch::Receiver<bool>,
    ) {
        // Answers are small and awaited: waiting to fill a segment would only add latency.
        let _ = socket.set_nodelay(true);
        let mut chosen = None;
        #[allow(clippy::result_large_err)] // tungstenite's signature
        let judge = |request: &Request, response: Response| self.judge(request, response, peer, &mut chosen);
        let limit = Some(self.settings.max_message_bytes);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(self.settings.max_message_bytes + connection::OUT_BUFFER)
            .max_message_size(limit)
            .max_frame_size(limit);
        let upgrade = accept_hdr_async_with_config(socket, judge, Some(config));
        let upgraded = tokio::select! {
            biased;
            () = super::stopped(&mut stop) => return,
            upgraded = tokio::time::timeout(self.settings.handshake_timeout, upgrade) => upgraded,
        };
        let socket = match upgraded {
            Ok(Ok(socket)) => socket,
            Ok(Err(Error::Http(_))) => return, // turned away, and said so
            Ok(Err(error)) => return info!(%peer, %error, "no connection: the upgrade failed"),
            Err(_) => return info!(%peer, "no connection: the handshake took too long"),
        };
        let Some((identity, version)) = chosen else { return };
        let claim = self.registry.claim(&identity);
        info!(station = %claim.station, version = version.number(), %peer, "station connected");
        let mut held = Held { csms: &self, claim, why: "a fault of ours".into() };
        let claim = &held.claim;
        let connection = Connection::new(&self.settings, &self.store, Arc::clone(&self.now), claim.station.clone(), version);
        held.why = connection.run(socket, peer, &claim.replaced, stop).await;
    }

    #[allow(clippy::result_large_err)] // tungstenite's signature
    fn judge(
        &self,
        request: &Request,
        mut response: Response,
        peer: SocketAddr,
        chosen: &mut Option<(String, Version)>,
    ) -> Result<Response, ErrorResponse> {
        let offers: Vec<&str> = request.headers().get_all(SUBPROTOCOL).iter().filter_map(|value| value.to_str().ok()).collect();
        match self.decide(request.uri().path(), &offers) {
            Ok((identity, version, echo)) => {
                if let Some(echo) = echo {
                    response.headers_mut().insert(SUBPROTOCOL, HeaderValue::from_static(echo));
                }
                *chosen = Some((identity, version));
                Ok(response)
            }
            Err(refused) => {
                warn!(%peer, path = request.uri().path(), status = refused.status, why = refused.text, "station turned away");
                let mut answer = ErrorResponse::new(Some(refused.text + "\n"));
                *answer.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
                Err(answer)
            }
        }
    }

    fn decide(&self, path: &str, offers: &[&str]) -> Result<(String, Version, Option<&'static str>), Refused> {
        let identity = handshake::identity(&self.settings, path)?;
        let known = self.registry.canonical(&identity);
        let configured = known.as_ref().is_some_and(|id| self.settings.stations.contains(id));
        if self.settings.only_known && !configured {
            return Err(Refused::new(
                404,
                format!("station {identity} is not in the configuration ([[station]] id = \"{identity}\")"),
            ));
        }
        if known.is_none() && self.registry.is_full() {
            let text = format!(
                "{MAX_IDENTITIES} different stations have connected since the start; name yours in the configuration and restart"
            );
            return Err(Refused::new(503, text));
        }
        let assume = known.as_ref().is_some_and(|id| self.settings.assume_v16.contains(id));
        let (version, echo) = handshake::version(&self.settings, offers, assume)?;
        if !self.store.available() {
            return Err(Refused::new(503, "the store cannot commit; keep your messages and try again"));
        }
        let replacing = known.is_some_and(|id| self.registry.is_connected(&id));
        if self.registry.connected() >= self.settings.max_connections && !replacing {
            return Err(Refused::new(
                503,
                format!("{} stations are connected, no more are allowed", self.settings.max_connections),
            ));
        }
        Ok((identity, version, echo))
    }
}

/// A connection's hold on its station; let go however the connection ends, a panic included.
struct Held<'a> {
    csms: &'a Csms,
    claim: Claim,
    /// Why the connection ended.
    why: Cow<'static, str>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let ours = self.csms.registry.release(&self.claim);
        info!(station = %self.claim.station, why = %self.why, replaced = !ours, "station disconnected");
        if ours {
            self.csms.store.submit(Job::Disconnected { station: self.claim.station.clone(), at: (self.csms.now)() });
        }
    }
}
