//! What values are: one of a few words, a currency of ISO 4217, the broker's URL.

use std::fmt;

use super::found::{Found, Wrong};
use crate::units::Version;

/// A type whose values are written as fixed words.
pub(super) trait Word: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

/// Declares an enum, its words and `as_str`.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident { $( $(#[$variant_doc:meta])* $variant:ident = $text:literal, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$variant_doc])* $variant, )*
        }

        impl $name {
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )*
                }
            }
        }

        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$( ($text, Self::$variant), )*];
        }
    };
}

word! {
    /// What happens to a station whose identity no `[[station]]` names.
    UnknownStations {
        /// It may connect and charge.
        Accept = "accept",
        /// It may connect, and waits for a person to adopt it; meanwhile its tokens are not accepted.
        Inbox = "inbox",
        /// Its upgrade is answered with 404.
        Reject = "reject",
    }
}

word! {
    /// What an unlisted token is told. The session is recorded either way.
    UnknownTokens {
        Accept = "accept",
        Reject = "reject",
    }
}

impl From<UnknownTokens> for crate::station::UnknownTokens {
    fn from(word: UnknownTokens) -> Self {
        match word {
            UnknownTokens::Accept => Self::Accept,
            UnknownTokens::Reject => Self::Reject,
        }
    }
}

word! {
    /// How a bill is rounded.
    Rounding {
        /// Each line once, to the currency's minor unit, half away from zero; the total is the sum of the rounded lines.
        LineHalfAway = "line-half-away",
    }
}

word! {
    /// JWS algorithm of the records (RFC 7518).
    Algorithm {
        Es256 = "ES256",
    }
}

word! {
    Quirk {
        /// The station offers no subprotocol and speaks OCPP 1.6 (docs/quirks.md Q1). A wrong offer is refused all the same (Q116).
        AssumeOcpp16 = "assume-ocpp1.6",
    }
}

word! {
    LogLevel {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
        Trace = "trace",
    }
}

word! {
    LogFormat {
        Text = "text",
        Json = "json",
    }
}

impl Word for Version {
    const WORDS: &'static [(&'static str, Self)] = &[("ocpp2.1", Self::V21), ("ocpp2.0.1", Self::V201), ("ocpp1.6", Self::V16)];
}

/// A currency in use. Bills are rounded to its minor digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    pub code: &'static str,
    pub minor_digits: u32,
}

/// By minor digits. Fund, metal and test codes are left out: nobody pays for a charge with them.
const CODES: &[(u32, &str)] = &[
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE \
         CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW \
         KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK \
         PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS \
         UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

impl Currency {
    /// Every currency in use.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES
            .iter()
            .flat_map(|&(minor_digits, codes)| codes.split_ascii_whitespace().map(move |code| Self { code, minor_digits }))
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|currency| currency.code == code)
    }
}

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
    fn version_words_are_the_subprotocols() {
        for (text, version) in Version::WORDS {
            assert_eq!(version.subprotocol(), *text);
        }
    }

    #[test]
    fn minor_digits() {
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("ZWG", 2)] {
            assert_eq!(Currency::from_code(code), Some(Currency { code, minor_digits: digits }));
        }
        assert_eq!(Currency::from_code("eur"), None);
        assert_eq!(Currency::from_code("XXX"), None);
    }

    #[test]
    fn each_code_is_three_capitals_and_listed_once() {
        let mut codes: Vec<_> = Currency::all().map(|currency| currency.code).collect();
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }

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
