//! Values that are one of a few words.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_words_are_the_subprotocols() {
        for (text, version) in Version::WORDS {
            assert_eq!(version.subprotocol(), *text);
        }
    }
}
