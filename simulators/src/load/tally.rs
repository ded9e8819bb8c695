//! What the stations of a run share: what was answered, how long it took, what went wrong, and when to stop.
//!
//! All stations run on one thread, so cells do instead of locks.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use super::histogram::Histogram;
use super::script::Kind;

const ERRORS_KEPT: usize = 20;

#[derive(Default)]
pub struct Tally {
    /// Inside the measured window.
    pub measuring: Cell<bool>,
    /// Finish the session at full speed, then leave.
    pub stopping: Cell<bool>,
    pub latencies: RefCell<Histogram>,
    pub ready: Cell<u32>,
    pub sessions: Cell<u64>,
    pub energy_wh: Cell<u64>,
    pub server_calls: Cell<u64>,
    pub error_count: Cell<u64>,
    pub errors: RefCell<Vec<String>>,
    answered: RefCell<[u64; Kind::COUNT]>,
    transactions: RefCell<HashSet<i64>>,
}

impl Tally {
    pub fn answered(&self, kind: Kind, microseconds: u64) {
        self.answered.borrow_mut()[kind as usize] += 1;
        if self.measuring.get() {
            self.latencies.borrow_mut().record(microseconds);
        }
    }

    pub fn session_done(&self, energy_wh: u64) {
        self.sessions.set(self.sessions.get() + 1);
        self.energy_wh.set(self.energy_wh.get() + energy_wh);
    }

    /// False when another session was given the same number.
    pub fn is_new_transaction(&self, number: i64) -> bool {
        self.transactions.borrow_mut().insert(number)
    }

    pub fn wrong(&self, error: String) {
        self.error_count.set(self.error_count.get() + 1);
        let mut errors = self.errors.borrow_mut();
        if errors.len() < ERRORS_KEPT {
            errors.push(error);
        }
    }

    pub fn answered_by_action(&self) -> BTreeMap<String, u64> {
        let mut by_action = BTreeMap::new();
        for (kind, count) in Kind::ALL.into_iter().zip(*self.answered.borrow()) {
            if count > 0 {
                *by_action.entry(kind.action().to_owned()).or_default() += count;
            }
        }
        by_action
    }

    pub fn answered_total(&self) -> u64 {
        self.answered.borrow().iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_index_their_own_count() {
        let tally = Tally::default();
        for kind in Kind::ALL {
            tally.answered(kind, 1);
        }
        assert_eq!(tally.answered_total(), Kind::COUNT as u64);
        assert_eq!(tally.answered_by_action()["TransactionEvent"], 3);
        assert_eq!(tally.latencies.borrow().total(), 0);
        assert!(tally.is_new_transaction(4) && !tally.is_new_transaction(4));
    }
}
