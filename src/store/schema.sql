-- Tables are ours; the views (views.sql) are the promise. Times are milliseconds since 1970, energy is mWh.

-- One row: whose store this is.
CREATE TABLE site (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    site          TEXT NOT NULL,
    epoch         INTEGER NOT NULL,     -- milliseconds at creation: one store's life
    created_at    INTEGER NOT NULL,
    tx_offset     INTEGER NOT NULL,     -- 1.6 transaction id = tx_offset + session.number
    started_at    INTEGER,              -- of the daemon that runs or ran last
    alive_at      INTEGER,
    version       TEXT,
    time_zone     TEXT NOT NULL DEFAULT 'UTC',
    currency      TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE station (
    number          INTEGER PRIMARY KEY,
    name            TEXT NOT NULL COLLATE NOCASE UNIQUE,
    version         TEXT,
    vendor          TEXT,
    model           TEXT,
    serial          TEXT,
    firmware        TEXT,
    meter_serial    TEXT,
    booted_at       INTEGER,
    first_seen_at   INTEGER NOT NULL,
    last_message_at INTEGER,            -- written with some delay; see writer.rs
    connected_at    INTEGER,            -- NULL while not connected
    disconnected_at INTEGER,
    peer            TEXT,
    connects        INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE connector (
    station     INTEGER NOT NULL REFERENCES station,
    evse        INTEGER NOT NULL,
    connector   INTEGER NOT NULL,
    state       TEXT NOT NULL,
    error       TEXT,
    since       INTEGER NOT NULL,
    PRIMARY KEY (station, evse, connector)
) STRICT, WITHOUT ROWID;

-- The journal: every frame that says something, byte for byte, with our answer.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    station     INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    action      TEXT,                   -- NULL: not readable as a CALL
    text        TEXT NOT NULL,
    answer      TEXT,                   -- NULL: none was due
    repeats     INTEGER NOT NULL DEFAULT 0,
    findings    TEXT                    -- JSON, NULL when nothing was odd
) STRICT;

-- What a message contributed to a session (or, without session, to an outlet); a NotifyEvent may contribute several times.
CREATE TABLE evidence (
    id          INTEGER PRIMARY KEY,
    message     INTEGER NOT NULL,
    session     INTEGER,
    station     INTEGER NOT NULL,
    evse        INTEGER NOT NULL,
    phase       INTEGER NOT NULL,       -- 0 start, 1 update, 2 stop
    seq_no      INTEGER,
    reported_at INTEGER NOT NULL,
    charging    TEXT,
    register    INTEGER,                -- mWh, the last import register in readings
    readings    TEXT                    -- JSON: [[measured_at, [measurand, value, phase, context, location], ...], ...]
) STRICT;
CREATE INDEX evidence_session ON evidence (session) WHERE session IS NOT NULL;

CREATE TABLE session (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    station        INTEGER NOT NULL REFERENCES station,
    version        TEXT NOT NULL,
    tx             TEXT NOT NULL COLLATE NOCASE,
    start_key      TEXT,
    evse           INTEGER NOT NULL,
    connector      INTEGER NOT NULL,
    token          TEXT,
    token_kind     TEXT,
    token_status   TEXT,
    opened_at      INTEGER NOT NULL,
    started_at     INTEGER,
    stopped_at     INTEGER,
    start_register INTEGER,
    stop_register  INTEGER,
    stop_reason    TEXT,
    state          TEXT NOT NULL CHECK (state IN ('open', 'ended', 'held')),
    hold_reason    TEXT,
    hold_detail    TEXT,
    settle_after   INTEGER,
    tariff         TEXT REFERENCES tariff,
    findings       TEXT,
    settled        INTEGER              -- seq of its charge record
) STRICT;
CREATE INDEX session_tx ON session (station, tx);
CREATE INDEX session_start ON session (station, start_key) WHERE start_key IS NOT NULL;
CREATE INDEX session_due ON session (settle_after) WHERE state = 'ended' AND settled IS NULL;
CREATE INDEX session_open ON session (station) WHERE state = 'open';

CREATE TABLE tariff (
    hash      TEXT PRIMARY KEY,         -- SHA-256 of the JSON text, hex
    id        TEXT NOT NULL,
    json      TEXT NOT NULL,
    loaded_at INTEGER NOT NULL
) STRICT;

-- Immutable once written.
CREATE TABLE record (
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    record_id  TEXT NOT NULL UNIQUE,
    session    INTEGER REFERENCES session,
    created_at INTEGER NOT NULL,
    hash       TEXT NOT NULL,
    jws        TEXT NOT NULL,
    payload    TEXT NOT NULL,           -- the JWS payload in clear, for the views
    PRIMARY KEY (epoch, seq)
) STRICT;
CREATE UNIQUE INDEX record_charge ON record (session) WHERE kind = 'charge';
CREATE TRIGGER record_never_edited BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'records are never edited'); END;

-- What head office confirmed, per epoch: a record with seq above `through` is in the outbox.
CREATE TABLE receipt (
    epoch       INTEGER PRIMARY KEY,
    through     INTEGER NOT NULL,
    root        TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

-- Records that head office rejected or that could not be sent: they stay, for a person.
CREATE TABLE record_fault (
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    code   TEXT NOT NULL,
    detail TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq, code)
) STRICT, WITHOUT ROWID;

-- One row: the link to head office, for the eye.
CREATE TABLE uplink (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    up    INTEGER NOT NULL,
    since INTEGER NOT NULL,
    error TEXT
) STRICT;

CREATE TABLE problem (
    number   INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    station  INTEGER,
    subject  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    count    INTEGER NOT NULL DEFAULT 1,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX problem_same ON problem (kind, coalesce(station, 0), subject);

-- Public keys that signed records of this store.
CREATE TABLE key (
    kid      TEXT PRIMARY KEY,
    jwk      TEXT NOT NULL,
    since    INTEGER NOT NULL
) STRICT;

-- The names behind the small numbers in evidence.readings.
CREATE TABLE name (
    list TEXT NOT NULL,
    code INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (list, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE doc (
    view    TEXT NOT NULL,
    "column" TEXT NOT NULL,
    unit    TEXT NOT NULL,
    meaning TEXT NOT NULL,
    PRIMARY KEY (view, "column")
) STRICT, WITHOUT ROWID;
