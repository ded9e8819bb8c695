//! `forecourt check`: would it start? Needs no root, no network, writes nothing.

use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::Config;
use crate::control;
use crate::daemon;
use crate::record::SigningKey;
use crate::web;

/// Configuration, tariffs, key. Everything wrong is said at once where it can be; exit 4.
pub fn check(config: Result<Config, Failure>, output: &Output) -> Result<Exit, Failure> {
    let config = match config {
        Ok(config) => config,
        Err(failure) => {
            if output.machine() {
                let problems: Vec<&str> = failure.text.lines().collect();
                output.object(&json!({ "ok": false, "problems": problems, "remarks": [] }))?;
                return Err(Failure::new(failure.exit, ""));
            }
            return Err(failure);
        }
    };
    let mut problems = Vec::new();
    let mut remarks = Vec::new();
    match daemon::load_tariffs(&config) {
        Ok(loaded) => {
            remarks.push(format!("{} tariff versions in {}", loaded.catalogue.tariffs().len(), config.tariff.dir.display()));
            remarks.extend(
                loaded.lint.iter().map(|(path, finding)| format!("{}: {}: {}", path.display(), finding.code, finding.detail)),
            );
        }
        Err(error) => problems.push(error.to_string()),
    }
    let key = &config.signing.key_file;
    match std::fs::read_to_string(&key.path) {
        Ok(pem) => match SigningKey::from_pem(&pem) {
            Ok(_) => remarks.push(format!("signing key {}", key.path.display())),
            Err(error) => problems.push(format!("signing key {}: {error}", key.path.display())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && key.made_when_absent => {
            remarks.push(format!("signing key {} will be made on the first start", key.path.display()));
        }
        Err(error) => problems.push(format!("signing key {}: {error}", key.path.display())),
    }
    let socket = &config.site.control_socket;
    if let Err(why) = control::check(socket) {
        problems.push(format!("site.control_socket {}: {why}", socket.display()));
    } else if let Some(why) = control::folder(socket) {
        remarks.push(format!("site.control_socket {}: {why}", socket.display()));
    }
    let mqtt = &config.mqtt;
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
            problems.push(format!("mqtt.{name} {}: {error}", path.display()));
        }
    }
    remarks.extend(config.web.listen.and_then(web::without_login));
    if config.tariff.default.is_none() {
        remarks.push("tariff.default is not set: sessions of stations without a tariff of their own will be held".to_owned());
    }
    if output.machine() {
        output.object(&json!({ "ok": problems.is_empty(), "problems": problems, "remarks": remarks }))?;
    } else {
        for remark in &remarks {
            output.line(remark)?;
        }
    }
    if problems.is_empty() {
        output.remark("the configuration is valid");
        return Ok(Exit::Ok);
    }
    let text = if output.machine() { String::new() } else { problems.join("\n") };
    Err(Failure::new(Exit::Configuration, text))
}
