//! `cargo demo` as a newcomer runs it.

#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

fn demo(temp: &Path) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.env("TMPDIR", temp).env_remove("RUST_LOG");
    demo
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn once_ends_with_a_good_verdict_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let output = demo(temp.path()).args(["--once", "--speed", "2000"]).output().unwrap();
    let (shown, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{shown}");
    let (_, summary) = shown.split_once("summary of").unwrap();
    for wanted in ["3 finished, 45.000 kWh", "3 verified, 0 not acknowledged", "3 with station and tariff"] {
        assert!(summary.contains(wanted), "{wanted}: {shown}");
    }
    assert!(summary.contains("0 lost, 0 unverified, 0 mispriced"), "{shown}");
    assert!(!shown.contains('\x1b'), "colours in a pipe");
    assert_eq!(entries(temp.path()), 0, "the store is thrown away");
}

#[test]
fn an_interrupt_ends_it_in_good_order() {
    let temp = tempfile::tempdir().unwrap();
    let mut running = demo(temp.path()).args(["--speed", "2000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("agrees")));
    assert_eq!(entries(temp.path()), 1);
    assert!(Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap().success());
    let rest: Vec<_> = lines.collect();
    assert_eq!(running.wait().unwrap().code(), Some(0), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("0 lost, 0 unverified, 0 mispriced")), "{rest:#?}");
    assert_eq!(entries(temp.path()), 0, "the store is thrown away");
}

#[test]
fn a_taken_port_is_said_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--station-port", "--broker-port"] {
        let temp = tempfile::tempdir().unwrap();
        let output = demo(temp.path()).args([option, &port]).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&port) && errors.contains(option), "{errors}");
        assert_eq!(entries(temp.path()), 0);
    }
}
