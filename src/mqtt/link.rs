//! One connection to the broker, from CONNECT to its end. Together with `driver` the only place that knows rumqttc.
//!
//! The event loop runs in a task of its own: its `poll` must not be cancelled half-way, or a publish it has counted as in
//! flight is never written. It is given up only as a whole, with this connection.
//!
//! Order of a connection: CONNECT with last will · SUBSCRIBE receipt · status (retained) · keys (retained) · records.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rumqttc::{AsyncClient, PublishNoticeError, PublishOptions, PublishProperties, PublishResult, QoS};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tracing::{debug, info, warn};

use super::commands::{self, MAX_IN_HAND, Request};
use super::complaints::Complaints;
use super::driver::{self, Happening, Site};
use super::outbox::{OutboxError, Outgoing, ReceiptOutcome, StatusFacts};
use super::outbox_calls::OutboxCalls;
use super::pacing::{Demand, Next, Offer, Pacing, Tick};
use super::puback::Answer;
use super::quarantine::Quarantined;
use super::wire;

/// The answer to a command, among what is published.
const REPLY: &str = "reply";
/// For the last acknowledgements, the offline status and DISCONNECT.
const GOODBYE: Duration = Duration::from_secs(3);

pub struct Signals {
    pub records: watch::Receiver<u64>,
    pub shutdown: watch::Receiver<bool>,
}

impl Signals {
    /// Resolves once we are to stop; a sender that is gone means the same.
    pub async fn shutdown(&mut self) {
        Self::stopped(&mut self.shutdown).await;
    }

    async fn stopped(shutdown: &mut watch::Receiver<bool>) {
        let _ = shutdown.wait_for(|stop| *stop).await;
    }

    async fn committed(records: &mut watch::Receiver<u64>) {
        if records.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Why a connection ended.
pub enum End {
    Shutdown,
    Lost(String),
    Store(OutboxError),
}

impl From<OutboxError> for End {
    fn from(error: OutboxError) -> Self {
        Self::Store(error)
    }
}

/// Something the broker has answered.
enum Done {
    Record(u64, Result<u8, PublishNoticeError>),
    Said(&'static str, Result<u8, PublishNoticeError>),
    Subscribed(Result<(), String>),
    Listens(Result<(), String>),
    Command { topic: String, correlation: Option<Vec<u8>>, answer: String },
}

struct Connection<'a> {
    site: &'a Site,
    outbox: &'a mut OutboxCalls,
    pacing: &'a mut Pacing,
    client: AsyncClient,
    /// What the broker still owes us. At most the window and a few.
    owed: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>,
    complaints: Complaints,
    status: Option<StatusFacts>,
    status_at: Instant,
    status_stale: bool,
    status_owed: bool,
    /// Commands that are being carried out.
    in_hand: u16,
}

/// Opens a connection and carries records over it until it ends.
pub async fn connection(site: &Site, outbox: &mut OutboxCalls, pacing: &mut Pacing, signals: &mut Signals) -> End {
    let facts = match outbox.status().await {
        Ok(facts) => facts,
        Err(error) => return End::Store(error),
    };
    let will = wire::status(&site.identity, &facts, false);
    let (client, mut driver) = match driver::start(site, will) {
        Ok(started) => started,
        Err(error) => return End::Lost(error),
    };
    let first = tokio::select! {
        first = driver.happenings.recv() => first,
        () = signals.shutdown() => return End::Shutdown,
    };
    match first {
        Some(Happening::Up(peer)) => {
            info!(broker = %site.target, receive_max = peer.receive_max, max_packet = peer.max_packet, "uplink connected");
            pacing.connected(peer, Instant::now());
        }
        Some(Happening::Down(reason)) => return End::Lost(reason),
        Some(Happening::Receipt { .. } | Happening::Command(_)) | None => {
            return End::Lost("the connection ended before it began".to_owned());
        }
    }
    let mut connection = Connection {
        site,
        outbox,
        pacing,
        client,
        owed: FuturesUnordered::new(),
        complaints: Complaints::default(),
        status: None,
        status_at: Instant::now(),
        status_stale: false,
        status_owed: false,
        in_hand: 0,
    };
    match connection.carry(facts, &mut driver.happenings, signals).await {
        Err(end) => end,
        Ok(()) => {
            // Whether the goodbye was heard changes nothing: otherwise the last will says the same.
            let _ = timeout(GOODBYE, connection.goodbye(&mut driver.happenings)).await;
            End::Shutdown
        }
    }
}

impl Connection<'_> {
    /// `Ok` on shutdown.
    async fn carry(
        &mut self,
        facts: StatusFacts,
        happenings: &mut mpsc::Receiver<Happening>,
        signals: &mut Signals,
    ) -> Result<(), End> {
        self.complain().await;
        self.subscribe()?;
        self.say_status(facts, true)?;
        self.say_keys().await?;
        loop {
            self.fill().await?;
            if let Some(wait) = self.pacing.resting(Instant::now()) {
                self.outbox.rests(wait);
            }
            let deadline = self.deadline();
            tokio::select! {
                () = Signals::stopped(&mut signals.shutdown) => return Ok(()),
                () = Signals::committed(&mut signals.records) => {
                    self.pacing.committed();
                    self.status_stale = true;
                }
                happening = happenings.recv() => match happening {
                    Some(Happening::Receipt { payload, live }) => self.receipt(payload, live).await?,
                    Some(Happening::Command(request)) => self.command(request),
                    Some(Happening::Up(_)) => {}
                    Some(Happening::Down(reason)) => return Err(End::Lost(reason)),
                    None => return Err(End::Lost("the connection's task is gone".to_owned())),
                },
                Some(done) = self.owed.next() => self.done(done).await?,
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => self.tick().await?,
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let status = (self.status_stale && !self.status_owed).then(|| self.status_at + self.site.settings.timing.status_every);
        [status, self.pacing.deadline()].into_iter().flatten().min()
    }

    async fn tick(&mut self) -> Result<(), End> {
        match self.pacing.tick(Instant::now()) {
            Tick::Nothing => {}
            Tick::Rewound(seq) => {
                info!(seq, "no receipt came: sending again what follows");
                self.complain().await;
            }
            Tick::Silent => return Err(End::Lost("the broker acknowledges nothing any more".to_owned())),
        }
        let due = self.status_at + self.site.settings.timing.status_every;
        if self.status_stale && !self.status_owed && due <= Instant::now() {
            self.outbox.sent(self.pacing.taken()).await;
            let facts = self.outbox.status().await?;
            let rotated = self.status.as_ref().is_none_or(|sent| sent.kid != facts.kid);
            if self.status.as_ref() != Some(&facts) {
                self.say_status(facts, true)?;
            }
            self.status_stale = false;
            if rotated {
                self.say_keys().await?;
            }
        }
        Ok(())
    }

    /// Sends what the pacing wants sent.
    async fn fill(&mut self) -> Result<(), End> {
        while let Some(demand) = self.pacing.demand(Instant::now()) {
            let records = self.outbox.after(demand.after, demand.limit).await?;
            let mut last = demand.after;
            let mut count = 0;
            for record in records {
                if record.seq <= last {
                    warn!(seq = record.seq, "outbox gave records out of order");
                    continue;
                }
                last = record.seq;
                count += 1;
                self.offer(demand, record).await?;
            }
            self.pacing.fetched(demand, count, Instant::now());
        }
        Ok(())
    }

    async fn offer(&mut self, demand: Demand, record: Outgoing) -> Result<(), End> {
        let seq = record.seq;
        if !self.pacing.reached(demand, seq) {
            return Ok(());
        }
        let Some(topic) = self.site.topics.records(&record.kind) else {
            let quarantine = self.pacing.unsendable(seq, Instant::now());
            return self.quarantine(quarantine, format!("its kind {:?} cannot be part of a topic", record.kind)).await;
        };
        let properties = wire::user_properties(&self.site.identity.site, &record);
        let size = wire::publish_size(&topic, &properties, record.jws.len());
        match self.pacing.offer(demand, seq, size, Instant::now()) {
            Offer::Skip => Ok(()),
            Offer::TooLarge(quarantine) => {
                let reason = format!("its {size} bytes are more than the broker takes (Maximum Packet Size)");
                self.quarantine(quarantine, reason).await
            }
            Offer::Send => {
                let options = options(wire::RECORD_CONTENT_TYPE, properties);
                let notice = self.client.try_publish_tracked(topic, record.jws.into_bytes(), options).map_err(unsent)?;
                self.owed.push(Box::pin(async move { Done::Record(seq, reason(notice.wait_async().await)) }));
                Ok(())
            }
        }
    }

    async fn done(&mut self, done: Done) -> Result<(), End> {
        match done {
            Done::Record(seq, Ok(code)) => self.answered(seq, code).await,
            // Its event loop is gone; why, the driver says next.
            Done::Record(_, Err(PublishNoticeError::Recv)) => Ok(()),
            Done::Record(seq, Err(error)) => Err(End::Lost(format!("record {seq} was not sent: {error}"))),
            Done::Said(what, result) => {
                self.status_owed &= what != "status";
                self.in_hand = self.in_hand.saturating_sub(u16::from(what == REPLY));
                match result {
                    Ok(0x00 | 0x10) | Err(PublishNoticeError::Recv) => {}
                    Ok(code) => warn!(topic = what, code, "the broker refused a message"),
                    Err(error) => warn!(topic = what, %error, "a message was not sent"),
                }
                Ok(())
            }
            Done::Command { topic, correlation, answer } => self.answer(topic, correlation, answer),
            Done::Listens(result) => {
                if let Err(error) = result {
                    warn!(topic = self.site.topics.command, error, "no commands of head office can be read");
                }
                Ok(())
            }
            Done::Subscribed(result) => {
                self.complaints.unsubscribed =
                    result.err().map(|error| format!("no receipts: cannot read {}: {error}", self.site.topics.receipt));
                self.complain().await;
                Ok(())
            }
        }
    }

    /// Beyond the places for such records the others are not noted one by one.
    async fn quarantine(&mut self, quarantine: Option<Quarantined>, reason: String) -> Result<(), End> {
        if let Some(quarantine) = quarantine {
            self.outbox.quarantine(quarantine, reason).await?;
        }
        self.complain().await;
        Ok(())
    }

    async fn answered(&mut self, seq: u64, code: u8) -> Result<(), End> {
        let answer = Answer::from_code(code);
        let next = self.pacing.acknowledged(seq, answer, Instant::now());
        match answer {
            Answer::Taken => {
                self.status_stale = true;
                if self.complaints.held.take().is_some() {
                    self.complain().await;
                }
            }
            _ => debug!(seq, code, ?next, "record not delivered"),
        }
        match next {
            Next::Continue => Ok(()),
            Next::Paused(_) => {
                self.complaints.held = answer.advice().map(str::to_owned);
                self.complain().await;
                Ok(())
            }
            Next::Quarantined(quarantine) => {
                let reason = format!("the broker refuses its payload ({code:#04x}, payload format invalid)");
                self.quarantine(Some(quarantine), reason).await
            }
            Next::TakenAfterAll => {
                self.outbox.taken_after_all(seq).await?;
                self.complain().await;
                Ok(())
            }
            Next::Reconnect => Err(End::Lost(format!("the broker answered record {seq} with {code:#04x}"))),
        }
    }

    async fn receipt(&mut self, payload: Vec<u8>, live: bool) -> Result<(), End> {
        if payload.is_empty() {
            return Ok(()); // a cleared retained message
        }
        let verdict = self.outbox.receipt(payload).await?;
        let through = if let ReceiptOutcome::Retired(through) = verdict { through } else { 0 };
        self.complaints.disputed = match verdict {
            ReceiptOutcome::Refused(reason) => Some(format!("receipt refused: {reason}")),
            ReceiptOutcome::Retired(_) | ReceiptOutcome::Known => None,
        };
        if self.pacing.receipted(through, live && self.complaints.disputed.is_none(), Instant::now()) {
            debug!(seq = through, "receipt");
            self.status_stale = true;
        }
        self.complain().await;
        Ok(())
    }

    /// Tells what is wrong now, if anything is.
    async fn complain(&mut self) {
        self.outbox.report(true, self.complaints.worst(self.pacing)).await;
    }

    fn subscribe(&mut self) -> Result<(), End> {
        let notice = self.client.try_subscribe_tracked(self.site.topics.receipt.clone(), QoS::AtLeastOnce).map_err(unsent)?;
        self.owed.push(Box::pin(async move {
            Done::Subscribed(notice.wait_completion_async().await.map_err(|error| error.to_string()))
        }));
        // Only who carries out commands listens to them.
        if self.outbox.commands().is_some() {
            let notice = self.client.try_subscribe_tracked(self.site.topics.command.clone(), QoS::AtLeastOnce).map_err(unsent)?;
            self.owed.push(Box::pin(async move {
                Done::Listens(notice.wait_completion_async().await.map(drop).map_err(|error| error.to_string()))
            }));
        }
        Ok(())
    }

    /// Has a command carried out, beside all else.
    fn command(&mut self, request: Request) {
        if !request.live {
            return debug!("a command that the broker kept is not carried out");
        }
        // Each takes a place in the client until its answer is taken; beyond them there is none to say no with.
        if self.in_hand >= MAX_IN_HAND {
            return warn!("too many commands at a time; one is not carried out");
        }
        let topic = request.answer_to().unwrap_or(&self.site.topics.reply).to_owned();
        let commands = self.outbox.commands();
        self.in_hand += 1;
        let Request { payload, correlation, .. } = request;
        self.owed.push(Box::pin(async move {
            let answer = commands::carry_out(commands, payload).await;
            let answer = answer.unwrap_or_else(wire::not_carried_out);
            Done::Command { topic, correlation, answer }
        }));
    }

    fn answer(&mut self, topic: String, correlation: Option<Vec<u8>>, answer: String) -> Result<(), End> {
        let properties = PublishProperties {
            content_type: Some(wire::JSON_CONTENT_TYPE.to_owned()),
            correlation_data: correlation.map(Into::into),
            ..PublishProperties::default()
        };
        let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
        let notice = self.client.try_publish_tracked(topic, answer.into_bytes(), options).map_err(unsent)?;
        self.owed.push(Box::pin(async move { Done::Said(REPLY, reason(notice.wait_async().await)) }));
        Ok(())
    }

    fn say_status(&mut self, facts: StatusFacts, online: bool) -> Result<(), End> {
        let payload = wire::status(&self.site.identity, &facts, online);
        self.status = Some(facts);
        self.status_at = Instant::now();
        self.status_owed = true;
        self.say("status", self.site.topics.status.clone(), payload)
    }

    async fn say_keys(&mut self) -> Result<(), End> {
        let keys = self.outbox.jwks().await?;
        self.say("keys", self.site.topics.keys.clone(), keys)
    }

    fn say(&mut self, what: &'static str, topic: String, payload: String) -> Result<(), End> {
        let options = options(wire::JSON_CONTENT_TYPE, Vec::new()).retained();
        let notice = self.client.try_publish_tracked(topic, payload.into_bytes(), options).map_err(unsent)?;
        self.owed.push(Box::pin(async move { Done::Said(what, reason(notice.wait_async().await)) }));
        Ok(())
    }

    /// Waits for what the broker owes, says that we are offline, and leaves. The caller bounds the time.
    async fn goodbye(&mut self, happenings: &mut mpsc::Receiver<Happening>) -> Result<(), End> {
        let facts = self.outbox.status().await?;
        self.say_status(facts, false)?;
        while !self.owed.is_empty() {
            tokio::select! {
                _ = self.owed.next() => {}
                happening = happenings.recv() => if matches!(happening, None | Some(Happening::Down(_))) { return Ok(()) },
            }
        }
        self.client.try_disconnect().map_err(unsent)?;
        while !matches!(happenings.recv().await, None | Some(Happening::Down(_))) {}
        Ok(())
    }
}

fn options(content_type: &str, user_properties: Vec<(String, String)>) -> PublishOptions {
    let properties =
        PublishProperties { content_type: Some(content_type.to_owned()), user_properties, ..PublishProperties::default() };
    PublishOptions::new(QoS::AtLeastOnce).properties(properties)
}

fn reason(result: Result<PublishResult, PublishNoticeError>) -> Result<u8, PublishNoticeError> {
    match result? {
        PublishResult::Qos1(ack) => Ok(ack.reason as u8),
        // QoS 1 is all we send.
        _ => Ok(0x83),
    }
}

fn unsent(error: impl std::fmt::Display) -> End {
    End::Lost(format!("the client takes no more: {error}"))
}
