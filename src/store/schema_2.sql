-- Schema 2. Never edited once released.

-- Sessions: whether a message named it by its id, and the station's reboots meanwhile ([[heard_at, booted_at], ...]).
ALTER TABLE session ADD COLUMN id_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN reboots TEXT;
-- By how much the station's clock was off at the start, in milliseconds, if its messages had shown that by then.
ALTER TABLE session ADD COLUMN clock_lag INTEGER;
CREATE INDEX session_outlet ON session (station, evse, started_at);

-- The highest power that the station measured in sessions that were billed, in kW.
ALTER TABLE station ADD COLUMN learned_kw TEXT;

-- 1: the gateway's own clock had proven itself wrong; received_at is an estimate.
ALTER TABLE message ADD COLUMN clock_unproven INTEGER;
-- States of a whole station (connector 0): evidence for every session of their time.
CREATE INDEX message_whole_station ON message (station) WHERE session IS NULL AND charging IS NOT NULL;
-- ---------------------------------------------------------------------------------------------------------------------
-- Unknown stations, noise, connectors.

-- When a station first said something valid. NULL: nothing but noise so far; such rows are few, and the oldest are forgotten.
ALTER TABLE station ADD COLUMN proven_at INTEGER;
UPDATE station SET proven_at = coalesce(booted_at, first_seen_at)
 WHERE booted_at IS NOT NULL OR number IN (SELECT station FROM session) OR number IN (SELECT station FROM connector)
    OR number IN (SELECT station FROM message WHERE answer LIKE '[3,%');

-- The journal rows of stations that have said nothing valid, to be forgotten with them.
CREATE TABLE noise (
    station INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (station, message)
) STRICT, WITHOUT ROWID;

-- The bytes of frames that were not UTF-8; message.text is how they were read.
CREATE TABLE message_bytes (
    message INTEGER PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    bytes   BLOB NOT NULL
) STRICT;

-- The station's own time of its last status; `since` may be ours.
ALTER TABLE connector ADD COLUMN reported_at INTEGER;
UPDATE connector SET reported_at = since;

CREATE INDEX problem_station ON problem (station);
-- ---------------------------------------------------------------------------------------------------------------------
-- Stations that the configuration names, as of the last start: those that never connected are shown, too.
CREATE TABLE configured_station (
    name TEXT PRIMARY KEY COLLATE NOCASE
) STRICT, WITHOUT ROWID;
-- ---------------------------------------------------------------------------------------------------------------------
-- Epochs and damage.

-- Every epoch of this store. The present one is site.epoch.
CREATE TABLE epoch (
    epoch     INTEGER PRIMARY KEY,
    began_at  INTEGER NOT NULL,
    reason    TEXT,                     -- code; NULL: the store was made, nothing came before
    detail    TEXT,                     -- for a person
    name_day  TEXT,                     -- sessions of this local day (YYYYMMDD) are named with numbers above name_from
    name_from INTEGER
) STRICT;
INSERT INTO epoch (epoch, began_at) SELECT epoch, created_at FROM site;

-- One row: where this file lives. A copy of it, or another gateway, differs.
CREATE TABLE home (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    inode      INTEGER NOT NULL,
    made_at_ns INTEGER NOT NULL,        -- of the file; 0: not known
    host       TEXT,                    -- a hash of the machine's id; NULL: not known
    witnessed  INTEGER NOT NULL         -- a witness of the chain was written outside the store
) STRICT;

-- Of the row's other columns, see checksum.rs; NULL: written before there were any.
ALTER TABLE message ADD COLUMN checksum INTEGER;
ALTER TABLE session ADD COLUMN checksum INTEGER;
-- ---------------------------------------------------------------------------------------------------------------------
-- The gateway's own clock, one row. Rows of the journal up to after_message, and records up to after_seq of after_epoch, may have
-- been written by a clock that was ahead: their times say nothing about the time at the next start.
CREATE TABLE clock (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    proven        INTEGER NOT NULL,     -- 0: the system clock is wrong
    since         INTEGER NOT NULL,
    system_at     INTEGER NOT NULL,     -- what the system clock read then
    after_message INTEGER NOT NULL DEFAULT 0,
    after_epoch   INTEGER NOT NULL DEFAULT 0,
    after_seq     INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO clock (id, proven, since, system_at) VALUES (1, 1, 0, 0);
-- ---------------------------------------------------------------------------------------------------------------------
-- Uplink: records on their way out.

-- Records that the broker does not take. They are offered again, alone, at next_try_at; a row goes when the broker takes its
-- record, or when a receipt passes it. What head office rejects stands in record_fault.
CREATE TABLE undelivered (
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    reason      TEXT NOT NULL,          -- of the last attempt
    attempts    INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    next_try_at INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO undelivered (epoch, seq, reason, attempts, first_at, last_at, next_try_at)
SELECT epoch, seq, detail, 1, at, at, at FROM record_fault
 WHERE code = 'not-sendable' AND detail <> 'rejected by head office';
DELETE FROM record_fault WHERE code = 'not-sendable' AND detail <> 'rejected by head office';

-- Highest record number that the broker has taken since the daemon started; not delivery.
ALTER TABLE uplink ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;

-- Records of a closed epoch above this number stay here: head office may have others under their numbers. NULL: none.
ALTER TABLE epoch ADD COLUMN doubtful_after INTEGER;
ALTER TABLE epoch ADD COLUMN doubt TEXT;    -- why, for a person
