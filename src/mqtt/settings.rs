//! The `[mqtt]` section, resolved: what to connect to and how patient to be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Most records in flight, whatever the configuration says.
pub const MOST_WINDOW: u16 = 1_000;

#[derive(Clone)]
pub struct Settings {
    /// `mqtt://host[:1883]` or `mqtts://host[:8883]`.
    pub url: String,
    pub client_id: String,
    pub username: Option<String>,
    pub password: Option<String>,
    /// PEM. Absent: the system's certificates.
    pub ca_file: Option<PathBuf>,
    /// PEM, for a broker that asks for a client certificate.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// `forecourt/v1`; the site id follows.
    pub topic_prefix: String,
    /// Records in flight; the broker may allow fewer.
    pub window: u16,
    pub timing: Timing,
}

/// No secret in any log.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Patience. The defaults suit a site on a mobile line; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Whole seconds, at least 1. A dead line is noticed within two of these.
    pub keep_alive: Duration,
    pub reconnect: Duration,
    pub reconnect_cap: Duration,
    /// Without receipt progress for this long, unreceipted records are sent again; doubles to the cap.
    pub receipt_wait: Duration,
    pub receipt_wait_cap: Duration,
    /// After a refusal or without a subscriber; doubles to the cap.
    pub pause: Duration,
    pub pause_cap: Duration,
    /// Before a record that the broker refused is offered again; doubles to the cap.
    pub quarantine_wait: Duration,
    pub quarantine_wait_cap: Duration,
    /// A connection that was up for this long counts as good even when it had nothing to carry.
    pub lasting: Duration,
    /// Without any PUBACK for this long the connection is given up.
    pub ack_wait: Duration,
    /// Least time between two `status` messages.
    pub status_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(30),
            reconnect: Duration::from_millis(500),
            reconnect_cap: Duration::from_secs(60),
            receipt_wait: Duration::from_secs(30),
            receipt_wait_cap: Duration::from_secs(3_600),
            pause: Duration::from_secs(2),
            pause_cap: Duration::from_secs(120),
            quarantine_wait: Duration::from_secs(30),
            quarantine_wait_cap: Duration::from_secs(3_600),
            lasting: Duration::from_secs(10),
            ack_wait: Duration::from_secs(90),
            status_every: Duration::from_secs(5),
        }
    }
}

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        if host.contains(':') { write!(f, "[{host}]:{}", self.port) } else { write!(f, "{host}:{}", self.port) }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("mqtt.url {0:?}: must be mqtt://host[:port] or mqtts://host[:port]")]
    Url(String),
    #[error("mqtt.url: names a user; use mqtt.username and mqtt.password_file")]
    UserInUrl,
    #[error("mqtt.cert_file and mqtt.key_file: one is set without the other")]
    HalfIdentity,
    #[error("mqtt.ca_file, cert_file or key_file is set, but mqtt.url is not mqtts://")]
    TlsFilesWithoutTls,
    #[error("mqtt.topic_prefix {0:?}: must be topic levels without wildcards, not starting with $ or / and not ending with /")]
    TopicPrefix(String),
    #[error("mqtt.window must be 1 to {MOST_WINDOW}")]
    Window,
}

impl Settings {
    /// Checks everything that can be checked without the network and the files.
    pub fn target(&self) -> Result<Target, SettingsError> {
        let target = parse(&self.url)?;
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(SettingsError::HalfIdentity);
        }
        if !target.tls && (self.ca_file.is_some() || self.cert_file.is_some()) {
            return Err(SettingsError::TlsFilesWithoutTls);
        }
        let prefix = &self.topic_prefix;
        if prefix.is_empty() || prefix.starts_with(['$', '/']) || prefix.ends_with('/') || prefix.contains(['+', '#', '\0']) {
            return Err(SettingsError::TopicPrefix(prefix.clone()));
        }
        if !(1..=MOST_WINDOW).contains(&self.window) {
            return Err(SettingsError::Window);
        }
        Ok(target)
    }
}

fn parse(url: &str) -> Result<Target, SettingsError> {
    let wrong = || SettingsError::Url(url.to_owned());
    let (tls, rest) = match url.split_once("://") {
        Some(("mqtt", rest)) => (false, rest),
        Some(("mqtts", rest)) => (true, rest),
        _ => return Err(wrong()),
    };
    if rest.contains('@') {
        return Err(SettingsError::UserInUrl); // and do not repeat it: it may hold a password
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or_else(wrong)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(wrong)?) };
        (host, port)
    } else {
        rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() || (!host.contains(':') && !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))) {
        return Err(wrong());
    }
    let port = match port {
        None => [1883, 8883][usize::from(tls)],
        Some(text) => text.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
    };
    Ok(Target { host: host.to_owned(), port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_usual_ports() {
        let target = |url| parse(url).map(|target| (target.to_string(), target.tls));
        assert_eq!(target("mqtt://mq.example"), Ok(("mq.example:1883".into(), false)));
        assert_eq!(target("mqtts://mq.example/"), Ok(("mq.example:8883".into(), true)));
        assert_eq!(target("mqtts://[fd00::1]:443"), Ok(("[fd00::1]:443".into(), true)));
        assert_eq!(target("mqtt://10.0.0.7:2883"), Ok(("10.0.0.7:2883".into(), false)));
        assert_eq!(target("mqtt://me:secret@mq.example"), Err(SettingsError::UserInUrl));
        for wrong in
            ["", "mq.example", "http://mq.example", "mqtt://", "mqtt://a:0", "mqtt://a:99999", "mqtt://a/b", "mqtt://[::1"]
        {
            assert_eq!(target(wrong), Err(SettingsError::Url(wrong.into())));
        }
    }
}
