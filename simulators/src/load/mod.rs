//! The neutral load generator and the parts of the benchmark that stand around it.
//!
//! `load` plays N stations over plain `ws://`, checks every answer, and says exactly what was answered, so that the
//! server's store can be compared with it. `bench` starts servers and generators in turn, reads what the kernel counted,
//! reconciles the store and compares ratios with goals (docs/performance.md).
//!
//! It is deliberately cheap: messages are templates with spliced fields, answers are parsed into borrowed structs, one
//! single-threaded runtime carries all stations. It deliberately does no TLS, no compression and no reconnecting.
//!
//! Limits: 20,000 stations, 10 minutes a phase, 60 s to connect, 60 s to finish running sessions, 20 errors kept.

pub mod answer;
pub mod goals;
pub mod histogram;
pub mod kernel;
pub mod reconciliation;
pub mod run;
pub mod script;
pub mod servers;
pub mod station;
pub mod table;
pub mod tally;
pub mod template;

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// The OCPP version the stations speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Version {
    #[value(name = "1.6")]
    V16,
    #[value(name = "2.0.1")]
    V201,
}

impl Version {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::V16 => "1.6",
            Self::V201 => "2.0.1",
        }
    }

    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::V16 => "ocpp1.6",
            Self::V201 => "ocpp2.0.1",
        }
    }
}

/// How the stations pace themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The next message leaves when the last was answered
    Closed,
    /// `--rate` messages a second from each station
    Paced,
    /// Connections that send only Heartbeats, `--rate` a second each
    Held,
}

impl Mode {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Paced => "paced",
            Self::Held => "held",
        }
    }
}

/// What to play.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Server and path; the station's name is appended as the last segment
    #[arg(long, default_value = "ws://127.0.0.1:9000/ocpp")]
    pub url: String,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub stations: u32,
    #[arg(long, value_enum, default_value = "1.6")]
    pub version: Version,
    #[arg(long, value_enum, default_value = "closed")]
    pub mode: Mode,
    /// Messages a second and station (paced, held)
    #[arg(long, default_value_t = 1.0)]
    pub rate: f64,
    /// Seconds before the window
    #[arg(long, default_value_t = 1.5)]
    pub warmup: f64,
    /// Seconds of the window that is measured
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Sampled values in a meter value
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub samples: u8,
    /// MeterValues (1.6) or Updated (2.0.1) in a session
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub meter_values: u32,
    /// The stations' clocks start that many days ago and advance 10 s a message, so that they stay in the past
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=3_650))]
    pub days_back: u32,
    /// Also report what the kernel counted for this process during the window
    #[arg(long, value_name = "PID")]
    pub watch_pid: Option<u32>,
    /// Print the report as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// What came of it. Everything below `answered` is exact and counts the whole run; the rest is about the window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub version: String,
    pub mode: String,
    pub stations: u32,
    pub seconds: f64,
    pub messages: u64,
    pub per_second: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    /// What the kernel counted for `--watch-pid` during the window.
    pub server: Option<kernel::Spent>,
    /// Answered CALLs by action, BootNotifications included.
    pub answered: BTreeMap<String, u64>,
    pub answered_total: u64,
    /// Sessions of which every message was answered, and the energy between their start and stop registers.
    pub sessions: u64,
    pub energy_wh: u64,
    /// CALLs the server sent; each was answered with NotSupported.
    pub server_calls: u64,
    pub error_count: u64,
    pub errors: Vec<String>,
}

impl Report {
    /// The report for people: one line, and the errors.
    pub fn print(&self) {
        println!(
            "{} {} stations={} {:.1}s: {} messages, {:.0}/s, p50 {} us, p99 {} us, max {} us; answered {} in all, {} sessions, {} Wh, {} errors",
            self.version,
            self.mode,
            self.stations,
            self.seconds,
            self.messages,
            self.per_second,
            self.p50_us,
            self.p99_us,
            self.max_us,
            self.answered_total,
            self.sessions,
            self.energy_wh,
            self.error_count
        );
        if let Some(server) = &self.server {
            println!(
                "server: {} ms CPU, {} bytes written, {} kB resident",
                server.cpu_us / 1000,
                server.write_bytes,
                server.rss_kb
            );
        }
        for error in &self.errors {
            println!("  {error}");
        }
    }
}
