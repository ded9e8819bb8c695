//! Each rule, shown a breach and the harmless thing nearest to it.

use super::*;

/// The lines a rule objects to.
fn lines(rule: fn(&File) -> Vec<Breach>, path: &str, text: &str) -> Vec<usize> {
    rule(&File::new(path, text)).iter().map(|breach| breach.line).collect()
}

#[test]
fn layers() {
    let lines = |path, text| lines(super::layers, path, text);
    assert_eq!(lines("src/units/mod.rs", "//! x\nuse crate::fact::Fact;"), [2]);
    assert_eq!(lines("src/session/machine.rs", "use crate::{units::Time, store::{Reader, Rows}};"), [1, 1]);
    assert_eq!(lines("src/session/machine.rs", "use crate::rating::Tariff;"), [0; 0]);
    assert_eq!(lines("src/store/writer.rs", "fn f() {\n    crate::ocpp::read(text)\n}"), [2]);
    assert_eq!(lines("src/ocpp/mod.rs", "use crate::ocpp::frame; use crate::fact::Fact;"), [0; 0]);
    assert_eq!(lines("src/csms/listener.rs", "use crate::mqtt::Link;"), [1]);
    assert_eq!(lines("src/csms/listener.rs", "use crate::store::Job;"), [0; 0]);
    assert_eq!(lines("src/mqtt/link.rs", "use crate::record::Jwk;"), [1]);
    assert_eq!(lines("src/daemon/mod.rs", "use crate::{csms, mqtt, store};"), [0; 0]);
    assert_eq!(lines("src/garage/mod.rs", "//! New."), [1], "a module without a layer");
    assert_eq!(lines("src/lib.rs", "pub mod store;"), [0; 0]);
}

#[test]
fn layers_that_are_climbed() {
    let lines = |path, text| lines(super::layers, path, text);
    assert_eq!(lines("src/units/time.rs", "use super::super::daemon::Daemon;"), [1]);
    assert_eq!(lines("src/units/time.rs", "mod tests {\n    use super::super::daemon;\n}"), [0; 0], "its own `daemon`");
    assert_eq!(lines("src/units/time.rs", "mod tests {\n    use super::super::super::daemon;\n}"), [2]);
    assert_eq!(lines("src/units/time.rs", "use super::session;"), [0; 0], "its own `session`");
}

#[test]
fn layers_are_explained() {
    let breach = super::layers(&File::new("src/mqtt/link.rs", "\nuse crate::store::Reader;"));
    let text = breach.first().expect("a breach").to_string();
    assert!(text.starts_with("src/mqtt/link.rs:2: `crate::store::Reader` imports `store` (layer 2)"), "{text}");
    assert!(text.contains("`mqtt` (layer 3) may import units only\n    because "), "{text}");
}

#[test]
fn circles() {
    let circles = |files: &[(&str, &str)]| {
        let files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
        super::circles::circles(&files).iter().map(|breach| breach.what.clone()).collect::<Vec<_>>()
    };
    let (a, b) = ("src/x/a.rs", "src/x/b.rs");
    let both = "import circle: x::a \u{2192} x::b (line 1), x::b \u{2192} x::a (line 2)";
    assert_eq!(circles(&[(a, "use super::b::B;"), (b, "\nuse crate::x::a::{self, A};")]), [both]);
    assert_eq!(circles(&[(a, "fn f() { super::b::f() }"), (b, "\nfn g() { crate::x::a::f() }")]), [both], "in code");
    // The parent passes names on: that is no use, and no disguise.
    let parent = ("src/x/mod.rs", "mod a;\nmod b;\npub use a::A;\npub(crate) use b::B;");
    assert_eq!(circles(&[parent, (a, "use super::B;"), (b, "\nuse super::A;")]), [both]);
    assert_eq!(circles(&[parent, (a, "use super::B;"), (b, "pub(super) struct B;")]), [""; 0]);
    // What the parent declares itself counts, when it uses its children.
    let own = ("src/x/mod.rs", "mod a;\npub struct Own;\nfn f() { a::f() }");
    assert_eq!(circles(&[own, (a, "use super::Own;")]).len(), 1);
    assert_eq!(circles(&[own, (a, "mod tests { use super::super::Own; }")]), [""; 0], "a test");
    assert_eq!(circles(&[("src/x/mod.rs", "mod a;\npub struct Own;\nlet a = 1;"), (a, "use super::Own;")]), [""; 0]);
    assert_eq!(circles(&[(a, "use super::b::B;"), (b, "use crate::y::a::A;"), ("src/y/a.rs", "")]), [""; 0]);
}

#[test]
fn database() {
    assert_eq!(lines(super::database, "src/cli/sessions.rs", "\nuse rusqlite::params;"), [2]);
    assert_eq!(lines(super::database, "src/store/open.rs", "use rusqlite::params;"), [0; 0]);
    assert_eq!(lines(super::database, "src/cli/sessions.rs", "// rusqlite::params"), [0; 0]);
}

#[test]
fn wire() {
    let text = r##"let x = json!({"chargePointVendor": 1});
        let y = r#"{"idTag":"A"}"#;
        let z = "{\"idTag\":1}";
        #[serde(rename = "meterStart")]
        match key { "connectorId" => payload["evseId"], _ => payload.get("seqNo") }"##;
    assert_eq!(lines(super::wire, "src/session/machine.rs", text), [1, 2, 3, 4, 5, 5, 5]);
    assert_eq!(lines(super::wire, "src/ocpp/answer.rs", text), [0; 0]);
    let harmless = "// \"idTag\"\nlet tag = \"the idTag of 1.6\"; note(finding, \"idTag\", tag)";
    assert_eq!(lines(super::wire, "src/session/machine.rs", harmless), [0; 0]);
}

#[test]
fn pure() {
    let text = "use std::{\n    fmt,\n    fs::File,\n};\nlet now = chrono::Utc::now();\nlet t = SystemTime::UNIX_EPOCH;";
    assert_eq!(lines(super::pure, "src/rating/price.rs", text), [3, 5, 6]);
    assert_eq!(lines(super::pure, "src/daemon/mod.rs", text), [0; 0]);
    assert_eq!(lines(super::pure, "src/record/seal.rs", "async fn f() { tokio::task::yield_now().await }"), [1]);
    assert_eq!(lines(super::pure, "src/units/time.rs", "pub type Now = Arc<dyn Fn() -> Time>;"), [0; 0]);
}

#[test]
fn exact() {
    assert_eq!(lines(super::exact, "src/rating/price.rs", "fn f(x: f64) {}\nlet y = 0.1;"), [1, 2]);
    assert_eq!(lines(super::exact, "src/rating/price.rs", "let y = \"0.1\"; let z = pair.0.1; 0..1"), [0; 0]);
    assert_eq!(lines(super::exact, "src/mqtt/pacing.rs", "let y = 0.1;"), [0; 0]);
}

#[test]
fn length() {
    assert_eq!(lines(super::length, "src/x.rs", &"\n".repeat(MAX_LINES)), [0; 0]);
    assert_eq!(lines(super::length, "simulators/src/x.rs", &"\n".repeat(MAX_LINES + 1)), [MAX_LINES + 1]);
}

#[test]
fn opening() {
    assert_eq!(lines(super::opening, "src/units/x.rs", "use std::fmt;\n//! Late."), [1]);
    assert_eq!(lines(super::opening, "src/units/x.rs", "//! What it is.\n"), [0; 0]);
}

#[test]
fn independent() {
    let lines = |path, text| lines(super::independent, path, text);
    let text = "use forecourt::record::Jwk;";
    assert_eq!(lines("simulators/src/office/jws.rs", text), [1]);
    assert_eq!(lines("simulators/src/office/jws.rs", "mod forecourt {}\nuse ::forecourt::record;\nforecourt::x();"), [2]);
    assert_eq!(lines("simulators/src/bin/demo/site.rs", text), [0; 0]);
    assert_eq!(lines("simulators/src/bin/office.rs", "let forecourt = 1;"), [0; 0]);
}

#[test]
fn the_table_of_modules() {
    let text = "# A\n\n## Modules\n\n| layer | modules | may |\n|---|---|---|\n| 4 shell | `main` `cli` | `x` |\n| 0 | `units` (none) | std |\n\n## B\n| 1 | `no` | |";
    let expected = [(0, "units"), (4, "cli")].map(|(layer, name)| (layer, name.to_owned()));
    assert_eq!(documented(text), BTreeSet::from(expected));
}
