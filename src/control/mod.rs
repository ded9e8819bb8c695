//! Commands to the running daemon: a Unix socket, one command and one reply per connection.
//!
//! A command is one line of JSON, and so is its reply, which gives the reason when the command is refused. Who asks is known from
//! the socket's peer credentials (unix(7), SO_PEERCRED); who may ask is decided by the mode of socket and folder: the daemon's user, its
//! group, and root. The socket is made anew at each start.
//!
//! Limits: [`MAX_CONNECTIONS`] at a time, [`MAX_LINE`] bytes a command, [`PATIENCE`] for it to come.
//! Deliberately absent: reads of what the store holds (they open it), a session, a second command on the same connection.

mod client;
mod command;
mod peer;

use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info, warn};

pub use client::{Unreachable, ask};
pub use command::{Command, Correct, Outcome, Reply, StationCall, StationVerb, TokenEntry};

const MAX_CONNECTIONS: usize = 64;
const MAX_LINE: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
/// `sun_path` of unix(7), with its NUL.
const MAX_PATH: usize = 107;

/// Whether a socket can be made there, as far as that is known without making it. Nothing but a socket is ever removed.
pub fn check(path: &Path) -> Result<(), String> {
    if path.as_os_str().len() > MAX_PATH {
        return Err(format!("longer than {MAX_PATH} bytes, which no Unix socket can be"));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err("something that is not a socket stands there".to_owned()),
        _ => Ok(()),
    }
}

/// What keeps the socket from being made as things stand: its folder is missing, or this user may not write there.
pub fn folder(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match std::fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Some(format!("{} is no folder", folder.display())),
        // Mode 0222: nobody may write there; whose turn it is otherwise, only the daemon's user can say.
        Ok(found) if found.permissions().mode() & 0o222 == 0 => {
            Some(format!("nobody may write in its folder {}; no commands could be given to the daemon", folder.display()))
        }
        Ok(_) => None,
        Err(error) => Some(format!(
            "its folder {} cannot be used ({error}); no commands could be given to the daemon: make it (RuntimeDirectory= of the unit does)",
            folder.display()
        )),
    }
}

/// Makes the socket; one that an earlier daemon left is removed, one that somebody listens on is not.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("site.control_socket {}: {error}", path.display()));
    check(path).map_err(|why| named(io::Error::other(why)))?;
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return Err(named(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there"))),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(named)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(named)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(named)?;
    Ok(listener)
}

/// Serves until `stop` turns true. `handle` carries out a command for the user that it names.
pub async fn serve<F: Future<Output = Reply> + Send + 'static>(
    listener: UnixListener,
    handle: impl Fn(Command, String) -> F + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) {
    let handle = Arc::new(handle);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match (accepted, Arc::clone(&places).try_acquire_owned()) {
                (Ok((socket, _)), Ok(place)) => {
                    let handle = Arc::clone(&handle);
                    connections.spawn(async move {
                        if let Err(error) = answer(socket, &*handle).await {
                            debug!(%error, "a command was not answered");
                        }
                        drop(place);
                    });
                }
                (Ok((socket, _)), Err(_)) => {
                    debug!("too many commands at a time; one was turned away");
                    let reply = Reply::refused(Outcome::Refused, format!("{MAX_CONNECTIONS} commands are being carried out; try again"));
                    connections.spawn(async move { drop(timeout(PATIENCE, say(socket, &reply)).await) });
                }
                (Err(error), _) => {
                    warn!(%error, "cannot accept a command");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => return,
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Carries out the command of one connection. Whoever hangs up does not want it any more, so far as it can still be left undone.
async fn answer<F: Future<Output = Reply>>(mut socket: UnixStream, handle: &impl Fn(Command, String) -> F) -> io::Result<()> {
    let actor = peer::name(socket.peer_cred()?.uid());
    let mut line = Vec::new();
    let mut read = BufReader::new(&mut socket).take(MAX_LINE);
    let reply = match timeout(PATIENCE, read.read_until(b'\n', &mut line)).await {
        Ok(Ok(0)) => return Ok(()),
        Ok(Ok(_)) if line.len() as u64 == MAX_LINE => Reply::refused(Outcome::Usage, format!("longer than {MAX_LINE} bytes")),
        Ok(Ok(_)) => match serde_json::from_slice::<Command>(&line) {
            Ok(command) => {
                if command.only_reads() {
                    debug!(actor, command = command.name(), "command");
                } else {
                    info!(actor, command = command.name(), "command");
                }
                tokio::select! {
                    reply = handle(command, actor) => reply,
                    () = hung_up(&mut socket) => return Ok(()),
                }
            }
            Err(error) => Reply::refused(Outcome::Usage, format!("not a command: {error}")),
        },
        Ok(Err(error)) => Reply::refused(Outcome::Usage, format!("cannot read the command: {error}")),
        Err(_) => Reply::refused(Outcome::Usage, "no command came".to_owned()),
    };
    say(socket, &reply).await
}

/// Completes when the other side has closed the connection.
async fn hung_up(socket: &mut UnixStream) {
    let mut rest = [0; 256];
    while !matches!(socket.read(&mut rest).await, Ok(0) | Err(_)) {}
}

async fn say(mut socket: UnixStream, reply: &Reply) -> io::Result<()> {
    let mut text = serde_json::to_string(reply)?;
    text.push('\n');
    socket.write_all(text.as_bytes()).await?;
    socket.shutdown().await
}
