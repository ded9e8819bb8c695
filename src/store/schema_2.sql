-- Schema 2. Never edited once released.

-- Sessions: whether a message named it by its id, and the station's reboots meanwhile ([[heard_at, booted_at], ...]).
ALTER TABLE session ADD COLUMN id_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN reboots TEXT;
CREATE INDEX session_outlet ON session (station, evse, started_at);

-- The highest power that the station measured in sessions that were billed, in kW.
ALTER TABLE station ADD COLUMN learned_kw TEXT;

-- 1: the gateway's own clock had proven itself wrong; received_at is an estimate.
ALTER TABLE message ADD COLUMN clock_unproven INTEGER;
-- States of a whole station (connector 0): evidence for every session of their time.
CREATE INDEX message_whole_station ON message (station) WHERE session IS NULL AND charging IS NOT NULL;
