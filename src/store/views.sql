-- The promise: documented names, units in the names, times as RFC 3339 UTC. Made anew at each start of the daemon.
-- open.rs puts in an expression that prints milliseconds for ISO(x), and in v_problem the rows of causes.rs.

-- Every station that ever connected, those of the configuration that never did, and those that were turned away: problems of
-- the kind 'station-refused', whose subject is the identity.
CREATE VIEW v_station AS
WITH refused AS (SELECT p.subject AS name, max(p.last_at) AS at, p.first_at AS since, p.detail AS why FROM problem p
                  WHERE p.kind = 'station-refused' GROUP BY p.subject COLLATE NOCASE)
SELECT st.name AS station,
       CASE WHEN st.connected_at IS NOT NULL THEN 'connected'
            WHEN rf.at > max(coalesce(st.last_message_at, 0), coalesce(st.disconnected_at, 0)) THEN 'refused'
            ELSE 'disconnected' END AS state,
       ISO(CASE WHEN st.connected_at IS NOT NULL THEN st.connected_at
                WHEN rf.at > max(coalesce(st.last_message_at, 0), coalesce(st.disconnected_at, 0)) THEN rf.since
                ELSE coalesce(st.disconnected_at, st.last_message_at, st.first_seen_at) END) AS since_at,
       st.version AS ocpp_version, st.vendor, st.model, st.serial, st.firmware, st.meter_serial,
       st.connected_at IS NOT NULL AS connected,
       ISO(st.connected_at) AS connected_at, ISO(st.disconnected_at) AS disconnected_at,
       ISO(st.last_message_at) AS last_message_at, ISO(st.booted_at) AS booted_at, ISO(st.first_seen_at) AS first_seen_at,
       ISO(st.proven_at) AS proven_at,
       st.connects, st.peer,
       (SELECT group_concat(c.evse || CASE WHEN c.connector > 1 THEN '.' || c.connector ELSE '' END || ' ' || c.state, ', ')
          FROM connector c WHERE c.station = st.number AND c.evse > 0) AS connectors,
       (SELECT count(*) FROM session s WHERE s.station = st.number AND s.state = 'open') AS open_sessions,
       cf.name IS NOT NULL AS configured, ISO(rf.at) AS refused_at, rf.why AS refused_reason,
       lower(coalesce(st.registration, CASE WHEN cf.name IS NOT NULL THEN 'accepted' END, st.first_registration)) AS registration,
       cf.label, cf.area
  FROM station st
  LEFT JOIN configured_station cf ON cf.name = st.name COLLATE NOCASE
  LEFT JOIN refused rf ON rf.name = st.name COLLATE NOCASE
UNION ALL
SELECT coalesce(cf.name, rf.name), CASE WHEN rf.at IS NULL THEN 'never-connected' ELSE 'refused' END, ISO(rf.since),
       NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0,
       cf.name IS NOT NULL, ISO(rf.at), rf.why, CASE WHEN cf.name IS NOT NULL THEN 'accepted' END, cf.label, cf.area
  FROM (SELECT name FROM configured_station UNION SELECT name FROM refused) x
  LEFT JOIN configured_station cf ON cf.name = x.name COLLATE NOCASE
  LEFT JOIN refused rf ON rf.name = x.name COLLATE NOCASE
 WHERE NOT EXISTS (SELECT 1 FROM station st WHERE st.name = x.name COLLATE NOCASE);

CREATE VIEW v_session AS
SELECT s.id AS session_id, st.name AS station, s.evse,
       -- As Session::connector_number says it in records.
       max(s.connector, 1) AS connector, s.version AS ocpp_version, s.tx AS transaction_id,
       CASE WHEN s.token IS NULL THEN NULL WHEN length(s.token) > 4 AND lower(s.token_kind) <> 'keycode' THEN '…' || substr(s.token, -4) ELSE '…' END AS token,
       s.token_kind, s.token_status,
       CASE WHEN s.state <> 'ended' THEN s.state WHEN r.seq IS NULL THEN 'waiting' ELSE 'done' END AS state, s.hold_reason, s.hold_detail,
       ISO(s.opened_at) AS opened_at, ISO(s.started_at) AS started_at, ISO(s.stopped_at) AS stopped_at, s.stop_reason,
       (s.stopped_at - s.started_at) / 1000 AS duration_s,
       CASE WHEN e.first_register % 1000 = 0 THEN e.first_register / 1000 ELSE e.first_register / 1000.0 END AS start_register_wh,
       CASE WHEN e.last_register % 1000 = 0 THEN e.last_register / 1000 ELSE e.last_register / 1000.0 END AS stop_register_wh,
       CASE WHEN e.last_register < e.first_register THEN NULL WHEN (e.last_register - e.first_register) % 1000 = 0 THEN (e.last_register - e.first_register) / 1000
            ELSE (e.last_register - e.first_register) / 1000.0 END AS energy_wh,
       CASE WHEN k.seq IS NULL THEN r.cost_excl_vat ELSE '0' END AS cost_excl_vat, CASE WHEN k.seq IS NULL THEN r.cost_incl_vat ELSE '0' END AS cost_incl_vat, r.currency,
       t.id AS tariff_id, r.epoch AS record_epoch, r.seq AS record_seq, r.record_id,
       coalesce(r.seq <= rc.through, 0) AND NOT EXISTS (SELECT 1 FROM record_fault f WHERE f.epoch = r.epoch AND f.seq = r.seq) AS acknowledged,
       (SELECT group_concat(f.code, ', ') FROM record_fault f WHERE f.epoch = r.epoch AND f.seq = r.seq) AS rejected, s.findings,
       (SELECT cf.label FROM configured_station cf WHERE cf.name = st.name) AS station_label, k.seq AS credit_seq
  FROM session s
  JOIN station st ON st.number = s.station
  LEFT JOIN tariff t ON t.hash = s.tariff
  LEFT JOIN record r ON r.epoch = s.settled_epoch AND r.seq = s.settled
  -- Taken back, and not charged anew.
  LEFT JOIN record k ON k.session = s.number AND k.kind = 'credit' AND k.reference = r.record_id
       AND NOT EXISTS (SELECT 1 FROM record n WHERE n.session = s.number AND n.kind = 'charge' AND (n.epoch, n.seq) > (k.epoch, k.seq))
  LEFT JOIN receipt rc ON rc.epoch = r.epoch
  -- Until the session is billed, what its messages measured stands in for an end that it does not name itself, as in 2.x.
  JOIN (SELECT number,
               coalesce(start_register,
                        (SELECT x.register FROM message x WHERE x.session = number AND x.register IS NOT NULL AND x.phase < 2
                          ORDER BY x.phase, coalesce(x.reported_at, x.received_at), x.id LIMIT 1)) AS first_register,
               coalesce(stop_register,
                        (SELECT x.register FROM message x WHERE x.session = number AND x.register IS NOT NULL AND x.phase > 0
                          ORDER BY x.phase DESC, coalesce(x.reported_at, x.received_at) DESC, x.id DESC LIMIT 1)) AS last_register
          FROM session) e ON e.number = s.number;

CREATE VIEW v_meter_value AS
SELECT s.id AS session_id, st.name AS station, m.evse,
       ISO(coalesce(r.value ->> 0, m.reported_at)) AS measured_at,
       ISO(m.received_at) AS received_at,
       coalesce(nm.text, v.value ->> 0) AS measurand, v.value ->> 1 AS value, coalesce(nu.text, '') AS unit,
       coalesce(np.text, v.value ->> 2, '') AS phase, coalesce(nc.text, v.value ->> 3, 'Sample.Periodic') AS context,
       coalesce(nl.text, v.value ->> 4, 'Outlet') AS location, v.value ->> 5 AS signed_data, m.id AS message_id
  FROM message m
  JOIN station st ON st.number = m.station
  LEFT JOIN session s ON s.number = m.session
  -- One damaged row must not keep anybody from reading the others.
  JOIN json_each(CASE WHEN json_valid(m.readings) THEN m.readings END) r
  JOIN json_each(CASE WHEN r.type = 'array' THEN r.value END) v ON v.key > 0 AND v.type = 'array'
  LEFT JOIN name nm ON nm.list = 'measurand' AND nm.code = v.value ->> 0 AND typeof(v.value ->> 0) = 'integer'
  LEFT JOIN name nu ON nu.list = 'unit' AND nu.code = v.value ->> 0 AND typeof(v.value ->> 0) = 'integer'
  LEFT JOIN name np ON np.list = 'phase' AND np.code = v.value ->> 2 AND typeof(v.value ->> 2) = 'integer'
  LEFT JOIN name nc ON nc.list = 'context' AND nc.code = v.value ->> 3 AND typeof(v.value ->> 3) = 'integer'
  LEFT JOIN name nl ON nl.list = 'location' AND nl.code = v.value ->> 4 AND typeof(v.value ->> 4) = 'integer';

-- Both halves have columns of the same kind: only then is a list by message_id, call_number read along the journal.
CREATE VIEW v_message AS
SELECT m.id AS message_id, st.name AS station, ISO(m.received_at) AS received_at, 'in' AS direction, m.action,
       CAST(CASE WHEN json_valid(m.text) THEN json_extract(m.text, '$[1]') END AS TEXT) AS call_id,
       s.id AS session_id, m.text, m.answer,
       CAST(CASE substr(m.answer, 1, 3) WHEN '[3,' THEN 'answered' WHEN '[4,' THEN 'call-error' ELSE 'not-answered' END AS TEXT) AS outcome,
       CAST(CASE WHEN json_valid(m.answer)
                 THEN coalesce(m.answer ->> '$[2].status', m.answer ->> '$[2].idTagInfo.status', m.answer ->> '$[2].idTokenInfo.status',
                               CASE WHEN m.answer LIKE '[4,%' THEN m.answer ->> '$[2]' END) END AS TEXT) AS status,
       m.repeats, m.findings, CAST(NULL AS INTEGER) AS call_number
  FROM message m JOIN station st ON st.number = m.station LEFT JOIN session s ON s.number = m.session
UNION ALL
SELECT c.sent_after, st.name, ISO(c.sent_at), 'out', c.action, c.message_id, CAST(NULL AS TEXT),
       CAST('[2,' || json_quote(c.message_id) || ',' || json_quote(c.action) || ',' || c.payload || ']' AS TEXT),
       CAST(CASE c.state WHEN 'answered' THEN '[3,' || json_quote(c.message_id) || ',' || c.answer || ']'
                    -- Nested deeper than SQLite reads it is shown as we keep it.
                    WHEN 'call-error' THEN CASE WHEN json_valid(c.answer)
                         THEN '[4,' || json_quote(c.message_id) || ',' || json_quote(c.answer ->> 'code') || ',' ||
                              json_quote(c.answer ->> 'description') || ',' || (c.answer -> 'details') || ']'
                         ELSE c.answer END END AS TEXT),
       CAST(c.state AS TEXT), CAST(coalesce(c.status, CASE WHEN c.state = 'call-error' AND json_valid(c.answer) THEN c.answer ->> 'code' END) AS TEXT),
       CAST(0 AS INTEGER), CAST(NULL AS TEXT), c.number
  FROM call c JOIN station st ON st.number = c.station WHERE c.sent_at IS NOT NULL;

-- What we asked of stations, and what became of it.
CREATE VIEW v_call AS
SELECT c.number AS call_number, st.name AS station, c.action, c.shown AS payload, c.state, c.status, c.answer_shown AS answer, c.actor, c.reason,
       ISO(c.requested_at) AS requested_at, ISO(c.sent_at) AS sent_at, ISO(c.ended_at) AS ended_at, c.message_id AS call_id, c.repeats
  FROM call c JOIN station st ON st.number = c.station;

CREATE VIEW v_record AS
SELECT r.epoch, r.seq, r.kind, r.record_id, s.id AS session_id, r.station, ISO(r.created_at) AS created_at, CAST(r.energy_wh AS NUMERIC) AS energy_wh, r.cost_excl_vat, r.cost_incl_vat, r.currency,
       coalesce(r.seq <= rc.through, 0) AND f.codes IS NULL AS acknowledged,
       CASE WHEN r.seq <= rc.through AND f.codes IS NULL THEN ISO(rc.received_at) END AS acknowledged_at,
       f.codes AS rejected,
       r.hash, r.prev, r.jws, r.reference
  FROM record r
  LEFT JOIN session s ON s.number = r.session
  LEFT JOIN receipt rc ON rc.epoch = r.epoch
  LEFT JOIN (SELECT epoch, seq, group_concat(code, ', ') AS codes FROM record_fault GROUP BY epoch, seq) f
         ON f.epoch = r.epoch AND f.seq = r.seq;

CREATE VIEW v_price_line AS
SELECT r.epoch, r.seq, s.id AS session_id, l.key + 1 AS line, l.value ->> '$.dimension' AS dimension,
       l.value ->> '$.period.start' AS period_start, l.value ->> '$.period.end' AS period_end,
       l.value ->> '$.measured' AS measured, l.value ->> '$.quantity' AS quantity, l.value ->> '$.unit' AS unit,
       l.value ->> '$.unit_price' AS unit_price, l.value ->> '$.amount_excl_vat' AS amount_excl_vat,
       l.value ->> '$.vat_percent' AS vat_percent, l.value ->> '$.vat' AS vat, l.value ->> '$.amount_incl_vat' AS amount_incl_vat,
       r.currency, l.value ->> '$.tariff_element' AS tariff_element, l.value ->> '$.reason' AS reason
  FROM record r
  LEFT JOIN session s ON s.number = r.session
  JOIN json_each(CASE WHEN json_valid(r.lines) THEN r.lines END) l;

CREATE VIEW v_outbox AS
SELECT r.epoch, r.seq, r.kind, r.record_id, s.id AS session_id, ISO(r.created_at) AS created_at,
       CASE WHEN f.codes IS NOT NULL THEN 'rejected' WHEN e.epoch IS NOT NULL OR u.seq IS NOT NULL THEN 'fault' ELSE 'waiting' END AS state,
       coalesce(f.codes, CASE WHEN e.epoch IS NOT NULL THEN 'epoch-closed' WHEN u.seq IS NOT NULL THEN 'not-sendable' END) AS fault,
       coalesce(f.details, e.doubt || '; it may have another record under this number: compare', u.reason) AS fault_detail,
       u.attempts, ISO(u.last_at) AS last_try_at, ISO(u.next_try_at) AS next_try_at, length(r.jws) AS bytes
  -- What has no receipt, and what is at fault; found by number, whatever the number of records.
  FROM (SELECT x.epoch, y.seq FROM epoch x LEFT JOIN receipt rc ON rc.epoch = x.epoch
          JOIN record y ON y.epoch = x.epoch AND y.seq > coalesce(rc.through, 0)
        UNION SELECT epoch, seq FROM record_fault) o
  JOIN record r ON r.epoch = o.epoch AND r.seq = o.seq
  LEFT JOIN session s ON s.number = r.session
  LEFT JOIN (SELECT epoch, seq, group_concat(code, ', ') AS codes, group_concat(detail, '; ') AS details FROM record_fault GROUP BY epoch, seq) f
         ON f.epoch = r.epoch AND f.seq = r.seq
  LEFT JOIN epoch e ON e.epoch = r.epoch AND r.seq > e.doubtful_after
  LEFT JOIN undelivered u ON u.epoch = r.epoch AND u.seq = r.seq;

CREATE VIEW v_problem AS
WITH cause(kind, reason, meaning, next_step) AS (CAUSES),
found AS (
  SELECT p.kind, CASE WHEN p.kind = 'internal-error' THEN 'critical' ELSE 'warning' END AS severity,
         st.name AS station, p.subject, p.detail, p.count,
         ISO(p.first_at) AS first_at, ISO(p.last_at) AS last_at, '' AS reason
    FROM problem p LEFT JOIN station st ON st.number = p.station
  UNION ALL
  SELECT 'session-held', 'warning', st.name, s.id, s.hold_reason || coalesce(': ' || s.hold_detail, ''), 1,
         ISO(coalesce(s.stopped_at, s.opened_at)), ISO(coalesce(s.stopped_at, s.opened_at)), s.hold_reason
    FROM session s JOIN station st ON st.number = s.station WHERE s.state = 'held'
  UNION ALL
  SELECT 'record-fault', 'critical', NULL, 'record ' || f.seq || CASE WHEN f.epoch <> si.epoch THEN ' of epoch ' || f.epoch ELSE '' END,
         f.code || ': ' || f.detail, 1, ISO(f.at), ISO(f.at), ''
    FROM record_fault f, site si
  UNION ALL
  -- As v_outbox says it of them.
  SELECT 'record-fault', 'critical', NULL, 'record ' || r.seq || ' of epoch ' || r.epoch,
         'epoch-closed: ' || d.doubt || '; it may have another record under this number: compare', 1, ISO(e.began_at), ISO(e.began_at), ''
    -- CROSS JOIN: by the few epochs, not by the many records.
    FROM epoch d LEFT JOIN receipt rc ON rc.epoch = d.epoch
    CROSS JOIN record r ON r.epoch = d.epoch AND r.seq > max(d.doubtful_after, coalesce(rc.through, 0))
    JOIN epoch e ON e.epoch = (SELECT min(x.epoch) FROM epoch x WHERE x.epoch > r.epoch)
   WHERE d.doubtful_after IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM record_fault f WHERE f.epoch = r.epoch AND f.seq = r.seq)
  UNION ALL
  SELECT 'record-undelivered', 'critical', NULL, 'record ' || u.seq || CASE WHEN u.epoch <> si.epoch THEN ' of epoch ' || u.epoch ELSE '' END,
         u.reason, u.attempts, ISO(u.first_at), ISO(u.last_at), ''
    FROM undelivered u, site si)
SELECT f.kind, f.severity, f.station, f.subject, f.detail, f.count, f.first_at, f.last_at, c.meaning, c.next_step,
       (SELECT cf.label FROM configured_station cf WHERE cf.name = f.station) AS station_label
  FROM found f LEFT JOIN cause c ON c.kind = f.kind AND c.reason = f.reason;

CREATE VIEW v_token AS
WITH used AS (
  SELECT lower(s.token) AS folded, min(s.token) AS token, min(s.token_kind) AS kind, count(*) AS sessions, min(s.opened_at) AS first_at,
         max(s.opened_at) AS last_at, sum(s.token_status IS NOT 'Accepted') AS refused, max(lower(s.token_kind) = 'keycode') AS pin
    FROM session s WHERE s.token IS NOT NULL GROUP BY 1)
SELECT CASE WHEN length(coalesce(t.token, u.token)) > 4 AND coalesce(lower(t.kind), '') <> 'keycode' AND NOT coalesce(u.pin, 0)
            THEN '…' || substr(coalesce(t.token, u.token), -4) ELSE '…' END AS token, coalesce(t.kind, u.kind) AS token_kind,
       t.folded IS NOT NULL AS listed, t.status AS status, t.token_group, ISO(t.expires_at) AS expires_at, t.stations, t.tariff AS tariff_id,
       coalesce(u.sessions, 0) AS sessions, ISO(u.first_at) AS first_used_at, ISO(u.last_at) AS last_used_at,
       coalesce(u.refused, 0) AS refused
  FROM token t FULL JOIN used u ON u.folded = t.folded;

-- The local day is in the session id, which is named by the site's civil date. Everything is in the index session_day; a settled session has
-- its registers.
CREATE VIEW v_kpi_daily AS
SELECT substr(id, 3, 4) || '-' || substr(id, 7, 2) || '-' || substr(id, 9, 2) AS local_date,
       count(*) AS sessions, sum(state = 'open') AS open, sum(state = 'ended' AND settled IS NULL) AS waiting,
       sum(state = 'ended' AND settled IS NOT NULL) AS done, sum(state = 'held') AS held,
       CASE WHEN sum(CASE WHEN settled IS NOT NULL THEN stop_register - start_register END) % 1000 = 0 THEN sum(CASE WHEN settled IS NOT NULL THEN stop_register - start_register END) / 1000 ELSE sum(CASE WHEN settled IS NOT NULL THEN stop_register - start_register END) / 1000.0 END AS billed_energy_wh,
       count(settled) AS records
  FROM session GROUP BY 1;

-- Days as they stand; closing one comes later, so none is closed.
CREATE VIEW v_day AS
SELECT substr(id, 3, 4) || '-' || substr(id, 7, 2) || '-' || substr(id, 9, 2) AS local_date, 0 AS closed,
       count(*) AS sessions, count(settled) AS records, min(settled) AS first_record_seq, max(settled) AS last_record_seq,
       CASE WHEN sum(CASE WHEN settled IS NOT NULL THEN stop_register - start_register END) % 1000 = 0 THEN sum(CASE WHEN settled IS NOT NULL THEN stop_register - start_register END) / 1000 ELSE sum(CASE WHEN settled IS NOT NULL THEN stop_register - start_register END) / 1000.0 END AS billed_energy_wh
  FROM session GROUP BY 1;

-- Promised names of capabilities that this version does not have: no rows, so that a program may ask.
CREATE VIEW v_contract AS SELECT NULL AS contract_id, NULL AS status, NULL AS starts_at, NULL AS ends_at WHERE 0;
CREATE VIEW v_alert AS SELECT NULL AS alert_id, NULL AS kind, NULL AS subject, NULL AS raised_at, NULL AS cleared_at WHERE 0;
CREATE VIEW v_dispute AS SELECT NULL AS dispute_id, NULL AS session_id, NULL AS status, NULL AS opened_at, NULL AS decided_at WHERE 0;
CREATE VIEW v_audit AS SELECT id AS audit_id, ISO(at) AS at, actor, role, action, object, before, after, reason FROM audit;
