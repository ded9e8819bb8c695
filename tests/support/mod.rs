//! A site in a temporary directory: configuration, tariffs, the real binary, its log, its store, its command line.
//!
//! Nothing here sleeps to synchronise: the daemon's log lines and the end of its stderr are events; what has no event (a row in
//! the store) is asked for again and again with a limit ([`until`]).

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod broker;
#[cfg(target_os = "linux")]
pub mod charging;
#[cfg(target_os = "linux")]
pub mod clock;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod reconciliation;
pub mod replay;
pub mod socket;
pub mod tools;
pub mod transaction;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, ToSql};
use serde_json::Value;
use tokio::sync::watch;

pub const BINARY: &str = env!("CARGO_BIN_EXE_forecourt");
pub const SITE: &str = "test-site";
/// Only a hang is longer than this.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// 0.40 EUR/kWh, 19 % VAT, at all times.
pub const PLAIN: &str = r#"{"country_code":"DE","party_id":"TST","id":"plain","currency":"EUR","last_updated":"2020-01-01T00:00:00Z",
"elements":[{"price_components":[{"type":"ENERGY","price":0.40,"vat":19,"step_size":1}]}]}"#;

/// How a site is set up; each field is TOML (or a file) put where it belongs.
pub struct Plan {
    /// More lines of `[ocpp]`.
    pub ocpp: String,
    /// `[[station]]` sections.
    pub stations: String,
    pub tariffs: Vec<(String, String)>,
    pub default_tariff: String,
    /// Empty: no broker.
    pub mqtt_url: String,
    pub log_level: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            ocpp: String::new(),
            stations: String::new(),
            tariffs: vec![("plain.json".into(), PLAIN.into())],
            default_tariff: "plain".into(),
            mqtt_url: String::new(),
            log_level: "info".into(),
        }
    }
}

pub struct Site {
    pub dir: tempfile::TempDir,
    pub port: u16,
    /// KiB that any file of the daemon may grow to: a disk that fails when it is reached.
    pub file_limit: Option<u32>,
    /// The daemon's environment.
    pub env: Vec<(String, String)>,
    /// More of the environment of the daemon and of commands.
    pub env_of_all: Vec<(String, String)>,
    /// More arguments of `forecourt run`.
    pub run_args: Vec<&'static str>,
    /// What others may not do with files that the daemon makes; the test's own when absent.
    pub umask: Option<u32>,
    /// Why the store is not replayed at the end: it was damaged, or written by hand.
    pub no_replay: Option<&'static str>,
    daemon: Option<Daemon>,
}

struct Daemon {
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already: nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let was_used = self.daemon.take().is_some() || self.store().exists();
        if was_used && self.no_replay.is_none() && !std::thread::panicking() {
            let env: Vec<_> = self.env.iter().chain(&self.env_of_all).cloned().collect();
            replay::check(&self.config(), &self.store(), &env);
        }
    }
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl CommandOutput {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl Site {
    /// Files only; nothing runs yet.
    pub fn new(plan: &Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        std::fs::create_dir(dir.path().join("tariffs")).unwrap();
        for (name, json) in &plan.tariffs {
            std::fs::write(dir.path().join("tariffs").join(name), json).unwrap();
        }
        let site = Self {
            dir,
            port,
            file_limit: None,
            env: Vec::new(),
            env_of_all: Vec::new(),
            run_args: Vec::new(),
            umask: None,
            no_replay: None,
            daemon: None,
        };
        let Plan { ocpp, stations, default_tariff, mqtt_url, log_level, .. } = plan;
        // What is sent unasked has tests of its own.
        let onboarding = if ocpp.contains("onboarding") { "" } else { "onboarding = false" };
        let config = format!(
            "[site]\nid = \"{SITE}\"\nname = \"Test\"\ncountry_code = \"DE\"\nparty_id = \"TST\"\ntime_zone = \"Europe/Berlin\"\n\
             currency = \"EUR\"\ncontrol_socket = \"control.sock\"\n[store]\npath = \"forecourt.db\"\n[ocpp]\nlisten = \"127.0.0.1:{port}\"\n{onboarding}\n{ocpp}\n\
             [tariff]\ndir = \"tariffs\"\ndefault = \"{default_tariff}\"\n[mqtt]\nurl = \"{mqtt_url}\"\n\
             [signing]\nkey_file = \"key.pem\"\n[log]\nlevel = \"{log_level}\"\n{stations}\n"
        );
        std::fs::write(site.config(), config).unwrap();
        site
    }

    /// The usual site, running.
    pub async fn running() -> Self {
        let mut site = Self::new(&Plan::default());
        site.start().await;
        site
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("forecourt.toml")
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("forecourt.db")
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/ocpp", self.port)
    }

    /// Starts the daemon and waits until stations can connect.
    pub async fn start(&mut self) {
        self.spawn();
        self.logged(&["ready"]).await;
    }

    pub fn spawn(&mut self) {
        assert!(self.daemon.is_none(), "one daemon at a time");
        let mut command = self.command(&["run"]);
        command.args(&self.run_args);
        if let Some(limit) = self.file_limit {
            // Ignored, the signal becomes an error of write(2). The unit is 512 bytes (POSIX).
            let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", limit * 2);
            let mut shell = Command::new("sh");
            shell.args(["-c", &script, BINARY]).args(command.get_args()).current_dir(self.dir.path());
            command = shell;
        }
        if let Some(umask) = self.umask {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("umask {umask:03o}; exec \"$0\" \"$@\""), BINARY]).args(command.get_args());
            shell.current_dir(self.dir.path());
            command = shell;
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = watch::channel(Vec::new());
        // Ends with the daemon's stderr, and with it the channel: that is how the end of the daemon is noticed.
        std::thread::spawn(move || {
            for line in stderr.split(b'\n') {
                let Ok(line) = line else { return };
                lines.send_modify(|log| log.push(String::from_utf8_lossy(&line).into_owned()));
            }
        });
        self.daemon = Some(Daemon { child, log });
    }

    /// Waits for a log line of the running daemon that contains all these texts, and returns it.
    pub async fn logged(&self, words: &[&str]) -> String {
        let mut log = self.daemon.as_ref().expect("a running daemon").log.clone();
        let find = |log: &Vec<String>| log.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned();
        let found = tokio::time::timeout(PATIENCE, log.wait_for(|log| find(log).is_some())).await;
        match found {
            Ok(Ok(log)) => find(&log).unwrap(),
            _ => panic!("never logged: {words:?}\n{}", self.log().join("\n")),
        }
    }

    /// Everything the running daemon has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.daemon.as_ref().map(|daemon| daemon.log.borrow().clone()).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a running daemon").child.id()
    }

    /// SIGKILL: nothing is finished, nothing is announced.
    pub fn kill9(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }

    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the daemon has ended by itself; its exit status and its log.
    pub async fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        let end = async { while daemon.log.changed().await.is_ok() {} };
        if tokio::time::timeout(PATIENCE, end).await.is_err() {
            panic!("the daemon did not end\n{}", daemon.log.borrow().join("\n"));
        }
        let log = daemon.log.borrow().clone();
        (daemon.child.wait().unwrap(), log)
    }

    /// A clean stop.
    pub async fn stop(&mut self) {
        self.terminate();
        let (status, log) = self.ended().await;
        assert!(status.success(), "{status}\n{}", log.join("\n"));
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("--config").arg(self.config()).args(args).current_dir(self.dir.path());
        command.env_remove("RUST_LOG").env("NO_COLOR", "1").envs(self.env_of_all.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `forecourt --config … ARGS` to its end.
    pub fn forecourt(&self, args: &[&str]) -> CommandOutput {
        run_to_end(&mut self.command(args))
    }

    /// Any query over the store, as rows of JSON-like text; NULL is `None`.
    pub fn query(&self, sql: &str, values: &[&dyn ToSql]) -> Vec<Vec<Option<String>>> {
        let store = Connection::open_with_flags(self.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        let mut statement = store.prepare(sql).unwrap();
        let width = statement.column_count();
        let text = |value: rusqlite::types::Value| match value {
            rusqlite::types::Value::Null => None,
            rusqlite::types::Value::Integer(number) => Some(number.to_string()),
            rusqlite::types::Value::Real(number) => Some(number.to_string()),
            rusqlite::types::Value::Text(text) => Some(text),
            rusqlite::types::Value::Blob(bytes) => Some(format!("{} bytes", bytes.len())),
        };
        let rows = statement.query_map(values, |row| (0..width).map(|at| row.get(at).map(text)).collect()).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// The first column of the first row.
    pub fn value(&self, sql: &str, values: &[&dyn ToSql]) -> Option<String> {
        self.query(sql, values).into_iter().next().and_then(|row| row.into_iter().next().flatten())
    }

    pub fn count(&self, sql: &str, values: &[&dyn ToSql]) -> usize {
        self.value(sql, values).expect("a count").parse().expect("a number")
    }

    /// The public keys of the store, as they stand on the topic `keys`.
    pub fn jwks(&self) -> String {
        let keys: Vec<String> = self.query("SELECT jwk FROM key", &[]).into_iter().filter_map(|row| row[0].clone()).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    /// Waits until every ended session has its record or is held.
    pub async fn settled(&self) {
        let waiting = "SELECT count(*) FROM v_session WHERE state = 'waiting'";
        until("every ended session is billed or held", || self.count(waiting, &[]) == 0).await;
    }
}

pub fn run_to_end(command: &mut Command) -> CommandOutput {
    let output = command.stdin(Stdio::null()).output().unwrap();
    CommandOutput {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Asks again until the answer is yes; fails the test when it never is.
#[track_caller]
pub fn until<'a>(what: &'a str, mut holds: impl FnMut() -> bool + 'a) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{caller}: gave up waiting: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A port that is free now and stays so while the daemon is down: below the range from which the kernel takes ports for
/// outgoing connections, so that a station that dials while nobody listens cannot be given it (and talk to itself).
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let port = fastrand::u16(15_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
