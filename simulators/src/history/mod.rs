//! A site's past, made up: stations, drivers, sessions, faults and outages over months or years, spoken as OCPP frames into a store through
//! the daemon's own code (`forecourt::daemon::in_process`), much faster than time.
//!
//! The same seed gives the same frames. Demand follows the hour and the day of the week; a few drivers come often, most seldom; AC stations
//! take hours, DC stations minutes, both as long as the number of sessions leaves room for. Not in it: odd stations and wrong clocks (that is
//! what [`crate::model`] is for), contracts and memberships.

mod demand;
mod play;
mod site;

pub use play::{Made, Options, make};
pub use site::{configuration, files};

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};
    use forecourt::daemon::replay::replay;
    use rusqlite::Connection;

    use super::*;

    /// What the meters delivered is what is billed, and the store is one that follows from its journal.
    #[test]
    fn a_month_of_sessions_is_billed_to_the_watt_hour_and_can_be_replayed() {
        let folder = tempfile::tempdir().unwrap();
        files(folder.path(), 4).unwrap();
        let until = Utc.with_ymd_and_hms(2026, 4, 11, 0, 0, 0).unwrap();
        let options = Options { stations: 4, sessions: 250, days: 31, samples: 3, until, seed: 7, confirmed: true };
        let made = make(folder.path(), &options, |_| {}).unwrap();
        assert!((200..300).contains(&made.sessions), "{made:?}");
        let config = configuration(folder.path()).unwrap();
        let store = Connection::open(&config.store.path).unwrap();
        let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM v_session"), made.sessions as i64);
        assert_eq!(count("SELECT count(*) FROM v_message"), made.messages as i64);
        assert_eq!(count("SELECT count(*) FROM v_record WHERE kind = 'charge'"), made.judged as i64);
        assert_eq!(count("SELECT sum(energy_wh) FROM v_record"), made.energy_wh);
        assert_eq!(count("SELECT count(*) FROM v_outbox"), 0);
        let differences = replay(&config, &config.store.path, tempfile::tempdir().unwrap().path()).unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
    }
}
