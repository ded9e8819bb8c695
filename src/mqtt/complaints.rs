//! What is wrong although the link is up, for `forecourt status`: one sentence, the worst.
//!
//! What follows from the records' state (refused, unanswered) is asked of the pacing each time, so that it also holds on a new
//! connection; the rest belongs to one connection.

use super::pacing::Pacing;

/// Worst first.
#[derive(Default)]
pub struct Complaints {
    /// We cannot hear receipts.
    pub unsubscribed: Option<String>,
    /// A receipt was refused.
    pub disputed: Option<String>,
    /// The broker takes nothing for now.
    pub held: Option<String>,
}

const UNANSWERED: &str = "the broker takes the records, but no receipt comes: is the head-office subscriber running?";

impl Complaints {
    pub fn worst(&self, pacing: &Pacing) -> Option<String> {
        let here = [&self.unsubscribed, &self.disputed, &self.held].into_iter().flatten().next().cloned();
        here.or_else(|| refused(pacing)).or_else(|| pacing.unanswered().then(|| UNANSWERED.to_owned()))
    }
}

fn refused(pacing: &Pacing) -> Option<String> {
    let (seq, count) = pacing.refused_ones()?;
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    Some(format!("the broker does not take record {seq}{more}; forecourt outbox list says why"))
}
