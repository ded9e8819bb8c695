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

-- The journal: every frame that says something, byte for byte, with our answer, and what it contributed to a session. One
-- row a message: the write path is one insert. The small columns stand before the text, so that reading them is cheap.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    station     INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    session     INTEGER,                -- NULL: none
    phase       INTEGER,                -- 0 start, 1 update, 2 stop; NULL: no evidence of a transaction or an outlet
    evse        INTEGER,
    seq_no      INTEGER,
    reported_at INTEGER,
    charging    TEXT,
    register    INTEGER,                -- mWh, the last import register in readings
    readings    TEXT,                   -- JSON: [[measured_at, [measurand, value, phase, context, location], ...], ...]
    repeats     INTEGER NOT NULL DEFAULT 0,
    findings    TEXT,                   -- JSON, NULL when nothing was odd
    action      TEXT,                   -- NULL: not readable as a CALL
    answer      TEXT,                   -- NULL: none was due
    text        TEXT NOT NULL
) STRICT;
CREATE INDEX message_session ON message (session) WHERE session IS NOT NULL;

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
CREATE INDEX session_tx ON session (tx, station);
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
    record_id  TEXT NOT NULL,
    session    INTEGER REFERENCES session,
    created_at INTEGER NOT NULL,
    hash       TEXT NOT NULL,
    station    TEXT,                    -- this and the following stand in the JWS, too: copies for the views, checked by verify
    energy_wh  TEXT,
    cost_excl_vat TEXT,
    cost_incl_vat TEXT,
    currency   TEXT,
    prev       TEXT,
    lines      TEXT,                    -- JSON
    jws        TEXT NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT;
CREATE UNIQUE INDEX record_of_session ON record (session, kind) WHERE session IS NOT NULL;
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

-- The names behind the small numbers in message.readings.
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
