//! What we tell a station, in the site's own words. `ocpp` turns it into a CALLRESULT or CALLERROR of the right version.

use crate::units::{Time, TxRef};

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// BootNotification.
    Boot {
        registration: Registration,
        now: Time,
        interval_s: u32,
    },
    Heartbeat {
        now: Time,
    },
    Authorize {
        info: TokenInfo,
    },
    /// 1.6 StartTransaction: the id we assigned; always present, whatever the status (OCPP 1.6 §4.8).
    Started {
        tx: TxRef,
        info: TokenInfo,
    },
    /// 1.6 StopTransaction, 2.x TransactionEvent: what the token gets, exactly when the request carried a token (2.0.1 E01.FR.11,
    /// C12.FR.03).
    Tx {
        info: Option<TokenInfo>,
    },
    /// `{}`, or for what is only noted the answer that the standard has for it.
    Empty,
    /// DataTransfer to a vendor id we do not know.
    UnknownVendor,
}

/// Whether a station is served: `Pending` waits in the inbox for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    Accepted,
    Pending,
    Rejected,
}

impl Registration {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Pending => "Pending",
            Self::Rejected => "Rejected",
        }
    }

    pub fn from_name(text: &str) -> Option<Self> {
        [Self::Accepted, Self::Pending, Self::Rejected].into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text))
    }
}

/// What a station is told of a token (1.6 IdTagInfo, 2.x IdTokenInfoType).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    pub status: AuthStatus,
    /// Tokens of a group may end each other's transactions (1.6 parentIdTag, 2.x groupIdToken).
    pub group: Option<Box<str>>,
    /// Until when a station may keep this answer.
    pub expires_at: Option<Time>,
}

impl From<AuthStatus> for TokenInfo {
    fn from(status: AuthStatus) -> Self {
        Self { status, group: None, expires_at: None }
    }
}

/// Whether a token may charge. 1.6 has no `Unknown`; it is sent as `Invalid` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthStatus {
    Accepted,
    Blocked,
    Expired,
    Invalid,
    Unknown,
}

impl AuthStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Blocked => "Blocked",
            Self::Expired => "Expired",
            Self::Invalid => "Invalid",
            Self::Unknown => "Unknown",
        }
    }

    pub fn from_name(text: &str) -> Option<Self> {
        [Self::Accepted, Self::Blocked, Self::Expired, Self::Invalid, Self::Unknown].into_iter().find(|s| s.as_str() == text)
    }
}

/// Why a CALL is answered with a CALLERROR instead. Never used for a transaction message whose payload is a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// At most 255 characters, for the station's log.
    pub text: String,
}

/// The situations of the CALLERROR table; `ocpp` spells each in the negotiated version (1.6 `OccurenceConstraintViolation`, sic).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// JSON, but not an RPC frame.
    Framing,
    NotImplemented,
    NotSupported,
    /// Payload is not an object, or not JSON of the right shape.
    Format,
    /// A required field is missing.
    Missing,
    WrongType,
    /// Unknown message type number.
    MessageType,
    Internal,
}
