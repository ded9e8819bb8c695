//! Topic names and JSON payloads below `{topic_prefix}/{site}/`.

use serde_json::json;

use super::outbox::{Identity, Outgoing, StatusFacts};
use crate::units::time::rfc3339;

pub const RECORD_CONTENT_TYPE: &str = "application/jose";
pub const JSON_CONTENT_TYPE: &str = "application/json";

/// Bytes of a PUBLISH beside topic, payload and the text of its properties: fixed header 5, packet id 2, two string lengths 4,
/// property length 4, content type 3. Each user property adds 5.
const PUBLISH_OVERHEAD: usize = 18;
const USER_PROPERTY_OVERHEAD: usize = 5;

#[derive(Clone, Debug)]
pub struct Topics {
    base: String,
    pub status: String,
    pub keys: String,
    pub receipt: String,
    pub command: String,
    pub reply: String,
}

impl Topics {
    pub fn new(prefix: &str, site: &str) -> Self {
        let base = format!("{prefix}/{site}");
        let below = |name: &str| format!("{base}/{name}");
        Self {
            status: below("status"),
            keys: below("keys"),
            receipt: below("receipt"),
            command: below("cmd/call"),
            reply: below("reply/call"),
            base,
        }
    }

    /// `None` when `kind` cannot be one topic level.
    pub fn records(&self, kind: &str) -> Option<String> {
        let sound = !kind.is_empty() && kind.len() <= 64 && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        sound.then(|| format!("{}/records/{kind}", self.base))
    }
}

/// Routing hints; the truth is inside the signed payload.
pub fn user_properties(site: &str, record: &Outgoing) -> Vec<(String, String)> {
    [
        ("site", site.to_owned()),
        ("epoch", record.epoch.to_string()),
        ("seq", record.seq.to_string()),
        ("kind", record.kind.clone()),
        ("record_id", record.record_id.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// At least the length of the PUBLISH packet.
pub fn publish_size(topic: &str, properties: &[(String, String)], payload: usize) -> usize {
    let hints: usize = properties.iter().map(|(name, value)| name.len() + value.len() + USER_PROPERTY_OVERHEAD).sum();
    PUBLISH_OVERHEAD + topic.len() + RECORD_CONTENT_TYPE.len() + hints + payload
}

/// Birth, refresh, goodbye and last will share one form.
pub fn status(identity: &Identity, facts: &StatusFacts, online: bool) -> String {
    json!({
        "online": online,
        "since": rfc3339(facts.since),
        "version": facts.version,
        "epoch": identity.epoch,
        "last_seq": facts.last_seq,
        "outbox": facts.outbox,
        "kid": facts.kid,
    })
    .to_string()
}

/// The answer to a command that nobody carried out.
pub fn not_carried_out(why: &'static str) -> String {
    json!({"outcome": "refused", "error": {"code": "refused", "description": why}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_one_topic_level() {
        let topics = Topics::new("forecourt/v1", "site-1");
        assert_eq!(topics.records("day-close").as_deref(), Some("forecourt/v1/site-1/records/day-close"));
        for kind in ["", "a/b", "+", "#", "a b"] {
            assert_eq!(topics.records(kind), None);
        }
    }

    #[test]
    fn the_status_names_what_head_office_compares() {
        let facts = StatusFacts {
            last_seq: 42,
            outbox: 3,
            kid: "k1".into(),
            since: crate::units::time::from_millis(0),
            version: "0.1.0".into(),
        };
        let identity = Identity { site: "s".into(), epoch: 1_700_000_000_000 };
        let value: serde_json::Value = serde_json::from_str(&status(&identity, &facts, true)).expect("json");
        let expected = json!({"online": true, "since": "1970-01-01T00:00:00Z", "version": "0.1.0",
            "epoch": 1_700_000_000_000_u64, "last_seq": 42, "outbox": 3, "kid": "k1"});
        assert_eq!(value, expected);
    }
}
