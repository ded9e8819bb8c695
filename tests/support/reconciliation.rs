//! What simulated stations know to have happened, compared with what the store holds. What head office holds is compared by
//! [`simulators::reconciliation`].

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use simulators::scenario::ExpectedSession;

use super::Site;

/// A session as the store shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct StoredSession {
    pub session_id: String,
    pub state: String,
    pub hold_reason: Option<String>,
    pub energy_wh: Option<String>,
    pub cost_incl_vat: Option<String>,
    started_at: Option<String>,
    stopped_at: Option<String>,
    record_seq: Option<String>,
}

/// The stored session of each of these, in their order. The store has no other sessions, and what is billed is what the station
/// knows: energy to the watt-hour, times to the second, one record.
pub fn sessions(site: &Site, expected: &[ExpectedSession]) -> Vec<StoredSession> {
    let mut stored = BTreeMap::new();
    let columns =
        "station, transaction_id, session_id, state, hold_reason, energy_wh, cost_incl_vat, started_at, stopped_at, record_seq";
    for row in site.query(&format!("SELECT {columns} FROM v_session"), &[]) {
        let [station, tx, session_id, state, hold_reason, energy_wh, cost_incl_vat, started_at, stopped_at, record_seq] =
            <[_; 10]>::try_from(row).unwrap();
        let (session_id, state) = (session_id.unwrap(), state.unwrap());
        let session =
            StoredSession { session_id, state, hold_reason, energy_wh, cost_incl_vat, started_at, stopped_at, record_seq };
        assert_eq!(stored.insert((station.unwrap(), tx.unwrap()), session), None, "a transaction is one session");
    }
    let iso = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let of = |session: &ExpectedSession| {
        let tx = session.tx.clone().expect("a transaction id");
        let found = stored.remove(&(session.station.clone(), tx)).unwrap_or_else(|| panic!("not stored: {session:?}"));
        if found.state == "done" {
            let billed = (&found.energy_wh, &found.started_at, &found.stopped_at, &found.hold_reason);
            let energy = session.energy_wh().map(|wh| wh.to_string());
            let known = (&energy, &Some(iso(session.started_at)), &session.stopped_at.map(iso), &None);
            assert_eq!(billed, known, "{session:?}");
        }
        assert_eq!(found.record_seq.is_some(), found.state == "done", "{session:?}: {found:?}");
        found
    };
    let found = expected.iter().map(of).collect();
    assert!(stored.is_empty(), "sessions that no station had: {stored:?}");
    found
}

/// So many records, numbered from 1 without a gap and linked, each of another session, all of one epoch, and `verify` agrees.
pub fn chain(site: &Site, count: usize) {
    let records = site.query("SELECT seq, prev, hash, session_id, epoch FROM v_record ORDER BY seq", &[]);
    assert_eq!(records.len(), count, "one record for each session");
    let mut before = None;
    for (place, record) in records.iter().enumerate() {
        assert_eq!(record[0], Some((place + 1).to_string()), "no gap");
        assert_eq!(record[1], before, "record {} is linked to the one before", place + 1);
        before.clone_from(&record[2]);
    }
    let billed: BTreeSet<_> = records.iter().map(|record| &record[3]).collect();
    assert_eq!(billed.len(), records.len(), "no session is billed twice");
    assert!(records.iter().all(|record| record[4] == records[0][4]), "one store, one epoch");
    let verified = site.forecourt(&["verify", "--all", "--json"]).ok().json();
    assert_eq!((&verified["ok"], &verified["records"]), (&json!(true), &json!(count)));
}
