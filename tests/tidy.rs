//! Rules that neither compiler nor clippy (clippy.toml) knows: which module may import which, which may know what, how long a file
//! may be.
//! Every rule names file, line and reason; every rule is shown to fail on a made-up file below.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use source::File;

/// What a module may import, beside itself.
enum May {
    /// Modules of lower layers.
    Lower,
    /// Modules of lower layers and of its own.
    LowerAndPeers,
    /// These alone.
    Only(&'static [&'static str]),
    Anyone,
}

use May::{Anyone, Lower, LowerAndPeers, Only};

struct Module {
    name: &'static str,
    layer: u8,
    may: May,
}

const fn module(name: &'static str, layer: u8, may: May) -> Module {
    Module { name, layer, may }
}

/// The modules, as ARCHITECTURE.md lists them. A new one gets a line in both.
const MODULES: &[Module] = &[
    module("units", 0, Lower),
    module("fact", 1, Lower),
    module("rating", 1, Lower),
    module("session", 1, Only(&["units", "fact", "rating", "record"])),
    module("station", 1, Only(&["units", "fact", "rating", "session"])),
    module("record", 1, LowerAndPeers),
    module("billing", 1, LowerAndPeers),
    module("store", 2, Lower),
    module("ocpp", 2, Lower),
    module("observe", 2, Lower),
    module("csms", 3, Lower),
    module("mqtt", 3, Only(&["units"])),
    module("control", 3, Only(&["units"])),
    module("web", 3, Only(&["units", "observe"])),
    module("cli", SHELL, Anyone),
    module("daemon", SHELL, Anyone),
    module("config", SHELL, Anyone),
    module("clock", SHELL, Anyone),
];
const SHELL: u8 = 4;
/// Modules that decide and do nothing else: the domain, and the protocol.
const PURE: &[&str] = &["units", "fact", "station", "session", "rating", "record", "billing", "ocpp"];
const MAX_LINES: usize = 500;

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

/// The module a file of the daemon belongs to; `None` for `lib.rs` and `main.rs`, which are the shell, and for other packages.
fn module_of(file: &File) -> Option<&'static Module> {
    let module = file.path.starts_with("src/").then(|| file.module())?;
    named(module.first()?)
}

fn named(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.name == name)
}

fn is_pure(file: &File) -> bool {
    module_of(file).is_some_and(|module| PURE.contains(&module.name))
}

fn allowed(module: &Module, other: &Module) -> bool {
    module.name == other.name
        || match module.may {
            Lower => other.layer < module.layer,
            LowerAndPeers => other.layer <= module.layer,
            Only(names) => names.contains(&other.name),
            Anyone => true,
        }
}

fn allowed_names(module: &Module) -> String {
    let names: Vec<_> =
        MODULES.iter().filter(|other| other.name != module.name && allowed(module, other)).map(|other| other.name).collect();
    match names.is_empty() {
        true => "no other module".to_owned(),
        false => format!("{} only", names.join(", ")),
    }
}

/// Layers: imports point downwards.
fn layers(file: &File) -> Vec<Breach> {
    const WHY: &str =
        "a lower layer that knows a higher one, or one beside it at the edge, can no longer be read, tested or replaced alone";
    let mut found = Vec::new();
    let path_of_file = file.module();
    let Some(top) = file.path.starts_with("src/").then(|| path_of_file.first()).flatten() else { return found };
    let Some(module) = named(top) else {
        let what = format!("module `{top}` has no layer; give it a line in MODULES (tests/tidy.rs)");
        return vec![breach(file, 1, what, "a module without a layer may import anyone and be imported by anyone")];
    };
    for path in file.paths() {
        let supers = path.names.iter().take_while(|name| *name == "super").count();
        let climbs = supers > 0 && supers >= path_of_file.len() + path.depth;
        let target = match path.first() {
            "crate" => path.names.get(1),
            _ if climbs => path.names.get(supers),
            _ => None,
        };
        let Some(other) = target.and_then(|name| named(name)) else { continue };
        if !allowed(module, other) {
            let what = format!(
                "`{}` imports `{}` (layer {}), but `{}` (layer {}) may import {}",
                path.names.join("::"),
                other.name,
                other.layer,
                module.name,
                module.layer,
                allowed_names(module)
            );
            found.push(breach(file, path.line, what, WHY));
        }
    }
    found
}

/// The store alone knows the database.
fn database(file: &File) -> Vec<Breach> {
    const WHY: &str = "the store alone knows rusqlite: one writer, one place for transactions and for the meaning of a row";
    let own = module_of(file).map(|module| module.name);
    if !file.path.starts_with("src/") || own == Some("store") {
        return Vec::new();
    }
    let paths = file.paths();
    let used = paths.iter().filter(|path| path.first() == "rusqlite" || path.first() == "libsqlite3_sys");
    used.map(|path| breach(file, path.line, format!("names `{}` outside src/store", path.names.join("::")), WHY)).collect()
}

/// `ocpp` alone knows OCPP JSON.
fn wire(file: &File) -> Vec<Breach> {
    const WHY: &str = "wire types stop at src/ocpp: behind it 1.6 and 2.x meet in terms of our own";
    if !file.path.starts_with("src/") || module_of(file).is_some_and(|module| module.name == "ocpp") {
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

/// Pure modules touch no file, socket, thread, clock, environment or random number.
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
    used.map(|path| breach(file, path.line, format!("`{}` in a pure module", path.names.join("::")), WHY)).collect()
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

/// Simulators are independent of the daemon; only the demo starts the daemon inside itself; of the model one file drives its pure
/// machine, one starts it.
fn independent(file: &File) -> Vec<Breach> {
    const WHY: &str =
        "simulators share no code with the daemon: what is wrong in one must not be wrong in the same way in the other";
    const DEMO: &[&str] = &[
        "simulators/src/bin/demo/",
        "simulators/src/history/",
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
fn sources() -> Vec<File> {
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
    let breaches: Vec<String> = sources().iter().flat_map(rule).map(|breach| breach.to_string()).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn imports_point_downwards() {
    holds(layers);
}

#[test]
fn no_import_circle_inside_a_module() {
    let breaches: Vec<String> = circles::circles(&sources()).iter().map(|breach| breach.to_string()).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
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
fn pure_modules_touch_nothing() {
    holds(pure);
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
fn simulators_share_no_code_with_the_daemon() {
    holds(independent);
}

#[test]
fn every_listed_module_exists() {
    let files = sources();
    assert!(files.iter().any(|file| file.path.starts_with("simulators/src/")), "no simulators were read");
    for module in MODULES {
        let exists = files.iter().any(|file| module_of(file).is_some_and(|own| own.name == module.name));
        assert!(exists, "module `{}` stands in MODULES (tests/tidy.rs) but not in src/", module.name);
    }
    let pure = PURE.iter().all(|name| named(name).is_some_and(|module| module.layer < 3));
    assert!(pure, "a pure module must be in MODULES, below the edges");
}

/// The table of modules in ARCHITECTURE.md: number of the layer and name of the module. `main` is the program, not a module.
fn documented(text: &str) -> BTreeSet<(u8, String)> {
    let sections = text.split("\n## ").skip(1);
    let section = sections.into_iter().find(|section| section.starts_with("Modules\n"));
    let rows = section.expect("a section `## Modules`").lines().filter_map(|line| line.strip_prefix("| "));
    let mut found = BTreeSet::new();
    for row in rows {
        let mut columns = row.split(" | ");
        let layer = columns.next().and_then(|column| column.split(' ').next()).and_then(|layer| layer.parse().ok());
        let (Some(layer), Some(modules)) = (layer, columns.next()) else { continue };
        let names = modules.split('`').skip(1).step_by(2).filter(|name| *name != "main");
        found.extend(names.map(|name| (layer, name.to_owned())));
    }
    found
}

#[test]
fn the_table_in_architecture_md_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let documented = documented(&std::fs::read_to_string(path).expect("ARCHITECTURE.md"));
    let checked: BTreeSet<_> = MODULES.iter().map(|module| (module.layer, module.name.to_owned())).collect();
    assert_eq!(documented, checked, "left: ARCHITECTURE.md, right: MODULES (tests/tidy.rs)");
}

#[path = "tidy/can_fail.rs"]
mod can_fail;
