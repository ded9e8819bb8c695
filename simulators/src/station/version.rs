//! The OCPP versions a station speaks, by the name of the WebSocket subprotocol.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    V16,
    V201,
    V21,
}

impl Version {
    pub const ALL: [Self; 3] = [Self::V16, Self::V201, Self::V21];

    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::V16 => "ocpp1.6",
            Self::V201 => "ocpp2.0.1",
            Self::V21 => "ocpp2.1",
        }
    }

    pub const fn is_2x(self) -> bool {
        !matches!(self, Self::V16)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.subprotocol().trim_start_matches("ocpp"))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.trim_start_matches("ocpp");
        Self::ALL.into_iter().find(|version| version.to_string() == wanted).ok_or("one of 1.6, 2.0.1, 2.1".to_owned())
    }
}
