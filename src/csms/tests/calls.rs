//! Calls of ours between the messages of a station.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::csms::request::Ended;
use crate::csms::{CallOutcome, CallRequest};
use crate::store::CallEnd;

impl Script {
    /// A person asks CP-1 for something, which the store puts on disk under this number.
    async fn ask(&mut self, number: i64, seconds: u64) -> JoinHandle<CallOutcome> {
        let request = CallRequest {
            station: "CP-1".to_owned(),
            action: "ClearCache".to_owned(),
            payload: "{}".to_owned(),
            timeout: Duration::from_secs(seconds),
            actor: "ann".to_owned(),
            reason: String::new(),
        };
        let csms = Arc::clone(&self.csms);
        let asked = tokio::spawn(async move { csms.call(request).await });
        let Job::Call(_, reply) = self.job("call ClearCache of ann").await else { unreachable!() };
        reply.send(Ok(own_call(number))).unwrap();
        asked
    }

    async fn ended(&mut self, number: i64, state: &str) {
        self.job(&format!("ended {number} {state}")).await;
    }

    async fn flushed(&mut self) {
        let Job::Flush(reply) = self.job("flush").await else { unreachable!() };
        reply.send(()).unwrap();
    }
}

fn call(number: i64) -> String {
    format!(r#"[2,"1-{number}","ClearCache",{{}}]"#)
}

fn result(number: i64) -> String {
    format!(r#"[3,"1-{number}",{{"status":"Accepted"}}]"#)
}

fn state(outcome: &CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Ended(end) => end.end.state(),
        CallOutcome::Unrecorded => "unrecorded",
        CallOutcome::NotConnected => "not-connected at all",
        _ => "another outcome",
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_leaves_when_the_store_has_it_and_ends_when_the_store_has_that() {
    let (mut script, mut station) = Script::connected().await;
    let asked = script.ask(1, 30).await;
    let Job::CallSent { reply, .. } = script.job("sent 1").await else { unreachable!() };
    station.hears_nothing_for(5).await;
    reply.send(()).unwrap();
    station.hears(&call(1)).await;
    station.say(&result(1)).await;
    script.ended(1, "answered").await;
    let Job::Flush(reply) = script.job("flush").await else { unreachable!() };
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(!asked.is_finished());
    reply.send(()).unwrap();
    match asked.await.unwrap() {
        CallOutcome::Ended(Ended { end: CallEnd::Answered { status, .. }, .. }) => {
            assert_eq!(status.as_deref(), Some("Accepted"))
        }
        other => panic!("{}", state(&other)),
    }
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn a_station_has_one_call_of_ours_at_a_time_and_people_come_first() {
    let mut script = Script::new(settings());
    let mut station = script.dial("CP-1").await.unwrap();
    script.welcomed(vec![own_call(1), own_call(2), own_call(3)]).await;
    script.sent(1).await;
    station.hears(&call(1)).await;
    let asked = script.ask(4, 300).await;
    script.no_job().await;
    station.hears_nothing_for(5).await;
    for (done, next) in [(1, 4), (4, 2), (2, 3)] {
        station.say(&result(done)).await;
        script.ended(done, "answered").await;
        script.sent(next).await;
        if done == 4 {
            script.flushed().await;
        }
        station.hears(&call(next)).await;
        station.hears_nothing_for(5).await;
    }
    station.say(&result(3)).await;
    script.ended(3, "answered").await;
    assert_eq!(state(&asked.await.unwrap()), "answered");
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_time_out_the_next_call_goes_and_a_late_answer_is_kept() {
    let (mut script, mut station) = Script::connected().await;
    let first = script.ask(1, 30).await;
    script.sent(1).await;
    station.hears(&call(1)).await;
    let second = script.ask(2, 300).await;
    script.ended(1, "timeout").await;
    assert_eq!(script.seconds(), 30);
    script.sent(2).await;
    script.flushed().await;
    assert_eq!(state(&first.await.unwrap()), "timeout");
    station.hears(&call(2)).await;
    station.say(&result(1)).await;
    // A station owes one answer at most: what comes faster, and what cannot be an id of ours, is not kept.
    station.say(&result(1)).await;
    station.say(r#"[3,"not-ours",{}]"#).await;
    script.job("late 1-1 answered").await;
    station.say(r#"[4,"1-2","InternalError","no",{}]"#).await;
    script.ended(2, "call-error").await;
    script.flushed().await;
    assert_eq!(state(&second.await.unwrap()), "call-error");
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_program_asks_unasked_has_a_minute_from_when_it_is_sent() {
    let mut script = Script::new(settings());
    let mut station = script.dial("CP-1").await.unwrap();
    script.welcomed(vec![own_call(1), own_call(2)]).await;
    for (number, at) in [(1, 60), (2, 120)] {
        script.sent(number).await;
        station.hears(&call(number)).await;
        script.ended(number, "timeout").await;
        assert_eq!(script.seconds(), at);
    }
}

/// The station's message waits for its commit; the result of our call comes meanwhile, and is not waited with.
#[tokio::test(start_paused = true)]
async fn calls_of_both_sides_cross() {
    let (mut script, mut station) = Script::connected().await;
    let asked = script.ask(1, 30).await;
    script.sent(1).await;
    station.say(r#"[2,"s1","DiagnosticsStatusNotification",{}]"#).await;
    let reply = script.message("DiagnosticsStatusNotification").await;
    station.hears(&call(1)).await;
    station.say(&result(1)).await;
    script.ended(1, "answered").await;
    script.flushed().await;
    assert_eq!(state(&asked.await.unwrap()), "answered");
    reply.send(answered("the answer", Vec::new())).unwrap();
    station.hears("the answer").await;
    script.no_job().await;
}

/// 1.6 has stations that take a call before our answer to their boot for the answer.
#[tokio::test(start_paused = true)]
async fn what_follows_from_a_message_leaves_after_its_answer() {
    let (mut script, mut station) = Script::connected().await;
    station.say(r#"[2,"s1","DiagnosticsStatusNotification",{}]"#).await;
    let reply = script.message("DiagnosticsStatusNotification").await;
    reply.send(answered("accepted", vec![own_call(1)])).unwrap();
    script.sent(1).await;
    station.hears("accepted").await;
    station.hears(&call(1)).await;
}

/// Its second message waits for the first: messages of a station are handled one by one, in their order.
#[tokio::test(start_paused = true)]
async fn messages_are_answered_in_their_order() {
    let (mut script, mut station) = Script::connected().await;
    for id in ["s1", "s2", "s3"] {
        station.say(&format!(r#"[2,"{id}","DiagnosticsStatusNotification",{{}}]"#)).await;
    }
    for answer in ["one", "two", "three"] {
        let reply = script.message("DiagnosticsStatusNotification").await;
        script.no_job().await;
        reply.send(answered(answer, Vec::new())).unwrap();
        station.hears(answer).await;
    }
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn when_a_connection_ends_a_call_that_was_sent_is_unknown_and_those_that_wait_were_not() {
    let mut script = Script::new(settings());
    let mut station = script.dial("CP-1").await.unwrap();
    script.welcomed(vec![own_call(1), own_call(2)]).await;
    script.sent(1).await;
    station.hears(&call(1)).await;
    let asked = script.ask(3, 30).await;
    script.no_job().await;
    drop(station);
    script.ended(1, "unknown").await;
    script.ended(3, "not-connected").await;
    script.ended(2, "not-connected").await;
    let mut left = vec![described(&script.jobs.recv().await.unwrap()), described(&script.jobs.recv().await.unwrap())];
    left.sort();
    assert_eq!(left, ["disconnected CP-1", "flush"]);
    assert!(!asked.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_call_is_withdrawn_when_its_time_has_passed_or_its_author_has_gone() {
    let mut script = Script::new(settings());
    let mut station = script.dial("CP-1").await.unwrap();
    script.welcomed(vec![own_call(1)]).await;
    script.sent(1).await;
    station.hears(&call(1)).await;
    let late = script.ask(2, 10).await;
    let gone = script.ask(3, 300).await;
    script.no_job().await;
    gone.abort();
    script.ended(3, "withdrawn").await;
    assert!((1..=2).contains(&script.seconds()), "{}", script.seconds());
    script.ended(2, "withdrawn").await;
    assert!((10..=11).contains(&script.seconds()), "{}", script.seconds());
    script.flushed().await;
    assert_eq!(state(&late.await.unwrap()), "withdrawn");
    script.ended(1, "timeout").await;
    script.no_job().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_store_cannot_keep_does_not_leave() {
    let (mut script, mut station) = Script::connected().await;
    let asked = script.ask(1, 30).await;
    drop(script.job("sent 1").await);
    script.ended(1, "not-connected").await;
    drop(script.job("flush").await);
    // Its end is not told before it is on disk, and not waited for without end.
    assert!(!asked.is_finished());
    let mut flushes = 0;
    while !asked.is_finished() {
        if let Ok(Some(job)) = timeout(Duration::from_secs(1), script.jobs.recv()).await {
            assert_eq!(described(&job), "flush");
            flushes += 1;
        }
    }
    assert_eq!(state(&asked.await.unwrap()), "unrecorded");
    assert!((20..=21).contains(&script.seconds()) && (30..=40).contains(&flushes), "{} {flushes}", script.seconds());
    station.hears_nothing_for(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_station_is_not_called_and_its_results_are_not_read() {
    let mut script = Script::new(settings());
    let mut station = script.dial("X-1").await.unwrap();
    station.say(&result(1)).await;
    station.is_closed(CloseCode::Policy, "an unknown station that says nothing valid").await;
    script.job("disconnected X-1").await;
    script.no_job().await;
}
