//! The benchmark of grown stores asks questions that the program answers; how fast is for the benchmark to say.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::path::Path;

use chrono::{TimeZone, Utc};
use simulators::{growth, history};

#[test]
fn a_store_with_a_past_answers_what_is_asked_daily() {
    let folder = tempfile::tempdir().unwrap();
    history::files(folder.path(), 3).unwrap();
    // The listener takes any free port.
    let config = folder.path().join("forecourt.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("127.0.0.1:9000", "127.0.0.1:0")).unwrap();
    let until = Utc.with_ymd_and_hms(2026, 4, 11, 0, 0, 0).unwrap();
    let options = history::Options { stations: 3, sessions: 60, days: 14, samples: 2, until, seed: 3, confirmed: false };
    let made = history::make(folder.path(), &options, |_| {}).unwrap();
    assert!(made.sessions > 30, "{made:?}");
    growth::measure(Path::new(env!("CARGO_BIN_EXE_forecourt")), folder.path()).unwrap();
}
