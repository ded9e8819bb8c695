-- Schema 4. Never edited once released.

-- ---------------------------------------------------------------------------------------------------------------------
-- Records: several of one kind for a session, each charge taken back before the next.

-- The charge record of a session by epoch and number.
ALTER TABLE session ADD COLUMN settled_epoch INTEGER;
UPDATE session SET settled_epoch = (SELECT r.epoch FROM record r WHERE r.session = session.number AND r.kind = 'charge')
 WHERE settled IS NOT NULL;

-- The record_id of the record that this one answers. A credit: the charge that it takes back (credit_reference_id).
ALTER TABLE record ADD COLUMN reference TEXT;

DROP INDEX record_of_session;
CREATE INDEX record_of_session ON record (session, kind) WHERE session IS NOT NULL;
-- Nothing is billed twice: at most one charge of a session is not taken back.
CREATE TRIGGER record_charged_once BEFORE INSERT ON record WHEN NEW.kind = 'charge' BEGIN
    SELECT RAISE(ABORT, 'a charge is of a session') WHERE NEW.session IS NULL;
    SELECT RAISE(ABORT, 'the session has a charge that no credit takes back') WHERE EXISTS (
        SELECT 1 FROM record c WHERE c.session = NEW.session AND c.kind = 'charge' AND NOT EXISTS (
            SELECT 1 FROM record k WHERE k.session = c.session AND k.kind = 'credit' AND k.reference = c.record_id));
END;
CREATE TRIGGER record_credits_a_charge BEFORE INSERT ON record WHEN NEW.kind = 'credit' BEGIN
    SELECT RAISE(ABORT, 'a credit names a charge of its session') WHERE NOT EXISTS (
        SELECT 1 FROM record c WHERE c.session = NEW.session AND c.kind = 'charge' AND c.record_id = NEW.reference);
    SELECT RAISE(ABORT, 'the charge is taken back already') WHERE EXISTS (
        SELECT 1 FROM record k WHERE k.session = NEW.session AND k.kind = 'credit' AND k.reference = NEW.reference);
END;

-- tariff.hash is the hash that records name: SHA-256 of the JSON text without the white space around it, base64url. Rows of
-- before have the SHA-256 of the whole file in hex; sessions that were locked to them keep them.

-- ---------------------------------------------------------------------------------------------------------------------
-- Tokens: who may charge.
CREATE TABLE token (
    folded     TEXT PRIMARY KEY,        -- in lower case: tokens compare so
    token      TEXT NOT NULL,
    kind       TEXT NOT NULL,           -- OCPP token type; 'unstated'
    status     TEXT NOT NULL CHECK (status IN ('Accepted', 'Blocked', 'Expired', 'Invalid')),
    token_group TEXT,
    expires_at INTEGER,
    stations   TEXT,                    -- JSON list of STATION or STATION/EVSE; NULL: everywhere
    tariff     TEXT,                    -- id of the tariff for its sessions; NULL: the station's
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- ---------------------------------------------------------------------------------------------------------------------
-- Lists and counts that do not read whole tables.

-- By the time at which they began: lists of sessions, the newest first.
CREATE INDEX session_began ON session (coalesce(started_at, opened_at), id);
-- Held ones are few and asked for often.
CREATE INDEX session_held ON session (number) WHERE state = 'held';

-- ---------------------------------------------------------------------------------------------------------------------
-- Replay: what follows from the journal depends on its rows and on these, in the order of both, and on nothing else of the past.

-- OCPP version of the frame. NULL: written before schema 4.
ALTER TABLE message ADD COLUMN version TEXT;
-- BootNotification: the last that was heard of the station before it rebooted, heartbeats included.
ALTER TABLE message ADD COLUMN heard_at INTEGER;

-- What happened between two messages.
CREATE TABLE journal_note (
    number        INTEGER PRIMARY KEY,
    after_message INTEGER NOT NULL,     -- the last row of the journal then
    at            INTEGER NOT NULL,
    kind          TEXT NOT NULL,        -- begin: memory was read anew from the store; tariffs: others are used; token: the list changed;
                                        -- registration: a person decided on a station;
                                        -- verdict: on a session; correction: of a session's bill
    session       INTEGER,              -- verdict
    epoch         INTEGER,              -- begin, tariffs
    tx_offset     INTEGER,
    detail        TEXT                  -- JSON. begin, tariffs: hashes of the versions in use; token: as it stands on the list now
) STRICT;

-- ---------------------------------------------------------------------------------------------------------------------
-- Days and tokens: what v_day, v_kpi_daily and v_token add up is in an index; the expressions are those of the views, and SQLite reads an index
-- alone only where it has the columns within them, too.
CREATE INDEX session_day ON session (substr(id, 3, 4) || '-' || substr(id, 7, 2) || '-' || substr(id, 9, 2), state, settled, start_register, stop_register, id);
CREATE INDEX session_token ON session (lower(token), token, token_kind, opened_at, token_status) WHERE token IS NOT NULL;

-- ---------------------------------------------------------------------------------------------------------------------
-- Connectors: the state that came last, when it was a replayed one that the connector does not show. Which session a message means depends on it.
ALTER TABLE connector ADD COLUMN last_state TEXT;

-- ---------------------------------------------------------------------------------------------------------------------
-- Registration of stations, and what the configuration says of them for people.

-- Accepted, Pending or Rejected: when the station first said something valid, and by a person since (NULL: nobody has decided).
ALTER TABLE station ADD COLUMN first_registration TEXT;
ALTER TABLE station ADD COLUMN registration TEXT;
-- Until now every station was accepted.
UPDATE station SET first_registration = 'Accepted' WHERE proven_at IS NOT NULL;

ALTER TABLE configured_station ADD COLUMN label TEXT;
ALTER TABLE configured_station ADD COLUMN area TEXT;
