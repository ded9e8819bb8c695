//! Listening sockets and the upgrade.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tracing::{info, warn};

use super::connection::{self, Connection};
use super::handshake::{self, Refused};
use super::handshake_limits::Handshake;
use super::inbound::Inbound;
use super::registry::{Claim, MAX_SILENT_PER_PEER, NoPlace, Peer, Standing};
use super::shared::{Csms, stopped};
use super::socket::{Stream, close};
use crate::store::Job;
use crate::units::Version;

const SUBPROTOCOL: &str = "sec-websocket-protocol";
/// Small: a site has many idle stations. Larger messages grow it for as long as they need.
const READ_BUFFER: usize = 4 * 1024;

/// Between attempts to accept when the system cannot.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a stop waits for stations to take what is on its way to them. One that does not read must not hold it up.
const GOODBYE: Duration = Duration::from_secs(3);

/// Binds one listening address; the error names it.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| io::Error::new(error.kind(), format!("ocpp.listen {address}: {error}")))
}

/// Where connections come from.
pub trait Listener: Send + 'static {
    type Stream: Stream;

    /// The next connection, and who dials. It may be dropped and asked again at any time.
    fn next(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.accept().await?;
        // Answers are small and awaited: waiting to fill a segment would only add latency.
        let _ = socket.set_nodelay(true);
        Ok((socket, peer))
    }
}

impl Csms {
    /// Accepts on all listeners until `stop` turns true, then closes every connection with 1001 and waits for them.
    pub async fn serve<L: Listener>(self: Arc<Self>, listeners: Vec<L>, stop: watch::Receiver<bool>) {
        let mut accepting = JoinSet::new();
        self.listening.all.store(listeners.len(), Ordering::Relaxed);
        for listener in listeners {
            accepting.spawn(Arc::clone(&self).accept(listener, stop.clone()));
        }
        while accepting.join_next().await.is_some() {}
    }

    async fn accept<L: Listener>(self: Arc<Self>, mut listener: L, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let listening = Open::count(&self.listening.open);
        loop {
            tokio::select! {
                accepted = listener.next() => match accepted {
                    Ok((socket, peer)) => match self.handshakes.begin(Peer::of(peer.ip())) {
                        Some(handshake) => drop(connections.spawn(Arc::clone(&self).welcome(socket, peer, handshake, stop.clone()))),
                        None => if let Some(unsaid) = self.turned_away.line() {
                            warn!(%peer, unsaid, "too many connections that have not said who they are; turned away");
                        },
                    },
                    // Out of file descriptors and the like: accepting again at once would spin.
                    Err(error) => {
                        warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!(%error, "a connection panicked; the others go on");
                    }
                }
                () = stopped(&mut stop) => break,
            }
        }
        drop((listener, listening));
        let goodbyes = async { while connections.join_next().await.is_some() {} };
        if timeout(GOODBYE, goodbyes).await.is_err() {
            warn!(stations = connections.len(), "stations that do not take our goodbye are left without one");
        }
    }

    async fn welcome<S: Stream>(
        self: Arc<Self>,
        socket: S,
        peer: SocketAddr,
        handshake: Handshake,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut chosen = None;
        #[allow(clippy::result_large_err)] // tungstenite's signature
        let check_upgrade = |request: &Request, response: Response| self.check_upgrade(request, response, peer, &mut chosen);
        let limit = Some(self.settings.max_message_bytes);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(self.settings.max_message_bytes + connection::OUT_BUFFER)
            .max_message_size(limit)
            .max_frame_size(limit);
        let socket = Inbound::new(socket, Arc::clone(self.budgets.of(Standing::Unknown)));
        let upgrade = accept_hdr_async_with_config(socket, check_upgrade, Some(config));
        let upgraded = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            upgraded = timeout(self.settings.handshake_timeout, upgrade) => upgraded,
        };
        let mut socket = match upgraded {
            Ok(Ok(socket)) => socket,
            Ok(Err(Error::Http(_))) => return, // turned away, and said so
            Ok(Err(error)) => return info!(%peer, %error, "no connection: the upgrade failed"),
            Err(_) => return info!(%peer, "no connection: the handshake took too long"),
        };
        drop(handshake);
        let Some((identity, version)) = chosen else { return };
        let (claim, orders) = match self.registry.claim(&identity, Peer::of(peer.ip()), version) {
            Ok(claimed) => claimed,
            // The last place went to somebody else while this one shook hands.
            Err(_) => return drop(close(socket, CloseCode::Again, "no place is free").await),
        };
        socket.get_mut().allow(connection::message_limit(&self.settings, claim.standing), self.budgets.of(claim.standing));
        self.live.connections.one();
        info!(station = %claim.station, version = version.number(), %peer, "station connected");
        let mut held = Held { csms: &self, claim, why: "a fault of ours".into() };
        held.why = Connection::new(&self, &held.claim, version, peer, orders.calls).run(socket, orders.ousted, stop).await;
    }

    #[allow(clippy::result_large_err)] // tungstenite's signature
    fn check_upgrade(
        &self,
        request: &Request,
        mut response: Response,
        peer: SocketAddr,
        chosen: &mut Option<(String, Version)>,
    ) -> Result<Response, ErrorResponse> {
        let offers: Vec<&str> = request.headers().get_all(SUBPROTOCOL).iter().filter_map(|value| value.to_str().ok()).collect();
        match self.decide(request.uri().path(), &offers, Peer::of(peer.ip())) {
            Ok((identity, version, echo)) => {
                if let Some(echo) = echo {
                    response.headers_mut().insert(SUBPROTOCOL, HeaderValue::from_static(echo));
                }
                *chosen = Some((identity, version));
                Ok(response)
            }
            Err(refused) => {
                self.live.turned_away.count(self.live.turned_away.label(&refused.status.to_string()), 0);
                if let Some(unsaid) = self.turned_away.line() {
                    warn!(%peer, path = request.uri().path(), status = refused.status, why = refused.text, unsaid, "station turned away");
                    self.note_refusal(request.uri().path(), &refused);
                }
                let mut answer = ErrorResponse::new(Some(refused.text + "\n"));
                *answer.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
                Err(answer)
            }
        }
    }

    /// `stations` shows who was turned away and why; as many as the log does.
    fn note_refusal(&self, path: &str, refused: &Refused) {
        let Ok(subject) = handshake::identity(&self.settings, path) else { return };
        if self.store.available() {
            let detail = refused.text.clone();
            self.store.submit(Job::Problem { kind: "station-refused", station: None, subject, detail, at: (self.clock)().at });
        }
    }

    fn decide(&self, path: &str, offers: &[&str], peer: Peer) -> Result<(String, Version, Option<&'static str>), Refused> {
        let identity = handshake::identity(&self.settings, path)?;
        let known = self.registry.canonical(&identity);
        let configured = known.as_ref().is_some_and(|id| self.settings.stations.contains(id));
        if self.settings.only_known && !configured && !self.is_adopted(&identity) {
            return Err(Refused::new(
                404,
                format!("station {identity} is not in the configuration ([[station]] id = \"{identity}\"), nor adopted"),
            ));
        }
        let assume = known.as_ref().is_some_and(|id| self.settings.assume_v16.contains(id));
        let (version, echo) = handshake::version(&self.settings, offers, assume)?;
        if !self.store.available() {
            return Err(Refused::new(503, "the store cannot commit; keep your messages and try again"));
        }
        self.registry.admits(&identity, peer).map_err(|no_place| Refused::new(503, no_place_text(no_place)))?;
        Ok((identity, version, echo))
    }
}

fn no_place_text(no_place: NoPlace) -> String {
    match no_place {
        NoPlace::Full { places } => {
            format!(
                "no place is free for an unknown station; {places} are taken or kept for known ones (ocpp.max_connections, [[station]])"
            )
        }
        NoPlace::SilentPeer => {
            format!("{MAX_SILENT_PER_PEER} unknown stations at this address have said nothing yet; try again in a minute")
        }
    }
}

/// Counts a listener for as long as it accepts, a panic included.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn count(open: &'a AtomicUsize) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
            self.csms.store.submit(Job::Disconnected { station: self.claim.station.clone(), at: (self.csms.clock)().at });
        }
    }
}
