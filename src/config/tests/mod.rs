//! Scripts: these files, variables and flags in; this configuration, or exactly these lines, out.

mod messages;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Config, Currency, LogFormat, Quirk, SigningKeyFile, keys};
use crate::units::Version;

/// Enough to load; appended behind the lines under test, so that these keep their numbers.
const SITE: &str =
    "\n[site]\nid = \"s1\"\ncountry_code = \"DE\"\nparty_id = \"FCT\"\ntime_zone = \"Europe/Berlin\"\ncurrency = \"EUR\"\n";

/// A folder with configuration files; `forecourt.toml` is the main one.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("temporary folder"));
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            fs::write(path, text).expect("file");
        }
        folder
    }

    /// One main file that has a `[site]`.
    fn main(text: &str) -> Self {
        let site = if text.contains("[site]") { "" } else { SITE };
        Self::new(&[("forecourt.toml", &format!("{text}{site}"))])
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().canonicalize().expect("canonical")
    }

    fn load_with(&self, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let main = self.path().join("forecourt.toml");
        let prefix = format!("{}/", self.path().display());
        Config::load(&main, true, owned(env).into_iter(), &owned(flags)).map_err(|errors| errors.to_string().replace(&prefix, ""))
    }

    fn load(&self) -> Config {
        self.load_with(&[], &[]).expect("valid configuration")
    }

    fn errors(&self) -> String {
        self.load_with(&[], &[]).expect_err("errors")
    }
}

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/forecourt.toml")
}

#[test]
fn the_shipped_file_loads_as_an_ordinary_user_from_the_checkout() {
    let main = shipped();
    let config = Config::load(&main, true, std::iter::empty(), &[]).expect("valid");
    let folder = main.parent().expect("config").canonicalize().expect("config");
    let checkout = folder.parent().expect("checkout");
    assert_eq!(config.store.path, checkout.join("var/forecourt.db"));
    assert_eq!(config.signing.key_file.path, checkout.join("var/signing-key.pem"));
    assert_eq!(config.mqtt.url, None);
    assert_eq!(config.ocpp.listen, ["0.0.0.0:9000".parse().expect("address")]);
    let default = config.tariff.default.expect("default tariff");
    let mut ids = Vec::new();
    for file in fs::read_dir(&config.tariff.dir).expect("tariffs") {
        let text = fs::read_to_string(file.expect("file").path()).expect("tariff");
        let tariff: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(tariff["currency"], config.site.currency.code);
        ids.push(tariff["id"].as_str().expect("id").to_owned());
    }
    assert!(ids.contains(&default), "{ids:?}");
}

/// Every comment `# key = value` of the shipped file is the built-in default, an example that loads, or a reserved key.
#[test]
fn the_shipped_file_shows_every_key() {
    let text = fs::read_to_string(shipped()).expect("shipped file");
    let shown = |key: &str| text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} =")));
    for key in keys::all() {
        let leaf = key.path.rsplit_once('.').expect("section").1;
        assert!(shown(leaf), "{} is not in config/forecourt.toml", key.path);
    }
    let uncommented: String = text
        .lines()
        .map(|line| {
            let bare = line.trim_start_matches("# ");
            let code = bare.starts_with('[')
                || bare.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            if code { format!("{bare}\n") } else { "\n".to_owned() }
        })
        .collect();
    let told = Folder::new(&[("forecourt.toml", &uncommented)]).errors();
    let unexpected: Vec<_> = told.lines().filter(|line| !line.contains(" is reserved: ")).collect();
    assert_eq!(unexpected, Vec::<&str>::new());
    assert!(told.lines().count() >= 15, "{told}");
}

// Which layer wins, and what the values become.

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
