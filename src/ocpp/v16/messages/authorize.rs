//! Authorize (OCPP 1.6 §6.1). An empty tag is a tag that nobody has.

use serde::Serialize;

use super::id_tag::IdTagInfo;
use crate::fact::{Answer, Fact, Refusal};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::message_id::MessageId;
use crate::units::{Token, TokenKind};

pub(super) const AUTHORIZE: Incoming = Incoming {
    action: "Authorize",
    kind: Kind::Message { decode, encode },
    examples: &[
        (r#"{"idTag":" 04A1B2C3 ","connectorId":2}"#, "unstated:04A1B2C3"),
        (r#"{"idTag":1234567890123456789012345}"#, "unstated:1234567890123456789012345"),
        (r#"{"idTag":""}"#, "unstated: !token-empty"),
        (r#"{"idTag":null}"#, "refused Missing: idTag is required"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut tag = Field::Absent;
    r.object("Authorize", |r, key| match key {
        "idTag" => tag = r.text(key),
        _ => r.skip(),
    });
    let tag = tag.required("idTag")?;
    if tag.trim().is_empty() {
        r.note("token-empty", "idTag");
    }
    Ok(Fact::Authorize { token: Token::new(TokenKind::Unstated, &tag) })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    id_tag_info: IdTagInfo<'a>,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let Answer::Authorize { info } = answer else { return None };
    result(id, &Response { id_tag_info: IdTagInfo::new(info) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::AuthStatus;

    #[test]
    fn there_is_no_unknown_tag_in_1_6() {
        for (status, sent) in
            [(AuthStatus::Unknown, "Invalid"), (AuthStatus::Accepted, "Accepted"), (AuthStatus::Blocked, "Blocked")]
        {
            assert_eq!(
                AUTHORIZE.answer(&Answer::Authorize { info: status.into() }),
                format!(r#"{{"idTagInfo":{{"status":"{sent}"}}}}"#)
            );
        }
    }
}
