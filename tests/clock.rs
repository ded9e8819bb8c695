//! The gateway's own clock is wrong: the real binary under a system clock that the test sets.
//!
//! Whatever the clock does, stations are served and get the best time known, everything is kept, and no bill is sealed with a clock
//! that has shown itself to be wrong.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use support::clock::SystemClock;
use support::socket::Socket;
use support::{Plan, Site, until};

/// Seconds from now to somewhen in 1970.
fn to_1970() -> i64 {
    3_600 - Utc::now().timestamp()
}

/// A site whose system clock can be set.
struct Gateway {
    site: Site,
    clock: SystemClock,
    /// The register of the station's meter, in Wh.
    meter: Rc<Cell<i64>>,
}

impl Gateway {
    fn new() -> Self {
        let mut site = Site::new(&Plan::default());
        let clock = SystemClock::of(&mut site);
        Self { site, clock, meter: Rc::new(Cell::new(1000)) }
    }

    /// Sets the system clock of the daemon and of commands, in seconds from the true time.
    fn set(&self, offset: i64) {
        self.clock.set(offset);
    }

    fn count(&self, sql: &str) -> usize {
        self.site.count(sql, &[])
    }

    fn records(&self) -> usize {
        self.count("SELECT count(*) FROM v_record WHERE kind = 'charge'")
    }

    fn proven(&self) -> bool {
        self.site.forecourt(&["status", "--json"]).ok().json()["clock_proven"] == json!(true)
    }

    /// The last record was made just now, by the true clock.
    fn last_record_is_of_now(&self) {
        let made = self.site.value("SELECT created_at FROM v_record ORDER BY epoch DESC, seq DESC LIMIT 1", &[]).unwrap();
        assert_near(&made, Utc::now());
    }

    /// One record per session so far, chained and signed, and the journal's last row is of now.
    async fn records_are_good(&self, sessions: usize) {
        self.site.settled().await;
        assert_eq!(self.records(), sessions);
        self.last_record_is_of_now();
        self.site.forecourt(&["verify", "--all"]).ok();
        let held = self.site.query("SELECT session_id, hold_reason, findings FROM v_session WHERE state = 'held'", &[]);
        assert_eq!(held, Vec::<Vec<Option<String>>>::new());
    }
}

#[track_caller]
fn assert_near(found: &str, wanted: DateTime<Utc>) {
    let at: DateTime<Utc> = found.parse().unwrap();
    assert!((at - wanted).abs() < TimeDelta::minutes(3), "{found} instead of {wanted}");
}

/// A station with a right clock.
struct Station {
    socket: Socket,
    ids: u32,
    meter: Rc<Cell<i64>>,
}

impl Station {
    async fn boot(gateway: &Gateway) -> Self {
        let mut station = Self {
            socket: Socket::station(gateway.site.port, "CP-1", "ocpp1.6").await,
            ids: 0,
            meter: Rc::clone(&gateway.meter),
        };
        let boot = station.call("BootNotification", json!({"chargePointVendor": "V", "chargePointModel": "M"})).await;
        assert_near(boot["currentTime"].as_str().unwrap(), Utc::now());
        station
    }

    async fn call(&mut self, action: &str, payload: serde_json::Value) -> serde_json::Value {
        self.ids += 1;
        self.socket.call(&format!("{}-{}", self.ids, fastrand::u64(..)), action, payload).await
    }

    /// What stations get when they ask for the time.
    async fn current_time(&mut self) -> String {
        self.call("Heartbeat", json!({})).await["currentTime"].as_str().unwrap().to_owned()
    }

    async fn start(&mut self) -> i64 {
        let start = json!({"connectorId": 1, "idTag": "T1", "meterStart": self.meter.get(), "timestamp": Utc::now()});
        self.call("StartTransaction", start).await["transactionId"].as_i64().unwrap()
    }

    async fn stop(&mut self, tx: i64) {
        self.meter.set(self.meter.get() + 50);
        let stop = json!({"transactionId": tx, "meterStop": self.meter.get(), "timestamp": Utc::now(), "idTag": "T1"});
        self.call("StopTransaction", stop).await;
    }

    async fn charge(&mut self) {
        let tx = self.start().await;
        self.stop(tx).await;
    }
}

/// Long enough for the rating thread, which is woken at once.
async fn nothing_more_is_sealed(gateway: &Gateway, records: usize) {
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(gateway.records(), records, "sealed with a wrong clock");
}

#[tokio::test]
async fn at_1970_after_a_power_cut_stations_are_served_and_bills_wait_for_the_clock() {
    let mut gateway = Gateway::new();
    gateway.site.start().await;
    Station::boot(&gateway).await.charge().await;
    gateway.records_are_good(1).await;
    gateway.site.kill9();

    gateway.set(to_1970());
    gateway.site.start().await;
    gateway.site.logged(&["WARN", "the system clock is wrong"]).await;
    let mut station = Station::boot(&gateway).await;
    assert_near(&station.current_time().await, Utc::now());
    let tx = station.start().await;
    station.stop(tx).await;
    nothing_more_is_sealed(&gateway, 1).await;
    assert_eq!(gateway.count("SELECT count(*) FROM v_message WHERE received_at < '2020'"), 0);
    let status = gateway.site.forecourt(&["status"]).ok().out;
    let line = status.lines().find(|line| line.starts_with("clock ")).unwrap_or_else(|| panic!("{status}"));
    for words in ["is WRONG since 20", "says 1970-01-01", "bills wait", "--accept-clock"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(status.contains("1 waiting for their bill"), "{status}");
    let lately = gateway.site.forecourt(&["sessions", "--since", "2h", "--json"]).ok().json();
    assert_eq!(lately.as_array().unwrap().len(), 2, "two hours before now, not before 1970: {lately}");
    let later = gateway.site.forecourt(&["sessions", "--until", "2h", "--json"]).ok().json();
    assert_eq!(later.as_array().unwrap().len(), 0, "{later}");
    let refused = gateway.site.forecourt(&["run", "--accept-clock"]);
    assert!(refused.code == 2 && refused.err.contains("set the clock first"), "{refused:?}");

    // Nobody restarts anything: the time server answers.
    gateway.set(0);
    gateway.site.logged(&["INFO", "the system clock is right again"]).await;
    gateway.records_are_good(2).await;
    assert!(gateway.proven());
    let problem = gateway.site.query("SELECT subject, detail FROM v_problem WHERE kind = 'gateway-clock'", &[]);
    assert_eq!(problem.len(), 1, "{problem:?}");
    assert!(problem[0][1].as_deref().unwrap().contains("is right again since"), "{problem:?}");
    let implausible = gateway.count("SELECT count(*) FROM v_message WHERE findings LIKE '%clock%'");
    assert_eq!(implausible, 0, "the station's clock was right");
}

#[tokio::test]
async fn thirty_hours_back_while_running() {
    let mut gateway = Gateway::new();
    gateway.site.start().await;
    let mut station = Station::boot(&gateway).await;
    let tx = station.start().await;
    gateway.set(-30 * 3_600);
    gateway.site.logged(&["WARN", "the system clock is wrong"]).await;
    assert_near(&station.current_time().await, Utc::now());
    station.stop(tx).await;
    nothing_more_is_sealed(&gateway, 0).await;
    assert!(!gateway.proven());

    // Also a daemon that is started again knows.
    gateway.site.kill9();
    gateway.site.start().await;
    gateway.site.logged(&["WARN", "the system clock is wrong"]).await;
    let mut station = Station::boot(&gateway).await;
    station.charge().await;
    nothing_more_is_sealed(&gateway, 0).await;

    gateway.set(0);
    gateway.site.logged(&["INFO", "the system clock is right again"]).await;
    gateway.records_are_good(2).await;
}

#[tokio::test]
async fn a_new_store_under_a_clock_at_1970_gets_an_epoch_of_today() {
    let mut gateway = Gateway::new();
    gateway.set(to_1970());
    gateway.site.start().await;
    let mut station = Socket::station(gateway.site.port, "CP-1", "ocpp1.6").await;
    let beat = station.call("1", "Heartbeat", json!({})).await;
    let given: DateTime<Utc> = beat["currentTime"].as_str().unwrap().parse().unwrap();
    assert!(given > "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap(), "the program is newer than {given}");
    let epoch = |gateway: &Gateway| gateway.site.value("SELECT epoch FROM site", &[]).unwrap().parse::<i64>().unwrap();
    let first = epoch(&gateway);
    assert!(first > 1_767_225_600_000, "{first} is before the program was built");
    gateway.site.kill9();
    for file in ["forecourt.db", "forecourt.db-wal", "forecourt.db-shm"] {
        std::fs::remove_file(gateway.site.dir.path().join(file)).unwrap();
    }
    gateway.site.start().await;
    assert_ne!(epoch(&gateway), first, "an epoch is never used again");
    gateway.set(0);
    gateway.site.logged(&["INFO", "the system clock is right again"]).await;
    Station::boot(&gateway).await.charge().await;
    gateway.records_are_good(1).await;
}

#[tokio::test]
async fn a_month_ahead_and_back_while_running_leaves_nothing_waiting() {
    let mut gateway = Gateway::new();
    gateway.site.start().await;
    let mut station = Station::boot(&gateway).await;
    gateway.set(30 * 86_400);
    gateway.site.logged(&["WARN", "the system clock jumped ahead"]).await;
    station.charge().await;
    gateway.site.settled().await;
    assert_eq!(gateway.records(), 1);

    gateway.set(0);
    gateway.site.logged(&["WARN", "the system clock was ahead and is back"]).await;
    assert_near(&station.current_time().await, Utc::now());
    station.charge().await;
    gateway.records_are_good(2).await;
    assert!(gateway.proven());
    let alive = gateway.site.value("SELECT max(alive_at) FROM site", &[]).unwrap().parse::<i64>().unwrap();
    assert!(alive <= Utc::now().timestamp_millis() + 1_000);

    // What the clock wrote while it was ahead says nothing about the time at the next start.
    gateway.site.kill9();
    gateway.site.start().await;
    assert!(gateway.proven());
    Station::boot(&gateway).await.charge().await;
    gateway.records_are_good(3).await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_in_an_earlier_life_is_accepted_once_by_a_person() {
    let mut gateway = Gateway::new();
    gateway.set(30 * 86_400);
    gateway.site.start().await;
    let mut station = Socket::station(gateway.site.port, "CP-1", "ocpp1.6").await;
    let boot = json!({"chargePointVendor": "V", "chargePointModel": "M"});
    station.call("1", "BootNotification", boot).await;
    gateway.site.stop().await;

    gateway.set(0);
    gateway.site.start().await;
    gateway.site.logged(&["WARN", "the system clock is wrong"]).await;
    let mut socket = Socket::station(gateway.site.port, "CP-1", "ocpp1.6").await;
    let start = json!({"connectorId": 1, "idTag": "T1", "meterStart": 1000, "timestamp": Utc::now()});
    socket.call("2", "StartTransaction", start).await;
    nothing_more_is_sealed(&gateway, 0).await;
    gateway.site.stop().await;

    gateway.site.run_args = vec!["--accept-clock"];
    gateway.site.start().await;
    gateway.site.logged(&["WARN", "--accept-clock"]).await;
    until("the state is stored", || gateway.proven()).await;
    let mut station = Station::boot(&gateway).await;
    assert_near(&station.current_time().await, Utc::now());
    assert_eq!(gateway.count("SELECT count(*) FROM v_problem WHERE kind = 'gateway-clock' AND subject = 'accepted'"), 1);

    // Once is enough.
    gateway.site.kill9();
    gateway.site.run_args.clear();
    gateway.site.start().await;
    assert!(gateway.proven());
    let mut station = Station::boot(&gateway).await;
    station.call("MeterValues", json!({"connectorId": 2, "meterValue": []})).await;
    assert!(gateway.proven());
}
