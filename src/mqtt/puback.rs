//! What a broker's PUBACK means for a record (MQTT 5 §3.4.2.1).

/// A PUBACK reason code, by what it means for us (MQTT 5 §3.4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 0x00: the broker has it. Not delivery.
    Taken,
    /// 0x10: taken, and thrown away because nobody subscribes.
    NoSubscriber,
    /// 0x80, 0x83, 0x97: not now.
    Busy,
    /// 0x87, 0x90: our rights or our topic are wrong; a person must act.
    Denied,
    /// 0x99: the broker objects to this payload.
    BadRecord,
    /// 0x91 and codes the standard does not allow here: both sides disagree about the connection.
    Confused,
}

impl Answer {
    pub fn from_code(code: u8) -> Self {
        match code {
            0x00 => Self::Taken,
            0x10 => Self::NoSubscriber,
            0x80 | 0x83 | 0x97 => Self::Busy,
            0x87 | 0x90 => Self::Denied,
            0x99 => Self::BadRecord,
            _ => Self::Confused,
        }
    }

    /// For the technician; `None` when there is nothing to do.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Taken => None,
            Self::NoSubscriber => Some("nobody at head office subscribes to the records"),
            Self::Busy => Some("the broker is at its limit and takes no records for now"),
            Self::Denied => Some("the broker does not let this client write its record topics: check its access list"),
            Self::BadRecord => Some("the broker refuses the payload of a record"),
            Self::Confused => Some("the broker answered with a code that no PUBACK can carry"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_meaning() {
        let known = [(0x00, Answer::Taken), (0x10, Answer::NoSubscriber), (0x97, Answer::Busy), (0x87, Answer::Denied)];
        for (code, answer) in known.into_iter().chain([(0x99, Answer::BadRecord), (0x91, Answer::Confused)]) {
            assert_eq!(Answer::from_code(code), answer);
        }
        assert!((0..=u8::MAX).all(|code| (Answer::from_code(code) == Answer::Taken) == (code == 0)), "only 0x00 is yes");
    }
}
