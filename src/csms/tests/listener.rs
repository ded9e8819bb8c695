//! Who gets a connection, and how it ends.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::csms::handshake_limits::MAX_PER_PEER;

#[tokio::test(start_paused = true)]
async fn a_socket_that_does_not_say_who_it_is_in_time_is_closed() {
    let mut script = Script::new(settings());
    let mut silent = script.pipe();
    let mut slow = script.pipe();
    slow.write_all(b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: site\r\n").await.unwrap();
    let mut rest = Vec::new();
    for pipe in [&mut silent, &mut slow] {
        assert_eq!(pipe.read_to_end(&mut rest).await.unwrap(), 0);
        assert_eq!(script.seconds(), 10);
    }
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn sockets_that_say_nothing_take_each_others_places_and_no_longer_than_a_handshake() {
    let mut script = Script::new(settings());
    let silent: Vec<_> = (0..MAX_PER_PEER).map(|_| script.pipe()).collect();
    assert!(script.dial("CP-1").await.is_err());
    assert_eq!(script.seconds(), 0);
    for mut pipe in silent {
        assert_eq!(pipe.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }
    assert_eq!(script.seconds(), 10);
    let _station = script.dial("CP-1").await.unwrap();
    script.welcomed(Vec::new()).await;
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn a_station_that_is_turned_away_is_told_why_and_noted_once_the_store_can() {
    let mut script = Script::new(Settings { only_known: true, ..settings() });
    for (name, subprotocol, available, wanted, noted) in [
        ("CP-1", "ocpp1.5", true, 400, Some("problem station-refused CP-1")),
        ("CP-2", "ocpp1.6", true, 404, Some("problem station-refused CP-2")),
        ("a%3Ab", "ocpp1.6", true, 400, None),
        ("CP-1", "ocpp1.6", false, 503, None),
    ] {
        script.store.set_available(available);
        match script.dial_with(name, subprotocol).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), wanted, "{name}"),
            other => panic!("{name}: {:?}", other.map(|_| ())),
        }
        if let Some(noted) = noted {
            script.job(noted).await;
        }
        script.no_job().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_connection_of_a_station_ends_the_older_one_and_keeps_the_station() {
    let (mut script, mut old) = Script::connected().await;
    let mut new = script.dial("cp-1").await.unwrap();
    script.welcomed(Vec::new()).await;
    old.is_closed(CloseCode::Policy, "a newer connection of this station").await;
    script.no_job().await;
    assert_eq!(script.csms.connected().0.len(), 1);
    new.0.close(None).await.unwrap();
    script.job("disconnected CP-1").await;
    script.no_job().await;
    assert!(script.csms.connected().0.is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_the_daemon_stops_stations_are_told_and_nobody_else_is_waited_for() {
    let (mut script, mut station) = Script::connected().await;
    let mut shaking_hands = script.pipe();
    tokio::task::yield_now().await;
    script.stop.send_replace(true);
    station.is_closed(CloseCode::Away, "forecourt is stopping").await;
    assert_eq!(shaking_hands.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    script.job("disconnected CP-1").await;
    (&mut script.served).await.unwrap();
    assert_eq!((script.seconds(), script.csms.listening()), (0, (0, 1)));
}

/// What it was told fills the pipe, so that not even a goodbye fits in.
#[tokio::test(start_paused = true)]
async fn a_station_that_does_not_read_does_not_hold_up_the_stop() {
    let (mut script, mut station) = Script::connected().await;
    station.say(r#"[2,"1","DiagnosticsStatusNotification",{}]"#).await;
    let reply = script.message("DiagnosticsStatusNotification").await;
    reply.send(answered(&"x".repeat(2 * PIPE), Vec::new())).unwrap();
    script.no_job().await;
    script.stop.send_replace(true);
    (&mut script.served).await.unwrap();
    assert_eq!(script.seconds(), 1 + 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_connection_that_could_not_be_accepted_the_next_one_is() {
    let mut script = Script::new(settings());
    script.dialled.send(Err(io::Error::from(io::ErrorKind::OutOfMemory))).unwrap();
    script.dialled.send(Err(io::Error::from(io::ErrorKind::OutOfMemory))).unwrap();
    let _station = script.dial("CP-1").await.unwrap();
    assert_eq!(script.began.elapsed().as_millis(), 200);
    script.welcomed(Vec::new()).await;
}
