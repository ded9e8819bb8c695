//! One station's sessions in memory, and how a message finds the one it means.
//!
//! A message that names a transaction means that one. A 1.6 message that names none, or one nobody knows, is matched only where
//! a single session can be meant (quirks 60, 61, 64, 77); otherwise it stands for itself.

use std::collections::VecDeque;

use super::session::{Session, State};
use super::transaction::{Told, event_key};
use super::{Phase, TxFact, hold};
use crate::units::{Finding, MilliWh, Time, Token, TxRef, Version};

/// Open sessions kept in memory per station, in the order in which they were last heard of; more than any station has outlets.
const MAX_OPEN: usize = 64;
/// Ended sessions kept in memory per station, to recognise repeats without asking the store.
const MAX_RECENT: usize = 16;

#[derive(Default)]
pub(super) struct Station {
    open: Vec<Session>,
    recent: VecDeque<Session>,
}

impl Session {
    /// 2.x transaction ids compare without regard to case (identifierString).
    pub(super) fn is_named(&self, tx: &TxRef) -> bool {
        self.tx.as_str().eq_ignore_ascii_case(tx.as_str())
    }
}

impl Station {
    pub(super) fn all(&self) -> impl Iterator<Item = &Session> {
        self.open.iter().chain(&self.recent)
    }

    pub(super) fn ended(&mut self, number: i64) -> Option<&mut Session> {
        self.recent.iter_mut().find(|session| session.number == number)
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

    /// The session that runs on an outlet; 0 is the main meter. A lone 1.6 session that never named its outlet runs on any.
    pub(super) fn running_on(&self, evse: u32) -> Option<&Session> {
        if evse == 0 {
            return None;
        }
        let newest = self.open.iter().filter(|session| session.evse == evse).max_by_key(|session| session.number);
        newest.or_else(|| match &self.open[..] {
            [only] if only.evse == 0 && only.version == Version::V16 => Some(only),
            _ => None,
        })
    }

    /// Finds the session a message means and takes it out; `keep` brings it back.
    pub(super) fn take(&mut self, fact: &TxFact, told: &Told<'_>, findings: &mut Vec<Finding>) -> Option<Session> {
        match (&fact.tx, fact.phase) {
            (Some(tx), _) => self.take_named(tx, fact, told, findings),
            (None, Phase::Stop) => {
                let key = event_key(fact);
                match self.recent.iter().rposition(|session| key.is_some() && session.start_key == key) {
                    Some(place) => self.recent.remove(place),
                    None => self.take_only_candidate(fact, told, findings),
                }
            }
            (None, _) => self.take_running(fact),
        }
    }

    fn take_named(&mut self, tx: &TxRef, fact: &TxFact, told: &Told<'_>, findings: &mut Vec<Finding>) -> Option<Session> {
        if let Some(place) = self.open.iter().rposition(|session| session.is_named(tx)) {
            return Some(self.open.remove(place));
        }
        let Some(place) = self.recent.iter().rposition(|session| session.is_named(tx)) else {
            // 1.6 samples under an id that is not ours (a local one, another backend's) belong to what runs on the outlet.
            let running =
                if fact.phase == Phase::Update && told.version == Version::V16 { self.take_running(fact) } else { None };
            if let Some(session) = &running {
                findings
                    .push(Finding::new("tx-unknown", format!("transaction {tx} is unknown; {} runs on that outlet", session.id)));
            }
            return running;
        };
        // The same name for a later transaction: the station lost its memory (factory reset) and counts anew (quirk 75).
        let old = &self.recent[place];
        let later = old.started_at.is_some_and(|started| started != told.at) && old.stopped_at.is_some_and(|stop| told.at > stop);
        if fact.phase == Phase::Start && told.timed && later {
            findings.push(Finding::new("transaction-id-reused", format!("{tx} named {} before", old.id)));
            return None;
        }
        self.recent.remove(place)
    }

    fn take_running(&mut self, fact: &TxFact) -> Option<Session> {
        let number = self.running_on(fact.evse?)?.number;
        let place = self.open.iter().position(|session| session.number == number)?;
        Some(self.open.remove(place))
    }

    /// A stop without a usable id ends the only open session it can mean, and no other.
    fn take_only_candidate(&mut self, fact: &TxFact, told: &Told<'_>, findings: &mut Vec<Finding>) -> Option<Session> {
        let register = fact.register_wh.and_then(MilliWh::from_wh);
        let fits = |session: &Session| {
            let token = fact.token.as_ref().zip(session.token.as_ref()).is_none_or(|(stop, start)| same_token(stop, start));
            let evse = fact.evse.is_none_or(|evse| evse == 0 || session.evse == 0 || evse == session.evse);
            let later = session.started_at.is_none_or(|started| told.at >= started);
            let grown = session.start_register.zip(register).is_none_or(|(start, stop)| stop >= start);
            token && evse && later && grown
        };
        let mut candidates = (0..self.open.len()).filter(|place| fits(&self.open[*place]));
        let (Some(place), None) = (candidates.next(), candidates.next()) else { return None };
        let session = self.open.remove(place);
        findings.push(Finding::new("stop-matched", format!("the stop named no transaction; it can only mean {}", session.id)));
        Some(session)
    }

    /// Holds the open sessions of an EVSE on which another began at `start`: their stop was lost or is still on its way. 1.6
    /// stations send in order; a 2.x session that began later is not meant, nor are those whose EVSE nobody knows.
    pub(super) fn supersede(&mut self, evse: u32, start: Time, version: Version) -> Vec<Session> {
        let lost = |session: &Session| match version {
            Version::V16 => session.evse == evse,
            _ => evse != 0 && session.evse == evse && session.started_at.unwrap_or(session.opened_at) <= start,
        };
        let mut superseded = Vec::new();
        while let Some(place) = self.open.iter().position(lost) {
            let mut session = self.open.remove(place);
            session.state = State::Held { reason: hold::STOP_MISSING.to_owned() };
            superseded.push(session.clone());
            self.keep(session);
        }
        superseded
    }
}

pub(super) fn same_token(one: &Token, other: &Token) -> bool {
    one.folded() == other.folded()
}
