//! Why a session is held: it cannot be billed safely and waits for a person. Codes are promises (`v_session.hold_reason`).
//!
//! The list only. Who decides: `session/transaction.rs` and `open_sessions.rs` on starts and stops that are lost, `metering` on what was
//! measured and when, `overlap` on energy that another session has (asked by `store/ledger.rs`), `billing::bill` on tariffs, damage and
//! prices, `store/epochs.rs` on copies of the store, `daemon/settle.rs` on our own faults.

/// Why a session is held instead of billed: one of these codes, and a detail.
pub type Held = (&'static str, String);

/// A reason: stable code, and what a technician should know.
pub struct Hold {
    pub code: &'static str,
    pub meaning: &'static str,
}

macro_rules! holds {
    ($($name:ident = $code:literal: $meaning:literal;)+) => {
        $(pub const $name: &str = $code;)+
        /// All reasons, in the order of the documentation.
        pub const ALL: &[Hold] = &[$(Hold { code: $code, meaning: $meaning }),+];
    };
}

holds! {
    START_MISSING = "start-missing": "no start of this transaction arrived, so its first register is unknown";
    STOP_MISSING = "stop-missing": "the station began another transaction on this connector without ending this one; a late stop releases it";
    REGISTER_MISSING = "register-missing": "no register value at the start or at the end of the session";
    REGISTER_NEGATIVE = "register-negative": "the meter register is negative";
    REGISTER_DECREASED = "register-decreased": "the register at the end is below the one at the start or below samples before it: the meter was reset, replaced or rolled over";
    REGISTER_DISPROVED = "register-disproved": "the register at the start or at the end cannot be this session's: its own samples say otherwise";
    TIME_REVERSED = "time-reversed": "the session ends before it starts";
    IMPLAUSIBLE_POWER = "implausible-power": "more energy than the station can deliver in that time: wrong unit, wrong clock or meter fault";
    UNIT_DOUBTFUL = "unit-doubtful": "the registers that would make the bill carry a unit that is not one of energy";
    TIME_DOUBTFUL = "time-doubtful": "nothing says when the session began or ended: the station's clock was wrong, or it gave no time, or one that its stop contradicts";
    EVENTS_MIXED = "events-mixed": "the messages of two transactions came under one id: the connector was free in between, or the numbers of the events begin anew";
    OVERLAP = "overlap": "another session of this connector lies in the same time, began at a register of this one, or has billed the same energy";
    EVIDENCE_MISSING = "evidence-missing": "the messages that this session rests on are not in the journal";
    NOT_AUTHORIZED = "not-authorized": "the token was refused, yet the station charged";
    NO_TARIFF = "no-tariff": "no tariff was valid for this station at the start";
    RATING_FAILED = "rating-failed": "the tariff could not be applied";
    STORE_COPY = "store-copied": "an older copy of the store was put back after this session had ended: it may have been billed already by a record that this store does not have; compare with head office";
    EVIDENCE_DAMAGED = "evidence-damaged": "what the store has of this session was altered on the disk, so no bill can rest on it";
    INTERNAL = "internal-error": "a fault of ours, kept in the journal; please report it";
}

/// The sentence for a code.
pub fn meaning(code: &str) -> &'static str {
    ALL.iter().find(|hold| hold.code == code).map_or("unknown reason", |hold| hold.meaning)
}
