//! The grammar of the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::tariff_args::{CdrVerb, TariffVerb};
use super::verb_grammar::Given;

const EXAMPLES: &str = "Examples:
  forecourt run --config config/forecourt.toml     serve the stations of a site
  forecourt session explain S-20261121-0042        why a session cost what it cost
  forecourt verify --all                           check every record: signature, sums, chain
  forecourt station call CP-1 Reset '{\"type\":\"Soft\"}' --reason 'firmware hangs'
                                                   send a message to a station

Exit codes: 0 ok, 1 unexpected, 2 usage, 3 not found, 4 configuration invalid, 5 store missing, locked, corrupt or newer,
6 verification failed, 7 daemon or station not reached, 8 refused, 9 the station said no, 75 not now, may pass.";

/// Station controller for EV charging sites: OCPP in, verifiable billing records out.
#[derive(Debug, Parser)]
#[command(name = "forecourt", version, after_help = EXAMPLES)]
pub struct Args {
    /// Configuration file [default: /etc/forecourt/forecourt.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The store to work on, instead of the configured one
    #[arg(long, global = true, value_name = "FILE")]
    pub store: Option<PathBuf>,
    #[command(flatten)]
    pub show: Show,
    #[command(subcommand)]
    pub command: Command,
}

/// How results are shown.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct Show {
    /// One JSON document
    #[arg(long, global = true, group = "form")]
    pub json: bool,
    /// One JSON object per line
    #[arg(long, global = true, group = "form")]
    pub jsonl: bool,
    /// CSV with a line of names, quoted as in RFC 4180; lines end in LF
    #[arg(long, global = true, group = "form")]
    pub csv: bool,
    /// Times in UTC instead of the site's time zone
    #[arg(long, global = true)]
    pub utc: bool,
    /// Times of --json, --jsonl and --csv in the site's time zone, with their offset, instead of in UTC
    #[arg(long, global = true, conflicts_with = "utc")]
    pub local: bool,
    /// Emphasis on the terminal
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// Only results, no remarks
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More columns
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The daemon: serve stations, bill sessions, forward records
    Run {
        /// The system clock is right although the store holds later times; give it once, not in a unit file
        #[arg(long)]
        accept_clock: bool,
    },
    /// Check configuration, tariffs and key without starting anything
    Check,
    /// The site at a glance
    Status,
    /// Every station: connected, known, configured, turned away
    Stations,
    /// Ask something of a station
    Station {
        #[command(subcommand)]
        verb: StationVerb,
    },
    /// Tariffs
    Tariff {
        #[command(subcommand)]
        verb: TariffVerb,
    },
    /// OCPI CDRs of other systems
    Cdr {
        #[command(subcommand)]
        verb: CdrVerb,
    },
    /// Who may charge, and who did: tokens on the list and tokens seen
    Tokens {
        /// Only those on the list
        #[arg(long)]
        listed: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// The list of tokens
    Token {
        #[command(subcommand)]
        verb: TokenVerb,
    },
    /// What was asked of stations, newest last
    Calls {
        /// Only this station
        #[arg(long, value_name = "ID")]
        station: Option<String>,
        /// Only in this state
        #[arg(long, value_enum, value_name = "STATE")]
        state: Option<CallState>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Charging sessions, newest first
    Sessions(SessionFilter),
    /// One session
    Session {
        #[command(subcommand)]
        verb: SessionVerb,
    },
    /// Billing records
    Records {
        /// First record number
        #[arg(long, value_name = "SEQ")]
        from: Option<u64>,
        /// Last record number
        #[arg(long, value_name = "SEQ")]
        to: Option<u64>,
        #[command(flatten)]
        limit: Limit,
    },
    /// One billing record
    Record {
        #[command(subcommand)]
        verb: RecordVerb,
    },
    /// Check records: signatures, sums, and the chain they form
    Verify {
        /// Every record of the store
        #[arg(long, required_unless_present = "file")]
        all: bool,
        /// Begin at this record of the present epoch; what came before it is taken for good
        #[arg(long, value_name = "SEQ", requires = "all", conflicts_with = "file")]
        from: Option<u64>,
        /// Records from a file, one JWS per line
        #[arg(long, value_name = "FILE", conflicts_with = "all")]
        file: Option<PathBuf>,
        /// Public keys for --file [default: those of the store]
        #[arg(long, value_name = "FILE", requires = "file")]
        jwks: Option<PathBuf>,
    },
    /// Take back a charge by a credit, and charge its session anew unless it is written off; both are records, nothing is edited
    Correct {
        /// Number of the charge record
        seq: u64,
        /// Life of the store [default: the present one]
        #[arg(long)]
        epoch: Option<u64>,
        /// Why; it stands in both records and in the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Charge anew by this tariff, in its version for the start of the session [default: that of the charge]
        #[arg(long, value_name = "ID", conflicts_with = "write_off")]
        tariff: Option<String>,
        /// Charge anew with this energy [default: what was measured]
        #[arg(long, value_name = "WH", conflicts_with = "write_off", allow_hyphen_values = true)]
        energy_wh: Option<String>,
        /// Only take the charge back
        #[arg(long)]
        write_off: bool,
        /// Say what would come of it, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Records on their way to head office
    Outbox {
        #[command(subcommand)]
        verb: OutboxVerb,
    },
    /// Who changed what
    Audit {
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// What went wrong, what it means and what to do, newest last
    Problems {
        #[command(flatten)]
        limit: Limit,
    },
    /// What stations said and were asked, each with its answer, newest last
    Messages(MessageFilter),
}

#[derive(Debug, Subcommand)]
pub enum StationVerb {
    /// Accept it: it is served from its next BootNotification on, also when it is not in the configuration
    Adopt {
        /// Identity of the station
        id: String,
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Reject it: its boot is answered Rejected, and its tokens are not accepted
    #[command(visible_alias = "reject")]
    Block {
        /// Identity of the station
        id: String,
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Send it a message of its OCPP version, verbatim, and wait for the answer
    Call {
        /// Identity of the station
        id: String,
        /// Action, such as Reset or GetVariables
        action: String,
        /// Payload; - reads it from standard input [default: {}]
        #[arg(value_name = "JSON", allow_hyphen_values = true)]
        payload: Option<String>,
        /// Seconds from now until its answer; a call that waits behind others for longer is withdrawn
        #[arg(long, value_name = "S", default_value_t = 30)]
        timeout: u64,
        /// Why; kept with the call and in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    #[command(flatten)]
    Verb(Given),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CallState {
    Queued,
    Sent,
    Answered,
    CallError,
    Timeout,
    NotConnected,
    Withdrawn,
    Unknown,
}

impl CallState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::CallError => "call-error",
            Self::Timeout => "timeout",
            Self::NotConnected => "not-connected",
            Self::Withdrawn => "withdrawn",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Put a token on the list, in place of what it says of it
    Add {
        /// As stations send it: idTag, or idToken; - reads it from standard input
        token: String,
        /// OCPP token type, such as ISO14443 [default: not stated]
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        #[arg(long, value_enum, default_value = "accepted", value_name = "STATUS")]
        status: TokenStatus,
        /// Tokens of a group may end each other's transactions
        #[arg(long, value_name = "G")]
        group: Option<String>,
        /// Not accepted from then on: 2027-01-31 (the beginning of that day at the site) or RFC 3339
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        /// Where it may charge: STATION, or STATION/EVSE (1.6: connector) [default: everywhere]
        #[arg(long, value_name = "PLACE", value_delimiter = ',')]
        stations: Vec<String>,
        /// Id of the tariff for its sessions [default: the station's]
        #[arg(long, value_name = "ID")]
        tariff: Option<String>,
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Block a token; it stays on the list
    Block {
        token: String,
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Take a token off the list; ocpp.unknown_tokens decides then
    Remove {
        token: String,
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Put tokens of a file on the list: CSV with a line of names (token,type,status,group,expires,stations,tariff), or a JSON list of
    /// objects with these members
    Import {
        file: PathBuf,
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// What a token gets, and why
    Why {
        token: String,
        /// At this station, or at STATION/EVSE [default: at any that its entry does not exclude]
        #[arg(long, value_name = "PLACE")]
        station: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenStatus {
    Accepted,
    Blocked,
    Expired,
    Invalid,
}

impl TokenStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Blocked => "blocked",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Every change that somebody made, newest last
    List {
        #[command(flatten)]
        limit: Limit,
    },
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limit {
    /// At most this many, 0 for all [default: 50 in a table, all with --json, --jsonl, --csv]
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct SessionFilter {
    /// Started at or after: 2h, 7d, 2026-11-21 or RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Started before
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only this station
    #[arg(long, value_name = "ID")]
    pub station: Option<String>,
    /// Last characters of the token, as shown
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Only sessions in this state: waiting ones wait for their bill, held ones for a person
    #[arg(long, value_name = "STATE")]
    pub state: Option<SessionState>,
    #[command(flatten)]
    pub limit: Limit,
}

#[derive(Debug, clap::Args)]
pub struct MessageFilter {
    /// Only this station
    #[arg(long, value_name = "ID")]
    pub station: Option<String>,
    /// Only this session, by any of its names
    #[arg(long, value_name = "ID", conflicts_with = "station")]
    pub session: Option<String>,
    /// Received or sent at or after: 90m, 2h, 7d, 2026-11-21 or RFC 3339
    #[arg(long, value_name = "WHEN", conflicts_with = "session")]
    pub since: Option<String>,
    /// Received or sent before
    #[arg(long, value_name = "WHEN", conflicts_with = "session")]
    pub until: Option<String>,
    #[command(flatten)]
    pub limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SessionState {
    Open,
    Waiting,
    Done,
    Held,
}

impl SessionState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Held => "held",
        }
    }
}

/// A session is named by its id, its transaction id, its record's number or its record's id.
#[derive(Debug, Subcommand)]
pub enum SessionVerb {
    /// Facts, price lines and messages
    Show { id: String },
    /// Why it costs what it costs, or why it is held
    Explain { id: String },
}

#[derive(Debug, Subcommand)]
pub enum RecordVerb {
    /// What the record says
    Show {
        seq: u64,
        /// Life of the store [default: the present one]
        #[arg(long)]
        epoch: Option<i64>,
    },
    /// Make records anew from the journal, and say where they are not the same
    Recompute {
        /// Number of the record
        #[arg(required_unless_present = "all")]
        seq: Option<u64>,
        /// Life of the store [default: the present one]
        #[arg(long, requires = "seq")]
        epoch: Option<i64>,
        /// Every record of the store
        #[arg(long, conflicts_with = "seq")]
        all: bool,
    },
    /// Check signature, sums and link to the record before
    Verify {
        seq: u64,
        /// Life of the store [default: the present one]
        #[arg(long)]
        epoch: Option<i64>,
    },
}

#[derive(Debug, Subcommand)]
pub enum OutboxVerb {
    /// How many wait, since when, and why
    Status,
    /// Every waiting or faulty record
    List {
        #[command(flatten)]
        limit: Limit,
    },
}
