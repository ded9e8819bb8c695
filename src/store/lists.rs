//! Queries of the command line whose lists may be long: views, led by the tables' indices where a view alone would be read as a whole.

/// Sessions that began from ?1 and before ?2 (milliseconds), of station ?3, of a token that ends in ?4; `_began` orders them.
const SESSIONS: &str = "SELECT v.*, coalesce(b.started_at, b.opened_at) AS _began FROM session b JOIN v_session v ON v.session_id = b.id \
     WHERE coalesce(b.started_at, b.opened_at) >= ?1 AND coalesce(b.started_at, b.opened_at) < ?2 \
     AND (?3 IS NULL OR v.station = ?3 COLLATE NOCASE) AND (?4 IS NULL OR v.token LIKE '%' || ?4)";

/// Stations, each with its open sessions.
pub const STATIONS_AND_OPEN_SESSIONS: &str = "SELECT st.station, st.state, st.connected, st.connectors, st.last_message_at, s.session_id, s.energy_wh, \
     s.started_at, s.tariff_id FROM v_station st \
     LEFT JOIN (SELECT v.* FROM session b JOIN v_session v ON v.session_id = b.id WHERE b.state = 'open') s ON s.station = st.station \
     WHERE st.configured OR st.first_seen_at IS NOT NULL ORDER BY st.station, s.started_at";

/// Sessions, of one state where it is named.
pub fn sessions(state: Option<&str>) -> String {
    let state = match state {
        Some("open") => " AND b.state = 'open'",
        Some("held") => " AND b.state = 'held'",
        Some("waiting") => " AND b.state = 'ended' AND b.settled IS NULL",
        Some("done") => " AND b.state = 'ended' AND b.settled IS NOT NULL",
        _ => "",
    };
    format!("{SESSIONS}{state}")
}
