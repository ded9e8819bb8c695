//! The task that owns rumqttc's event loop, and the translation of what comes out of it.
//!
//! `poll` has no time limit of its own while it writes: against a frozen peer with a full socket buffer it never returns
//! (measured, 40 s and counting). Hence the outer timeout of two keep-alives and a bit.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, QoS, StateError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::commands::{MAX_IN_HAND, Request};
use super::dial::{DialError, dial, plain};
use super::outbox::Identity;
use super::pacing::Peer;
use super::settings::{Settings, Target};
use super::wire::Topics;

/// Name, TCP, TLS and CONNACK together.
const CONNECT: Duration = Duration::from_secs(20);
/// Beyond two keep-alives, before the peer counts as dead.
const GRACE: Duration = Duration::from_secs(5);
/// Declared to the broker, which then withholds anything larger: a huge retained message cannot take the uplink down.
const MOST_INCOMING: u32 = 256 * 1024;
/// Receipts the broker may have under way to us.
const RECEIVE_MAX: u16 = 16;
/// Places beside the window: for status, keys and goodbye, and for the answers to commands.
const SPARE: u16 = 8 + MAX_IN_HAND;
/// Requests written between two flushes.
const WRITE_BATCH: usize = 64;

/// What stays the same from connection to connection.
pub struct Site {
    pub settings: Arc<Settings>,
    pub target: Target,
    pub identity: Identity,
    pub topics: Topics,
}

pub enum Happening {
    Up(Peer),
    /// `live`: published just now, not kept by the broker from earlier.
    Receipt {
        payload: Vec<u8>,
        live: bool,
    },
    Command(Request),
    /// The last one.
    Down(String),
}

/// The running event loop; dropping it is the end of the connection.
pub struct Driver {
    pub happenings: mpsc::Receiver<Happening>,
    task: JoinHandle<()>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn start(site: &Site, will: String) -> Result<(AsyncClient, Driver), String> {
    let capacity = usize::from(site.settings.window.saturating_add(SPARE));
    let (client, events) =
        AsyncClient::builder(mqtt_options(site, will)).capacity(capacity).try_build().map_err(|error| error.to_string())?;
    // Small, so that a burst of receipts is held back by TCP and not by our memory.
    let (tx, happenings) = mpsc::channel(4);
    let task = tokio::spawn(drive(events, site.topics.clone(), site.settings.timing.keep_alive, tx));
    Ok((client, Driver { happenings, task }))
}

fn mqtt_options(site: &Site, will: String) -> MqttOptions {
    let settings = &site.settings;
    let id = if settings.client_id.is_empty() { &site.identity.site } else { &settings.client_id };
    let mut options = MqttOptions::new(id, (site.target.host.clone(), site.target.port));
    let keep_alive = u16::try_from(settings.timing.keep_alive.as_secs()).unwrap_or(u16::MAX).max(1);
    options.set_keep_alive(keep_alive).set_clean_start(true).set_connect_timeout(CONNECT);
    options.set_max_packet_size(Some(MOST_INCOMING)).set_receive_maximum(Some(RECEIVE_MAX));
    options.set_outgoing_inflight_upper_limit(settings.window.saturating_add(SPARE)).set_max_request_batch(WRITE_BATCH);
    options.set_last_will(LastWill::new(site.topics.status.clone(), will, QoS::AtLeastOnce, true, None));
    match (&settings.username, &settings.password) {
        (Some(name), Some(password)) => options.set_credentials(name.clone(), password.clone()),
        (Some(name), None) => options.set_username(name.clone()),
        (None, Some(password)) => options.set_password(password.clone()),
        (None, None) => &mut options,
    };
    let (settings, target) = (Arc::clone(settings), site.target.clone());
    options.set_socket_connector(move |_, _| {
        let (settings, target) = (Arc::clone(&settings), target.clone());
        async move { dial(settings, target).await.map_err(std::io::Error::other) }
    });
    options
}

async fn drive(mut events: EventLoop, topics: Topics, keep_alive: Duration, tx: mpsc::Sender<Happening>) {
    let mut patience = CONNECT + GRACE;
    loop {
        let happening = match timeout(patience, events.poll()).await {
            Ok(Ok(Event::Incoming(Packet::ConnAck(ack)))) => {
                let limits = ack.properties.as_ref();
                let theirs = limits.and_then(|limits| limits.server_keep_alive);
                patience = patience_for(theirs.map_or(keep_alive, |seconds| Duration::from_secs(seconds.into())));
                Happening::Up(Peer {
                    receive_max: limits.and_then(|limits| limits.receive_max).unwrap_or(u16::MAX),
                    max_packet: limits.and_then(|limits| limits.max_packet_size),
                })
            }
            Ok(Ok(Event::Incoming(Packet::Publish(publish)))) if publish.topic == topics.receipt.as_bytes() => {
                Happening::Receipt { payload: publish.payload.to_vec(), live: !publish.retain }
            }
            Ok(Ok(Event::Incoming(Packet::Publish(publish)))) if publish.topic == topics.command.as_bytes() => {
                let properties = publish.properties.unwrap_or_default();
                Happening::Command(Request {
                    payload: publish.payload.to_vec(),
                    response_topic: properties.response_topic,
                    correlation: properties.correlation_data.map(|data| data.to_vec()),
                    live: !publish.retain,
                })
            }
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => Happening::Down(explain(&error)),
            Err(_) => Happening::Down(format!("no sign of life from the broker for {} s", patience.as_secs())),
        };
        let last = matches!(happening, Happening::Down(_));
        if tx.send(happening).await.is_err() || last {
            return;
        }
    }
}

/// A broker may switch keep-alive off (0); then only missing acknowledgements betray a dead line.
fn patience_for(keep_alive: Duration) -> Duration {
    if keep_alive.is_zero() { Duration::from_secs(24 * 3_600) } else { keep_alive * 2 + GRACE }
}

/// For a technician: what happened and, where it is known, where to look.
fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<DialError>()) {
            Some(dial) => dial.to_string(),
            None => format!("connection lost: {}", plain(error)),
        },
        ConnectionError::Timeout(_) => format!("the broker did not answer CONNECT within {} s", CONNECT.as_secs()),
        ConnectionError::ConnectionRefused(code) => format!("the broker refused the connection: {}", words(code)),
        ConnectionError::MqttState(StateError::ConnectionAborted) => "the broker closed the connection".to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker did not answer a ping".to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let detail = reason_string.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
            format!("the broker disconnected us: {}{detail}", words(reason_code))
        }
        ConnectionError::MqttState(StateError::Deserialization(rumqttc::Error::Io(error))) => {
            format!("connection lost: {}", plain(error))
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => format!("mqtt: {error}"),
        other => other.to_string(),
    }
}

/// `BadUserNamePassword` → `bad user name password`.
fn words(code: &impl std::fmt::Debug) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_codes_become_words() {
        assert_eq!(words(&rumqttc::ConnectReturnCode::BadUserNamePassword), "bad user name password");
        assert_eq!(words(&rumqttc::DisconnectReasonCode::SessionTakenOver), "session taken over");
    }
}
