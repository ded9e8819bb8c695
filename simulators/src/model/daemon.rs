//! The same scripts, spoken as OCPP-J over WebSockets to the real daemon, which is killed again and again; then its store is read
//! through the promised views and held against the truth by the same checks.
//!
//! The daemon runs in a process of its own with a clock that follows the scripts ([`super::serve`]); all cases share it, so they are
//! moved to the same days and sent as one, each by a station of its own. A message in flight when the daemon dies was not answered:
//! the station sends it again, same id, same text, as stations do. Not here: cases with a wrong gateway clock, because the one
//! clock is everybody's. Limits: a message is waited for 10 s, the last bills 60 s.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use chrono::DateTime;
use fastrand::Rng;
use futures_util::{SinkExt, StreamExt};
use rusqlite::{Connection, OpenFlags};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::case::{Case, Simulated};
use super::check::{Outcome, check};
use super::fault::Class;
use super::frames;
use super::machine::{Bill, End, Kept, PLAIN, TIME_OF_USE};
use super::run::seed_of;
use super::script::{Name, Phase, Version};
use super::world::Tariff;
use super::{DAY, HOUR, MilliWh, Millis};
use crate::base64::decode_url;

const PATIENCE: Duration = Duration::from_secs(10);
const LAST_BILLS: Duration = Duration::from_secs(60);
const CONFIG: &str = "forecourt.toml";
const STORE: &str = "forecourt.db";

/// What came of it.
pub struct Spoken {
    pub cases: Vec<(Case, Simulated, Vec<Outcome>)>,
    pub messages: usize,
    pub kills: usize,
}

/// A case as one station sends it.
struct Station {
    name: String,
    case: Case,
    simulated: Simulated,
    /// Added to every time of it.
    shift: Millis,
    given: HashMap<usize, String>,
    socket: Option<WebSocketStream<TcpStream>>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Process {
    /// `program` is the one that has [`super::serve::serve`] behind `--serve`.
    fn start(program: &Path, folder: &Path, at: Millis) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--serve").arg(folder.join(CONFIG)).arg("--begin").arg(at.to_string());
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log"))?;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().context("cannot start the daemon")?;
        let input = child.stdin.take().context("no standard input")?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            ensure!(output.read_line(&mut line)? > 0, "the daemon did not start; see {}", folder.join("log").display());
        }
        let address = line.trim().trim_start_matches("ready ").to_owned();
        Ok(Self { child, input, output, address })
    }

    fn set_clock(&mut self, at: Millis) -> Result<()> {
        writeln!(self.input, "{at}")?;
        self.input.flush()?;
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the daemon is gone");
        Ok(())
    }

    /// SIGKILL.
    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// Runs so many cases. `every`: messages between two kills, on average. `folder` is empty at the beginning.
pub async fn run(program: &Path, folder: &Path, seed: u64, count: usize, every: usize) -> Result<Spoken> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    // After the program was built, whenever that was, and after the world's own days, so that 1970 stays 1970.
    let day = now - now % DAY + 2 * DAY;
    let mut stations: Vec<Station> = Vec::new();
    for number in 0.. {
        if stations.len() == count {
            break;
        }
        let case = Case::new(seed_of(seed, number), &[]);
        if case.faults.iter().any(|fault| fault.class == Class::GatewayClock) {
            continue;
        }
        let simulated = case.simulate();
        let begin = simulated.world.begin;
        let name = format!("M-{}", stations.len());
        stations.push(Station { name, case, simulated, shift: day - (begin - begin % DAY), given: HashMap::new(), socket: None });
    }
    configure(folder, &stations)?;
    let mut line: Vec<(Millis, usize, usize)> = Vec::new();
    for (place, station) in stations.iter().enumerate() {
        let messages = station.simulated.messages.iter().enumerate();
        line.extend(messages.map(|(message, sent)| (sent.sent + station.shift, place, message)));
    }
    line.sort_unstable();
    let mut rng = Rng::with_seed(seed);
    let mut process = Process::start(program, folder, day - HOUR)?;
    let mut kills = 0;
    for (at, place, message) in &line {
        process.set_clock(*at)?;
        if rng.usize(..every) == 0 {
            // Sent, perhaps committed, perhaps not; the answer is lost either way.
            let station = &mut stations[*place];
            let _ = station.send(&process.address, *message).await;
            tokio::time::sleep(Duration::from_micros(rng.u64(..4_000))).await;
            process.kill()?;
            kills += 1;
            stations.iter_mut().for_each(|station| station.socket = None);
            process = Process::start(program, folder, *at)?;
        }
        stations[*place].send_until_answered(&process.address, *message).await?;
    }
    let end = line.last().map_or(day, |(at, ..)| *at);
    process.set_clock(end + 2 * DAY)?;
    billed(&folder.join(STORE)).await?;
    process.kill()?;
    let store = Connection::open_with_flags(folder.join(STORE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut cases = Vec::new();
    for station in stations {
        let kept = read(&store, &station)?;
        let outcomes = check(&station.simulated.world, &station.simulated.messages, &station.simulated.marks, &kept);
        cases.push((station.case, station.simulated, outcomes));
    }
    Ok(Spoken { cases, messages: line.len(), kills })
}

fn configure(folder: &Path, stations: &[Station]) -> Result<()> {
    let tariffs = folder.join("tariffs");
    std::fs::create_dir_all(&tariffs)?;
    std::fs::write(tariffs.join("plain.json"), PLAIN)?;
    std::fs::write(tariffs.join("tou.json"), TIME_OF_USE)?;
    // A zone without summer time, one hour ahead of UTC (POSIX counts the other way round).
    let mut text = format!(
        "[site]\nid = \"model\"\nname = \"Model\"\ncountry_code = \"DE\"\nparty_id = \"FCT\"\ntime_zone = \"Etc/GMT-1\"\n\
         currency = \"EUR\"\n[store]\npath = \"{STORE}\"\n[ocpp]\nlisten = \"127.0.0.1:0\"\nonboarding = false\n[tariff]\ndir = \"tariffs\"\n\
         default = \"plain\"\n[mqtt]\nurl = \"\"\n[signing]\nkey_file = \"signing-key.pem\"\n"
    );
    for station in stations {
        let world = &station.simulated.world;
        let tariff = if world.tariff == Tariff::Plain { "plain" } else { "tou" };
        text += &format!("[[station]]\nid = \"{}\"\ntariff = \"{tariff}\"\n", station.name);
        if world.limit_known {
            text += &format!("max_power_kw = {}.{}\n", world.watts / 1_000, world.watts % 1_000 / 100);
        }
    }
    std::fs::write(folder.join(CONFIG), text)?;
    Ok(())
}

impl Station {
    fn id(&self, message: usize) -> Option<String> {
        match &self.simulated.messages[message].tx()?.name {
            Name::Nothing => None,
            Name::Given(index) => self.given.get(index).cloned(),
            Name::Text(text) => Some(text.clone()),
        }
    }

    async fn connect(&mut self, address: &str) -> Result<&mut WebSocketStream<TcpStream>> {
        if self.socket.is_none() {
            let mut request = format!("ws://{address}/ocpp/{}", self.name).into_client_request()?;
            let version = match self.simulated.world.version {
                Version::V16 => "ocpp1.6",
                Version::V201 => "ocpp2.0.1",
                Version::V21 => "ocpp2.1",
            };
            request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(version));
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            self.socket = Some(client_async(request, tcp).await?.0);
        }
        self.socket.as_mut().context("connected")
    }

    async fn send(&mut self, address: &str, message: usize) -> Result<()> {
        let (version, shift, id) = (self.simulated.world.version, self.shift, self.id(message));
        let text = frames::call(version, &self.simulated.messages[message], id.as_deref(), shift);
        self.connect(address).await?.send(Frame::text(text)).await?;
        Ok(())
    }

    async fn send_until_answered(&mut self, address: &str, message: usize) -> Result<()> {
        for _ in 0..5 {
            let answered = match self.send(address, message).await {
                Ok(()) => tokio::time::timeout(PATIENCE, self.answer(message)).await,
                Err(error) => Ok(Err(error)),
            };
            match answered {
                Ok(Ok(answer)) => return self.take(message, &answer),
                _ => self.socket = None,
            }
        }
        let sent = &self.simulated.messages[message];
        bail!("station {} gets no answer to message {}: {:?}", self.name, sent.id, sent.body)
    }

    async fn answer(&mut self, message: usize) -> Result<Value> {
        let id = self.simulated.messages[message].id.to_string();
        let socket = self.socket.as_mut().context("not connected")?;
        while let Some(frame) = socket.next().await {
            let Frame::Text(text) = frame? else { continue };
            let answer: Value = serde_json::from_str(text.as_str())?;
            if answer[1].as_str() == Some(id.as_str()) {
                return Ok(answer);
            }
        }
        bail!("the connection was closed")
    }

    fn take(&mut self, message: usize, answer: &Value) -> Result<()> {
        ensure!(answer[0] == 3, "station {}: {answer}", self.name);
        let sent = &self.simulated.messages[message];
        if let (Some(of), Some(id)) = (sent.of.filter(|of| sent.is(*of, Phase::Start)), answer[2]["transactionId"].as_i64()) {
            self.given.entry(of).or_insert_with(|| id.to_string());
        }
        Ok(())
    }
}

async fn billed(store: &PathBuf) -> Result<()> {
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let began = std::time::Instant::now();
    loop {
        let waiting: i64 = store.query_row("SELECT count(*) FROM v_session WHERE state = 'waiting'", [], |row| row.get(0))?;
        if waiting == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < LAST_BILLS, "{waiting} sessions still wait for their bill");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the store says about a station's sessions.
fn read(store: &Connection, station: &Station) -> Result<Vec<Kept>> {
    let places: HashMap<String, usize> =
        station.simulated.messages.iter().enumerate().map(|(place, message)| (message.id.to_string(), place)).collect();
    let mut of_session: HashMap<String, Vec<usize>> = HashMap::new();
    let sql = "SELECT session_id, call_id FROM v_message WHERE station = ?1 AND session_id IS NOT NULL ORDER BY message_id";
    let mut statement = store.prepare_cached(sql)?;
    let mut rows = statement.query([&station.name])?;
    while let Some(row) = rows.next()? {
        let (session, call): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        of_session.entry(session).or_default().extend(call.and_then(|call| places.get(&call)));
    }
    let sql = "SELECT s.session_id, s.state, s.hold_reason, s.findings, r.jws FROM v_session s LEFT JOIN v_record r \
               ON r.session_id = s.session_id WHERE s.station = ?1 ORDER BY s.opened_at, s.session_id";
    let mut statement = store.prepare_cached(sql)?;
    let mut rows = statement.query([&station.name])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let (session, state): (String, String) = (row.get(0)?, row.get(1)?);
        let (reason, findings, jws): (Option<String>, Option<String>, Option<String>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let messages = of_session.remove(&session).unwrap_or_default();
        let of = |phase: Phase| {
            let sent = messages.iter().map(|place| &station.simulated.messages[*place]);
            sent.filter(|message| message.tx().is_some_and(|tx| tx.phase == phase)).find_map(|message| message.of)
        };
        let (mut found, end) = match jws {
            Some(jws) => bill(&jws, station.shift)?,
            None if state == "held" => (Vec::new(), End::Held(reason.unwrap_or_default())),
            None => (Vec::new(), End::Open),
        };
        found.extend(findings.filter(|findings| findings.len() > 2));
        let mut all_of: Vec<usize> = messages.iter().filter_map(|place| station.simulated.messages[*place].of).collect();
        all_of.dedup();
        let number = i64::try_from(kept.len())? + 1;
        kept.push(Kept { number, start_of: of(Phase::Start), stop_of: of(Phase::Stop), all_of, end, findings: found });
    }
    Ok(kept)
}

/// A record's payload as a bill; its times moved back to the world's.
fn bill(jws: &str, shift: Millis) -> Result<(Vec<String>, End)> {
    let payload = jws.split('.').nth(1).and_then(decode_url).context("a record is no JWS")?;
    let record: Value = serde_json::from_slice(&payload)?;
    let cdr = &record["cdr"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number = |value: &Value| -> Result<Decimal> { text(value).parse().with_context(|| format!("{value} in a record")) };
    let at = |value: &Value| -> Result<Millis> { Ok(DateTime::parse_from_rfc3339(&text(value))?.timestamp_millis() - shift) };
    let energy = |value: &Value| -> Result<MilliWh> { Ok(i64::try_from(number(value)? * Decimal::ONE_THOUSAND)?) };
    let mut spent: HashMap<String, Decimal> = HashMap::new();
    for dimension in
        cdr["charging_periods"].as_array().into_iter().flatten().filter_map(|period| period["dimensions"].as_array()).flatten()
    {
        *spent.entry(text(&dimension["type"])).or_default() += number(&dimension["volume"])?;
    }
    let time = |kind: &str| -> Result<Millis> {
        Ok(i64::try_from((spent.get(kind).copied().unwrap_or_default() * Decimal::from(HOUR)).round())?)
    };
    let findings = record["findings"].as_array().into_iter().flatten().map(|finding| text(&finding["code"])).collect();
    let bill = Bill {
        tag: cdr["cdr_token"]["uid"].as_str().filter(|uid| uid.starts_with("04A1")).map(str::to_owned),
        evse: u32::try_from(record["session"]["evse"].as_u64().unwrap_or_default())?,
        start: at(&cdr["start_date_time"])?,
        end: at(&cdr["end_date_time"])?,
        first: energy(&record["meter"]["start_register_wh"])?,
        last: energy(&record["meter"]["stop_register_wh"])?,
        idle: time("PARKING_TIME")?,
        charging: time("TIME")?,
        cost: i64::try_from(number(&cdr["total_cost"]["excl_vat"])? * Decimal::ONE_HUNDRED)?,
    };
    Ok((findings, End::Billed(bill)))
}
