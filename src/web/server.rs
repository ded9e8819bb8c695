//! The listener and its connections.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, warn};

use super::{Source, pages};

/// Each with its buffers and one page: some 3 MB together.
pub const MAX_CONNECTIONS: usize = 64;
/// From accepting a connection to its end.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(10);
/// Request line and headers; more is answered with 431.
pub const MAX_HEAD: usize = 16 * 1024;
/// How long a stop waits for answers on their way.
const GOODBYE: Duration = Duration::from_secs(1);

/// The error names the address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| io::Error::new(error.kind(), format!("web.listen {address}: {error}")))
}

/// Answers until `stop` turns true.
pub async fn serve(listener: TcpListener, source: Arc<impl Source>, mut stop: watch::Receiver<bool>) {
    let pages = pages::router(source);
    let (mut connections, mut open) = (JoinSet::new(), VecDeque::new());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    make_room(&mut open);
                    open.push_back(connections.spawn(answer(socket, pages.clone())));
                }
                // Out of file descriptors and the like: accepting again at once would spin.
                Err(error) => {
                    warn!(%error, "cannot accept a connection to web.listen");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    error!(%error, "answering over HTTP panicked; the others go on");
                }
            }
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    let goodbyes = async { while connections.join_next().await.is_some() {} };
    // Whoever is slower is cut off when the set is dropped.
    let _ = tokio::time::timeout(GOODBYE, goodbyes).await;
}

/// Completes when the daemon stops (or is gone).
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Closes the oldest connection when there are too many: whoever asks and listens was done long ago.
fn make_room(open: &mut VecDeque<AbortHandle>) {
    open.retain(|connection| !connection.is_finished());
    while open.len() >= MAX_CONNECTIONS
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
}

/// Reads one request and answers it. What goes wrong is the other side's to notice: there is nothing to tell anybody here.
async fn answer(socket: TcpStream, pages: Router) {
    let service = TowerToHyperService::new(pages);
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MAX_HEAD);
    let connection = http.serve_connection(TokioIo::new(socket), service);
    let _ = tokio::time::timeout(CONNECTION_LIFE, connection).await;
}
