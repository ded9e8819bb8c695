//! The way to the broker: name, TCP, TLS. Each step says which one failed, in words for a technician.
//!
//! TLS is rustls with ring, 1.2 or 1.3. Certificates and keys are read at every connection, so a renewed file needs no
//! restart. We dial ourselves and hand rumqttc a finished stream: its own TLS feature is not compiled in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::settings::{Settings, Target};

/// For each of: name, one TCP address, TLS handshake.
const STEP: Duration = Duration::from_secs(6);
/// Addresses tried for one name.
const MOST_ADDRESSES: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("resolve {target}: {}", plain(source))]
    Resolve { target: Target, source: io::Error },
    #[error("connect tcp {target}: {}", plain(source))]
    Connect { target: Target, source: io::Error },
    #[error("tls handshake with {target}: {}", plain(source))]
    Handshake { target: Target, source: io::Error },
    #[error("tls: {0:?} is no name a certificate can have")]
    Name(String),
    #[error("tls: read {}: {source}", path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("tls: {} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("tls: this system has no root certificates; set mqtt.ca_file")]
    NoRoots,
    #[error("tls: {}: {source}", path.display())]
    Refused { path: PathBuf, source: rustls::Error },
    #[error("tls: {0}")]
    Versions(rustls::Error),
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

pub async fn dial(settings: Arc<Settings>, target: Target) -> Result<Box<dyn Stream>, DialError> {
    // The files first: a wrong path shows even while the line is down.
    let tls = if target.tls { Some(connector(Arc::clone(&settings)).await?) } else { None };
    let tcp = connect(&target).await?;
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(target.host.clone()).map_err(|_| DialError::Name(target.host.clone()))?;
    match in_time(tls.connect(name, tcp)).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(source) => Err(DialError::Handshake { target, source }),
    }
}

async fn connect(target: &Target) -> Result<TcpStream, DialError> {
    let failed = |source| DialError::Resolve { target: target.clone(), source };
    let addresses = in_time(lookup_host((target.host.as_str(), target.port))).await.map_err(failed)?;
    let mut source = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.take(MOST_ADDRESSES) {
        match in_time(TcpStream::connect(address)).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(|source| DialError::Connect { target: target.clone(), source })?;
                return Ok(stream);
            }
            Err(error) => source = error,
        }
    }
    Err(DialError::Connect { target: target.clone(), source })
}

async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STEP, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads the files on a blocking thread; network file systems and tokens can be slow.
async fn connector(settings: Arc<Settings>) -> Result<TlsConnector, DialError> {
    let built = tokio::task::spawn_blocking(move || client_config(&settings)).await;
    let config = built.unwrap_or_else(|panic| Err(DialError::Versions(rustls::Error::General(panic.to_string()))))?;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn client_config(settings: &Settings) -> Result<ClientConfig, DialError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(DialError::Versions)?
        .with_root_certificates(roots(settings.ca_file.as_deref())?);
    let (Some(cert_file), Some(key_file)) = (&settings.cert_file, &settings.key_file) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|source| DialError::Pem { path: key_file.clone(), source })?;
    builder.with_client_auth_cert(chain, key).map_err(|source| DialError::Refused { path: key_file.clone(), source })
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, DialError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        // Single broken files in the system's store do not matter as long as some certificates are good.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if roots.is_empty() { Err(DialError::NoRoots) } else { Ok(roots) };
    };
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| DialError::Refused { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let failed = |source| DialError::Pem { path: path.to_owned(), source };
    let found: Vec<_> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() { Err(DialError::NoCertificate(path.to_owned())) } else { Ok(found) }
}

/// `connection refused` instead of `Connection refused (os error 111)`; TLS alerts and certificate errors as rustls words them.
pub fn plain(error: &io::Error) -> String {
    match (error.raw_os_error(), error.kind()) {
        (_, io::ErrorKind::TimedOut) => "timed out".to_owned(),
        (Some(_), kind) if kind.to_string() != "uncategorized error" => kind.to_string(),
        _ => error.to_string(),
    }
}
