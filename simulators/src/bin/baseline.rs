//! The limit server of the benchmark: the least a durable OCPP server can do, and nothing else.
//!
//! It does the two things that nobody can leave out, the socket and the fsync: read a frame, store its text, commit,
//! answer. Message id and action are taken by position (no JSON is parsed), the answers are fixed and always
//! `Accepted`, each message is one row, and one writer thread commits whatever gathered while the last commit ran.
//! The answers of a batch are released in one wake-up of the runtime. `--echo` leaves the database out as well.
//!
//! What Forecourt costs is given as a ratio to this (docs/performance.md). It is no CSMS: it validates nothing,
//! forgets sessions, and trusts whoever connects. Bind it to loopback only.
//!
//! Limits: one message in flight per connection (as OCPP-J asks), so the queue is as long as there are connections,
//! of which there are at most 20,000; a message has at most 64 KiB.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use chrono::{SecondsFormat, Utc};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

const MAX_CONNECTIONS: usize = 20_000;
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// Batches of released answers that may wait for the runtime; the writer waits when there are more.
const MAX_RELEASED_BATCHES: usize = 16;

#[derive(Parser)]
#[command(about = "The least a durable OCPP server can do: the baseline of the benchmark")]
struct Options {
    /// Address to listen on; loopback only
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// SQLite file, created when absent
    #[arg(long, value_name = "FILE", required_unless_present = "echo")]
    db: Option<PathBuf>,
    /// Answer without a database
    #[arg(long, conflicts_with = "db")]
    echo: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.listen.ip().is_loopback() {
        bail!("{} is not a loopback address: this server lets everyone in", options.listen);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<()> {
    let queue = match &options.db {
        Some(file) => {
            let queue = Arc::new(Queue::default());
            let (released, batches) = mpsc::channel(MAX_RELEASED_BATCHES);
            let connection = open_store(file).with_context(|| format!("cannot open {}", file.display()))?;
            let writer_queue = Arc::clone(&queue);
            std::thread::Builder::new().name("writer".into()).spawn(move || {
                // Without a writer nothing can be promised any more: the process ends, and every socket with it.
                if let Err(error) = write_batches(&connection, &writer_queue, &released) {
                    eprintln!("baseline: {error:#}");
                    std::process::exit(1);
                }
            })?;
            tokio::spawn(release_answers(batches));
            tokio::spawn(wake_writer(Arc::clone(&queue)));
            Some(queue)
        }
        None => None,
    };
    let listener = TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("listening on {}", listener.local_addr()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(admit(stream, queue.clone()));
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// One connection's life; what goes wrong on it ends it and nothing else.
async fn admit(stream: TcpStream, queue: Option<Arc<Queue>>) {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    if CONNECTIONS.fetch_add(1, Ordering::Relaxed) < MAX_CONNECTIONS
        && let Err(error) = converse(stream, queue).await
    {
        eprintln!("baseline: {error:#}");
    }
    CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
}

async fn converse(stream: TcpStream, queue: Option<Arc<Queue>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut station = String::new();
    // The size of the error is the library's choice.
    #[allow(clippy::result_large_err)]
    let greet = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        station = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
        if let Some(first) = offered.and_then(|list| list.split(',').next())
            && let Ok(value) = first.trim().parse()
        {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        Ok(response)
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let mut socket = tokio_tungstenite::accept_hdr_async_with_config(stream, greet, Some(config)).await?;
    let station: Arc<str> = station.into();
    while let Some(message) = socket.next().await {
        let text = match message? {
            Message::Text(text) => text,
            Message::Close(_) => break,
            _ => continue,
        };
        let answer = answer_to(&text)?;
        if let Some(queue) = &queue {
            let (committed, commit) = oneshot::channel();
            queue.push(Stored { station: Arc::clone(&station), text, committed });
            commit.await.context("the writer has gone")?;
        }
        socket.send(Message::text(answer)).await?;
    }
    Ok(())
}

// ---- answers -------------------------------------------------------------------------------------------------------

/// The canned answer to `[2,"id","Action",…]`: between the first quotes is the id, between the second the action.
fn answer_to(text: &str) -> Result<String> {
    static TRANSACTION: AtomicI64 = AtomicI64::new(1);
    let mut pieces = text.split('"');
    let (Some(head), Some(id), Some(_), Some(action)) = (pieces.next(), pieces.next(), pieces.next(), pieces.next()) else {
        bail!("not an OCPP frame: {:.40}", text);
    };
    if !head.starts_with("[2") {
        bail!("not a CALL: {:.40}", text);
    }
    Ok(match action {
        "MeterValues" | "StatusNotification" => format!(r#"[3,"{id}",{{}}]"#),
        "TransactionEvent" => format!(r#"[3,"{id}",{{"idTokenInfo":{{"status":"Accepted"}}}}]"#),
        "Authorize" | "StopTransaction" => {
            format!(r#"[3,"{id}",{{"idTagInfo":{{"status":"Accepted"}},"idTokenInfo":{{"status":"Accepted"}}}}]"#)
        }
        "StartTransaction" => {
            let number = TRANSACTION.fetch_add(1, Ordering::Relaxed);
            format!(r#"[3,"{id}",{{"idTagInfo":{{"status":"Accepted"}},"transactionId":{number}}}]"#)
        }
        "Heartbeat" => format!(r#"[3,"{id}",{{"currentTime":"{}"}}]"#, now()),
        "BootNotification" => {
            format!(r#"[3,"{id}",{{"status":"Accepted","currentTime":"{}","interval":300}}]"#, now())
        }
        _ => format!(r#"[4,"{id}","NotImplemented","",{{}}]"#),
    })
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

// ---- store ---------------------------------------------------------------------------------------------------------

/// A message that waits for its commit, and the connection that waits for it.
struct Stored {
    station: Arc<str>,
    text: Utf8Bytes,
    committed: oneshot::Sender<()>,
}

/// What has gathered since the writer last looked.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<Stored>>,
    first: Notify,
    filled: Condvar,
}

impl Queue {
    fn push(&self, stored: Stored) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(stored);
        let first = waiting.len() == 1;
        drop(waiting);
        if first {
            self.first.notify_one();
        }
    }

    /// Swaps the empty `batch` for everything that waits; sleeps until there is something.
    fn take(&self, batch: &mut Vec<Stored>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.filled.wait_while(waiting, |waiting| waiting.is_empty()).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *waiting, batch);
    }
}

/// Wakes the writer once all connections that were ready have spoken. Woken by the first of them, it would take the core
/// from the others and commit a batch of one.
async fn wake_writer(queue: Arc<Queue>) {
    loop {
        queue.first.notified().await;
        tokio::task::yield_now().await;
        queue.filled.notify_one();
    }
}

fn open_store(file: &std::path::Path) -> Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY, station TEXT NOT NULL, text TEXT NOT NULL) STRICT;",
    )?;
    Ok(connection)
}

fn write_batches(
    connection: &rusqlite::Connection,
    queue: &Queue,
    released: &mpsc::Sender<Vec<oneshot::Sender<()>>>,
) -> Result<()> {
    let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
    let mut insert = connection.prepare("INSERT INTO message (station, text) VALUES (?1, ?2)")?;
    let mut commit = connection.prepare("COMMIT")?;
    let mut batch = Vec::new();
    loop {
        queue.take(&mut batch);
        let mut answers = Vec::with_capacity(batch.len());
        begin.execute([])?;
        for stored in batch.drain(..) {
            insert.execute((&*stored.station, stored.text.as_str()))?;
            answers.push(stored.committed);
        }
        commit.execute([])?;
        released.blocking_send(answers).context("the runtime has gone")?;
    }
}

/// Wakes the connections of a committed batch: one wake-up of the runtime a batch, not one a message.
async fn release_answers(mut batches: mpsc::Receiver<Vec<oneshot::Sender<()>>>) {
    while let Some(batch) = batches.recv().await {
        for committed in batch {
            // A connection that closed meanwhile wants no answer.
            let _ = committed.send(());
        }
    }
}
