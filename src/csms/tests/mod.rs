//! Scripts on the listener, the connection loop and their timers: this from the station and from the store, exactly that to both, at
//! exactly that second.
//!
//! The socket is a pipe in memory with a real WebSocket client at its other end, the store is the script, and the clock stands still
//! until everybody waits for it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod calls;
mod listener;
mod timers;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::listener::Listener;
use super::{Csms, Settings};
use crate::observe::Live;
use crate::store::{Job, QueuedCall, Stored, WriterHandle};
use crate::units::{Received, StationId, Time, Version};

const PEER: &str = "192.0.2.1:40000";
/// More than any timer here.
const FOR_EVER: Duration = Duration::from_secs(100_000);
/// What a pipe holds that nobody reads from.
const PIPE: usize = 1024;

fn settings() -> Settings {
    Settings {
        path: "/ocpp".to_owned(),
        versions: vec![Version::V201, Version::V16],
        max_message_bytes: 1 << 20,
        max_connections: 200,
        handshake_timeout: Duration::from_secs(10),
        quiet_after: Duration::from_secs(100),
        unknown_silence: Duration::from_secs(40),
        only_known: false,
        stations: vec![StationId::new("CP-1")],
        assume_v16: HashSet::new(),
    }
}

/// Where the script's stations dial in.
struct Pipes(mpsc::UnboundedReceiver<io::Result<(DuplexStream, SocketAddr)>>);

impl Listener for Pipes {
    type Stream = DuplexStream;

    async fn next(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(dialled) => dialled,
            None => std::future::pending().await,
        }
    }
}

struct Script {
    csms: Arc<Csms>,
    store: WriterHandle,
    jobs: mpsc::UnboundedReceiver<Job>,
    dialled: mpsc::UnboundedSender<io::Result<(DuplexStream, SocketAddr)>>,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
    began: Instant,
}

impl Script {
    fn new(settings: Settings) -> Self {
        let (store, jobs) = WriterHandle::scripted();
        let clock = Arc::new(|| Received { at: Time::default(), proven: true });
        let csms = Csms::new(settings, Vec::new(), Vec::new(), store.clone(), clock, Arc::new(Live::default()));
        let (dialled, pipes) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let served = tokio::spawn(Arc::clone(&csms).serve(vec![Pipes(pipes)], stopping));
        Self { csms, store, jobs, dialled, stop, served, began: Instant::now() }
    }

    /// With CP-1 connected, no call of which waits.
    async fn connected() -> (Self, Station) {
        let mut script = Self::new(settings());
        let station = script.dial("CP-1").await.unwrap();
        script.welcomed(Vec::new()).await;
        (script, station)
    }

    /// A socket on which nothing was said yet.
    fn pipe(&self) -> DuplexStream {
        let (theirs, ours) = tokio::io::duplex(PIPE);
        self.dialled.send(Ok((ours, PEER.parse().unwrap()))).unwrap();
        theirs
    }

    async fn dial(&self, name: &str) -> Result<Station, Error> {
        self.dial_with(name, "ocpp1.6").await
    }

    async fn dial_with(&self, name: &str, subprotocol: &'static str) -> Result<Station, Error> {
        let mut request = format!("ws://site/ocpp/{name}").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
        let (socket, _) = client_async(request, self.pipe()).await?;
        Ok(Station(socket))
    }

    /// Whole seconds since the script began.
    fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    /// The next job for the store, which has to be this one.
    async fn job(&mut self, wanted: &str) -> Job {
        let job = timeout(FOR_EVER, self.jobs.recv()).await.unwrap_or_else(|_| panic!("no job comes, wanted {wanted}")).unwrap();
        assert_eq!(described(&job), wanted);
        job
    }

    /// Nothing is left for the store to do, and nothing comes for a second.
    async fn no_job(&mut self) {
        let job = timeout(Duration::from_secs(1), self.jobs.recv()).await;
        assert_eq!(job.ok().flatten().as_ref().map(described), None);
    }

    /// The store learns of CP-1's connection; these calls wait for it.
    async fn welcomed(&mut self, waiting: Vec<QueuedCall>) {
        self.job("connected CP-1").await;
        let Job::WaitingCalls(_, _, reply) = self.job("waiting calls CP-1").await else { unreachable!() };
        reply.send(waiting).unwrap();
    }

    /// A message comes to the store; the reply says that it is on disk.
    async fn message(&mut self, action: &str) -> oneshot::Sender<Stored> {
        match self.job(&format!("message {action}")).await {
            Job::Message(_, reply) => reply,
            _ => unreachable!(),
        }
    }

    /// A call is about to leave; it does when this is on disk.
    async fn sent(&mut self, number: i64) {
        let Job::CallSent { reply, .. } = self.job(&format!("sent {number}")).await else { unreachable!() };
        reply.send(()).unwrap();
    }
}

/// What stands in a script for a job.
fn described(job: &Job) -> String {
    match job {
        Job::Message(message, _) => format!("message {}", message.action.as_deref().unwrap_or("?")),
        Job::Connected { station, .. } => format!("connected {}", station.as_str()),
        Job::Disconnected { station, .. } => format!("disconnected {}", station.as_str()),
        Job::Seen { station, .. } => format!("seen {}", station.as_str()),
        Job::Problem { kind, subject, .. } => format!("problem {kind} {subject}"),
        Job::Call(call, _) => format!("call {} of {}", call.action, call.actor),
        Job::CallSent { number, .. } => format!("sent {number}"),
        Job::CallEnded { number, end, .. } => format!("ended {number} {}", end.state()),
        Job::LateAnswer { message_id, end, .. } => format!("late {message_id} {}", end.state()),
        Job::WaitingCalls(station, ..) => format!("waiting calls {}", station.as_str()),
        Job::Flush(_) => "flush".to_owned(),
        _ => "another job".to_owned(),
    }
}

fn answered(answer: &str, calls: Vec<QueuedCall>) -> Stored {
    Stored { answer: Some(answer.to_owned()), calls }
}

/// A call of the program's own.
fn own_call(number: i64) -> QueuedCall {
    let (action, payload) = ("ClearCache".to_owned(), "{}".to_owned());
    QueuedCall { number, message_id: format!("1-{number}"), action, payload, is_ours: false }
}

struct Station(WebSocketStream<DuplexStream>);

impl Station {
    async fn say(&mut self, text: &str) {
        self.0.send(Frame::text(text)).await.unwrap();
    }

    /// The next frame of ours.
    async fn hear(&mut self) -> Option<Frame> {
        timeout(FOR_EVER, self.0.next()).await.expect("nothing comes").and_then(Result::ok)
    }

    async fn hears(&mut self, wanted: &str) {
        let frame = self.hear().await.unwrap();
        assert_eq!(frame.to_text().unwrap(), wanted);
    }

    /// Nothing comes for so long.
    async fn hears_nothing_for(&mut self, seconds: u64) {
        let heard = timeout(Duration::from_secs(seconds), self.0.next()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// The connection ends with this.
    async fn is_closed(&mut self, code: CloseCode, reason: &str) {
        match self.hear().await {
            Some(Frame::Close(Some(close))) => assert_eq!((close.code, close.reason.as_str()), (code, reason)),
            other => panic!("{other:?}, wanted {code} {reason}"),
        }
        assert!(self.hear().await.is_none());
    }

    /// The socket below: from here on the station answers nothing by itself.
    fn socket(self) -> DuplexStream {
        self.0.into_inner()
    }
}
