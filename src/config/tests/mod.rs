//! Scripts: these files, variables and flags in; this configuration, or exactly these lines, out.

mod layering;
mod messages;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Config, keys};

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
