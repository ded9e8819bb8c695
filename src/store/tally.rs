//! What a group came to, told to whoever counts. The store counts nothing itself: it knows nobody who would ask.

use std::borrow::Cow;
use std::time::Duration;

/// Told by the writer's thread; must not block.
pub trait Watch: Send {
    /// The group is on disk.
    fn committed(&self, tally: &Tally);
    /// The last record on disk.
    fn sealed(&self, epoch: i64, seq: u64);
    /// It is not, and nothing of it was answered.
    fn failed(&self);
}

/// Nobody counts.
impl Watch for () {
    fn committed(&self, _: &Tally) {}
    fn sealed(&self, _: i64, _: u64) {}
    fn failed(&self) {}
}

/// Plain sums, known good only after the commit.
#[derive(Debug, Default)]
pub struct Tally {
    pub jobs: usize,
    /// From the beginning of the transaction to the end of its fsync.
    pub took: Duration,
    /// Transaction messages that came again.
    pub repeats: u64,
    /// Frames beyond the limits of `bounds.rs`.
    pub left_out: u64,
    /// A code for each oddity.
    pub findings: Vec<Cow<'static, str>>,
    pub sessions_opened: u64,
    /// States in which calls ended.
    pub calls: Vec<&'static str>,
}
