//! The office on the wire: an MQTT 5 session (QoS 1, kept by the broker for a day) whose acknowledgements wait until the
//! office has committed. What arrives goes through one channel; the broker's window bounds it.

use std::time::Duration;

use anyhow::{Context, Result};
use mqtt5::{AckToken, ConnectOptions, ConnectionEvent, MqttClient, PublishOptions, QoS, SubscribeOptions};
use tokio::sync::mpsc;

use super::{Login, Options};

/// Unacknowledged messages at a time, as the broker is asked.
const WINDOW: u16 = 256;
/// Room for the window and for connection events.
const CHANNEL: usize = 1024;
/// The broker keeps our subscriptions and what came for them this long.
const SESSION_S: u32 = 24 * 3600;
const PUBLISH_PATIENCE: Duration = Duration::from_secs(10);

/// What the wire brings.
#[derive(Debug)]
pub enum Incoming {
    Connected,
    Disconnected(String),
    Message { topic: String, payload: Vec<u8>, ack: Ack },
}

/// To be called after the commit. Dropped unused, the broker sees that the message was not taken.
pub struct Ack(AckToken);

impl Ack {
    pub fn ack(self) {
        self.0.ack();
    }
}

impl std::fmt::Debug for Ack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ack")
    }
}

pub struct Wire(MqttClient);

impl Wire {
    /// Connects, subscribes in this order, and from then on reconnects by itself.
    pub async fn connect(at: &Options, filters: &[String]) -> Result<(Self, mpsc::Receiver<Incoming>)> {
        let Options { broker, client_id, login, ca, .. } = at;
        let mut options = ConnectOptions::new(client_id.as_str())
            .with_clean_start(false)
            .with_resume_existing_session(true)
            .with_session_expiry_interval(SESSION_S)
            .with_receive_maximum(WINDOW)
            .with_keep_alive(Duration::from_secs(30))
            .with_deferred_ack(true)
            .with_automatic_reconnect(true)
            .with_reconnect_delay(Duration::from_millis(200), Duration::from_secs(10));
        if let Some(Login { user, password }) = login {
            options = options.with_credentials(user.as_str(), password.as_bytes());
        }
        let client = MqttClient::with_options(options);
        if let Some(ca) = ca {
            client.set_tls_config(None, None, Some(ca.clone().into_bytes())).await;
        }
        // A receipt that could not be sent is sent anew after the reconnect, from what is held then.
        client.set_queue_on_disconnect(false).await;
        let (tx, rx) = mpsc::channel(CHANNEL);
        for filter in filters {
            // Before connecting: a kept session may deliver at once.
            client.register_ack_callback(filter.as_str(), deliver(tx.clone())).await?;
        }
        client.on_connection_event(announce(tx.clone())).await?;
        client.connect(broker).await.with_context(|| format!("cannot reach the broker {broker}"))?;
        for filter in filters {
            let options = SubscribeOptions { qos: QoS::AtLeastOnce, ..SubscribeOptions::default() };
            client.subscribe_with_ack(filter.as_str(), options, deliver(tx.clone())).await?;
        }
        Ok((Self(client), rx))
    }

    /// QoS 1; returns when the broker has it.
    pub async fn publish(&self, topic: &str, payload: String, retain: bool) -> Result<()> {
        let options = PublishOptions { qos: QoS::AtLeastOnce, retain, ..PublishOptions::default() };
        let sent = self.0.publish_with_options(topic, payload.into_bytes(), options);
        tokio::time::timeout(PUBLISH_PATIENCE, sent).await.context("broker is silent")?.context("broker refused")?;
        Ok(())
    }

    /// Disconnects; the broker keeps the session.
    pub async fn close(self) {
        // Leaving a broker that is already gone is no error.
        self.0.disconnect().await.ok();
    }
}

impl Drop for Wire {
    /// The client's own tasks would go on, and reconnect, without us.
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let client = self.0.clone();
            runtime.spawn(async move { client.disconnect().await.ok() });
        }
    }
}

fn deliver(tx: mpsc::Sender<Incoming>) -> impl Fn(mqtt5::packet::publish::PublishPacket, AckToken) + Send + Sync + 'static {
    move |packet, token| {
        let message = Incoming::Message { topic: packet.topic_name, payload: packet.payload.to_vec(), ack: Ack(token) };
        if tx.try_send(message).is_err() {
            tracing::warn!("office is not listening, message left to the broker");
        }
    }
}

fn announce(tx: mpsc::Sender<Incoming>) -> impl Fn(ConnectionEvent) + Send + Sync + 'static {
    move |event| {
        let event = match event {
            ConnectionEvent::Connected { .. } => Incoming::Connected,
            ConnectionEvent::Disconnected { reason } => Incoming::Disconnected(format!("{reason:?}")),
            _ => return,
        };
        if tx.try_send(event).is_err() {
            tracing::warn!("office is not listening");
        }
    }
}
