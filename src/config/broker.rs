//! The broker's URL.

use std::fmt;

use super::found::{Found, Wrong};

/// Where the head office listens: `mqtt://host[:1883]` or `mqtts://host[:8883]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub tls: bool,
    /// A name or an address, an IPv6 one without brackets.
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            return write!(f, "{scheme}://[{}]:{}", self.host, self.port);
        }
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

const EXPECTED: &str = "expected \"mqtt://host:1883\", \"mqtts://host:8883\", or \"\" to keep everything in the outbox";

pub(super) fn broker(found: &Found<'_>) -> Result<Broker, Wrong> {
    let text = found.text().unwrap_or_default();
    if text.contains('@') {
        let expected = "expected the name in `mqtt.username` and the password in the file that `mqtt.password_file` names";
        return Err(found.wrong_as("holds a user name or password", expected));
    }
    parse(text).ok_or_else(|| found.wrong(EXPECTED))
}

fn parse(text: &str) -> Option<Broker> {
    let (scheme, rest) = text.split_once("://")?;
    let tls = match scheme {
        "mqtt" => false,
        "mqtts" => true,
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let known = host.contains(':') || (!host.is_empty() && host.bytes().all(named));
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if tls => 8883,
        None => 1883,
    };
    known.then(|| Broker { tls, host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, shown) in [
            ("mqtt://broker", Some("mqtt://broker:1883")),
            ("mqtt://broker/", Some("mqtt://broker:1883")),
            ("mqtts://mq.example.org", Some("mqtts://mq.example.org:8883")),
            ("mqtt://10.0.0.1:1884", Some("mqtt://10.0.0.1:1884")),
            ("mqtts://[::1]:8884", Some("mqtts://[::1]:8884")),
            ("mqtt://[::1]", Some("mqtt://[::1]:1883")),
            ("mqtt://", None),
            ("mqtt://host:0", None),
            ("mqtt://host:99999", None),
            ("mqtt://host/path", None),
            ("mqtt://[nonsense]", None),
            ("mqtt://::1", None),
            ("tcp://host", None),
            ("host:1883", None),
        ] {
            assert_eq!(parse(text).map(|broker| broker.to_string()).as_deref(), shown, "{text}");
        }
    }
}
