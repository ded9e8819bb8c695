//! Scripts on a real writer and a real file: these jobs in, exactly these replies and rows out, nothing left over.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod recovery;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc as tokio_mpsc;
use tokio::sync::{oneshot, watch};

use super::{Content, Job, Keep, Message, Parts, Reply, Signals, Signing, SiteFacts, Stored, Writer};
use crate::fact::Fact;
use crate::rating::Catalogue;
use crate::record::examples::{at, key};
use crate::session::TariffChoice;
use crate::station::{Onboarding, Policy, UnknownTokens};
use crate::units::{Received, StationId, Version};

pub(super) const NOW: &str = "2026-11-21T13:00:00Z";

/// A writer without its thread, and what it has released.
pub(super) struct Script {
    folder: tempfile::TempDir,
    pub(super) writer: Writer,
    released: tokio_mpsc::UnboundedReceiver<Vec<Reply>>,
    failed: watch::Receiver<Option<String>>,
}

/// A job, and its reply where it has one.
type Asked = (Job, Option<oneshot::Receiver<Stored>>);

impl Script {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (released, replies) = tokio_mpsc::unbounded_channel();
        let (fails, failed) = watch::channel(None);
        let signals =
            Signals { epoch: watch::Sender::new(0), records: watch::Sender::new(0), due: mpsc::sync_channel(1).0, failed: fails };
        let tariffs = TariffChoice::new(Catalogue::default(), None);
        let mut policy = Policy::new(UnknownTokens::Accept, tariffs, chrono_tz::UTC, 300);
        policy.onboarding = Some(Onboarding { meter_interval_s: 60 });
        let parts = Parts {
            calls: |_, _| panic!("a fault of the test outside of the machine"),
            policy,
            signing: Signing { signer: Box::new(key()), jwk: key().jwk().to_json() },
            signals,
            released,
            now: Arc::new(|| at(NOW)),
            begin: Box::new(|_| Received { at: at(NOW), proven: true }),
            watch: Box::new(()),
        };
        let facts = SiteFacts {
            site: "site-1".to_owned(),
            time_zone: "UTC".to_owned(),
            currency: "EUR".to_owned(),
            version: "0".to_owned(),
            stations: Vec::new(),
            host: None,
            epoch_file: folder.path().join("epoch"),
        };
        let writer = Writer::open(&folder.path().join("store.db"), &facts, parts).unwrap();
        // A lock of somebody else is noticed at once.
        writer.connection.busy_timeout(Duration::ZERO).unwrap();
        Self { folder, writer, released: replies, failed }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// One group; what each job with a reply was answered. `None`: its reply was dropped, so it is not stored.
    fn group(&mut self, asked: Vec<Asked>) -> Vec<Option<String>> {
        let (mut jobs, replies): (Vec<Job>, Vec<_>) = asked.into_iter().unzip();
        self.writer.commit(&mut jobs);
        while let Ok(released) = self.released.try_recv() {
            released.into_iter().for_each(Reply::send);
        }
        let answer = |mut reply: oneshot::Receiver<Stored>| reply.try_recv().ok().and_then(|stored| stored.answer);
        replies.into_iter().flatten().map(answer).collect()
    }

    /// Text, answer and first finding of each row of the journal, as another program reads them.
    fn journal(&self) -> Vec<String> {
        let sql = "SELECT text || ' ' || coalesce(answer, '-') || coalesce(' ' || json_extract(findings, '$[0].code'), '') FROM message ORDER BY id";
        self.rows(sql)
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let store = Connection::open(self.path()).unwrap();
        let mut statement = store.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn sql(&self, sql: &str) {
        self.writer.connection.execute_batch(sql).unwrap();
    }
}

/// A message that is answered by `ok`.
fn message(text: &str) -> Asked {
    of(text, Content::Fixed { answer: Some("ok".to_owned()), keep: Keep::Always })
}

/// A message with a fact; `panics` when its answer is made.
fn fact(text: &str, fact: Fact, panics: bool) -> Asked {
    let encode = move |_: &crate::fact::Answer| {
        assert!(!panics, "a fault of the test in the machine");
        Some("ok".to_owned())
    };
    of(text, Content::Fact { fact, encode: Box::new(encode) })
}

fn of(text: &str, content: Content) -> Asked {
    let message = Message {
        station: StationId::new("CP-1"),
        version: Version::V16,
        received: Received { at: at(NOW), proven: true },
        action: Some("Test".into()),
        repeatable: None,
        text: text.to_owned(),
        bytes: None,
        content,
        findings: Vec::new(),
    };
    let (reply, answer) = oneshot::channel();
    (Job::Message(Box::new(message), reply), Some(answer))
}

fn connected() -> Asked {
    let (station, peer) = (StationId::new("CP-1"), "peer".to_owned());
    (Job::Connected { station, version: Version::V16, peer, at: at(NOW) }, None)
}

fn problem(subject: &str) -> Asked {
    (Job::Problem { kind: "test", station: None, subject: subject.to_owned(), detail: String::new(), at: at(NOW) }, None)
}
