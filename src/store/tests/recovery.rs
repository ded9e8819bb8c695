//! What becomes of a group that fails: by a fault of ours, of the disk, of the file.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Job, Script, connected, fact, message, problem};
use crate::fact::{Boot, Fact, Phase, TxFact};
use crate::units::{Decimal, MilliWh, Token, TokenKind, TxRef};

/// A message whose answer cannot be stored.
const TRAP: &str = "CREATE TRIGGER trap BEFORE INSERT ON message WHEN NEW.text = 'faulty' AND NEW.answer IS NOT NULL \
     BEGIN SELECT RAISE(ABORT, 'a trap of the test'); END";

fn ok() -> Option<String> {
    Some("ok".to_owned())
}

fn start() -> Fact {
    let mut fact = TxFact::new(Phase::Start);
    (fact.evse, fact.register_wh) = (Some(1), Some(Decimal::from(1000)));
    fact.token = Some(Token::new(TokenKind::Unstated, "T"));
    Fact::Tx(Box::new(fact))
}

fn stop(tx: &str) -> Fact {
    let mut fact = TxFact::new(Phase::Stop);
    (fact.tx, fact.register_wh) = (Some(TxRef::new(tx)), Some(Decimal::from(5000)));
    Fact::Tx(Box::new(fact))
}

#[test]
fn a_group_that_fails_leaves_nothing_and_then_its_culprit_fails_alone() {
    let mut script = Script::new();
    script.sql(TRAP);
    let group = || vec![message("one"), message("faulty"), message("two")];
    assert_eq!(script.group(group()), [None, None, None]);
    assert_eq!(script.journal(), [""; 0]);
    assert!(script.writer.available(), "the world is not at fault");
    assert_eq!(script.group(group()), [ok(), None, ok()]);
    assert_eq!(script.journal(), ["one ok", "faulty - internal-error", "two ok"]);
    let problems = "SELECT kind || ' ' || detail FROM problem";
    assert_eq!(script.rows(problems), ["internal-error message 2: store: a trap of the test"]);
    // Mended, the message that is sent again is like any other.
    script.sql("DROP TRIGGER trap");
    assert_eq!(script.group(vec![message("faulty")]), [ok()]);
    assert_eq!(script.journal().last().unwrap(), "faulty ok");
}

#[test]
fn a_policy_whose_group_fails_does_not_hold() {
    let mut script = Script::new();
    script.sql(TRAP);
    let mut policy = script.writer.machine.policy().clone();
    policy.heartbeat_s = 7;
    let (reply, mut held) = oneshot::channel();
    let job = (Job::Policy(Box::new(policy.clone()), reply), None);
    assert_eq!(script.group(vec![job, message("faulty")]), [None]);
    assert!(held.try_recv().is_err());
    assert_eq!(script.writer.machine.policy().heartbeat_s, 300);
    let (reply, mut held) = oneshot::channel();
    assert_eq!(script.group(vec![(Job::Policy(Box::new(policy), reply), None)]), [None; 0]);
    assert!(held.try_recv().is_ok());
    assert_eq!(script.writer.machine.policy().heartbeat_s, 7);
}

#[test]
fn a_panic_in_the_machine_fails_no_other_message_and_forgets_no_session() {
    let mut script = Script::new();
    assert_eq!(script.group(vec![fact("start", start(), false)]), [ok()]);
    assert_eq!(script.group(vec![message("one"), fact("panics", Fact::Noted, true), message("two")]), [ok(), None, ok()]);
    assert_eq!(script.journal(), ["start ok time-missing", "one ok", "panics - internal-error", "two ok"]);
    let tx = script.rows("SELECT tx FROM session").remove(0);
    assert_eq!(script.group(vec![fact("stop", stop(&tx), false)]), [ok()]);
    assert_eq!(script.rows("SELECT state || ' ' || stop_register FROM session"), [format!("ended {}", MilliWh(5_000_000).0)]);
}

#[test]
fn a_panic_elsewhere_fails_its_group_and_is_quarantined_when_it_comes_again() {
    let mut script = Script::new();
    // The calls that a boot leads to are made by a function that panics.
    let group = || vec![message("one"), fact("boot", Fact::Boot(Boot::default()), false)];
    assert_eq!(script.group(group()), [None, None]);
    assert_eq!(script.journal(), [""; 0]);
    assert_eq!(script.group(group()), [ok(), None]);
    assert_eq!(script.journal(), ["one ok", "boot - internal-error"]);
    assert_eq!(script.rows("SELECT CAST(booted_at IS NULL AS TEXT) FROM station"), ["1"], "nothing of it is left but its text");
}

#[test]
fn a_live_state_that_cannot_be_written_takes_no_message_down_with_it() {
    let mut script = Script::new();
    script.sql(
        "CREATE TRIGGER trap BEFORE INSERT ON problem WHEN NEW.subject = 'faulty' BEGIN SELECT RAISE(ABORT, 'a trap of the test'); END",
    );
    assert_eq!(script.group(vec![connected(), problem("faulty"), message("one")]), [None]);
    // Nobody repeats live state: it is tried again, what is sound of it is written, and the rest is dropped.
    assert_eq!(script.group(vec![message("one"), message("two")]), [ok(), ok()]);
    assert_eq!(script.journal(), ["one ok", "two ok"]);
    assert_eq!(script.rows("SELECT CAST(connects AS TEXT) FROM station"), ["1"]);
    assert_eq!(script.rows("SELECT kind FROM problem"), [""; 0]);
}

#[test]
fn while_the_store_cannot_commit_nothing_is_answered_until_a_probe_commits() {
    let mut script = Script::new();
    let blocker = Connection::open(script.path()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(script.group(vec![connected(), message("one")]), [None]);
    assert!(!script.writer.available());
    script.writer.idle();
    assert!(!script.writer.available(), "the probe fails, too");
    blocker.execute_batch("ROLLBACK").unwrap();
    script.writer.idle();
    assert!(script.writer.available());
    assert_eq!(script.journal(), [""; 0], "the message was not answered: the station sends it again");
    assert_eq!(script.rows("SELECT name || ' ' || connects FROM station"), ["CP-1 1"], "nobody repeats that it has connected");
    assert_eq!(script.group(vec![message("one")]), [ok()]);
}

#[test]
fn a_full_disk_turns_stations_away_and_quarantines_nothing() {
    let mut script = Script::new();
    assert_eq!(script.group(vec![message("before")]), [ok()]);
    script.sql("PRAGMA max_page_count = 1");
    let long = "x".repeat(100_000);
    for _ in 0..2 {
        assert_eq!(script.group(vec![message("one"), message(&long)]), [None, None]);
        assert!(!script.writer.available());
        assert_eq!(script.journal(), ["before ok"]);
    }
    script.sql("PRAGMA max_page_count = 1000000");
    assert_eq!(script.group(vec![message("one"), message(&long)]), [ok(), ok()]);
    assert!(script.writer.available());
    assert_eq!(script.rows("SELECT kind FROM problem"), [""; 0]);
}

#[tokio::test]
async fn a_store_whose_file_is_gone_answers_nothing_any_more_and_says_why() {
    let script = Script::new();
    let (path, mut failed) = (script.path(), script.failed);
    let (handle, thread) = script.writer.start().unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(handle.flush().await.is_err(), "what is committed now nobody would find");
    let why = failed.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(why.contains("nothing is answered until the store is in order"), "{why}");
    assert!(!handle.available());
    assert!(handle.flush().await.is_err());
    thread.join().unwrap();
}

#[tokio::test]
async fn a_store_that_is_damaged_ends_the_writer_and_says_why() {
    let script = Script::new();
    let other = Connection::open(script.path()).unwrap();
    // A table whose root lies beyond the file, as after pages were lost.
    let damage = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1000000 WHERE name = 'message'; PRAGMA schema_version = 1000";
    other.execute_batch(damage).unwrap();
    drop(other);
    let mut failed = script.failed;
    let (handle, thread) = script.writer.start().unwrap();
    let (job, reply) = message("one");
    handle.submit(job);
    assert!(reply.unwrap().await.is_err());
    let why = failed.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(why.contains("the store cannot be trusted any more"), "{why}");
    assert!(!handle.available());
    thread.join().unwrap();
}
