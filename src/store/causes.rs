//! What each kind of problem means, and what to do about it: columns of `v_problem`. Kinds are promises.

use crate::session::hold;

struct Cause {
    kind: &'static str,
    meaning: &'static str,
    next_step: &'static str,
}

#[rustfmt::skip]
const CAUSES: &[Cause] = &[
    Cause { kind: "broken-frame", meaning: "a station sends frames that are no valid OCPP-J", next_step: "forecourt messages --station ID shows them; look for newer firmware" },
    Cause { kind: "connectors-too-many", meaning: "a station reports more connectors than are kept for it", next_step: "check the station's configuration; the states of the rest are not shown" },
    Cause { kind: "frame-no-room", meaning: "more large messages came at a time than memory is set aside for; the station was disconnected and sends its message again", next_step: "nothing while it is rare; else find out why stations send large messages at the same time" },
    Cause { kind: "frame-too-large", meaning: "a station sent a message above the limit that the detail names; it was not read, and the station was disconnected", next_step: "raise ocpp.max_message_kb, else the station may send it again for ever; an unknown station: name it in [[station]]" },
    Cause { kind: "gateway-clock", meaning: "the clock of this computer was wrong, or was set", next_step: "check its time synchronisation; forecourt status says whether the clock is believed" },
    Cause { kind: "internal-error", meaning: "a fault of this program; what it could not handle is kept", next_step: "report it, with the log of that time" },
    Cause { kind: "messages-left-out", meaning: "more refused or unreadable frames came than are stored; they were answered and counted", next_step: "find out what sends them: the first ones are in forecourt messages --station ID" },
    Cause { kind: "new-epoch", meaning: "the store was restored, copied or moved, so record numbers begin anew", next_step: "tell head office, and make sure that no other gateway of this site runs" },
    Cause { kind: "receipt-refused", meaning: "head office confirmed something that is not what this store has", next_step: "compare the record that the detail names with head office's" },
    Cause { kind: "record-fault", meaning: "head office rejected a record, or it may have another one under its number", next_step: "forecourt outbox list says why; settle it with head office" },
    Cause { kind: "record-undelivered", meaning: "the broker does not take a record; it is offered again, others go on meanwhile", next_step: "forecourt outbox list says why; check the broker's limits and permissions" },
    Cause { kind: "security-event", meaning: "a station reports an event of its security log", next_step: "judge it by its type; look at the station if nobody worked on it" },
    Cause { kind: "setting-refused", meaning: "a station did not take over a setting that billing needs", next_step: "set it at the station, or with forecourt station call" },
    Cause { kind: "signing-key-changed", meaning: "records are signed by another key than before", next_step: "tell head office; if nobody changed the key, find out who did" },
    Cause { kind: "station-error", meaning: "a station reports a fault of a connector", next_step: "look at the station; the detail is what it says" },
    Cause { kind: "station-pending", meaning: "a station that is not in the configuration waits in the inbox; nobody may charge there", next_step: "forecourt station adopt ID, or forecourt station block ID" },
    Cause { kind: "station-refused", meaning: "a station was turned away", next_step: "if it is yours, name it in [[station]] or adopt it (forecourt station adopt ID), or mend what the detail says" },
    Cause { kind: "store-damaged", meaning: "rows of the store were altered on the disk; what rests on them is not billed", next_step: "forecourt verify --all names them; replace the disk" },
];

/// The rows (kind, reason, meaning, next step) for the view, as SQL; sessions are held for many reasons.
pub(super) fn sql() -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let row = |cells: [&str; 4]| format!("({})", cells.map(quoted).join(", "));
    let causes = CAUSES.iter().map(|cause| row([cause.kind, "", cause.meaning, cause.next_step]));
    let holds = hold::ALL.iter().map(|hold| row(["session-held", hold.code, hold.meaning, hold.next_step]));
    format!("VALUES {}", causes.chain(holds).collect::<Vec<_>>().join(", "))
}
