//! One station's sessions in memory. [`super::matching`] says which of them a message means.

use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;

use super::evidence::Evidence;
use super::hold;
use super::session::{Reboot, Session, State};
use crate::units::{Time, TxRef, Version};

/// Open sessions kept in memory per station, in the order in which they were last heard of; more than any station has EVSEs.
const MAX_OPEN: usize = 64;
/// Ended sessions kept in memory per station, to recognise repeats without asking the store.
const MAX_RECENT: usize = 16;
/// A status or sample may carry a time shortly before the start it belongs to: Preparing, or a register read while plugging in.
pub(super) const SHORTLY: TimeDelta = TimeDelta::minutes(1);

/// The sessions of a station that a message may mean.
#[derive(Default)]
pub(super) struct OpenSessions {
    open: Vec<Session>,
    recent: VecDeque<Session>,
}

impl OpenSessions {
    pub(super) fn all(&self) -> impl Iterator<Item = &Session> {
        self.open.iter().chain(&self.recent)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Session> {
        self.open.iter()
    }

    /// A vehicle charges where no session is known to run: its start was lost, and a stop that names nobody may be its.
    pub(super) fn lacks_session(&self, in_use: &BTreeMap<u32, bool>) -> bool {
        let runs = |evse: u32| self.open.iter().any(|session| session.evse == evse || session.evse == 0);
        in_use.iter().any(|(evse, in_use)| *in_use && !runs(*evse))
    }

    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Sessions of that name, the newest first.
    pub(super) fn named(&self, tx: &TxRef) -> Vec<&Session> {
        let mut named: Vec<&Session> = self.all().filter(|session| session.is_named(tx)).collect();
        named.sort_by_key(|session| std::cmp::Reverse(session.number));
        named
    }

    pub(super) fn ended(&mut self, number: i64) -> Option<&mut Session> {
        self.recent.iter_mut().find(|session| session.number == number)
    }

    /// Adds evidence to what is remembered of its session.
    pub(super) fn remember(&mut self, evidence: &Evidence, at: Time) {
        if let Some(session) = self.open.iter_mut().find(|session| evidence.session == Some(session.number)) {
            session.memory.add(evidence, at);
        }
    }

    /// Keeps a session; the longest silent beyond the limit is left to the store.
    pub(super) fn keep(&mut self, session: Session) {
        if session.is_open() {
            self.open.push(session);
            if self.open.len() > MAX_OPEN {
                self.open.remove(0);
            }
        } else {
            self.recent.push_back(session);
            if self.recent.len() > MAX_RECENT {
                self.recent.pop_front();
            }
        }
    }

    /// Takes a session out; `keep` brings it back.
    pub(super) fn take(&mut self, number: i64) -> Option<Session> {
        if let Some(place) = self.open.iter().position(|session| session.number == number) {
            return Some(self.open.remove(place));
        }
        let place = self.recent.iter().position(|session| session.number == number)?;
        self.recent.remove(place)
    }

    /// As far as anybody heard, there is no second connector.
    fn has_one_evse(&self, in_use: &BTreeMap<u32, bool>) -> bool {
        self.all().all(|session| session.evse <= 1) && in_use.keys().all(|evse| *evse <= 1)
    }

    /// The session that ran on an EVSE at an instant; 0 is the main meter. A lone 1.6 session that never named its EVSE runs on
    /// any. A lone session of the EVSE is meant even if it seems to have begun later: clocks are set.
    pub(super) fn running_on(&self, evse: u32, at: Time, in_use: &BTreeMap<u32, bool>) -> Option<&Session> {
        if evse == 0 {
            return None;
        }
        let here: Vec<&Session> = self.open.iter().filter(|session| session.evse == evse).collect();
        let has_one_evse = evse == 1 && self.has_one_evse(in_use);
        match (&here[..], &self.open[..]) {
            ([only], _) => Some(only),
            ([], [only]) if only.evse == 0 && only.version == Version::V16 && has_one_evse => Some(only),
            _ => here
                .into_iter()
                .filter(|session| begin(session) <= at + SHORTLY)
                .max_by_key(|session| (begin(session), session.number)),
        }
    }

    /// The station rebooted: notes it in the sessions that were running, and returns them. After a start of ours nobody knows when
    /// it was last heard of; then the evidence of each session says what is known.
    pub(super) fn rebooted(&mut self, heard_at: Option<Time>, now: Time) -> Vec<Session> {
        let mut running = Vec::new();
        for session in self.open.iter_mut().filter(|session| session.lacks_stop()) {
            session.rebooted(Reboot { heard_at: heard_at.unwrap_or(begin(session)).min(now), at: now });
            running.push(session.clone());
        }
        running
    }

    /// Holds the open sessions of an EVSE that began before another one there: their stop was lost or is still on its way. One that
    /// began later is not meant (the other is told late), nor are those whose EVSE nobody knows in 2.x.
    pub(super) fn supersede(&mut self, evse: u32, start: Time, version: Version, in_use: &BTreeMap<u32, bool>) -> Vec<Session> {
        let has_one_evse = evse <= 1 && self.has_one_evse(in_use);
        let lost = |session: &Session| {
            // A 1.6 session that never named its EVSE may have run on this one; a late stop releases it.
            let is_here = match version {
                Version::V16 => session.evse == evse || session.evse == 0 || (evse == 0 && has_one_evse),
                _ => session.evse == evse && evse != 0,
            };
            is_here && begin(session) <= start
        };
        let mut superseded = Vec::new();
        while let Some(place) = self.open.iter().position(&lost) {
            let mut session = self.open.remove(place);
            session.state = State::Held { reason: hold::STOP_MISSING.to_owned() };
            superseded.push(session.clone());
            self.keep(session);
        }
        superseded
    }
}

/// When a session began, as far as anybody knows.
fn begin(session: &Session) -> Time {
    session.started_at.unwrap_or(session.opened_at)
}
