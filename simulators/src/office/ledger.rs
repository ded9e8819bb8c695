//! What head office holds, and what follows from it: which records are verified, what a receipt may say, what is missing.
//! Pure: no socket, no file, no clock.
//!
//! ```text
//!   1 ── 2 ── 3 ─┄┄┄─ 5 ── 6        through = 3: chained without a gap from 1
//!             │       └──────┘        waiting: held, not receipted
//!          through   missing 4
//! ```
//! Invariants: `through` never goes down; the record at `through` chains back to 1 by `prev`; bytes once held are never
//! replaced, other bytes under the same (site, epoch, seq) are an alarm. Limits: 200,000 records, 10,000 waiting per chain.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::bill::{Fault, Record};

pub const MAX_RECORDS: usize = 200_000;
pub const MAX_WAITING: usize = 10_000;
/// Refused records named in one receipt.
const MAX_REJECTED: usize = 100;

/// Code of the record at which a chain breaks; reported once.
const BROKEN: &str = "chain";

/// Site and epoch: one store's life.
pub type ChainId = (String, i64);

#[derive(Debug, Default)]
pub struct Ledger {
    chains: BTreeMap<ChainId, Chain>,
    held: usize,
}

#[derive(Debug, Default)]
struct Chain {
    through: u64,
    records: BTreeMap<u64, Arc<Record>>,
    rejected: BTreeMap<u64, &'static str>,
    /// Highest seq the site said it has.
    announced: u64,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In order, and chained back to the first of its epoch.
    Verified(Arc<Record>),
    /// In order, but one before it is missing: `missing` is the first.
    Waiting {
        record: Arc<Record>,
        missing: u64,
    },
    /// Held already, the same bytes.
    Duplicate(Arc<Record>),
    Bad {
        record: Arc<Record>,
        fault: Fault,
    },
    /// No room; offer it again later.
    Full(Arc<Record>),
}

/// A stretch of records that should be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub site: String,
    pub epoch: i64,
    pub from: u64,
    pub to: u64,
}

impl Ledger {
    /// What [`Ledger::commit`] would do with it before the chain is looked at: is it new? Only new records need the disk.
    pub fn is_new(&self, record: &Record) -> bool {
        self.chain(record).is_none_or(|chain| !chain.records.contains_key(&record.seq))
    }

    /// Takes a record whose signature and content are in order. More than one outcome when it closes a gap.
    pub fn commit(&mut self, record: Record) -> Vec<Outcome> {
        let record = Arc::new(record);
        let chain = self.chains.entry((record.site.clone(), record.epoch)).or_default();
        if let Some(held) = chain.records.get(&record.seq) {
            return vec![if held.hash == record.hash {
                Outcome::Duplicate(record)
            } else {
                let fault = Fault::Fork { seq: record.seq };
                Outcome::Bad { record, fault }
            }];
        }
        let waiting = chain.records.len() - usize::try_from(chain.through).unwrap_or(usize::MAX).min(chain.records.len());
        if self.held >= MAX_RECORDS || waiting >= MAX_WAITING {
            return vec![Outcome::Full(record)];
        }
        self.held += 1;
        chain.rejected.remove(&record.seq);
        chain.records.insert(record.seq, record.clone());
        let outcomes = chain.advance();
        if outcomes.is_empty() { vec![Outcome::Waiting { record, missing: chain.through + 1 }] } else { outcomes }
    }

    /// A record with a good signature and bad content is named in the receipt.
    pub fn reject(&mut self, site: &str, epoch: i64, seq: u64, code: &'static str) {
        let chain = self.chains.entry((site.to_owned(), epoch)).or_default();
        if seq > chain.through && chain.rejected.len() < MAX_REJECTED {
            chain.rejected.insert(seq, code);
        }
    }

    /// The site says how far it is.
    pub fn announce(&mut self, site: &str, epoch: i64, last_seq: u64) {
        let chain = self.chains.entry((site.to_owned(), epoch)).or_default();
        chain.announced = chain.announced.max(last_seq);
    }

    /// The receipt for one chain: cumulative, contiguous only. `None` while there is nothing to say.
    pub fn receipt(&self, id: &ChainId) -> Option<Value> {
        let chain = self.chains.get(id)?;
        if chain.through == 0 && chain.rejected.is_empty() {
            return None;
        }
        let mut receipt = json!({"site": id.0, "epoch": id.1, "through": chain.through});
        if let Some(root) = chain.root() {
            receipt["root"] = json!(root);
        }
        if !chain.rejected.is_empty() {
            let rejected = chain.rejected.iter().map(|(seq, code)| json!({"seq": seq, "code": code}));
            receipt["rejected"] = rejected.collect();
        }
        Some(receipt)
    }

    /// All chains, oldest epoch of a site first: a retained receipt then ends as the newest.
    pub fn chains(&self) -> impl Iterator<Item = (&ChainId, u64)> {
        self.chains.iter().map(|(id, chain)| (id, chain.through))
    }

    pub fn missing(&self) -> Vec<Missing> {
        let gap = |((site, epoch), chain): (&ChainId, &Chain)| {
            let from = chain.through + 1;
            let above = chain.records.range(from..).next().map(|(seq, _)| seq - 1);
            let to = above.unwrap_or(chain.announced);
            (to >= from).then(|| Missing { site: site.clone(), epoch: *epoch, from, to })
        };
        self.chains.iter().filter_map(gap).collect()
    }

    /// Everything verified, by site, epoch and seq.
    pub fn verified(&self) -> Vec<Arc<Record>> {
        self.chains.values().flat_map(|chain| chain.records.range(..=chain.through).map(|(_, record)| record.clone())).collect()
    }

    pub fn waiting(&self) -> usize {
        self.chains.values().map(|chain| chain.records.range(chain.through + 1..).count()).sum()
    }

    fn chain(&self, record: &Record) -> Option<&Chain> {
        self.chains.get(&(record.site.clone(), record.epoch))
    }
}

impl Chain {
    fn root(&self) -> Option<&str> {
        self.records.get(&self.through).map(|record| record.hash.as_str())
    }

    /// Moves `through` over what is now contiguous; stops before a record whose `prev` names other bytes.
    fn advance(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(record) = self.records.get(&(self.through + 1)).cloned() {
            if self.rejected.get(&record.seq) == Some(&BROKEN) {
                break;
            }
            if record.prev.as_deref() != self.root() {
                self.rejected.insert(record.seq, BROKEN);
                let fault = Fault::Chain { seq: record.seq };
                outcomes.push(Outcome::Bad { record, fault });
                break;
            }
            self.through = record.seq;
            outcomes.push(Outcome::Verified(record));
        }
        outcomes
    }
}
