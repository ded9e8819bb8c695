//! What a record is about. The names are part of the record and of its MQTT topic, and never change meaning. This version makes
//! `charge` and `gateway-change` only.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One ended session, billed.
    Charge,
    /// Takes back an earlier charge (OCPI 2.2.1 cdrs, credit CDRs).
    Credit,
    /// A charge that is not to be billed: commissioning, meter checks.
    Test,
    DayClose,
    /// First record of a new epoch: names the last known record of the one before.
    GatewayChange,
    KeyChange,
    Adjustment,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Charge, Self::Credit, Self::Test, Self::DayClose, Self::GatewayChange, Self::KeyChange, Self::Adjustment];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Credit => "credit",
            Self::Test => "test",
            Self::DayClose => "day-close",
            Self::GatewayChange => "gateway-change",
            Self::KeyChange => "key-change",
            Self::Adjustment => "adjustment",
        }
    }

    pub fn from_name(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// These carry `cdr`, `session`, `lines` and `meter`.
    pub const fn has_cdr(self) -> bool {
        matches!(self, Self::Charge | Self::Credit | Self::Test)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_name(&text).ok_or_else(|| serde::de::Error::custom(format!("unknown record kind \"{text}\"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_correspond() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_name("Charge"), None);
    }
}
