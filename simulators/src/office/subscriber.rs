//! The office's one task: takes what has queued up, checks it, commits it as one batch, acknowledges, sends receipts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use anyhow::Result;
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Event, Fault, Keys, Options, Order, Record, Shared, bill, json as exact,
    jws::{self, JwsError},
    keep::{Entry, Keep},
    ledger::{ChainId, Missing, Outcome},
    wire::{Ack, Incoming, Wire},
};

/// Records committed with one sync.
const BATCH: usize = 256;
/// Records that wait for the keys of their site.
const MAX_KEYLESS: usize = 1000;
const MAX_FAULTS: usize = 1000;
/// A gap that stays for two checks is asked for, and again after this many.
const CHECKS_BETWEEN_REQUESTS: u32 = 10;

pub struct Subscriber {
    options: Options,
    shared: Arc<Shared>,
    wire: Wire,
    inbox: mpsc::Receiver<Incoming>,
    keep: Option<Keep>,
    keys: BTreeMap<String, Keys>,
    pinned: Option<Keys>,
    keyless: VecDeque<Received>,
    /// Chains whose receipt should go out.
    due: BTreeSet<ChainId>,
    gaps: Vec<Missing>,
    asked: BTreeMap<ChainId, Instant>,
}

/// One record as it came.
#[derive(Clone, Debug)]
struct Received {
    topic: String,
    site: String,
    kind: String,
    jws: String,
}

impl Subscriber {
    pub async fn open(options: Options, shared: Arc<Shared>) -> Result<Self> {
        let pinned = options.jwks.as_deref().map(Keys::parse).transpose()?;
        let (keep, held) = match &options.keep {
            Some(path) => Keep::open(path).await.map(|(keep, held)| (Some(keep), held))?,
            None => (None, Vec::new()),
        };
        // Keys before records: what comes first can be verified first.
        let filters = ["keys", "status", "records/#"].map(|topic| format!("{}/+/{topic}", options.topic_prefix));
        let (wire, inbox) = Wire::connect(&options, &filters).await?;
        let mut subscriber = Self {
            options,
            shared,
            wire,
            inbox,
            keep,
            pinned,
            keys: BTreeMap::new(),
            keyless: VecDeque::new(),
            due: BTreeSet::new(),
            gaps: Vec::new(),
            asked: BTreeMap::new(),
        };
        subscriber.restore(held);
        Ok(subscriber)
    }

    /// The kept file is verified like what the broker delivers.
    fn restore(&mut self, held: Vec<Entry>) {
        for entry in held {
            match entry {
                Entry::Keys { site, jwks } => {
                    if let Err(error) = Keys::parse(&jwks).map(|keys| self.keys.entry(site.clone()).or_default().join(&keys)) {
                        self.alarm(&format!("kept keys of {site}"), None, error.into());
                    }
                }
                Entry::Record { site, kind, jws } => {
                    let received = Received { topic: "kept".into(), site, kind, jws };
                    if let Some(record) = self.check(&received) {
                        self.commit(record);
                    }
                }
            }
        }
        self.recount();
    }

    pub async fn work(mut self, mut orders: mpsc::Receiver<Order>) -> Result<()> {
        let mut check_gaps = interval(self.options.check_gaps);
        check_gaps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                count = self.inbox.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.handle(std::mem::take(&mut batch)).await?;
                }
                order = orders.recv() => match order {
                    Some(Order::Receipts(on)) => {
                        self.options.receipts = on;
                        self.all_due();
                    }
                    Some(Order::Close) | None => {
                        self.wire.close().await;
                        return Ok(());
                    }
                },
                _ = check_gaps.tick() => self.ask_for_gaps().await,
            }
            self.send_receipts().await;
            self.recount();
        }
    }

    /// One batch: check, sync, commit, acknowledge.
    async fn handle(&mut self, batch: Vec<Incoming>) -> Result<()> {
        let (mut entries, mut records, mut acks) = (Vec::new(), Vec::new(), Vec::<Ack>::new());
        for incoming in batch {
            match incoming {
                Incoming::Connected => {
                    self.shared.tally.send_modify(|tally| tally.connected = true);
                    self.emit(Event::Connected);
                    self.all_due();
                }
                Incoming::Disconnected(reason) => {
                    self.shared.tally.send_modify(|tally| tally.connected = false);
                    self.emit(Event::Disconnected { reason });
                }
                Incoming::Message { topic, payload, ack } => {
                    acks.push(ack);
                    for received in self.dispatch(topic, payload, &mut entries) {
                        records.extend(self.check(&received).map(|record| (received, record)));
                    }
                }
            }
        }
        // Each once, also when it comes twice in one batch.
        let mut kept = BTreeSet::new();
        let mut is_new =
            |record: &Record| self.shared.ledger().is_new(record) && kept.insert((record.site.clone(), record.epoch, record.seq));
        for (Received { site, kind, jws, .. }, _) in records.iter().filter(|(_, record)| is_new(record)) {
            entries.push(Entry::Record { site: site.clone(), kind: kind.clone(), jws: jws.clone() });
        }
        if let (Some(keep), false) = (&mut self.keep, entries.is_empty()) {
            keep.append(&entries).await?;
        }
        for (_, record) in records {
            self.commit(record);
        }
        acks.into_iter().for_each(Ack::ack);
        Ok(())
    }

    /// By topic: keys and status are taken in, records are returned, with those that had waited for these keys.
    fn dispatch(&mut self, topic: String, payload: Vec<u8>, entries: &mut Vec<Entry>) -> Vec<Received> {
        let below = topic.strip_prefix(&self.options.topic_prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        let (site, rest) = below.split_once('/').unwrap_or_default();
        let (site, rest) = (site.to_owned(), rest.to_owned());
        let Ok(text) = String::from_utf8(payload) else {
            self.alarm(&topic, None, Fault::Member { member: "payload", what: "not UTF-8".into() });
            return Vec::new();
        };
        match rest.as_str() {
            "keys" => self.take_keys(&topic, site, text, entries),
            "status" => {
                self.take_status(site, text);
                Vec::new()
            }
            _ => {
                let kind = rest.strip_prefix("records/").unwrap_or_default().to_owned();
                vec![Received { topic, site, kind, jws: text }]
            }
        }
    }

    fn take_keys(&mut self, topic: &str, site: String, jwks: String, entries: &mut Vec<Entry>) -> Vec<Received> {
        let keys = match Keys::parse(&jwks) {
            Ok(keys) => keys,
            Err(error) => {
                self.alarm(topic, None, error.into());
                return Vec::new();
            }
        };
        let known = self.keys.entry(site.clone()).or_default();
        let fresh: Vec<_> = keys.kids().filter(|kid| known.kids().all(|k| k != *kid)).map(str::to_owned).collect();
        if fresh.is_empty() {
            return Vec::new();
        }
        known.join(&keys);
        entries.push(Entry::Keys { site: site.clone(), jwks });
        let (now, later) = self.keyless.drain(..).partition(|received| received.site == site);
        self.keyless = later;
        self.emit(Event::Keys { site, kids: fresh });
        Vec::from_iter::<VecDeque<Received>>(now)
    }

    fn take_status(&mut self, site: String, text: String) {
        if let (Some(epoch), Some(last)) = (exact::integer(&text, "/epoch"), exact::integer(&text, "/last_seq")) {
            self.shared.ledger().announce(&site, epoch, last.max(0).unsigned_abs());
        }
        let online = exact::at(&text, "/online") == Some("true");
        self.emit(Event::Status { site, online, text });
    }

    /// Signature, content, sums. A record whose key is not known yet waits for it.
    fn check(&mut self, received: &Received) -> Option<Record> {
        let keys = self.pinned.as_ref().or_else(|| self.keys.get(&received.site));
        let payload = match jws::verify(&received.jws, keys.unwrap_or(&Keys::default())) {
            Ok(payload) => payload,
            Err(JwsError::UnknownKey(_)) if self.pinned.is_none() && self.keyless.len() < MAX_KEYLESS => {
                self.keyless.push_back(received.clone());
                return None;
            }
            Err(error) => {
                self.alarm(&received.topic, None, error.into());
                return None;
            }
        };
        let (epoch, seq) = (exact::integer(&payload, "/epoch"), exact::integer(&payload, "/seq").map(i64::unsigned_abs));
        match bill::read(&received.jws, payload, &received.site, &received.kind) {
            Ok(record) => Some(record),
            Err(fault) => {
                if let (Some(epoch), Some(seq)) = (epoch, seq) {
                    self.shared.ledger().reject(&received.site, epoch, seq, fault.code());
                    self.due.insert((received.site.clone(), epoch));
                }
                self.alarm(&received.topic, seq, fault);
                None
            }
        }
    }

    /// Into the ledger. A duplicate is a site that has not seen our receipt: it is due again.
    fn commit(&mut self, record: Record) {
        let outcomes = self.shared.ledger().commit(record);
        for outcome in outcomes {
            let event = match outcome {
                Outcome::Verified(record) => {
                    self.due.insert((record.site.clone(), record.epoch));
                    self.shared.tally.send_modify(|tally| tally.verified += 1);
                    Event::Verified { seq: record.seq, kind: record.kind.clone(), summary: record.summary(), record }
                }
                Outcome::Duplicate(record) => {
                    self.due.insert((record.site.clone(), record.epoch));
                    self.shared.tally.send_modify(|tally| tally.duplicates += 1);
                    Event::Duplicate { site: record.site.clone(), epoch: record.epoch, seq: record.seq }
                }
                Outcome::Waiting { record, missing } => {
                    Event::Waiting { site: record.site.clone(), epoch: record.epoch, seq: record.seq, missing }
                }
                Outcome::Bad { record, fault } => {
                    self.due.insert((record.site.clone(), record.epoch));
                    self.alarm(&format!("{}/records/{}", record.site, record.kind), Some(record.seq), fault);
                    continue;
                }
                Outcome::Full(record) => {
                    tracing::error!(site = record.site, seq = record.seq, "office is full, record not taken");
                    continue;
                }
            };
            self.emit(event);
        }
    }

    async fn send_receipts(&mut self) {
        if !self.options.receipts {
            return;
        }
        for id in std::mem::take(&mut self.due) {
            let Some(receipt) = self.shared.ledger().receipt(&id) else { continue };
            let through = receipt["through"].as_u64().unwrap_or_default();
            let (site, epoch) = id;
            let topic = format!("{}/{site}/receipt", self.options.topic_prefix);
            match self.wire.publish(&topic, receipt.to_string(), true).await {
                Ok(()) => self.emit(Event::Receipted { site, epoch, through }),
                // The reconnect makes all receipts due.
                Err(error) => tracing::warn!(site, error = format!("{error:#}"), "receipt not sent"),
            }
        }
        let receipted = self.shared.ledger().chains().map(|(_, through)| through).sum();
        self.shared.tally.send_modify(|tally| tally.receipted = receipted);
    }

    fn all_due(&mut self) {
        self.due = self.shared.ledger().chains().map(|(id, _)| id.clone()).collect();
    }

    async fn ask_for_gaps(&mut self) {
        let gaps = self.shared.ledger().missing();
        let before = std::mem::replace(&mut self.gaps, gaps);
        if !self.options.resend {
            return;
        }
        let lasting: Vec<_> = self.gaps.iter().filter(|gap| before.contains(gap)).cloned().collect();
        for Missing { site, epoch, from, to } in lasting {
            let id = (site.clone(), epoch);
            if self.asked.get(&id).is_some_and(|at| at.elapsed() < self.options.check_gaps * CHECKS_BETWEEN_REQUESTS) {
                continue;
            }
            self.asked.insert(id, Instant::now());
            let topic = format!("{}/{site}/cmd/resend", self.options.topic_prefix);
            let body = json!({"epoch": epoch, "from": from, "to": to}).to_string();
            match self.wire.publish(&topic, body, false).await {
                Ok(()) => self.emit(Event::Asked { site, epoch, from, to }),
                Err(error) => tracing::warn!(site, error = format!("{error:#}"), "resend not asked"),
            }
        }
    }

    fn alarm(&self, topic: &str, seq: Option<u64>, fault: Fault) {
        let reason = fault.to_string();
        if let Ok(mut faults) = self.shared.faults.lock()
            && faults.len() < MAX_FAULTS
        {
            let seq = seq.map(|seq| format!(" seq {seq}")).unwrap_or_default();
            faults.push(format!("{topic}{seq}: {reason}"));
        }
        self.shared.tally.send_modify(|tally| tally.bad += 1);
        self.emit(Event::Bad { topic: topic.to_owned(), seq, fault, reason });
    }

    fn recount(&self) {
        let waiting = self.shared.ledger().waiting();
        self.shared.tally.send_if_modified(|tally| {
            let before = *tally;
            (tally.waiting, tally.keyless) = (waiting, self.keyless.len());
            before != *tally
        });
    }

    fn emit(&self, event: Event) {
        // Nobody listening is fine.
        self.shared.events.send(event).ok();
    }
}
