//! A small CSMS for the tests of this crate. A script decides about each frame: answer, keep silent, or cut the line.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::header::SEC_WEBSOCKET_PROTOCOL,
    },
};

/// What the CSMS does with a frame.
pub enum Do {
    Say(Vec<String>),
    Nothing,
    Cut,
}

pub type Frames = mpsc::UnboundedReceiver<Value>;

/// Listens, and asks `script` about every frame, numbered from 0 over all connections.
pub async fn csms(mut script: impl FnMut(usize, &Value) -> Do + Send + 'static) -> (String, Frames) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ocpp", listener.local_addr().unwrap());
    let (tx, rx) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut nth = 0;
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            // One station, one connection at a time.
            let mut socket = accept_hdr_async(tcp, echo_subprotocol).await.unwrap();
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let frame: Value = serde_json::from_str(&text).unwrap();
                tx.send(frame.clone()).ok();
                let act = script(nth, &frame);
                nth += 1;
                match act {
                    Do::Say(texts) => {
                        for text in texts {
                            socket.send(Message::text(text)).await.unwrap();
                        }
                    }
                    Do::Nothing => {}
                    Do::Cut => break,
                }
            }
        }
    });
    (url, rx)
}

#[allow(clippy::result_large_err, clippy::unnecessary_wraps)]
fn echo_subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, request.headers()[SEC_WEBSOCKET_PROTOCOL].clone());
    Ok(response)
}

pub fn result(frame: &Value, payload: Value) -> Do {
    Do::Say(vec![json!([3, frame[1], payload]).to_string()])
}

/// A good answer to everything a station asks.
pub fn agree(frame: &Value) -> Do {
    let payload = match frame[2].as_str().unwrap_or_default() {
        "BootNotification" => json!({"status": "Accepted", "currentTime": "2026-07-22T12:00:00Z", "interval": 300}),
        "StartTransaction" => json!({"transactionId": 4711, "idTagInfo": {"status": "Accepted"}}),
        "Heartbeat" => json!({"currentTime": "2026-07-22T12:00:00Z"}),
        "Authorize" if frame[3]["idTag"].is_string() => json!({"idTagInfo": {"status": "Accepted"}}),
        "StopTransaction" if frame[3]["idTag"].is_string() => json!({"idTagInfo": {"status": "Accepted"}}),
        _ if frame[3]["idToken"].is_object() => json!({"idTokenInfo": {"status": "Accepted"}}),
        _ => json!({}),
    };
    result(frame, payload)
}

/// All frames so far.
pub fn drain(frames: &mut Frames) -> Vec<Value> {
    std::iter::from_fn(|| frames.try_recv().ok()).collect()
}
