//! One station: connects, boots, waits for the others, then plays sessions until it is stopped.
//!
//! It has one CALL in flight, checks each answer before it says the next thing, and refuses every CALL of the server
//! with NotSupported. A wrong answer ends the station; the run is void then anyway.

use std::fmt::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::answer;
use super::script::{Kind, Script};
use super::tally::Tally;
use super::template::{Fields, Template};
use super::{Mode, Version};

const SECONDS_A_MESSAGE: i64 = 10;
const SECONDS_BETWEEN_SESSIONS: i64 = 60;
const WH_A_METER_VALUE: u64 = 30;
const BUFFER_BYTES: usize = 2 * 1024;

/// What all stations of a run have in common.
pub struct Site {
    pub script: Script,
    pub mode: Mode,
    /// Between two messages of a station (paced, held).
    pub period: Duration,
    /// `ws://host:port/path`, without the station.
    pub url: String,
    /// `host:port`.
    pub address: String,
    /// Makes ids unique among runs.
    pub run: String,
    /// Where the stations' clocks start.
    pub first_time: i64,
    pub stations: u32,
    /// So many may connect at once.
    pub doors: Semaphore,
    pub tally: Tally,
}

pub struct Station {
    site: Rc<Site>,
    socket: WebSocketStream<TcpStream>,
    index: u32,
    name: String,
    token: String,
    /// Text of the current message's id, its constant head, and the number behind it.
    id: String,
    id_head: usize,
    number: u64,
    clock: i64,
    register_wh: u64,
    transaction: String,
    sequence: u32,
    sessions: u64,
    pace: Option<Interval>,
    hold: watch::Receiver<bool>,
}

/// The station's whole life. `go` turns true when all have booted; `hold` turns false when the window is over.
pub async fn live(site: Rc<Site>, index: u32, mut go: watch::Receiver<bool>, hold: watch::Receiver<bool>) {
    let outcome = async {
        let mut station = Station::connect(Rc::clone(&site), index, hold).await?;
        station.boot().await?;
        site.tally.ready.set(site.tally.ready.get() + 1);
        go.wait_for(|go| *go).await?;
        station.play().await?;
        anyhow::Ok(station.socket)
    };
    match outcome.await {
        // The counts are complete by now; how the connection ends does not matter.
        Ok(mut socket) => drop(socket.close(None).await),
        Err(error) => site.tally.wrong(format!("station {index}: {error:#}")),
    }
}

impl Station {
    async fn connect(site: Rc<Site>, index: u32, hold: watch::Receiver<bool>) -> Result<Self> {
        let name = format!("LOAD-{index:05}");
        let mut request = format!("{}/{name}", site.url).into_client_request()?;
        let subprotocol = site.script.version.subprotocol();
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol.parse()?);
        let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
        let door = site.doors.acquire().await?;
        let stream = TcpStream::connect(&site.address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let (socket, response) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        drop(door);
        let chosen = response.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
        if chosen != Some(subprotocol) {
            bail!("asked for {subprotocol}, server chose {chosen:?}");
        }
        let id = format!("{}-{index:05}-", site.run);
        Ok(Self {
            socket,
            index,
            token: format!("LOADTAG{index:05}"),
            id_head: id.len(),
            id,
            name,
            number: 0,
            clock: site.first_time + i64::from(index),
            register_wh: 1_000_000 + u64::from(index) * 1000,
            transaction: String::new(),
            sequence: 0,
            sessions: 0,
            pace: None,
            hold,
            site,
        })
    }

    async fn boot(&mut self) -> Result<()> {
        let site = Rc::clone(&self.site);
        self.call(Kind::Boot, &site.script.boot).await?;
        Ok(())
    }

    async fn play(&mut self) -> Result<()> {
        let site = Rc::clone(&self.site);
        if site.mode != Mode::Closed {
            // Spread over a period, so that the stations do not all speak at once.
            let first = tokio::time::Instant::now() + site.period * self.index / site.stations;
            let mut pace = tokio::time::interval_at(first, site.period);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.pace = Some(pace);
        }
        while !site.tally.stopping.get() {
            if site.mode == Mode::Held {
                self.await_turn().await;
                if !site.tally.stopping.get() {
                    self.call(Kind::Heartbeat, &site.script.heartbeat).await?;
                }
            } else {
                self.play_session(&site).await?;
            }
        }
        Ok(())
    }

    async fn play_session(&mut self, site: &Site) -> Result<()> {
        self.sessions += 1;
        self.sequence = 0;
        self.clock += SECONDS_BETWEEN_SESSIONS;
        self.transaction.clear();
        if site.script.version == Version::V201 {
            write!(self.transaction, "{}-{}-{}", site.run, self.index, self.sessions)?;
        }
        let mut start_wh = self.register_wh;
        for step in &site.script.session {
            self.await_turn().await;
            self.clock += SECONDS_A_MESSAGE;
            if step.kind.meters() {
                self.register_wh += WH_A_METER_VALUE;
            }
            let given = self.call(step.kind, site.script.template(step)).await?;
            self.sequence += u32::from(step.kind.starts() || step.kind.meters());
            if step.kind.starts() {
                start_wh = self.register_wh;
            }
            if let Some(number) = given {
                if !site.tally.is_new_transaction(number) {
                    bail!("transactionId {number} was given twice");
                }
                write!(self.transaction, "{number}")?;
            }
        }
        site.tally.session_done(self.register_wh - start_wh);
        Ok(())
    }

    /// Waits for this station's next turn; after the window nobody waits.
    async fn await_turn(&mut self) {
        if let Some(pace) = &mut self.pace
            && !self.site.tally.stopping.get()
        {
            tokio::select! {
                _ = pace.tick() => {}
                // An error means that the run is over as well.
                _ = self.hold.wait_for(|hold| !*hold) => {}
            }
        }
    }

    /// Says one thing and checks the answer; gives the transaction id of a 1.6 StartTransaction.
    async fn call(&mut self, kind: Kind, template: &Template) -> Result<Option<i64>> {
        self.number += 1;
        self.id.truncate(self.id_head);
        write!(self.id, "{}", self.number)?;
        let text = template.fill(&Fields {
            id: &self.id,
            time: self.clock,
            register_wh: self.register_wh,
            transaction: &self.transaction,
            sequence: self.sequence,
            token: &self.token,
        });
        let sent = Instant::now();
        self.socket.send(Message::text(text)).await?;
        loop {
            let message = self.socket.next().await.ok_or_else(|| anyhow!("{}: hung up on {}", self.name, kind.action()))??;
            match message {
                Message::Text(text) if text.starts_with("[2") => self.refuse(&text).await?,
                Message::Text(text) => {
                    let took = sent.elapsed();
                    let given = answer::check(kind, &self.id, &text).map_err(|error| anyhow!("{}: {error}", self.name))?;
                    self.site.tally.answered(kind, took.as_micros() as u64);
                    return Ok(given);
                }
                // tungstenite answers pings itself.
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("{}: unexpected {other:?} while waiting for {}", self.name, kind.action()),
            }
        }
    }

    async fn refuse(&mut self, call: &str) -> Result<()> {
        let calls = &self.site.tally.server_calls;
        calls.set(calls.get() + 1);
        let id = call.split('"').nth(1).context("CALL without an id")?;
        Ok(self.socket.send(Message::text(format!(r#"[4,"{id}","NotSupported","",{{}}]"#))).await?)
    }
}
