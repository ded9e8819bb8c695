//! Other people's programs: mosquitto, mosquitto_sub, jose, sqlite3, openssl, Python with `ocpp`. A missing one skips a test
//! loudly, or fails it where `CI=true`. This is the one place that skips.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{free_port, until};

/// Names of programs, separated by commas, that tests are to find missing.
pub const WITHOUT: &str = "FORECOURT_TEST_WITHOUT";

/// The program, or `None` after saying so.
pub fn tool(name: &str) -> Option<PathBuf> {
    if std::env::var(WITHOUT).is_ok_and(|names| names.split(',').any(|hidden| hidden == name)) {
        skip(&format!("{name} is hidden by {WITHOUT}"));
        return None;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// A Python that has `ocpp` and `websockets`: `FORECOURT_TEST_PYTHON`, else `python3`.
pub fn python() -> Option<PathBuf> {
    let named = std::env::var_os("FORECOURT_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| PathBuf::from("python3"));
    let check = Command::new(&python).args(["-c", "import ocpp.v16, ocpp.v201, ocpp.v21, websockets"]).output();
    match check {
        Ok(output) if output.status.success() => Some(python),
        _ => {
            skip(&format!("{} cannot import ocpp and websockets (set FORECOURT_TEST_PYTHON)", python.display()));
            None
        }
    }
}

/// Fails the test where `CI=true`. Elsewhere `cargo test` will count it as passed, so it says on the terminal that nothing was
/// tested: past the capture that swallows what a passing test prints.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}, and CI=true demands it");
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let _ = std::io::stderr().write_all(format!("SKIPPED, although counted as passed: {test}: {why}\n").as_bytes());
    // For `.ci/run`, which wants none; not while a test tries skipping itself.
    if std::env::var_os(WITHOUT).is_some() {
        return;
    }
    if let Ok(mut list) = std::fs::File::options().create(true).append(true).open(SKIPPED) {
        let _ = list.write_all(format!("{test}: {why}\n").as_bytes());
    }
}

const SKIPPED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped-tests");

/// A real mosquitto that can be killed and started again on the same port. It keeps nothing over a restart.
pub struct Mosquitto {
    program: PathBuf,
    dir: tempfile::TempDir,
    pub port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Does not run yet; `None` when it is not installed. `extra`: more lines of configuration.
    pub fn prepare(extra: &str) -> Option<Self> {
        let program = tool("mosquitto")?;
        let broker = Self { program, dir: tempfile::tempdir().unwrap(), port: free_port(), child: None };
        broker.configure(extra);
        Some(broker)
    }

    /// Other lines of configuration from the next start on.
    pub fn configure(&self, extra: &str) {
        let port = self.port;
        let anybody = if extra.contains("allow_anonymous") { "" } else { "allow_anonymous true\n" };
        let config = format!("listener {port} 127.0.0.1\n{anybody}max_queued_messages 0\npersistence false\n{extra}\n");
        std::fs::write(self.file("mosquitto.conf"), config).unwrap();
    }

    /// In the broker's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub async fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.file("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let port = self.port;
        until("mosquitto listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }

    /// SIGKILL: nothing is saved, no connection is closed in good order.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGSTOP or SIGCONT: a peer that is there and sends nothing.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("running").id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().is_ok_and(|status| status.success()));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Verifies a record as somebody who has only Debian and our public keys: its payload, or `None` when `jose` says no.
pub fn jose_verify(jose: &Path, jws: &str, jwks: &Path) -> Option<String> {
    let mut command = Command::new(jose);
    command.args(["jws", "ver", "-i", "-", "-k"]).arg(jwks).args(["-O", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // A refusal may come before everything is read.
    let _ = child.stdin.take().unwrap().write_all(jws.as_bytes());
    let output = child.wait_with_output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The record with one character of its payload changed.
pub fn altered(jws: &str) -> String {
    let start = jws.find('.').unwrap() + 100;
    let other = if &jws[start..=start] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &jws[..start], &jws[start + 1..])
}
