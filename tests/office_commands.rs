//! Commands of head office: a real broker between another MQTT client and the real binary, a station on a real WebSocket behind it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, PublishOptions, PublishProperties, QoS};
use serde_json::{Value, json};
use support::socket::Socket;
use support::tools::Mosquitto;
use support::{Plan, SITE, Site};
use tokio::sync::mpsc;
use tokio::time::timeout;

struct Office {
    client: AsyncClient,
    packets: mpsc::UnboundedReceiver<Packet>,
}

impl Office {
    async fn open(port: u16) -> Self {
        let options = MqttOptions::new("office", ("127.0.0.1".to_owned(), port));
        let (client, mut events) = AsyncClient::builder(options).capacity(50).build();
        let (heard, packets) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(packet) = event
                    && heard.send(packet).is_err()
                {
                    return;
                }
            }
        });
        let mut office = Self { client, packets };
        for topic in [format!("forecourt/v1/{SITE}/reply/call"), "answers/#".to_owned()] {
            office.client.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
            office.until(|packet| matches!(packet, Packet::SubAck(_))).await;
        }
        office
    }

    async fn until(&mut self, holds: impl Fn(&Packet) -> bool) -> Packet {
        let found = async {
            loop {
                let packet = self.packets.recv().await.unwrap();
                if holds(&packet) {
                    return packet;
                }
            }
        };
        timeout(support::PATIENCE, found).await.expect("a packet")
    }

    async fn say(&mut self, payload: &str, properties: PublishProperties, retained: bool) {
        let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
        let options = if retained { options.retained() } else { options };
        let topic = format!("forecourt/v1/{SITE}/cmd/call");
        self.client.publish(topic, payload.to_owned().into_bytes(), options).await.unwrap();
    }

    /// The next answer.
    async fn heard(&mut self) -> (Publish, Value) {
        let Packet::Publish(publish) = self.until(|packet| matches!(packet, Packet::Publish(_))).await else {
            panic!("a message")
        };
        let value = serde_json::from_slice(&publish.payload).unwrap();
        (publish, value)
    }
}

/// Waits until the site says that it is online, or the broker that it is not. It says so after it has subscribed: before, commands are lost.
async fn is_online(port: u16, online: bool) {
    let options = MqttOptions::new(format!("status-{}", fastrand::u64(..)), ("127.0.0.1".to_owned(), port));
    let (client, mut events) = AsyncClient::builder(options).capacity(5).build();
    client.subscribe(format!("forecourt/v1/{SITE}/status"), QoS::AtLeastOnce).await.unwrap();
    let told = async {
        loop {
            let Ok(Event::Incoming(Packet::Publish(publish))) = events.poll().await else { continue };
            let status: Value = serde_json::from_slice(&publish.payload).unwrap();
            if status["online"] == online {
                return;
            }
        }
    };
    timeout(support::PATIENCE, told).await.expect("a status");
}

async fn next_call(socket: &mut Socket) -> (String, String, Value) {
    let frame: Value = serde_json::from_str(&socket.text().await.expect("a call")).unwrap();
    (frame[1].as_str().unwrap().to_owned(), frame[2].as_str().unwrap().to_owned(), frame[3].clone())
}

#[tokio::test]
async fn head_office_calls_a_station_and_hears_what_it_said() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    is_online(broker.port, true).await;
    let mut socket = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    socket.call("boot", "BootNotification", json!({"chargePointVendor": "V", "chargePointModel": "M"})).await;
    let mut office = Office::open(broker.port).await;
    // To the Response Topic, with the Correlation Data.
    let asked =
        json!({"station": "cp-1", "action": "remoteStartTransaction", "payload": {"idTag": "OFFICE-0001"}, "reason": "hotline"});
    let properties = PublishProperties {
        response_topic: Some("answers/7".to_owned()),
        correlation_data: Some(b"seven".to_vec().into()),
        ..PublishProperties::default()
    };
    office.say(&asked.to_string(), properties, false).await;
    let (id, action, payload) = next_call(&mut socket).await;
    assert_eq!((action.as_str(), payload), ("RemoteStartTransaction", json!({"idTag": "OFFICE-0001"})));
    socket.send(&json!([3, id, {"status": "Accepted"}]).to_string()).await;
    let (publish, answer) = office.heard().await;
    assert_eq!((publish.topic.as_ref(), publish.retain), (&b"answers/7"[..], false));
    assert_eq!(publish.properties.unwrap().correlation_data.unwrap().as_ref(), b"seven");
    let wanted = json!({"station": "cp-1", "action": "RemoteStartTransaction", "outcome": "answered", "status": "Accepted",
        "payload": {"status": "Accepted"}, "error": null});
    assert_eq!(answer, wanted);
    let audit = site.query("SELECT actor, object, after, reason FROM v_audit ORDER BY audit_id DESC LIMIT 1", &[]);
    let audit: Vec<&str> = audit[0].iter().flatten().map(String::as_str).collect();
    assert_eq!(audit, ["head office", "CP-1", r#"RemoteStartTransaction {"idTag":"…0001"}"#, "hotline"]);
    // What is not carried out says why; without a Response Topic below the site.
    for (payload, code, why) in [
        (r#"{"station":"CP-1","action":"Reset","payload":{"type":"Warm"}}"#, "usage", "$.type must be one of: Hard, Soft"),
        (r#"{"station":"CP-9","action":"Reset"}"#, "not-found", "no station CP-9"),
        (r#"{"station":"CP-1"}"#, "usage", "not a command: missing field `action`"),
        (r#"{"station":"CP-1","action":"Reset","now":1}"#, "usage", "unknown field `now`"),
        (r#"{"station":"CP-1","action":"ClearCache","timeout_s":0}"#, "usage", "the time-out must be 1 to 600 seconds"),
        ("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "usage", "there are no keys of head office to check it with (mqtt.office_keys_file)"),
        ("\u{0}", "usage", "not a command"),
        ("", "usage", "not a command"),
    ] {
        office.say(payload, PublishProperties::default(), false).await;
        let (publish, answer) = office.heard().await;
        assert_eq!(publish.topic.as_ref(), format!("forecourt/v1/{SITE}/reply/call").as_bytes());
        assert_eq!((&answer["outcome"], &answer["error"]["code"]), (&json!(code), &json!(code)), "{payload}: {answer}");
        assert!(answer["error"]["description"].as_str().unwrap().contains(why), "{payload}: {answer}");
    }
    // Many at a time.
    for _ in 0..31 {
        office.say(r#"{"station":"CP-9","action":"Reset"}"#, PublishProperties::default(), false).await;
    }
    for _ in 0..31 {
        assert_eq!(office.heard().await.1["outcome"], "not-found");
    }
    // Kept by the broker, it is not carried out: not by who listens now, and not by who comes back.
    office.say(r#"{"station":"CP-1","action":"Reset","payload":{"type":"Hard"}}"#, PublishProperties::default(), true).await;
    let (id, action, _) = next_call(&mut socket).await;
    assert_eq!(action, "Reset", "it was live for who listened");
    socket.send(&json!([3, id, {"status": "Rejected"}]).to_string()).await;
    assert_eq!(office.heard().await.1["status"], "Rejected");
    site.kill9();
    is_online(broker.port, false).await;
    site.start().await;
    is_online(broker.port, true).await;
    let mut socket = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    socket.call("1", "Heartbeat", json!({})).await;
    office.say(r#"{"station":"CP-1","action":"ClearCache","timeout_s":5}"#, PublishProperties::default(), false).await;
    let (_, action, _) = next_call(&mut socket).await;
    assert_eq!(action, "ClearCache");
    // It does not answer in time.
    let answer = timeout(Duration::from_secs(30), office.heard()).await.unwrap().1;
    assert_eq!((&answer["outcome"], &answer["error"]["code"]), (&json!("timeout"), &json!("timeout")));
    site.stop().await;
}
