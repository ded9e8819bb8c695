//! Every mistake and the line it is told.

use super::{Folder, SITE};
use crate::config::Config;

#[test]
fn bad_files_and_what_they_are_told() {
    let table: &[(&str, &[&str])] = &[
        // Unknown names.
        ("[ocpp]\n\nlissten = \"x\"", &["forecourt.toml:3: unknown key `ocpp.lissten`; did you mean `ocpp.listen`?"]),
        ("[mqtt]\nlisten = \"x\"", &["forecourt.toml:2: unknown key `mqtt.listen`; did you mean `ocpp.listen` or `web.listen`?"]),
        ("[log]\npath = \"x\"", &["forecourt.toml:2: unknown key `log.path`; did you mean `store.path` or `ocpp.path`?"]),
        ("[log]\ncolour = 1", &["forecourt.toml:2: unknown key `log.colour`; [log] has level, format"]),
        ("listen = \"x\"", &["forecourt.toml:1: unknown key `listen`; did you mean `ocpp.listen` or `web.listen`?"]),
        ("ocpp.lissten = \"x\"", &["forecourt.toml:1: unknown key `ocpp.lissten`; did you mean `ocpp.listen`?"]),
        ("\"ocpp.listen\" = \"x\"", &["forecourt.toml:1: `ocpp.listen` is in quotes; write sections and keys without"]),
        ("[ocp]\nlisten = \"x\"", &["forecourt.toml:1: unknown section `[ocp]`; did you mean `[ocpp]`?"]),
        (
            "[ocpp.path]\nx = 1",
            &[
                "forecourt.toml:1: `ocpp.path` is a table; expected a path that starts with `/` and does not end with one, such as \"/ocpp\"",
            ],
        ),
        (
            "[ocpp.extra]\nx = 1",
            &[
                "forecourt.toml:1: unknown section `[ocpp.extra]`; there are [site], [store], [ocpp], [[station]], [tariff], [mqtt], [signing], [web], [log]",
            ],
        ),
        ("[[stations]]\nid = \"x\"", &["forecourt.toml:1: unknown section `[[stations]]`; did you mean `[[station]]`?"]),
        ("[station]\nid = \"x\"", &["forecourt.toml:1: a station is written `[[station]]`, in two brackets, once for each"]),
        ("ocpp = 5", &["forecourt.toml:1: `ocpp` is a section; write `[ocpp]` and its keys below"]),
        ("[[log]]\nlevel = \"info\"", &["forecourt.toml:1: `log` is a section; write `[log]` and its keys below"]),
        // Wrong types and values.
        (
            "[ocpp]\nheartbeat_s = \"soon\"",
            &["forecourt.toml:2: `ocpp.heartbeat_s` is \"soon\"; expected a whole number of seconds from 10 to 86400"],
        ),
        (
            "[ocpp]\nheartbeat_s = \"300\"",
            &["forecourt.toml:2: `ocpp.heartbeat_s` is \"300\"; expected a whole number of seconds from 10 to 86400"],
        ),
        (
            "[ocpp]\nheartbeat_s = 0x5",
            &["forecourt.toml:2: `ocpp.heartbeat_s` is 5; expected a whole number of seconds from 10 to 86400"],
        ),
        (
            "[ocpp]\nheartbeat_s = 99999999999999999999",
            &[
                "forecourt.toml:2: `ocpp.heartbeat_s` is 99999999999999999999; expected a whole number of seconds from 10 to 86400",
            ],
        ),
        (
            "[ocpp]\nheartbeat_s = 1.5",
            &["forecourt.toml:2: `ocpp.heartbeat_s` is 1.5; expected a whole number of seconds from 10 to 86400"],
        ),
        (
            "[ocpp]\nheartbeat_s = []",
            &["forecourt.toml:2: `ocpp.heartbeat_s` is []; expected a whole number of seconds from 10 to 86400"],
        ),
        (
            "[ocpp]\nlisten = \"localhost:9000\"",
            &[
                "forecourt.toml:2: `ocpp.listen` is \"localhost:9000\"; expected an IP address and port such as \"0.0.0.0:9000\" or \"[::]:9000\", or a list of them",
            ],
        ),
        (
            "[ocpp]\nlisten = 9000",
            &[
                "forecourt.toml:2: `ocpp.listen` is 9000; expected an IP address and port such as \"0.0.0.0:9000\" or \"[::]:9000\", or a list of them",
            ],
        ),
        ("[ocpp]\nlisten = []", &["forecourt.toml:2: `ocpp.listen` is empty; expected addresses, at least one"]),
        (
            "[ocpp]\nlisten = [\n  \"0.0.0.0:9000\",\n  \"0.0.0.0:9000\"]",
            &["forecourt.toml:4: `ocpp.listen` names \"0.0.0.0:9000\" twice; expected each once"],
        ),
        (
            "[ocpp]\nversions = [\"ocpp1.6\",\n\"ocpp2.0\"]",
            &[
                "forecourt.toml:3: `ocpp.versions` contains \"ocpp2.0\"; expected \"ocpp2.1\", \"ocpp2.0.1\" or \"ocpp1.6\"; did you mean \"ocpp2.1\"?",
            ],
        ),
        (
            "[ocpp]\nversions = \"ocpp1.6\"",
            &["forecourt.toml:2: `ocpp.versions` is \"ocpp1.6\"; expected a list of at most 16 OCPP versions"],
        ),
        (
            "[ocpp]\npath = \"ocpp/\"",
            &[
                "forecourt.toml:2: `ocpp.path` is \"ocpp/\"; expected a path that starts with `/` and does not end with one, such as \"/ocpp\"",
            ],
        ),
        (
            "[ocpp]\nunknown_stations = \"acept\"",
            &[
                "forecourt.toml:2: `ocpp.unknown_stations` is \"acept\"; expected \"accept\", \"inbox\" or \"reject\"; did you mean \"accept\"?",
            ],
        ),
        ("[ocpp]\nonboarding = \"no\"", &["forecourt.toml:2: `ocpp.onboarding` is \"no\"; expected true or false"]),
        (
            "[ocpp]\nsecurity_profile = 4",
            &["forecourt.toml:2: `ocpp.security_profile` is 4; expected a whole number from 0 to 3"],
        ),
        (
            "[log]\nlevel = 2026-01-01",
            &["forecourt.toml:2: `log.level` is 2026-01-01; expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\""],
        ),
        (
            "[store]\npath = \"~/forecourt.db\"",
            &[
                "forecourt.toml:2: `store.path` is \"~/forecourt.db\"; expected a path without `~`, which only a shell understands",
            ],
        ),
        ("[store]\npath = \"\"", &["forecourt.toml:2: `store.path` is \"\"; expected a path"]),
        (
            "[mqtt]\nurl = \"tcp://broker\"",
            &[
                "forecourt.toml:2: `mqtt.url` is \"tcp://broker\"; expected \"mqtt://host:1883\", \"mqtts://host:8883\", or \"\" to keep everything in the outbox",
            ],
        ),
        (
            "[mqtt]\nurl = \"mqtt://me:secret@broker\"",
            &[
                "forecourt.toml:2: `mqtt.url` holds a user name or password; expected the name in `mqtt.username` and the password in the file that `mqtt.password_file` names",
            ],
        ),
        (
            "[mqtt]\ntopic_prefix = \"a/#\"",
            &[
                "forecourt.toml:2: `mqtt.topic_prefix` is \"a/#\"; expected a topic without `+`, `#`, or a `/` at either end, such as \"forecourt/v1\"",
            ],
        ),
        // Keys that need one another.
        (
            "[mqtt]\nurl = \"mqtt://b\"\npassword_file = \"p\"",
            &["forecourt.toml:3: `mqtt.password_file` needs `mqtt.username` beside it"],
        ),
        (
            "[mqtt]\nurl = \"mqtts://b\"\nkey_file = \"k\"",
            &["forecourt.toml:3: `mqtt.key_file` needs `mqtt.cert_file` beside it"],
        ),
        (
            "[mqtt]\nurl = \"mqtt://b\"\nca_file = \"c\"",
            &["forecourt.toml:3: `mqtt.ca_file` has no effect on mqtt://b:1883; make it mqtts:// or remove the file"],
        ),
        // Not TOML.
        ("[ocpp]\nlisten = ", &["forecourt.toml:2: is not TOML: string values must be quoted, expected literal string"]),
        ("[ocpp]\nlisten = \"a\"\nlisten = \"b\"", &["forecourt.toml:3: is not TOML: duplicate key"]),
    ];
    check(table);
}

#[test]
fn bad_sites() {
    let site = |change: (&str, &str)| SITE.trim_start().replace(change.0, change.1);
    let told = |change, expected: &str| assert_eq!(Folder::main(&site(change)).errors(), expected);
    told(
        ("id = \"s1\"", "id = \"s/1\""),
        "forecourt.toml:2: `site.id` is \"s/1\"; expected 1 to 36 letters, digits, `-`, `_`, `.`",
    );
    told(("id = \"s1\"\n", ""), "forecourt.toml: `site.id` is missing; write e.g. id = \"harbour-1\" below [site]");
    told(
        ("\"DE\"", "\"de\""),
        "forecourt.toml:3: `site.country_code` is \"de\"; expected two capital letters of ISO 3166-1, such as \"DE\"",
    );
    told(("\"FCT\"", "49"), "forecourt.toml:4: `site.party_id` is 49; expected three capital letters or digits, such as \"FCT\"");
    told(
        ("Berlin", "Berln"),
        "forecourt.toml:5: `site.time_zone` is \"Europe/Berln\"; expected an IANA time zone such as \"Europe/Berlin\"; did you mean \"Europe/Berlin\"?",
    );
    told(
        ("EUR", "Euro"),
        "forecourt.toml:6: `site.currency` is \"Euro\"; expected a currency code of ISO 4217, three capital letters such as \"EUR\"",
    );
}

#[test]
fn bad_stations() {
    check(&[
        (
            "[[station]]\nid = \"A\"\n[[station]]\nlabel = \"x\"",
            &["forecourt.toml:3: this station has no `id`; write e.g. id = \"CP-1\""],
        ),
        (
            "[[station]]\nid = \"A\"\n\n[[station]]\nid = \"a\"",
            &["forecourt.toml:4: station \"a\" is already in line 1; upper and lower case count as the same"],
        ),
        (
            "[[station]]\nid = \"A/B\"",
            &[
                "forecourt.toml:2: station \"A/B\": `id` is \"A/B\"; expected the station's identity, 1 to 100 characters, no `/`, no spaces around it",
            ],
        ),
        (
            "[[station]]\nid = \"A\"\nlable = \"x\"",
            &["forecourt.toml:3: unknown key `station.lable`; did you mean `station.label`?"],
        ),
        (
            "[[station]]\nid = \"A\"\nmax_power_kw = \"22 kW\"",
            &[
                "forecourt.toml:3: station \"A\": `max_power_kw` is \"22 kW\"; expected a number of kilowatts above 0, at most 10000, such as 22 or 7.4",
            ],
        ),
        (
            "[[station]]\nid = \"A\"\nmax_power_kw = -1",
            &[
                "forecourt.toml:3: station \"A\": `max_power_kw` is -1; expected a number of kilowatts above 0, at most 10000, such as 22 or 7.4",
            ],
        ),
        (
            "[[station]]\nid = \"A\"\nevse_ids = [\"E1\"]\n[[station]]\nid = \"B\"\nevse_ids = [\"E1\"]",
            &["forecourt.toml:6: `station.b.evse_ids` contains \"E1\", which already belongs to station \"A\""],
        ),
        ("station = [5]", &["forecourt.toml:1: a station is written `[[station]]`, in two brackets, once for each"]),
    ]);
}

#[test]
fn promised_keys_say_that_they_are_not_built_yet() {
    check(&[
        (
            "[web]\nlisten = \"x\"\nusers_file = \"y\"",
            &[
                "forecourt.toml:2: `web.listen` is \"x\"; expected an IP address and port such as \"127.0.0.1:8080\"",
                "forecourt.toml:3: `web.users_file` is reserved: this version has no web console yet, so nobody logs in; remove the line",
            ],
        ),
        ("[web.tls]", &["forecourt.toml:1: `web.tls` is reserved: this version speaks plain http:// only; remove the line"]),
        (
            "[web]\nlisten = \"0.0.0.0:9000\"",
            &["forecourt.toml:2: `web.listen` is the address of `ocpp.listen`; give each a port of its own"],
        ),
        (
            "[ocpp.tls]\ncert_file = \"c\"",
            &["forecourt.toml:2: `ocpp.tls.cert_file` is reserved: this version speaks plain ws:// only; remove the line"],
        ),
        (
            "[ocpp]\nsecurity_profile = 2",
            &[
                "forecourt.toml:2: `ocpp.security_profile` = 2 is reserved: this version has neither station passwords nor TLS, so the minimum must be 0; remove the line",
            ],
        ),
        (
            "[[station]]\nid = \"A\"\npassword_file = \"p\"",
            &["forecourt.toml:3: `station.password_file` is reserved: this version has no station passwords; remove the line"],
        ),
        (
            "[[station]]\nid = \"A\"\nquirks = [\"assume-ocpp1.6\",\n\"no-ping\"]",
            &[
                "forecourt.toml:4: `station.quirks` = \"no-ping\" is reserved: this version knows only the quirk \"assume-ocpp1.6\"; remove the line",
            ],
        ),
        (
            "[signing]\nalgorithm = \"Ed25519\"",
            &[
                "forecourt.toml:2: `signing.algorithm` = \"Ed25519\" is reserved: this version signs with \"ES256\" only; remove the line",
            ],
        ),
    ]);
    let folder = Folder::main("");
    let told = folder.load_with(&[("FORECOURT__WEB__USERS_FILE", "x")], &[("store.min_free_mb", "9")]).expect_err("errors");
    assert_eq!(
        told,
        "FORECOURT__WEB__USERS_FILE: `web.users_file` is reserved: this version has no web console yet, so nobody logs in; unset the variable\n\
         command line: `store.min_free_mb` is reserved: this version does not watch the free space; leave the flag out"
    );
}

#[test]
fn every_mistake_of_every_layer_is_shown_at_once_in_reading_order() {
    let folder = Folder::new(&[
        ("forecourt.toml", "[web]\nusers_file = \"x\"\n[ocpp]\nheartbeat_s = 1\nlissten = \"x\"\n[site]\nid = \"s1\"\n"),
        ("conf.d/b.toml", "[log\n"),
        ("conf.d/a.toml", "[log]\nlevel = \"loud\"\n"),
    ]);
    let told = folder.load_with(&[("FORECOURT__OCPP__BOOT_RETRY_S", "soon")], &[("mqtt.window", "0")]).expect_err("errors");
    assert_eq!(
        told,
        "forecourt.toml:2: `web.users_file` is reserved: this version has no web console yet, so nobody logs in; remove the line\n\
         forecourt.toml:4: `ocpp.heartbeat_s` is 1; expected a whole number of seconds from 10 to 86400\n\
         forecourt.toml:5: unknown key `ocpp.lissten`; did you mean `ocpp.listen`?\n\
         conf.d/a.toml:2: `log.level` is \"loud\"; expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"\n\
         conf.d/b.toml:1: is not TOML: unclosed table, expected `]`\n\
         FORECOURT__OCPP__BOOT_RETRY_S: `ocpp.boot_retry_s` is \"soon\"; expected a whole number of seconds from 1 to 86400\n\
         command line: `mqtt.window` is \"0\"; expected a whole number of records from 1 to 1000"
    );
}

#[test]
fn missing_keys_and_missing_files() {
    let empty = Folder::new(&[]);
    assert_eq!(empty.errors(), "forecourt.toml: does not exist");
    let main = empty.path().join("forecourt.toml");
    let told = Config::load(&main, false, std::iter::empty(), &[]).expect_err("errors").to_string();
    let lines: Vec<_> = told.lines().map(|line| line.strip_prefix(&format!("{}: ", main.display())).expect("path")).collect();
    assert_eq!(
        lines,
        [
            "does not exist; name a file with --config FILE, or begin with a copy of config/forecourt.toml",
            "`site.country_code` is missing; write e.g. country_code = \"DE\" below [site]",
            "`site.currency` is missing; write e.g. currency = \"EUR\" below [site]",
            "`site.id` is missing; write e.g. id = \"harbour-1\" below [site]",
            "`site.party_id` is missing; write e.g. party_id = \"FCT\" below [site]",
            "`site.time_zone` is missing; write e.g. time_zone = \"Europe/Berlin\" below [site]",
        ]
    );
    let folder = Folder::new(&[("forecourt.toml/x", "")]);
    assert_eq!(folder.errors(), "forecourt.toml: cannot be read: Is a directory (os error 21)");
    let large = "#".repeat((1 << 20) + 1);
    assert_eq!(Folder::new(&[("forecourt.toml", &large)]).errors(), "forecourt.toml: cannot be read: larger than 1 MiB");
}

#[test]
fn bad_variables_name_themselves() {
    let folder = Folder::main("");
    let told = |name: &str, value: &str| folder.load_with(&[(name, value)], &[]).expect_err("errors");
    assert_eq!(
        told("FORECOURT__OCPP__LISSTEN", "x"),
        "FORECOURT__OCPP__LISSTEN: unknown key `ocpp.lissten`; did you mean `FORECOURT__OCPP__LISTEN`?"
    );
    assert_eq!(
        told("FORECOURT__OCPP__LISTEN", "here"),
        "FORECOURT__OCPP__LISTEN: `ocpp.listen` is \"here\"; expected an IP address and port such as \"0.0.0.0:9000\" or \"[::]:9000\", or a list of them"
    );
    assert_eq!(
        told("FORECOURT__STATION__LABEL", "x"),
        "FORECOURT__STATION__LABEL: `station.label` cannot be set here; stations stand in files, one [[station]] each"
    );
    assert!(folder.load_with(&[("FORECOURT_LOG", "x"), ("PATH", "y")], &[]).is_ok());
}

fn check(table: &[(&str, &[&str])]) {
    for (text, expected) in table {
        assert_eq!(Folder::main(text).errors(), expected.join("\n"), "\nfor:\n{text}");
    }
}
