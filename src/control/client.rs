//! The other end: a program that asks the daemon.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::wire::{Command, Reply};

/// The daemon could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the daemon cannot be reached at {path} (site.control_socket): {source}; is it running, and may you use the socket?")]
pub struct Unreachable {
    path: PathBuf,
    source: std::io::Error,
}

/// Asks, and waits for the reply, at most so long.
pub fn ask(path: &Path, command: &Command, patience: Duration) -> Result<Reply, Unreachable> {
    let unreachable = |source| Unreachable { path: path.to_owned(), source };
    exchange(path, command, patience).map_err(unreachable)
}

fn exchange(path: &Path, command: &Command, patience: Duration) -> std::io::Result<Reply> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(patience))?;
    let mut line = serde_json::to_string(command)?;
    line.push('\n');
    socket.write_all(line.as_bytes())?;
    socket.shutdown(Shutdown::Write)?;
    let mut reply = String::new();
    if BufReader::new(socket).read_line(&mut reply)? == 0 {
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it ended before it replied"));
    }
    Ok(serde_json::from_str(&reply)?)
}
