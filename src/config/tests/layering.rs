//! Which layer wins, and what the values become.

use std::path::Path;

use super::{Folder, SITE};
use crate::config::{Config, Currency, LogFormat, Quirk, SigningKeyFile};
use crate::units::Version;

#[test]
fn the_environment_alone_can_configure_a_site() {
    let folder = Folder::new(&[]);
    let env = [("ID", "s1"), ("COUNTRY_CODE", "DE"), ("PARTY_ID", "FCT"), ("TIME_ZONE", "Europe/Berlin"), ("CURRENCY", "JPY")];
    let env = env.map(|(key, value)| (format!("FORECOURT__SITE__{key}"), value.to_owned()));
    let config = Config::load(&folder.path().join("forecourt.toml"), false, env.into_iter(), &[]).expect("valid");
    assert_eq!(config.site.currency, Currency { code: "JPY", minor_digits: 0 });
    assert_eq!(config.site.name, "s1");
    assert_eq!(config.mqtt.client_id, "forecourt-s1");
    assert_eq!(config.mqtt.url, None);
    assert_eq!(config.store.path, Path::new("/var/lib/forecourt/forecourt.db"));
    assert_eq!(config.ocpp.versions, [Version::V21, Version::V201, Version::V16]);
    assert_eq!((config.ocpp.max_message_kb, config.ocpp.max_connections), (1024, 500));
}

#[test]
fn later_layers_win() {
    let folder = Folder::new(&[
        (
            "forecourt.toml",
            &format!("[ocpp]\nheartbeat_s = 20\nboot_retry_s = 20\nhandshake_s = 20\nmax_message_kb = 2000\n{SITE}"),
        ),
        ("conf.d/20.toml", "ocpp.boot_retry_s = 40\nocpp.handshake_s = 40\nocpp.max_message_kb = 4000\n"),
        ("conf.d/10.toml", "ocpp.boot_retry_s = 30\nocpp.handshake_s = 30\nocpp.max_message_kb = 3000\n"),
        ("conf.d/.30.toml.swp", "nonsense"),
        ("conf.d/.30.toml", "nonsense"),
        ("conf.d/README", "nonsense"),
    ]);
    let env =
        [("FORECOURT__OCPP__HANDSHAKE_S", "50"), ("FORECOURT__OCPP__MAX_MESSAGE_KB", "5000"), ("FORECOURT__LOG__FORMAT", "json")];
    let config = folder.load_with(&env, &[("ocpp.max_message_kb", "6000")]).expect("valid");
    let ocpp = &config.ocpp;
    assert_eq!((ocpp.heartbeat_s, ocpp.boot_retry_s, ocpp.handshake_s, ocpp.max_message_kb), (20, 40, 50, 6000));
    assert_eq!(config.log.format, LogFormat::Json);
    let origin = |key: &str| config.describe().iter().find(|setting| setting.key == key).expect("setting").place.to_string();
    assert!(origin("ocpp.heartbeat_s").ends_with("forecourt.toml:2"));
    assert!(origin("ocpp.boot_retry_s").ends_with("conf.d/20.toml:1"));
    assert_eq!(origin("ocpp.handshake_s"), "FORECOURT__OCPP__HANDSHAKE_S");
    assert_eq!(origin("ocpp.max_message_kb"), "command line");
    assert_eq!(origin("ocpp.path"), "built-in default");
}

#[test]
fn lists_come_from_files_and_variables() {
    let addresses =
        |texts: &[&str]| texts.iter().map(|text| text.parse().expect("address")).collect::<Vec<std::net::SocketAddr>>();
    let both = addresses(&["10.0.0.1:9000", "[::1]:9001"]);
    let one = Folder::main("[ocpp]\nlisten = \"10.0.0.1:9000\"");
    assert_eq!(one.load().ocpp.listen, both[..1]);
    let two = Folder::main("[ocpp]\nlisten = [\"10.0.0.1:9000\", \"[::1]:9001\"]\nversions = [\"ocpp1.6\", \"ocpp2.1\"]");
    assert_eq!(two.load().ocpp.listen, both);
    assert_eq!(two.load().ocpp.versions, [Version::V16, Version::V21]);
    let env = [("FORECOURT__OCPP__LISTEN", "10.0.0.1:9000, [::1]:9001"), ("FORECOURT__OCPP__VERSIONS", "ocpp2.0.1")];
    let config = one.load_with(&env, &[]).expect("valid");
    assert_eq!(config.ocpp.listen, both);
    assert_eq!(config.ocpp.versions, [Version::V201]);
}

#[test]
fn stations_merge_by_identity() {
    let folder = Folder::new(&[
        (
            "forecourt.toml",
            &format!(
                "[[station]]\nid = \"CP.B\"\nmax_power_kw = 7.40\nevse_ids = [\"DE*FCT*E1\"]\n[[station]]\nid = \"A\"\nquirks = [\"assume-ocpp1.6\"]{SITE}"
            ),
        ),
        (
            "conf.d/more.toml",
            "[[station]]\nid = \"cp.b\"\nlabel = \"Left\"\narea = \"north\"\n[[station]]\nid = \"C\"\ntariff = \"dc\"\n",
        ),
        ("conf.d/x.toml", "[[station]]\nid = \"CP.B\"\narea = \"\"\n"),
    ]);
    let config = folder.load();
    let ids: Vec<_> = config.stations.iter().map(|station| station.id.as_str()).collect();
    assert_eq!(ids, ["A", "C", "CP.B"]);
    let station = config.station("cp.B").expect("station");
    assert_eq!(station.max_power_kw.expect("power").to_string(), "7.40");
    assert_eq!(station.label, "Left");
    assert_eq!(station.area, None);
    assert_eq!(station.evse_ids, ["DE*FCT*E1"]);
    let station = config.station("a").expect("station");
    assert_eq!((station.label.as_str(), station.quirks.as_slice()), ("A", [Quirk::AssumeOcpp16].as_slice()));
    assert!(config.station("d").is_none());
}

#[test]
fn relative_paths_start_where_they_are_named() {
    let folder = Folder::new(&[
        ("forecourt.toml", &format!("[store]\npath = \"../../a.db\"\n[tariff]\ndir = \"tariffs\"\n{SITE}")),
        ("conf.d/x.toml", "signing.key_file = \"./key.pem\"\nmqtt.ca_file = \"/etc/ca.pem\"\n"),
    ]);
    let config = folder.load();
    let above = folder.path().parent().and_then(Path::parent).map(Path::to_owned).unwrap_or("/".into());
    assert_eq!(config.store.path, above.join("a.db"));
    assert_eq!(config.tariff.dir, folder.path().join("tariffs"));
    assert_eq!(config.signing.key_file, SigningKeyFile { path: folder.path().join("conf.d/key.pem"), made_when_absent: true });
    assert_eq!(config.mqtt.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    let config = folder.load_with(&[], &[("store.path", "b.db")]).expect("valid");
    assert_eq!(config.store.path, Path::new("b.db"));
}

#[test]
fn credentials_stand_in_for_keys_that_no_file_names() {
    let folder = Folder::main("[mqtt]\nurl = \"mqtts://b\"\nusername = \"u\"");
    let credentials = Folder::new(&[("mqtt-password", "secret"), ("signing-key", "pem")]);
    let env = [("CREDENTIALS_DIRECTORY", credentials.path().display().to_string())];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let config = folder.load_with(&env, &[]).expect("valid");
    assert_eq!(config.mqtt.password_file, Some(credentials.path().join("mqtt-password")));
    assert_eq!(config.signing.key_file, SigningKeyFile { path: credentials.path().join("signing-key"), made_when_absent: false });
    let named = Folder::main("[signing]\nkey_file = \"/k\"").load_with(&env, &[]).expect("valid");
    assert_eq!(named.signing.key_file.path, Path::new("/k"));
    let told = Folder::main("[mqtt]\nurl = \"mqtts://b\"").load_with(&env, &[]).expect_err("errors");
    assert_eq!(told, "systemd credential mqtt-password: `mqtt.password_file` needs `mqtt.username` beside it");
}
