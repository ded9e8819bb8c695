//! Walking the chain: records in the order of their numbers, each with its signature, its arithmetic and its link to the last.
//!
//! ```text
//! epoch A:  1 ◀─ 2 ◀─ 3 ◀─ … ◀─ n        epoch B:  1 ◀─ 2 …
//!           │ prev null   prev = SHA-256(JWS of the one before)
//! ```
//! A walk may start anywhere (a file of a few months), goes on after every fault, and names each. What a chain alone cannot
//! show is a cut tail: tell the walk how far it must reach with [`Chain::expect`] (the store's last record, a receipt).
//!
//! | code | severity | meaning |
//! |---|---|---|
//! | those of [`VerifyError::code`] | fault | the record by itself |
//! | `gap` | fault | numbers are missing |
//! | `prev-mismatch` | fault | `prev` is not the hash of the record before |
//! | `prev-missing`, `prev-in-first` | fault | `prev` null after the first, or not null in the first of an epoch |
//! | `conflict` | fault | two different records claim one number |
//! | `out-of-order` | fault | a number at or below the last one, no longer remembered or missing before |
//! | `epoch-backwards` | fault | an epoch older than the one before |
//! | `site-changed` | fault | a record of another site |
//! | `anchor-mismatch` | fault | another record than the expected one stands at that number |
//! | `tail-missing` | fault | the walk ended before an expected record |
//! | `kind-unknown` | notice | only signature and place could be checked |
//! | `duplicate` | notice | the same record once more |
//! | `epoch-changed` | notice | a new store: restore or new gateway |
//! | `starts-late` | notice | the first record seen is not number 1 |
//!
//! Limits: the last 1,024 records are remembered for telling duplicates from conflicts; problems are handed out, not kept.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::document::check;
use super::sign::{Hash, JwkSet};
use super::verify::{Verified, VerifyError, claimed_place, open};
use crate::units::Finding;

const REMEMBERED: usize = 1024;

/// A record by its place and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub epoch: u64,
    pub seq: u64,
    pub hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing, nothing is wrong.
    Notice,
    /// The chain does not hold here.
    Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: Cow<'static, str>,
    pub severity: Severity,
    pub epoch: Option<u64>,
    pub seq: Option<u64>,
    /// A sentence for a person.
    pub text: String,
}

/// What feeding one record gave.
#[derive(Clone, Debug)]
pub struct Step {
    /// `None` when the record cannot be trusted or read; present when only its place or arithmetic is wrong.
    pub verified: Option<Verified>,
    pub problems: Vec<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub records: u64,
    pub faults: u64,
    pub notices: u64,
    /// Where the walk stands.
    pub head: Option<Head>,
}

#[derive(Debug)]
pub struct Chain<'k> {
    keys: &'k JwkSet,
    site: Option<String>,
    /// Newest last.
    recent: VecDeque<Head>,
    expected: Vec<(Head, bool)>,
    records: u64,
    faults: u64,
    notices: u64,
}

impl<'k> Chain<'k> {
    pub fn new(keys: &'k JwkSet) -> Self {
        Self { keys, site: None, recent: VecDeque::new(), expected: Vec::new(), records: 0, faults: 0, notices: 0 }
    }

    /// Go on after a record that is known to be good.
    pub fn after(keys: &'k JwkSet, head: Head) -> Self {
        let mut chain = Self::new(keys);
        chain.recent.push_back(head);
        chain
    }

    /// The walk must come by this record, and find these very bytes.
    pub fn expect(&mut self, record: Head) {
        self.expected.push((record, false));
    }

    /// The next record's JWS text.
    pub fn feed(&mut self, jws: &str) -> Step {
        self.take(examine(jws, self.keys))
    }

    /// The next record, examined by itself before.
    pub fn take(&mut self, examined: Examined) -> Step {
        self.records += 1;
        let mut problems = Vec::new();
        let Examined { opened, claimed, hash, findings } = examined;
        let (verified, place) = match opened {
            Ok(verified) => {
                let header = &verified.payload.header;
                let place = Some((header.epoch, header.seq, header.prev));
                (Some(verified), place)
            }
            Err(error) => {
                problems.push(self.unreadable(&error, claimed.map(|(epoch, seq, _)| (epoch, seq))));
                (None, claimed)
            }
        };
        if let Some(verified) = &verified {
            self.judge_content(verified, findings, &mut problems);
        }
        match place {
            Some((epoch, seq, prev)) => self.link(Head { epoch, seq, hash }, prev, &mut problems),
            // Unreadable: it can only stand where the next record was expected.
            None => self.assume_next(hash),
        }
        self.count(&problems);
        Step { verified, problems }
    }

    /// The end of the walk: expected records that it did not reach.
    pub fn finish(&mut self) -> Vec<Problem> {
        let reached = self.recent.back().map(|head| (head.epoch, head.seq));
        let cut = |(anchor, met): &&(Head, bool)| !met && reached.is_none_or(|reached| (anchor.epoch, anchor.seq) > reached);
        let problem = |(anchor, _): &(Head, bool)| {
            let last = reached.map_or("there is none".to_owned(), |(epoch, seq)| format!("the last is {seq} of epoch {epoch}"));
            fault(
                "tail-missing",
                anchor,
                format!("record {} of epoch {} is missing at the end: {last}", anchor.seq, anchor.epoch),
            )
        };
        let problems: Vec<Problem> = self.expected.iter().filter(cut).map(problem).collect();
        self.count(&problems);
        problems
    }

    pub fn summary(&self) -> Summary {
        let head = self.recent.back().copied();
        Summary { records: self.records, faults: self.faults, notices: self.notices, head }
    }

    fn count(&mut self, problems: &[Problem]) {
        let faults = problems.iter().filter(|problem| problem.severity == Severity::Fault).count();
        self.faults += faults as u64;
        self.notices += (problems.len() - faults) as u64;
    }

    fn unreadable(&self, error: &VerifyError, claimed: Option<(u64, u64)>) -> Problem {
        let next = || self.recent.back().map(|head| (head.epoch, head.seq + 1));
        let (epoch, seq) = claimed.or_else(next).unzip();
        let name = seq.map_or_else(|| "a record".to_owned(), |seq| format!("record {seq}"));
        let code = Cow::Owned(error.code().to_owned());
        Problem { code, severity: Severity::Fault, epoch, seq, text: format!("{name}: {error}") }
    }

    fn judge_content(&mut self, verified: &Verified, findings: Vec<Finding>, problems: &mut Vec<Problem>) {
        let header = &verified.payload.header;
        let here = Head { epoch: header.epoch, seq: header.seq, hash: verified.hash };
        if verified.payload.body.is_none() {
            let text = format!(
                "record {}: of kind {}, which this version does not know: signature and place were checked, its contents were not",
                here.seq, header.kind
            );
            problems.push(notice("kind-unknown", &here, text));
        }
        for finding in findings {
            let text = format!("record {}: {}", here.seq, finding.detail);
            problems.push(Problem { code: finding.code, ..fault("", &here, text) });
        }
        match &self.site {
            Some(site) if *site != header.site => {
                let text = format!("record {}: it is of site {}, the walk is of site {site}", here.seq, header.site);
                problems.push(fault("site-changed", &here, text));
            }
            Some(_) => {}
            None => self.site = Some(header.site.clone()),
        }
    }

    fn link(&mut self, here: Head, prev: Option<Hash>, problems: &mut Vec<Problem>) {
        self.meet_expected(&here, problems);
        let Some(last) = self.recent.back().copied() else {
            if here.seq != 1 {
                let text = format!("the walk starts at record {}: what came before it is not judged", here.seq);
                problems.push(notice("starts-late", &here, text));
            }
            judge_unlinked(&here, prev, problems);
            return self.remember(here);
        };
        if here.epoch != last.epoch {
            judge_epoch(&last, &here, prev, problems);
            return self.remember(here);
        }
        if here.seq <= last.seq {
            problems.push(self.judge_earlier(&here));
            return;
        }
        if here.seq > last.seq + 1 {
            problems.push(gap(last.seq + 1, &here));
            judge_unlinked(&here, prev, problems);
        } else if prev != Some(last.hash) {
            let text = format!(
                "record {}: previous hash does not match record {}: a record was altered, removed or inserted",
                here.seq, last.seq
            );
            problems.push(fault("prev-mismatch", &here, text));
        }
        self.remember(here);
    }

    fn judge_earlier(&self, here: &Head) -> Problem {
        let seq = here.seq;
        match self.recent.iter().find(|known| (known.epoch, known.seq) == (here.epoch, seq)) {
            Some(known) if known.hash == here.hash => notice("duplicate", here, format!("record {seq}: the same record again")),
            Some(_) => fault("conflict", here, format!("record {seq}: two different records claim this number")),
            None => fault("out-of-order", here, format!("record {seq}: comes after a later record")),
        }
    }

    fn meet_expected(&mut self, here: &Head, problems: &mut Vec<Problem>) {
        for (anchor, met) in &mut self.expected {
            if (anchor.epoch, anchor.seq) != (here.epoch, here.seq) {
                continue;
            }
            *met = true;
            if anchor.hash != here.hash {
                let text = format!("record {}: its hash is {}, expected is {}", here.seq, here.hash, anchor.hash);
                problems.push(fault("anchor-mismatch", here, text));
            }
        }
    }

    fn assume_next(&mut self, hash: Hash) {
        if let Some(last) = self.recent.back().copied() {
            self.remember(Head { epoch: last.epoch, seq: last.seq + 1, hash });
        }
    }

    fn remember(&mut self, head: Head) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(head);
    }
}

/// A record by itself: most of the work of a walk, and the part that needs no order.
#[derive(Debug)]
pub struct Examined {
    pub opened: Result<Verified, VerifyError>,
    /// Epoch, number and `prev` as an untrusted text claims them.
    claimed: Option<(u64, u64, Option<Hash>)>,
    hash: Hash,
    /// Of its arithmetic.
    findings: Vec<Finding>,
}

/// Signature, form and arithmetic of a record.
pub fn examine(jws: &str, keys: &JwkSet) -> Examined {
    let opened = open(jws, keys);
    let claimed = if opened.is_err() { claimed_place(jws) } else { None };
    let findings = opened.as_ref().map_or(Vec::new(), |verified| check::payload(&verified.payload));
    let hash = opened.as_ref().map_or_else(|_| Hash::of(jws.as_bytes()), |verified| verified.hash);
    Examined { opened, claimed, hash, findings }
}

/// A record whose predecessor was not seen: only whether it has a `prev` can be judged.
fn judge_unlinked(here: &Head, prev: Option<Hash>, problems: &mut Vec<Problem>) {
    match (here.seq, prev) {
        (1, Some(_)) => {
            let text = format!("record 1 of epoch {}: a first record names a previous one", here.epoch);
            problems.push(fault("prev-in-first", here, text));
        }
        (2.., None) => {
            problems.push(fault("prev-missing", here, format!("record {}: names no previous record", here.seq)));
        }
        _ => {}
    }
}

fn judge_epoch(last: &Head, here: &Head, prev: Option<Hash>, problems: &mut Vec<Problem>) {
    if here.epoch > last.epoch {
        let text = format!(
            "epoch {} begins after record {} of epoch {}: the store was restored or the gateway replaced",
            here.epoch, last.seq, last.epoch
        );
        problems.push(notice("epoch-changed", here, text));
        if here.seq > 1 {
            problems.push(gap(1, here));
        }
    } else {
        let text = format!("record {}: epoch {} is older than epoch {} before it", here.seq, here.epoch, last.epoch);
        problems.push(fault("epoch-backwards", here, text));
    }
    judge_unlinked(here, prev, problems);
}

fn gap(first: u64, here: &Head) -> Problem {
    let last = here.seq - 1;
    let text = match first == last {
        true => format!("record {first} of epoch {} is missing", here.epoch),
        false => format!("records {first} to {last} of epoch {} are missing", here.epoch),
    };
    fault("gap", here, text)
}

fn fault(code: &'static str, here: &Head, text: String) -> Problem {
    let code = Cow::Borrowed(code);
    Problem { code, severity: Severity::Fault, epoch: Some(here.epoch), seq: Some(here.seq), text }
}

fn notice(code: &'static str, here: &Head, text: String) -> Problem {
    Problem { severity: Severity::Notice, ..fault(code, here, text) }
}
