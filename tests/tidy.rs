//! House rules that no compiler knows: who may import whom, who may know what, how long a file may be.
//! Every rule names file, line and reason; every rule is shown to fail on a made-up file below.

#[path = "tidy/source.rs"]
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

use source::File;

/// Whom a room may import, beside itself.
enum May {
    /// Rooms of lower layers.
    Lower,
    /// Rooms of lower layers and of its own.
    LowerAndPeers,
    /// These alone.
    Only(&'static [&'static str]),
    Anyone,
}

use May::{Anyone, Lower, LowerAndPeers, Only};

struct Room {
    name: &'static str,
    layer: u8,
    may: May,
}

const fn room(name: &'static str, layer: u8, may: May) -> Room {
    Room { name, layer, may }
}

/// The house, as ARCHITECTURE.md draws it. A new room gets a line here.
const HOUSE: &[Room] = &[
    room("units", 0, Lower),
    room("session", 1, LowerAndPeers),
    room("rating", 1, LowerAndPeers),
    room("record", 1, LowerAndPeers),
    room("store", 2, Lower),
    room("ocpp", 2, Lower),
    room("csms", 3, Lower),
    room("mqtt", 3, Only(&["units"])),
    room("control", 3, Only(&[])),
    room("cli", SHELL, Anyone),
    room("daemon", SHELL, Anyone),
    room("config", SHELL, Anyone),
    room("clock", SHELL, Anyone),
];
const SHELL: u8 = 4;
/// Rooms that decide and do nothing else: the domain, and the tongue.
const PURE: &[&str] = &["units", "session", "rating", "record", "ocpp"];
const MAX_LINES: usize = 600;

/// Names of OCPP JSON that mean nothing elsewhere. Not complete: enough to notice a wire type that escapes.
const WIRE_NAMES: &[&str] = &[
    "chargePointVendor",
    "chargePointModel",
    "chargingStation",
    "vendorName",
    "idTag",
    "idTagInfo",
    "idToken",
    "idTokenInfo",
    "connectorId",
    "evseId",
    "transactionId",
    "transactionInfo",
    "eventType",
    "triggerReason",
    "seqNo",
    "meterStart",
    "meterStop",
    "meterValue",
    "sampledValue",
    "unitOfMeasure",
    "currentTime",
];

struct Breach {
    path: String,
    line: usize,
    what: String,
    why: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    because {}", self.path, self.line, self.what, self.why)
    }
}

fn breach(file: &File, line: usize, what: impl Into<String>, why: &'static str) -> Breach {
    Breach { path: file.path.clone(), line, what: what.into(), why }
}

/// The room a file of the daemon belongs to; `None` for `lib.rs` and `main.rs`, which are the shell, and for other packages.
fn home(file: &File) -> Option<&'static Room> {
    let module = file.path.starts_with("src/").then(|| file.module())?;
    named(module.first()?)
}

fn named(name: &str) -> Option<&'static Room> {
    HOUSE.iter().find(|room| room.name == name)
}

fn is_pure(file: &File) -> bool {
    home(file).is_some_and(|room| PURE.contains(&room.name))
}

fn allowed(room: &Room, other: &Room) -> bool {
    room.name == other.name
        || match room.may {
            Lower => other.layer < room.layer,
            LowerAndPeers => other.layer <= room.layer,
            Only(names) => names.contains(&other.name),
            Anyone => true,
        }
}

fn words(room: &Room) -> String {
    let names: Vec<_> =
        HOUSE.iter().filter(|other| other.name != room.name && allowed(room, other)).map(|other| other.name).collect();
    match names.is_empty() {
        true => "no other room".to_owned(),
        false => format!("{} only", names.join(", ")),
    }
}

/// Layers: imports point downwards.
fn layers(file: &File) -> Vec<Breach> {
    const WHY: &str =
        "a lower layer that knows a higher one, or a neighbour at the edge, can no longer be read, tested or replaced alone";
    let mut found = Vec::new();
    let module = file.module();
    let Some(top) = file.path.starts_with("src/").then(|| module.first()).flatten() else { return found };
    let Some(room) = named(top) else {
        let what = format!("room `{top}` has no layer; give it a line in HOUSE (tests/tidy.rs)");
        return vec![breach(file, 1, what, "a room without a layer may import anyone and be imported by anyone")];
    };
    for path in file.paths() {
        let supers = path.names.iter().take_while(|name| *name == "super").count();
        let climbs = supers > 0 && supers >= module.len() + path.depth;
        let target = match path.first() {
            "crate" => path.names.get(1),
            _ if climbs => path.names.get(supers),
            _ => None,
        };
        let Some(other) = target.and_then(|name| named(name)) else { continue };
        if !allowed(room, other) {
            let what = format!(
                "`{}` imports `{}` (layer {}), but `{}` (layer {}) may import {}",
                path.names.join("::"),
                other.name,
                other.layer,
                room.name,
                room.layer,
                words(room)
            );
            found.push(breach(file, path.line, what, WHY));
        }
    }
    found
}

/// The store alone knows the database.
fn database(file: &File) -> Vec<Breach> {
    const WHY: &str = "the store alone knows rusqlite: one writer, one place for transactions and for the meaning of a row";
    let home = home(file).map(|room| room.name);
    if !file.path.starts_with("src/") || home == Some("store") {
        return Vec::new();
    }
    let paths = file.paths();
    let used = paths.iter().filter(|path| path.first() == "rusqlite" || path.first() == "libsqlite3_sys");
    used.map(|path| breach(file, path.line, format!("names `{}` outside src/store", path.names.join("::")), WHY)).collect()
}

/// `ocpp` alone knows OCPP JSON.
fn wire(file: &File) -> Vec<Breach> {
    const WHY: &str = "wire types stop at src/ocpp: behind it 1.6 and 2.x meet in the site's own words";
    if !file.path.starts_with("src/") || home(file).is_some_and(|room| room.name == "ocpp") {
        return Vec::new();
    }
    // A member's name: in quotes within a text, or a text that is compared, renamed to, looked up or followed by a colon.
    // In a sentence for a person it is only a word.
    let member = |literal: &source::Literal<'_>, name: &str| {
        let used =
            matches!(literal.before, '=' | '[' | '|') || matches!(literal.after, ':' | '=' | '|') || literal.called == "get";
        let quoted = |quote: &str| literal.text.contains(&format!("{quote}{name}{quote}"));
        (literal.text == name && used) || quoted("\"") || quoted("\\\"")
    };
    let texts = file.texts().filter_map(|literal| {
        let name = WIRE_NAMES.iter().find(|name| member(&literal, name))?;
        Some((literal.line, *name))
    });
    texts.map(|(line, name)| breach(file, line, format!("the text \"{name}\" is OCPP JSON, outside src/ocpp"), WHY)).collect()
}

/// Pure rooms touch no file, socket, thread, clock, environment or chance.
fn pure(file: &File) -> Vec<Breach> {
    const WHY: &str =
        "time, fresh ids and bytes are arguments here, so that every decision can be replayed and tested without a machine";
    const OUTSIDE: &[&[&str]] = &[
        &["std", "fs"],
        &["std", "net"],
        &["std", "thread"],
        &["std", "env"],
        &["std", "process"],
        &["std", "os"],
        &["tokio"],
        &["fastrand"],
        &["SystemTime"],
        &["Utc", "now"],
        &["Local", "now"],
        &["Instant", "now"],
        &["Uuid", "now_v7"],
    ];
    if !is_pure(file) {
        return Vec::new();
    }
    let outside = |path: &source::Written| OUTSIDE.iter().any(|part| path.has(part));
    let paths = file.paths();
    let used = paths.iter().filter(|path| outside(path));
    used.map(|path| breach(file, path.line, format!("`{}` in a pure room", path.names.join("::")), WHY)).collect()
}

/// One wall clock, read in one place.
fn clock(file: &File) -> Vec<Breach> {
    const WHY: &str = "the shell hands the time in (units::Now); a second clock would run at real speed inside a simulated day";
    if home(file).is_none_or(|room| room.name == "clock") {
        return Vec::new();
    }
    let read = |path: &source::Written| ["Utc", "Local", "SystemTime"].iter().any(|clock| path.has(&[clock, "now"]));
    let paths = file.paths();
    let used = paths.iter().filter(|path| read(path));
    used.map(|path| breach(file, path.line, format!("reads the wall clock: `{}`", path.names.join("::")), WHY)).collect()
}

/// Money and energy are exact.
fn exact(file: &File) -> Vec<Breach> {
    const WHY: &str = "a binary float cannot hold 0.10; a bill must be right to the last digit";
    if !is_pure(file) {
        return Vec::new();
    }
    let paths = file.paths();
    let types = paths.iter().filter(|path| path.has(&["f64"]) || path.has(&["f32"]));
    let types = types.map(|path| breach(file, path.line, format!("names `{}`", path.names.join("::")), WHY));
    types.chain(file.floats().map(|line| breach(file, line, "a floating-point literal", WHY))).collect()
}

/// A file is one concern.
fn length(file: &File) -> Vec<Breach> {
    let lines = file.text.lines().count();
    let why = "nobody reads it as a whole any more; split it by concern, with its tests beside it";
    let long = || breach(file, MAX_LINES + 1, format!("{lines} lines, at most {MAX_LINES} are allowed"), why);
    (lines > MAX_LINES).then(long).into_iter().collect()
}

/// A module says what it is for.
fn opening(file: &File) -> Vec<Breach> {
    let missing = file.path.starts_with("src/") && !file.text.starts_with("//! ");
    let why = "a reader comes to a module by its file, and needs to know first what it is for and what it leaves to others";
    missing.then(|| breach(file, 1, "does not begin with `//! ` and a sentence", why)).into_iter().collect()
}

/// Simulators are independent witnesses; only the demo starts the daemon inside itself; of the model one file drives its pure
/// machine, one starts it.
fn witnesses(file: &File) -> Vec<Breach> {
    const WHY: &str =
        "simulators share no code with the daemon: what is wrong in one must not be wrong in the same way in the other";
    const DEMO: &[&str] = &[
        "simulators/src/bin/demo.rs",
        "simulators/src/bin/demo/",
        "simulators/src/demo/",
        "simulators/src/model/machine.rs",
        "simulators/src/model/serve.rs",
    ];
    if !file.path.starts_with("simulators/src/") || DEMO.iter().any(|demo| file.path.starts_with(demo)) {
        return Vec::new();
    }
    let own = file.declares("forecourt");
    let paths = file.paths();
    let used = paths.iter().filter(|path| path.first() == "forecourt" && path.names.len() > 1 && (path.global || !own));
    used.map(|path| breach(file, path.line, format!("`{}` is the daemon's", path.names.join("::")), WHY)).collect()
}

/// Every Rust file of both packages.
fn house() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![root.join("src"), root.join("simulators/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path: PathBuf = entry.expect("entry of a folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let name = path.strip_prefix(root).expect("a path below the root");
                files.push(File::new(&name.to_string_lossy(), &text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn holds(rule: fn(&File) -> Vec<Breach>) {
    let breaches: Vec<String> = house().iter().flat_map(rule).map(|breach| breach.to_string()).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn imports_point_downwards() {
    holds(layers);
}

#[test]
fn only_the_store_knows_the_database() {
    holds(database);
}

#[test]
fn only_ocpp_knows_ocpp_json() {
    holds(wire);
}

#[test]
fn pure_rooms_touch_nothing() {
    holds(pure);
}

#[test]
fn the_wall_clock_is_read_in_one_place() {
    holds(clock);
}

#[test]
fn money_and_energy_are_exact() {
    holds(exact);
}

#[test]
fn files_are_short() {
    holds(length);
}

#[test]
fn modules_say_what_they_are_for() {
    holds(opening);
}

/// A test that returns early counts as passed; `tests/support/tools.rs` makes that loud, and an error where `CI=true`.
#[test]
fn tests_are_skipped_in_one_place_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("entry of a folder").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let own = path.ends_with("support/tools.rs") || path.ends_with("tidy.rs") || path.ends_with("uplink.rs");
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(own || !text.contains("SKIPPED"), "{}: skip with support::tools::skip", path.display());
        }
    }
}

#[test]
fn simulators_are_independent_witnesses() {
    holds(witnesses);
}

#[test]
fn the_house_is_there_and_its_table_is_current() {
    let files = house();
    assert!(files.iter().any(|file| file.path.starts_with("simulators/src/")), "no simulators were read");
    for room in HOUSE {
        let inhabited = files.iter().any(|file| home(file).is_some_and(|home| home.name == room.name));
        assert!(inhabited, "room `{}` stands in HOUSE (tests/tidy.rs) but not in src/", room.name);
    }
    let pure = PURE.iter().all(|name| named(name).is_some_and(|room| room.layer < 3));
    assert!(pure, "a pure room must be in HOUSE, below the edges");
}

/// Each rule, shown a breach and the harmless thing nearest to it.
mod can_fail {
    use super::*;

    /// The lines a rule objects to.
    fn lines(rule: fn(&File) -> Vec<Breach>, path: &str, text: &str) -> Vec<usize> {
        rule(&File::new(path, text)).iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn layers() {
        let lines = |path, text| lines(super::layers, path, text);
        assert_eq!(lines("src/units/mod.rs", "//! x\nuse crate::session::Fact;"), [2]);
        assert_eq!(lines("src/session/machine.rs", "use crate::{units::Time, store::{Reader, Rows}};"), [1, 1]);
        assert_eq!(lines("src/session/machine.rs", "use crate::rating::Tariff;"), [0; 0]);
        assert_eq!(lines("src/store/writer.rs", "fn f() {\n    crate::ocpp::read(text)\n}"), [2]);
        assert_eq!(lines("src/ocpp/mod.rs", "use crate::ocpp::frame; use crate::session::Fact;"), [0; 0]);
        assert_eq!(lines("src/csms/listener.rs", "use crate::mqtt::Link;"), [1]);
        assert_eq!(lines("src/csms/listener.rs", "use crate::store::Job;"), [0; 0]);
        assert_eq!(lines("src/mqtt/link.rs", "use crate::record::Jwk;"), [1]);
        assert_eq!(lines("src/daemon/mod.rs", "use crate::{csms, mqtt, store};"), [0; 0]);
        assert_eq!(lines("src/garage/mod.rs", "//! New."), [1], "a room without a layer");
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
    fn clock() {
        assert_eq!(lines(super::clock, "src/store/writer.rs", "let at = Utc::now();"), [1]);
        assert_eq!(lines(super::clock, "src/cli/status.rs", "let at = Utc::now();"), [1], "the daemon may know better");
        assert_eq!(lines(super::clock, "src/mqtt/link.rs", "let at = Instant::now();"), [0; 0], "measuring a wait");
        assert_eq!(lines(super::clock, "src/clock.rs", "Arc::new(Utc::now)"), [0; 0]);
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
    fn witnesses() {
        let lines = |path, text| lines(super::witnesses, path, text);
        let text = "use forecourt::record::Jwk;";
        assert_eq!(lines("simulators/src/office/jws.rs", text), [1]);
        assert_eq!(lines("simulators/src/office/jws.rs", "mod forecourt {}\nuse ::forecourt::record;\nforecourt::x();"), [2]);
        assert_eq!(lines("simulators/src/bin/demo.rs", text), [0; 0]);
        assert_eq!(lines("simulators/src/bin/demo/site.rs", text), [0; 0]);
        assert_eq!(lines("simulators/src/demo/site.rs", text), [0; 0]);
        assert_eq!(lines("simulators/src/bin/office.rs", "let forecourt = 1;"), [0; 0]);
    }
}
