//! `forecourt records`, `record show|verify`, `verify`.

use std::io::BufRead;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::args::Limit;
use super::exit::{Exit, Failure};
use super::list::List;
use super::output::{Columns, Output};
use crate::record::{self, Chain, Head, JwkSet, Severity};
use crate::store::{Copies, Damage, Key, Reader, StoredRecord, damage};
use crate::units::{compact, indent, printable};

const LIST: Columns = &[
    "seq",
    "kind",
    "created_at",
    "session_id",
    "station",
    "energy_wh",
    "cost_excl_vat",
    "cost_incl_vat",
    "currency",
    "acknowledged",
    "rejected",
];
const OUTBOX: Columns = &["seq", "kind", "session_id", "created_at", "state", "fault", "fault_detail", "record_id", "bytes"];
/// Problems printed one by one; the rest are counted.
const MAX_SHOWN: usize = 100;

/// A cut table shows the last records, or the first from where it was told to begin.
pub fn list(
    store: &Reader,
    from: Option<u64>,
    to: Option<u64>,
    Limit { limit }: Limit,
    output: &Output,
) -> Result<Exit, Failure> {
    let list = List {
        what: "records",
        select: "SELECT * FROM v_record WHERE (?1 IS NULL OR seq >= ?1) AND (?2 IS NULL OR seq <= ?2)",
        order: "epoch, seq",
        key: Some(Key { columns: ["epoch", "seq"], descending: false }),
        end_first: from.is_none().then_some("epoch DESC, seq DESC"),
        values: &[&from, &to],
        limit,
        columns: LIST,
    };
    list.print(store, output)
}

/// Oldest first: what waits longest matters most.
pub fn outbox(store: &Reader, Limit { limit }: Limit, output: &Output) -> Result<Exit, Failure> {
    let (select, order) = ("SELECT * FROM v_outbox", "epoch, seq");
    List { what: "records", select, order, end_first: None, key: None, values: &[], limit, columns: OUTBOX }.print(store, output)
}

fn find(store: &Reader, seq: u64, epoch: Option<i64>) -> Result<StoredRecord, Failure> {
    let epoch = match epoch {
        Some(epoch) => epoch,
        None => store.epoch()?,
    };
    let missing = || Failure::new(Exit::NotFound, format!("no record {seq} in epoch {epoch}; forecourt records lists them"));
    store.record(epoch, seq)?.ok_or_else(missing)
}

/// The payload as it was signed. Its numbers keep every digit, so it is printed as it stands, only indented for people, and in
/// one line where a line is an object.
pub fn show(store: &Reader, seq: u64, epoch: Option<i64>, output: &Output) -> Result<Exit, Failure> {
    if output.form().csv {
        let text = format!(
            "a record is one JSON document and has no CSV form: use --json, or for its columns: records --from {seq} --to {seq} --csv"
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let stored = find(store, seq, epoch)?;
    let opened = record::open(&stored.jws, &keys(store)?);
    let verified =
        opened.map_err(|error| Failure::new(Exit::Verification, format!("record {seq} cannot be trusted: {error}")))?;
    output.json(&match output.form() {
        form if form.jsonl => compact(&verified.text),
        form if form.json => verified.text,
        _ => indent(&verified.text),
    })?;
    Ok(Exit::Ok)
}

fn keys(store: &Reader) -> Result<JwkSet, Failure> {
    JwkSet::parse(&store.jwks()?).map_err(|error| Failure::new(Exit::Store, format!("public keys of the store: {error}")))
}

pub fn verify_one(store: &Reader, seq: u64, epoch: Option<i64>, output: &Output) -> Result<Exit, Failure> {
    let stored = find(store, seq, epoch)?;
    let keys = keys(store)?;
    let mut walk = Walk::new(&keys);
    if seq > 1 {
        walk.chain = Chain::after(&keys, head_before(store, stored.epoch, seq)?);
    }
    let kid = walk.stored(&stored).map(|verified| verified.kid).unwrap_or_default();
    if output.machine() {
        output.object(&json!({ "epoch": stored.epoch, "seq": seq, "ok": walk.count == 0, "faults": walk.faults }))?;
    } else if walk.count == 0 {
        output.line(format!("record {seq}: signature by {kid}, sums and place in the chain are good"))?;
    }
    verdict(&walk.faults, walk.count, output)
}

/// All of it, or what is left from a record of the present epoch on.
pub fn verify_all(store: &Reader, path: &Path, from: Option<u64>, output: &Output) -> Result<Exit, Failure> {
    let keys = keys(store)?;
    let mut walk = Walk::new(&keys);
    let epoch = store.epoch()?;
    if let Some(from) = from {
        find(store, from, Some(epoch))?;
        if from > 1 {
            walk.chain = Chain::after(&keys, head_before(store, epoch, from)?);
        }
    }
    let begin = from.map(|from| (epoch, from));
    // What head office confirmed must still be there, with the same bytes: a chain alone cannot show that its end was cut off.
    for (epoch, seq, root) in store.receipts()? {
        if begin.is_some_and(|begin| (epoch, seq) < begin) {
            continue;
        }
        match root.parse() {
            Ok(hash) => walk.chain.expect(Head { epoch: epoch.unsigned_abs(), seq, hash }),
            Err(_) => walk.fault(format!("the receipt for record {seq} of epoch {epoch} holds no hash: {root}")),
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Progress::new(output);
    let last = store.last_seq(epoch)?;
    let read = store.each_page_of_records(begin, |page| {
        if let Some(record) = page.first() {
            progress.say(&format!("record {} of {last}", record.seq));
        }
        walk.page(&page, threads);
    });
    if let Err(error) = read {
        walk.fault(format!("the records cannot be read to their end: {error}"));
    }
    let since = from.map(|from| store.begin_of(epoch, from)).transpose()?;
    let told = |done, all| progress.say(&format!("rows of the store: part {done} of {all}"));
    match damage(path, since, threads, &told) {
        Ok(found) => found.into_iter().for_each(|part| walk.damage(part)),
        Err(error) => walk.fault(format!("the store cannot be read to its end: {error}")),
    }
    progress.end();
    if from.is_some() {
        output.remark("what came before, and the structure of the file, were not checked; without --from they are");
    }
    walk.finish(keys.keys().len(), output)
}

/// The record before, to which the next one has to link.
fn head_before(store: &Reader, epoch: i64, seq: u64) -> Result<Head, Failure> {
    let missing = || {
        let text = format!("record {} is missing, so the link of record {seq} cannot be checked", seq - 1);
        Failure::new(Exit::Verification, text)
    };
    let before = store.record(epoch, seq - 1)?.ok_or_else(missing)?;
    Ok(Head { epoch: epoch.unsigned_abs(), seq: seq - 1, hash: record::Hash::of(before.jws.as_bytes()) })
}

/// How far a long piece of work is: one line on a terminal, written over.
struct Progress {
    shown: bool,
    last: Mutex<Option<Instant>>,
}

impl Progress {
    const EVERY: Duration = Duration::from_millis(200);

    fn new(output: &Output) -> Self {
        Self { shown: output.is_talking_to_a_person(), last: Mutex::new(Some(Instant::now())) }
    }

    fn say(&self, text: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shown && last.is_none_or(|last| last.elapsed() >= Self::EVERY) {
            *last = Some(Instant::now());
            eprint!("\r\u{1b}[K{text}");
        }
    }

    fn end(&self) {
        if self.shown {
            eprint!("\r\u{1b}[K");
        }
    }
}

/// One JWS per line; whatever stands before it on the line (a topic) is passed over.
pub fn verify_file(
    file: &Path,
    jwks: Option<&Path>,
    store: impl FnOnce() -> Result<Reader, Failure>,
    output: &Output,
) -> Result<Exit, Failure> {
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Failure::new(Exit::NotFound, format!("{path}: {error}"))
    };
    let keys = match jwks {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
            JwkSet::parse(&text).map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?
        }
        None => keys(&store()?)?,
    };
    let mut walk = Walk::new(&keys);
    for line in std::io::BufReader::new(std::fs::File::open(file).map_err(unreadable(file))?).lines() {
        let line = line.map_err(unreadable(file))?;
        if let Some(jws) = line.split_ascii_whitespace().last() {
            walk.feed(jws);
        }
    }
    walk.finish(keys.keys().len(), output)
}

struct Walk<'k> {
    keys: &'k JwkSet,
    chain: Chain<'k>,
    faults: Vec<String>,
    notices: Vec<String>,
    count: usize,
}

impl<'k> Walk<'k> {
    fn new(keys: &'k JwkSet) -> Self {
        Self { keys, chain: Chain::new(keys), faults: Vec::new(), notices: Vec::new(), count: 0 }
    }

    fn feed(&mut self, jws: &str) -> Option<record::Verified> {
        let step = self.chain.feed(jws);
        self.judge(step)
    }

    fn judge(&mut self, step: record::Step) -> Option<record::Verified> {
        for problem in step.problems {
            match problem.severity {
                Severity::Fault => self.fault(problem.text),
                Severity::Notice if self.notices.len() < MAX_SHOWN => self.notices.push(problem.text),
                Severity::Notice => {}
            }
        }
        step.verified
    }

    /// Each record by itself on as many threads as there are, then all in their order.
    fn page(&mut self, page: &[StoredRecord], threads: usize) {
        let keys = self.keys;
        let examined: Vec<Vec<(record::Examined, Vec<String>)>> = std::thread::scope(|scope| {
            let parts = page.chunks(page.len().div_ceil(threads).max(1));
            let work = |part: &'_ [StoredRecord]| part.iter().map(|stored| examine(stored, keys)).collect();
            let workers: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or_default()).collect()
        });
        for (examined, faults) in examined.into_iter().flatten() {
            let step = self.chain.take(examined);
            self.judge(step);
            faults.into_iter().for_each(|fault| self.fault(fault));
        }
    }

    fn stored(&mut self, stored: &StoredRecord) -> Option<record::Verified> {
        let (examined, faults) = examine(stored, self.keys);
        let step = self.chain.take(examined);
        let verified = self.judge(step);
        faults.into_iter().for_each(|fault| self.fault(fault));
        verified
    }

    fn damage(&mut self, found: Damage) {
        found.told.into_iter().for_each(|text| self.fault(text));
        self.count += found.more;
    }

    fn fault(&mut self, text: String) {
        self.count += 1;
        if self.faults.len() < MAX_SHOWN {
            self.faults.push(text);
        }
    }

    fn finish(mut self, keys: usize, output: &Output) -> Result<Exit, Failure> {
        for problem in self.chain.finish() {
            self.fault(problem.text);
        }
        let summary = self.chain.summary();
        let (faults, count) = (self.faults, self.count);
        if output.machine() {
            let ok = count == 0;
            output.object(&json!({ "ok": ok, "records": summary.records, "keys": keys, "faults": faults, "notices": self.notices, "fault_count": count }))?;
        } else {
            for notice in &self.notices {
                output.remark(notice);
            }
            let verdict = if count == 0 { "chain intact, 0 gaps, 0 bad signatures" } else { "NOT good" };
            let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
            output.line(format!("{}, {}, {verdict}", count(summary.records, "record"), count(keys as u64, "key")))?;
        }
        verdict(&faults, count, output)
    }
}

fn verdict(faults: &[String], count: usize, output: &Output) -> Result<Exit, Failure> {
    if count == 0 {
        return Ok(Exit::Ok);
    }
    let mut text = if output.machine() {
        String::new()
    } else {
        faults.iter().map(|fault| printable(fault)).collect::<Vec<_>>().join("\nforecourt: ")
    };
    if count > faults.len() && !output.machine() {
        text.push_str(&format!("\nforecourt: and {} more", count - faults.len()));
    }
    Err(Failure::new(Exit::Verification, text))
}

/// A record of the store by itself: what stands in its row must be what was signed.
fn examine(stored: &StoredRecord, keys: &JwkSet) -> (record::Examined, Vec<String>) {
    let examined = record::examine(&stored.jws, keys);
    let mut faults = Vec::new();
    if let Ok(verified) = &examined.opened {
        let place = format!("record {} of epoch {}", stored.seq, stored.epoch);
        let signed = &verified.payload.header;
        let (seq, epoch) = (signed.seq, signed.epoch);
        if seq != stored.seq || epoch != stored.epoch.unsigned_abs() {
            faults.push(format!("{place}: the row says so, the signed text says {seq} of epoch {epoch}"));
        }
        if verified.hash.to_string() != stored.hash {
            faults.push(format!("{place}: the stored hash is not that of the record"));
        }
        let session = verified.payload.bill().map(|charge| &charge.session.session_id);
        let same = (signed.kind.as_str(), &signed.record_id, signed.created_at.0, session)
            == (stored.kind.as_str(), &stored.record_id, stored.created_at, stored.session_id.as_ref());
        if !same || Copies::of(&verified.payload) != stored.copies {
            faults.push(format!("{place}: its readable columns differ from the signed text; the signed text counts"));
        }
    }
    (examined, faults)
}
