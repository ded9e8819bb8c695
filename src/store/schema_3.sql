-- Calls: what we send to stations. A row is there before the frame leaves, and says what became of it.
CREATE TABLE call (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    station      INTEGER NOT NULL REFERENCES station,
    version      TEXT NOT NULL,             -- of OCPP, in which the payload is written
    message_id   TEXT NOT NULL UNIQUE,      -- of OCPP-J: epoch-number
    action       TEXT NOT NULL,
    payload      TEXT NOT NULL,             -- as sent
    shown        TEXT NOT NULL,             -- the same without passwords, tokens masked
    harmless     INTEGER NOT NULL,          -- it only reads, so it may be sent again
    repeats      INTEGER REFERENCES call,   -- the call whose answer nobody knows
    actor        TEXT NOT NULL,             -- who asked
    reason       TEXT NOT NULL,
    state        TEXT NOT NULL,             -- queued, sent, answered, call-error, timeout, not-connected, withdrawn, unknown
    requested_at INTEGER NOT NULL,
    sent_at      INTEGER,
    sent_after   INTEGER,                   -- the message before it in the journal
    ended_at     INTEGER,
    status       TEXT,                      -- what the answer says: Accepted, Rejected, ...
    answer_shown TEXT,                      -- the same without passwords, tokens masked
    answer       TEXT                       -- payload of the CALLRESULT; of a CALLERROR {"code", "description", "details"}
) STRICT;
CREATE INDEX call_open ON call (station) WHERE state IN ('queued', 'sent');

-- Who changed what, and why.
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    role   TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    before TEXT,
    after  TEXT,
    reason TEXT NOT NULL
) STRICT;
