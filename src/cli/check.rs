//! `forecourt check`: would it start, and as what? Needs no root, no network, writes nothing.

use std::fmt::Display;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::{self, Config, UnknownStations, UnknownTokens};
use crate::control;
use crate::daemon;
use crate::rating::Remark;
use crate::record::SigningKey;
use crate::units::MilliW;
use crate::web;

/// Variables of this name that are no configuration.
const NO_KEYS: [&str; 2] = ["FORECOURT_TEST_", "FORECOURT_SEED"];

/// What was found out.
#[derive(Default)]
struct Report {
    /// It would not start.
    problems: Vec<String>,
    /// It would start, and hardly as meant.
    warnings: Vec<String>,
    /// What it would do.
    remarks: Vec<String>,
    stations: Vec<Json>,
    /// What is odd about tariffs; all of it is said among the warnings, too.
    tariff_remarks: Vec<Json>,
}

impl Report {
    fn tariff(&mut self, path: &Path, line: Option<usize>, remark: &Remark) {
        let at = line.map(|line| format!(":{line}")).unwrap_or_default();
        self.warnings.push(format!("{}{at}: {remark}", path.display()));
        self.tariff_remarks.push(json!({ "file": path.display().to_string(), "line": line, "code": remark.code,
            "path": remark.path, "problem": remark.problem, "fix": remark.fix }));
    }

    fn say(&mut self, text: impl Display) {
        self.remarks.push(text.to_string());
    }
}

/// Configuration, tariffs, key. Everything wrong is said at once where it can be; exit 4.
pub fn check(config: Result<Config, Failure>, output: &Output) -> Result<Exit, Failure> {
    let mut report = Report::default();
    report.warnings.extend(config::environment().filter_map(|(name, _)| strange_variable(&name)));
    let exit = match config {
        Ok(config) => {
            site(&config, &mut report);
            tariffs(&config, &mut report);
            policy(&config, &mut report);
            mqtt(&config, &mut report);
            key(&config, &mut report);
            folders(&config, &mut report);
            report.warnings.extend(config.web.listen.and_then(web::without_login));
            Exit::Configuration
        }
        Err(failure) => {
            report.problems.extend(failure.text.lines().map(str::to_owned));
            failure.exit
        }
    };
    show(report, exit, output)
}

fn show(report: Report, exit: Exit, output: &Output) -> Result<Exit, Failure> {
    let Report { problems, warnings, remarks, stations, tariff_remarks } = report;
    let ok = problems.is_empty();
    if output.machine() {
        let all = json!({ "ok": ok, "problems": problems, "warnings": warnings, "remarks": remarks, "stations": stations,
            "tariff_remarks": tariff_remarks });
        output.object(&all)?;
        return if ok { Ok(Exit::Ok) } else { Err(Failure::new(exit, "")) };
    }
    remarks.iter().try_for_each(|remark| output.line(remark))?;
    warnings.iter().try_for_each(|warning| output.line(format!("{} {warning}", output.strong("warning:"))))?;
    if ok {
        match tariff_remarks.len() {
            0 => output.remark("the configuration is valid"),
            1 => output.remark("the configuration is valid; 1 remark on tariffs"),
            count => output.remark(&format!("the configuration is valid; {count} remarks on tariffs")),
        }
        return Ok(Exit::Ok);
    }
    Err(Failure::new(exit, problems.join("\n")))
}

/// `FORECOURT_MQTT__URL` sets nothing, and looks as if it did. (What begins with two underscores is a key, or refused.)
fn strange_variable(name: &str) -> Option<String> {
    let rest = name.strip_prefix("FORECOURT_")?;
    if rest.starts_with('_') || NO_KEYS.iter().any(|known| name.starts_with(known)) {
        return None;
    }
    let rest = if rest.contains("__") { rest.to_owned() } else { rest.replacen('_', "__", 1) };
    Some(format!(
        "the environment's {name} has no effect; keys are written FORECOURT__SECTION__KEY: did you mean FORECOURT__{rest}?"
    ))
}

fn site(config: &Config, report: &mut Report) {
    let site = &config.site;
    report.say(format_args!(
        "site {}, party {}*{}, {}, {}",
        site.id, site.country_code, site.party_id, site.currency.code, site.time_zone
    ));
}

/// Tariffs for whoever comes, at stations of 50 kW and more.
fn fast_stations(config: &Config, loaded: &daemon::Loaded, report: &mut Report) {
    for station in &config.stations {
        let Some(power) = station.max_power_kw.and_then(MilliW::from_kw) else { continue };
        let Some(id) = station.tariff.as_ref().or(config.tariff.default.as_ref()) else { continue };
        let versions = loaded.catalogue.tariffs().iter().filter(|tariff| tariff.id.eq_ignore_ascii_case(id));
        for remark in versions.filter_map(|tariff| tariff.lint_power(power)) {
            report.warnings.push(format!("station {}, tariff {id}: {remark}", station.id));
            report.tariff_remarks.push(json!({ "station": station.id, "tariff_id": id, "code": remark.code, "path": remark.path,
                "problem": remark.problem, "fix": remark.fix }));
        }
    }
}

/// Tariffs, and which station has which.
fn tariffs(config: &Config, report: &mut Report) {
    match daemon::load_tariffs(config) {
        Ok(loaded) => {
            let versions = loaded.catalogue.tariffs();
            report.say(format_args!("{} tariff versions in {}", versions.len(), config.tariff.dir.display()));
            for (path, line, remark) in &loaded.lint {
                report.tariff(path, *line, remark);
            }
            fast_stations(config, &loaded, report);
        }
        Err(error) => report.problems.push(error.to_string()),
    }
    if config.tariff.default.is_none() {
        report.say("tariff.default is not set: sessions of stations without a tariff of their own will be held");
    }
    report.say(format_args!("{} stations are named in [[station]]", config.stations.len()));
    for station in &config.stations {
        let tariff = station.tariff.as_ref().or(config.tariff.default.as_ref());
        let power = station.max_power_kw.as_ref().map(|power| format!(", at most {power} kW")).unwrap_or_default();
        report.say(format_args!("  {}: tariff {}{power}", station.id, tariff.map_or("none", String::as_str)));
        let power = station.max_power_kw.as_ref().map(ToString::to_string);
        report.stations.push(json!({ "station": station.id, "tariff_id": tariff, "max_power_kw": power }));
    }
}

fn policy(config: &Config, report: &mut Report) {
    let ocpp = &config.ocpp;
    let listen: Vec<String> = ocpp.listen.iter().map(|address| format!("ws://{address}{}", ocpp.path)).collect();
    report.say(format_args!("stations connect to {}", listen.join(", ")));
    report.say(match ocpp.unknown_stations {
        UnknownStations::Reject => "other stations are turned away, unless they were adopted",
        UnknownStations::Inbox => "other stations wait in the inbox until they are adopted",
        _ => "other stations are accepted (ocpp.unknown_stations), without a password",
    });
    report.say(match ocpp.unknown_tokens {
        UnknownTokens::Reject => "tokens that are not on the list are refused (forecourt tokens)",
        UnknownTokens::Accept => "tokens that are not on the list are accepted (ocpp.unknown_tokens)",
    });
    if matches!(ocpp.unknown_stations, UnknownStations::Reject) && config.stations.is_empty() {
        report
            .warnings
            .push("no station may connect: none is named in [[station]], and ocpp.unknown_stations = \"reject\"".to_owned());
    }
}

fn mqtt(config: &Config, report: &mut Report) {
    let mqtt = &config.mqtt;
    let Some(broker) = &mqtt.url else {
        return report.say("mqtt.url is not set: records stay in the outbox");
    };
    let user = mqtt.username.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    report.say(format_args!("broker {broker}{user}, topics below {}/{}/", mqtt.topic_prefix, config.site.id));
    if mqtt.username.is_some() && mqtt.password_file.is_none() {
        report.warnings.push("mqtt.username is set without mqtt.password_file: the broker gets no password".to_owned());
    }
    if mqtt.username.is_some() && !broker.tls {
        report.warnings.push("the broker is reached without TLS: user and password cross the network in the clear".to_owned());
    }
    let files = [
        ("password_file", &mqtt.password_file),
        ("ca_file", &mqtt.ca_file),
        ("cert_file", &mqtt.cert_file),
        ("key_file", &mqtt.key_file),
    ];
    for (name, path) in files {
        if let Some(path) = path
            && let Err(error) = std::fs::File::open(path)
        {
            report.problems.push(format!("mqtt.{name} {}: {error}", path.display()));
        }
    }
}

fn key(config: &Config, report: &mut Report) {
    let key = &config.signing.key_file;
    let path = key.path.display();
    match std::fs::read_to_string(&key.path) {
        Ok(pem) => match SigningKey::from_pem(&pem) {
            Ok(_) => report.say(format_args!("signing key {path}")),
            Err(error) => report.problems.push(format!("signing key {path}: {error}")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && key.made_when_absent => {
            report.say(format_args!("signing key {path} will be made on the first start"));
            folder("signing.key_file", &key.path, report);
        }
        Err(error) => report.problems.push(format!("signing key {path}: {error}")),
    }
}

fn folders(config: &Config, report: &mut Report) {
    report.say(format_args!("store {}", config.store.path.display()));
    folder("store.path", &config.store.path, report);
    let socket = &config.site.control_socket;
    match (control::check(socket), control::folder(socket)) {
        (Err(why), _) => report.problems.push(format!("site.control_socket {}: {why}", socket.display())),
        (Ok(()), Some(why)) => report.warnings.push(format!("site.control_socket {}: {why}", socket.display())),
        (Ok(()), None) => {}
    }
}

/// Whether whoever asks may make files beside this one: tried with a file that has no name and is gone when it is closed.
fn folder(key: &str, file: &Path, report: &mut Report) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let why = match nameless(folder) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound) => {
            "does not exist; make it, or the daemon does not start"
        }
        Err(error) if matches!(error.kind(), std::io::ErrorKind::PermissionDenied) => {
            "cannot be written by this user; if the daemon runs as another one, check as that one"
        }
        Err(error) if matches!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem) => "is on a read-only file system",
        // It can be written, or its file system cannot tell.
        _ => return,
    };
    report.warnings.push(format!("{key}: the folder {} {why}", folder.display()));
}

#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    /// open(2): `__O_TMPFILE | O_DIRECTORY`, where the second differs between processors.
    const O_TMPFILE: i32 =
        0o20_000_000 | if cfg!(any(target_arch = "arm", target_arch = "aarch64")) { 0o40_000 } else { 0o200_000 };
    std::fs::metadata(folder)?;
    std::fs::OpenOptions::new().write(true).custom_flags(O_TMPFILE).open(folder).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn nameless(folder: &Path) -> std::io::Result<()> {
    std::fs::metadata(folder).map(drop)
}
