//! The way to the CSMS: TCP, HTTP upgrade with subprotocol and HTTP Basic. No TLS.

use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error,
        client::IntoClientRequest,
        http::{
            HeaderValue,
            header::{AUTHORIZATION, InvalidHeaderValue, SEC_WEBSOCKET_PROTOCOL},
        },
        protocol::WebSocketConfig,
    },
};

use super::Options;
use crate::base64::encode_standard;

const MAX_MESSAGE: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("{0} is no ws:// address")]
    Url(String),
    #[error("no connection: {0}")]
    Tcp(#[from] std::io::Error),
    /// The CSMS answered, but not with an upgrade.
    #[error("HTTP {0}")]
    Http(u16),
    #[error("the CSMS chose the subprotocol {0:?}")]
    Subprotocol(Option<String>),
    #[error("no handshake: {0}")]
    Handshake(#[from] Box<Error>),
    #[error("password or version cannot be put into a header")]
    Header(#[from] InvalidHeaderValue),
}

pub async fn dial(options: &Options) -> Result<WebSocketStream<TcpStream>, DialError> {
    let url = format!("{}/{}", options.url.trim_end_matches('/'), percent_encode(&options.id));
    let not_ws = || DialError::Url(url.clone());
    let mut request = url.as_str().into_client_request().map_err(|_| not_ws())?;
    let (host, port) = match (request.uri().scheme_str(), request.uri().host()) {
        (Some("ws"), Some(host)) => (host.trim_matches(['[', ']']).to_owned(), request.uri().port_u16().unwrap_or(80)),
        _ => return Err(not_ws()),
    };
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(options.version.subprotocol()));
    if let Some(password) = &options.password {
        let credentials = encode_standard(format!("{}:{password}", options.id).as_bytes());
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(&format!("Basic {credentials}"))?);
    }
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let (socket, response) = client_async_with_config(request, tcp, Some(config)).await.map_err(refused)?;
    let chosen = response.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    if chosen != Some(options.version.subprotocol()) {
        return Err(DialError::Subprotocol(chosen.map(str::to_owned)));
    }
    Ok(socket)
}

fn refused(error: Error) -> DialError {
    match error {
        Error::Http(response) => DialError::Http(response.status().as_u16()),
        error => DialError::Handshake(Box::new(error)),
    }
}

/// RFC 3986, 2.3: everything but the unreserved characters.
fn percent_encode(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn identities_are_percent_encoded() {
        assert_eq!(super::percent_encode("CP 01/ü*"), "CP%2001%2F%C3%BC%2A");
    }
}
