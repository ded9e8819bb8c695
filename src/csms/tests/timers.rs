//! What ends, or is done, when time passes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::csms::connection::UNKNOWN_MESSAGE;

const HEARTBEAT: &str = r#"[2,"1","Heartbeat",{}]"#;
const PING: [u8; 2] = [0x89, 0];

/// A frame as a client sends it, with a mask that changes nothing.
fn masked(first: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let length = u64::try_from(length).unwrap().to_be_bytes();
    [&[first, 0xff], length.as_slice(), &[0; 4], payload].concat()
}

#[tokio::test(start_paused = true)]
async fn a_silent_station_is_pinged_and_one_that_does_not_answer_is_closed() {
    let (mut script, station) = Script::connected().await;
    let mut socket = station.socket();
    let mut bytes = [0; 2];
    socket.read_exact(&mut bytes).await.unwrap();
    assert_eq!((bytes, script.seconds()), (PING, 100));
    let mut close = Vec::new();
    socket.read_to_end(&mut close).await.unwrap();
    let said = String::from_utf8_lossy(&close[4..]).into_owned();
    assert_eq!((close[0], said.as_str()), (0x88, "silent, and no answer to a ping"));
    assert_eq!(script.seconds(), 200);
    script.job("disconnected CP-1").await;
}

#[tokio::test(start_paused = true)]
async fn a_pong_is_a_sign_of_life() {
    let (mut script, mut station) = Script::connected().await;
    for times in 1..=5 {
        assert_eq!(station.hear().await, Some(Frame::Ping(Default::default())));
        assert_eq!(script.seconds(), times * 100);
    }
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn a_station_that_says_something_is_not_pinged() {
    let (mut script, mut station) = Script::connected().await;
    for _ in 0..10 {
        station.hears_nothing_for(99).await;
        station.say(HEARTBEAT).await;
        let answer = station.hear().await.unwrap();
        assert!(answer.to_text().unwrap().starts_with("[3,\"1\",{"), "{answer:?}");
    }
    assert_eq!(script.seconds(), 990);
    // The store hears of a life of heartbeats every five minutes: at 99 s, 399 s (the next after 300 s), 699 s, 999 s.
    for _ in 0..3 {
        script.job("seen CP-1").await;
    }
    script.no_job().await;
}

/// Its next message is kept back until this one is on disk, and a pong behind it cannot be read.
#[tokio::test(start_paused = true)]
async fn a_station_whose_messages_wait_for_the_store_is_not_silent() {
    let (mut script, mut station) = Script::connected().await;
    station.say(r#"[2,"1","DiagnosticsStatusNotification",{}]"#).await;
    station.say(r#"[2,"2","DiagnosticsStatusNotification",{}]"#).await;
    let first = script.message("DiagnosticsStatusNotification").await;
    station.hears_nothing_for(1_000).await;
    first.send(answered("one", Vec::new())).unwrap();
    station.hears("one").await;
    script.message("DiagnosticsStatusNotification").await.send(answered("two", Vec::new())).unwrap();
    station.hears("two").await;
    assert_eq!(station.hear().await, Some(Frame::Ping(Default::default())));
    assert!((1_000..=1_100).contains(&script.seconds()), "{}", script.seconds());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_station_has_to_say_something_valid_in_time() {
    let mut script = Script::new(settings());
    let mut silent = script.dial("X-1").await.unwrap();
    let mut noisy = script.dial("X-2").await.unwrap();
    let mut valid = script.dial("X-3").await.unwrap();
    noisy.say("[]").await;
    script.message("?").await.send(Stored::default()).unwrap();
    valid.say(HEARTBEAT).await;
    script.job("connected X-3").await;
    let Job::WaitingCalls(..) = script.job("waiting calls X-3").await else { unreachable!() };
    script.job("seen X-3").await;
    assert_eq!(script.csms.connected().1, 2);
    for station in [&mut silent, &mut noisy] {
        station.is_closed(CloseCode::Policy, "an unknown station that says nothing valid").await;
        assert_eq!(script.seconds(), 40);
    }
    // Its name is forgotten, and the store never heard of it.
    assert_eq!(script.csms.connected().1, 0);
    script.job("disconnected X-1").await;
    script.job("disconnected X-2").await;
    valid.hear().await.unwrap();
    valid.hears_nothing_for(50).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_message_has_to_be_complete_in_time() {
    let (mut script, station) = Script::connected().await;
    let mut socket = station.socket();
    socket.write_all(&masked(0x81, 100_000, b"[2,")).await.unwrap();
    let mut close = Vec::new();
    socket.read_to_end(&mut close).await.unwrap();
    assert!(close.ends_with(b"a large message took too long"), "{close:?}");
    assert!((120..=135).contains(&script.seconds()), "{}", script.seconds());
    script.job("disconnected CP-1").await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_station_may_not_say_much() {
    let mut script = Script::new(settings());
    let mut socket = script.dial("X-1").await.unwrap().socket();
    socket.write_all(&masked(0x81, UNKNOWN_MESSAGE + 1, b"")).await.unwrap();
    script.job("problem frame-too-large ").await;
    let mut close = [0; 21];
    socket.read_exact(&mut close).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&close[4..]), "message too large");
}

#[tokio::test(start_paused = true)]
async fn a_station_that_does_not_read_our_answers_is_let_go() {
    let (mut script, mut station) = Script::connected().await;
    station.say(r#"[2,"1","DiagnosticsStatusNotification",{}]"#).await;
    let reply = script.message("DiagnosticsStatusNotification").await;
    reply.send(answered(&"x".repeat(2 * PIPE), Vec::new())).unwrap();
    script.job("disconnected CP-1").await;
    assert_eq!(script.seconds(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_stored_is_not_answered() {
    let (mut script, mut station) = Script::connected().await;
    station.say(r#"[2,"1","DiagnosticsStatusNotification",{}]"#).await;
    drop(script.message("DiagnosticsStatusNotification").await);
    station.is_closed(CloseCode::Error, "the message could not be stored").await;
    script.job("disconnected CP-1").await;
    script.no_job().await;
}
