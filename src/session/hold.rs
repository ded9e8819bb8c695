//! Why a session is held: it cannot be billed safely and waits for a person. Codes are promises (`v_session.hold_reason`).
//!
//! The list only. Who decides: `session/transaction.rs` and `open_sessions.rs` on starts and stops that are lost, `metering` on what was
//! measured and when, `overlap` on energy that another session has (asked by `store/ledger.rs`), `billing::bill` on tariffs, damage and
//! prices, `store/epochs.rs` on copies of the store, `daemon/settle.rs` on our own faults.

/// Why a session is held instead of billed: one of these codes, and a detail.
pub type Held = (&'static str, String);

/// A reason: stable code, what a technician should know, and what to do next.
pub struct Hold {
    pub code: &'static str,
    pub meaning: &'static str,
    pub next_step: &'static str,
}

macro_rules! holds {
    ($($name:ident = $code:literal: $meaning:literal; $next_step:literal;)+) => {
        $(pub const $name: &str = $code;)+
        /// All reasons, in the order of the documentation.
        pub const ALL: &[Hold] = &[$(Hold { code: $code, meaning: $meaning, next_step: $next_step }),+];
    };
}

holds! {
    START_MISSING = "start-missing": "no start of this transaction arrived, so its first register is unknown"; "wait: if the station still has the start, it comes with its queue; else ask the station's own log for the start register";
    STOP_MISSING = "stop-missing": "the station began another transaction on this connector without ending this one; a late stop releases it"; "wait: a late stop releases it; if it comes often, look at the station's firmware and at how it ends a session after a reboot";
    REGISTER_MISSING = "register-missing": "no register value at the start or at the end of the session"; "switch on Energy.Active.Import.Register for the samples at begin and end (StopTxnSampledData; 2.x TxStartedMeasurands, TxEndedMeasurands)";
    REGISTER_NEGATIVE = "register-negative": "the meter register is negative"; "have the meter looked at: it is faulty, or wired the wrong way round";
    REGISTER_DECREASED = "register-decreased": "the register at the end is below the one at the start or below samples before it: the meter was reset, replaced or rolled over"; "ask whether the meter was reset or replaced; the samples in the messages say what flowed before";
    REGISTER_DISPROVED = "register-disproved": "the register at the start or at the end cannot be this session's: its own samples say otherwise"; "compare the samples: a register of 0, in kWh labelled Wh, or of the other connector; check whether the connectors are exchanged";
    TIME_REVERSED = "time-reversed": "the session ends before it starts"; "set the station's clock";
    IMPLAUSIBLE_POWER = "implausible-power": "more energy than the station can deliver in that time: wrong unit, wrong clock or meter fault"; "for a DC station set max_power_kw in [[station]]; else the unit, the clock or the meter is wrong";
    UNIT_DOUBTFUL = "unit-doubtful": "the registers that would make the bill carry a unit that is not one of energy"; "set the station's measurands to energy in Wh or kWh";
    TIME_DOUBTFUL = "time-doubtful": "nothing says when the session began or ended: the station's clock was wrong, or it gave no time, or one that its stop contradicts"; "set the station's clock; shorter sampling intervals bound the times of later sessions";
    EVENTS_MIXED = "events-mixed": "the messages of two transactions came under one id: the connector was free in between, or the numbers of the events begin anew"; "find in the messages where the second transaction begins; the firmware uses ids again, or an end and a start were lost";
    OVERLAP = "overlap": "another session of this connector lies in the same time, began at a register of this one, or has billed the same energy"; "compare the messages with those of the session that the detail names: one of the two came twice, under a wrong time, or with the other's stop";
    EVIDENCE_MISSING = "evidence-missing": "the messages that this session rests on are not in the journal"; "forecourt verify --all names what is not as it was written; replace the disk";
    NOT_AUTHORIZED = "not-authorized": "the token was refused, or the station is in the inbox or blocked, and it charged all the same"; "check the station's authorisation settings (offline start, local list); if it is a new one, forecourt station adopt ID, for later sessions";
    NO_TARIFF = "no-tariff": "no tariff was valid for this token and station at the start"; "see that a file in tariff.dir has the tariff of the token (forecourt token why), of the station ([[station]]) or tariff.default, then forecourt tariff reload: later sessions have it";
    RATING_FAILED = "rating-failed": "the session could not be priced"; "the detail says what does not fit: of the tariff, mend the file, then forecourt tariff reload; of the session, look at its messages";
    STORE_COPY = "store-copied": "an older copy of the store was put back after this session had ended: it may have been billed already by a record that this store does not have; compare with head office"; "compare with head office, which may have its record already";
    EVIDENCE_DAMAGED = "evidence-damaged": "what the store has of this session was altered on the disk, so no bill can rest on it"; "forecourt verify --all names the rows; replace the disk";
    INTERNAL = "internal-error": "a fault of ours, kept in the journal; please report it"; "report it, with the log of that time";
}

/// The sentence for a code.
pub fn meaning(code: &str) -> &'static str {
    ALL.iter().find(|hold| hold.code == code).map_or("unknown reason", |hold| hold.meaning)
}

/// What a technician does about it.
pub fn next_step(code: &str) -> &'static str {
    ALL.iter().find(|hold| hold.code == code).map_or("see docs/held.md", |hold| hold.next_step)
}
