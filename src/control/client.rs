//! The other end: a program that asks the daemon.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::MAX_LINE;
use super::command::{Command, Reply};

/// The daemon could not be asked, or did not reply.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error("the daemon cannot be reached at {path} (site.control_socket): {source}; is it running, and may you use the socket?")]
    Socket { path: PathBuf, source: std::io::Error },
    #[error(
        "the daemon ended before it replied; whether the command was carried out, `forecourt calls` and `audit list` may say"
    )]
    Ended,
    #[error("the daemon did not reply within {} s; `forecourt calls` and `audit list` may say what came of it", .0.as_secs())]
    Silent(Duration),
    #[error("the command is {0} bytes long; at most {MAX_LINE} are taken")]
    TooLong(usize),
    #[error("the daemon's reply cannot be read: {0}")]
    Reply(serde_json::Error),
}

/// Asks, and waits for the reply, at most so long. The connection stays open until then: to close it is to take the command back.
pub fn ask(path: &Path, command: &Command, patience: Duration) -> Result<Reply, Unreachable> {
    let unreachable = |source| Unreachable::Socket { path: path.to_owned(), source };
    let mut line = serde_json::to_string(command).map_err(Unreachable::Reply)?;
    line.push('\n');
    if line.len() as u64 >= MAX_LINE {
        return Err(Unreachable::TooLong(line.len()));
    }
    let mut socket = UnixStream::connect(path).map_err(unreachable)?;
    socket.set_read_timeout(Some(patience)).map_err(unreachable)?;
    socket.set_write_timeout(Some(patience)).map_err(unreachable)?;
    // A daemon that refuses the line before it has all of it says why.
    let sent = socket.write_all(line.as_bytes());
    let mut reply = String::new();
    match BufReader::new(socket).read_line(&mut reply) {
        Ok(0) => return Err(sent.err().map_or(Unreachable::Ended, unreachable)),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Err(Unreachable::Silent(patience));
        }
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(Unreachable::Ended),
        Err(error) => return Err(unreachable(error)),
    }
    serde_json::from_str(&reply).map_err(Unreachable::Reply)
}
