//! Authorize (OCPP 2.0.1 C01). Certificates of plug and charge are passed over.

use serde::Serialize;

use super::id_token::{IdTokenInfo, id_token};
use crate::fact::{Answer, Fact, Refusal};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::message_id::MessageId;

pub(super) const AUTHORIZE: Incoming = Incoming {
    action: "Authorize",
    kind: Kind::Message { decode, encode },
    examples: &[
        (r#"{"idToken":{"idToken":"04A1","type":"ISO14443"}}"#, "ISO14443:04A1"),
        (r#"{"idToken":{"idToken":"","type":"NoAuthorization"}}"#, "NoAuthorization:"),
        (r#"{"idToken":{"idToken":"","type":"ISO14443"}}"#, "refused WrongType: idToken cannot be read"),
        (r#"{"idToken":"04A1"}"#, "unstated:04A1 !token-kind-missing"),
        ("{}", "refused Missing: idToken is required"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut token = Field::Absent;
    r.object("Authorize", |r, key| match key {
        "idToken" => token = id_token(r),
        _ => r.skip(),
    });
    Ok(Fact::Authorize { token: token.required("idToken")? })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    id_token_info: IdTokenInfo<'a>,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let Answer::Authorize { info } = answer else { return None };
    result(id, &Response { id_token_info: IdTokenInfo::new(info) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::AuthStatus;

    #[test]
    fn a_token_has_a_status() {
        let answer = Answer::Authorize { info: AuthStatus::Unknown.into() };
        assert_eq!(AUTHORIZE.answer(&answer), r#"{"idTokenInfo":{"status":"Unknown"}}"#);
    }
}
