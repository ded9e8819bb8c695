//! A bare WebSocket client: what is sent is exactly what the test says, valid or not.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::PATIENCE;

pub struct Socket {
    inner: WebSocketStream<TcpStream>,
    /// The subprotocol that was chosen.
    pub subprotocol: Option<String>,
}

/// An upgrade that was refused: HTTP status and text.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub u16, pub String);

impl Socket {
    /// `path` as in the request line, e.g. `/ocpp/CP-1`; `offers`: one header each.
    pub async fn open(port: u16, path: &str, offers: &[&str]) -> Result<Self, Refused> {
        let mut request = format!("ws://127.0.0.1:{port}{path}").into_client_request().unwrap();
        for offer in offers {
            request.headers_mut().append("sec-websocket-protocol", offer.parse().unwrap());
        }
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        match tokio::time::timeout(PATIENCE, client_async(request, tcp)).await.expect("an answer to the upgrade") {
            Ok((inner, response)) => {
                let chosen = response.headers().get("sec-websocket-protocol").map(|name| name.to_str().unwrap().to_owned());
                Ok(Self { inner, subprotocol: chosen })
            }
            Err(Error::Http(response)) => {
                let text = response.body().as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
                Err(Refused(response.status().as_u16(), text.unwrap_or_default()))
            }
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    pub async fn station(port: u16, id: &str, subprotocol: &str) -> Self {
        Self::open(port, &format!("/ocpp/{id}"), &[subprotocol]).await.unwrap()
    }

    pub async fn send(&mut self, text: &str) {
        self.inner.send(Message::text(text)).await.unwrap();
    }

    pub async fn send_frame(&mut self, frame: Message) -> Result<(), Error> {
        self.inner.send(frame).await
    }

    /// A text frame of any bytes, UTF-8 or not, in fragments of this many bytes.
    pub async fn send_bytes(&mut self, bytes: &[u8], fragment: usize) {
        let mut opcode = OpCode::Data(Data::Text);
        let mut parts = bytes.chunks(fragment).peekable();
        while let Some(part) = parts.next() {
            let frame = Frame::message(part.to_vec(), opcode, parts.peek().is_none());
            self.inner.send(Message::Frame(frame)).await.unwrap();
            opcode = OpCode::Data(Data::Continue);
        }
    }

    /// The next text frame; `None` when the connection ended.
    pub async fn text(&mut self) -> Option<String> {
        loop {
            match tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Sends a frame and returns the answer as JSON.
    pub async fn ask(&mut self, frame: &str) -> Value {
        self.send(frame).await;
        let answer = self.text().await.unwrap_or_else(|| panic!("closed instead of an answer to {frame}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("answer {answer}: {error}"))
    }

    /// A CALL whose CALLRESULT is expected; its payload.
    pub async fn call(&mut self, id: &str, action: &str, payload: Value) -> Value {
        let answer = self.ask(&json!([2, id, action, payload]).to_string()).await;
        assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!(id)), "{action}: {answer}");
        answer[2].clone()
    }

    /// Says who it is, so that it can be called; what it is told.
    pub async fn boot(&mut self) -> Value {
        let boot = match self.subprotocol.as_deref() {
            Some("ocpp1.6") => json!({"chargePointVendor": "V", "chargePointModel": "M"}),
            _ => json!({"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}),
        };
        self.call("boot", "BootNotification", boot).await
    }

    /// The next CALL that the station gets: its id, action and payload.
    pub async fn next_call(&mut self) -> (String, String, Value) {
        let frame: Value = serde_json::from_str(&self.text().await.expect("a call")).unwrap();
        assert_eq!(frame[0], 2, "{frame}");
        (frame[1].as_str().unwrap().to_owned(), frame[2].as_str().unwrap().to_owned(), frame[3].clone())
    }

    pub async fn answer(&mut self, id: &str, payload: Value) {
        self.send(&json!([3, id, payload]).to_string()).await;
    }

    /// Frames are handled in order: when a heartbeat is answered next, what was sent before had no answer.
    pub async fn unanswered(&mut self) {
        let answer = self.ask(r#"[2,"still-there","Heartbeat",{}]"#).await;
        assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!("still-there")), "{answer}");
    }

    /// Waits for the end of the connection; the close code, if one was sent.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("the end in time") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                Some(Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Whether nothing arrives for this long; only to show that something does not happen.
    pub async fn silent(&mut self, span: Duration) -> bool {
        tokio::time::timeout(span, self.inner.next()).await.is_err()
    }
}
