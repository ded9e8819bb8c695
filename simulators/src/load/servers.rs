//! Starts and stops the servers under measurement: fresh folder, fresh store, pinned to one core, loopback only.
//!
//! A server runs as a child of ours and is ended by its pid, also when the benchmark itself fails.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Version;

/// The servers' core; the generator has [`LOAD_CORE`] to itself.
pub const SERVER_CORE: u32 = 0;
pub const LOAD_CORE: u32 = 1;

const START_S: u64 = 20;
const STOP_S: u64 = 20;
const SETTLE_MS: u64 = 400;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// The baseline without a database.
    Echo,
    /// The baseline.
    Durable,
    Forecourt,
}

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "limit-echo",
            Self::Durable => "limit-durable",
            Self::Forecourt => "forecourt",
        }
    }
}

/// Where the programs are, and how slow the disk shall be.
pub struct Setup {
    pub baseline: PathBuf,
    pub forecourt: Option<PathBuf>,
    pub slow_fsync: Option<SlowFsync>,
}

/// A library that makes each fsync longer.
pub struct SlowFsync {
    pub library: PathBuf,
    pub microseconds: u64,
}

impl SlowFsync {
    /// Compiles the shim into `dir`.
    pub fn build(dir: &Path, microseconds: u64) -> Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/slow_fsync.c");
        let library = dir.join("slow_fsync.so");
        let status = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        if !status.context("cannot run cc")?.success() {
            bail!("cc could not compile {}", source.display());
        }
        Ok(Self { library, microseconds })
    }
}

pub struct Server {
    child: Child,
    log: PathBuf,
    pub store: PathBuf,
    pub url: String,
}

impl Server {
    /// Starts `contender` in the empty folder `dir` and waits until it accepts connections.
    pub fn start(setup: &Setup, contender: Contender, version: Version, dir: &Path) -> Result<Self> {
        let port = free_port()?;
        let store = dir.join("store.db");
        let log = dir.join("server.log");
        let mut command = pinned(SERVER_CORE);
        match contender {
            Contender::Echo => command.arg(&setup.baseline).arg("--echo").args(["--listen", &format!("127.0.0.1:{port}")]),
            Contender::Durable => {
                command.arg(&setup.baseline).args(["--listen", &format!("127.0.0.1:{port}"), "--db"]).arg(&store)
            }
            Contender::Forecourt => {
                let config = write_config(dir, port, version)?;
                let program = setup.forecourt.as_ref().context("--forecourt was not given")?;
                command.arg(program).arg("run").arg("--config").arg(config)
            }
        };
        if let Some(slow) = &setup.slow_fsync {
            command.env("LD_PRELOAD", &slow.library).env("SLOW_FSYNC_US", slow.microseconds.to_string());
        }
        let output = fs::File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("cannot start sh and taskset")?;
        let mut server = Self { child, log, store, url: format!("ws://127.0.0.1:{port}/ocpp") };
        server.await_port(port)?;
        // Let it finish starting before its idle memory is read.
        sleep(Duration::from_millis(SETTLE_MS));
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn await_port(&mut self, port: u16) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(START_S) {
            if let Some(status) = self.child.try_wait()? {
                bail!("server ended at once ({status}):\n{}", self.last_words());
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        bail!("server did not listen within {START_S} s:\n{}", self.last_words())
    }

    /// The end of what the server logged.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Asks it to stop, or with `kill` does not ask, and waits until it has.
    pub fn stop(mut self, kill: bool) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("server had ended before it was asked to ({status}):\n{}", self.last_words());
        }
        if kill {
            self.child.kill()?;
        } else {
            Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(STOP_S) {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        bail!("server did not stop within {STOP_S} s:\n{}", self.last_words())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only has an effect when `stop` did not succeed; there is nobody left to report it to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs what is appended to it on `core`, with enough descriptors for thousands of connections. `exec`
/// all the way, so that the child's pid is the program's.
pub fn pinned(core: u32) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n 20000 2>/dev/null; exec taskset -c {core} \"$@\""), "sh"]);
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn write_config(dir: &Path, port: u16, version: Version) -> Result<PathBuf> {
    let tariffs = dir.join("tariffs");
    fs::create_dir(&tariffs)?;
    fs::write(tariffs.join("bench.json"), TARIFF)?;
    let subprotocol = version.subprotocol();
    let dir_text = dir.display();
    let text = format!(
        r#"[site]
id = "bench"
name = "Benchmark"
country_code = "DE"
party_id = "FCT"
time_zone = "Europe/Berlin"
currency = "EUR"

[store]
path = "{dir_text}/store.db"

[ocpp]
listen = "127.0.0.1:{port}"
path = "/ocpp"
versions = ["{subprotocol}"]
max_connections = 10000
unknown_stations = "accept"
unknown_tokens = "accept"
security_profile = 0
onboarding = false

[tariff]
dir = "{dir_text}/tariffs"
default = "bench"

[mqtt]
url = ""

[signing]
key_file = "{dir_text}/signing.pem"

[log]
level = "warn"
"#
    );
    let file = dir.join("forecourt.toml");
    fs::write(&file, text)?;
    Ok(file)
}

/// Energy, time and idle time are all priced, so that rating has real work to do.
const TARIFF: &str = r#"{
  "country_code": "DE",
  "party_id": "FCT",
  "id": "bench",
  "currency": "EUR",
  "elements": [
    {
      "price_components": [
        { "type": "FLAT", "price": 0.50, "vat": 19.0, "step_size": 1 },
        { "type": "ENERGY", "price": 0.49, "vat": 19.0, "step_size": 1 },
        { "type": "PARKING_TIME", "price": 3.00, "vat": 19.0, "step_size": 60 }
      ]
    }
  ],
  "last_updated": "2026-01-01T00:00:00Z"
}
"#;
