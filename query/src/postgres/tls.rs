//! Encryption of connections: TLS, asked for as Postgres has it or spoken from the first byte on.
//!
//! "PostgreSQL Documentation", section "SSL Session Encryption".

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig, crypto};

/// The protocol's name in the negotiation of TLS. "PostgreSQL Documentation", section "SSL Session Encryption".
const PROTOCOL: &[u8] = b"postgresql";

/// The first byte of a connection that begins with TLS: the kind `handshake`. RFC 8446, section 5.1.
const HANDSHAKE: u8 = 0x16;

/// Bytes from a client and to it, encrypted or not.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection's bytes.
pub(super) type Wire = Box<dyn Io>;

/// Whether others on the way can read what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Openly,
    Encrypted,
}

/// With what connections are encrypted. Clones share it.
#[derive(Clone)]
pub struct Encryption {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

/// The certificate that is shown to whoever comes now, with its key.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encryption")
    }
}

/// Why nothing can be encrypted with what was given.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    /// There is no certificate in the text.
    #[error("there is no certificate in it; expected PEM, with a line `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("its certificate number {0} cannot be read: {1}")]
    Certificate(usize, String),
    /// The key cannot be read.
    #[error("there is no private key in it; expected PEM, with a line like `-----BEGIN PRIVATE KEY-----`: {0}")]
    Key(String),
    /// The two do not go together.
    #[error("the certificate and the key cannot be used: {0}")]
    Together(#[from] rustls::Error),
}

impl Encryption {
    /// With the certificates of a PEM text, the node's own first and those between it and its root behind it, and with the private key of
    /// another.
    ///
    /// # Errors
    ///
    /// When there is none, one cannot be read, or the key is that of another certificate.
    pub fn new(certificates: &str, key: &str) -> Result<Self, EncryptionError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(certified(certificates, key)?))));
        let builder = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(current.clone());
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    /// Encrypts the connections that are made from now on with these, given as to [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); then those before stay.
    pub fn renew(&self, certificates: &str, key: &str) -> Result<(), EncryptionError> {
        let renewed = Arc::new(certified(certificates, key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// A connection on which TLS begins now.
    pub(super) async fn begin(&self, wire: Wire) -> io::Result<Wire> {
        Ok(Box::new(self.acceptor.accept(wire).await?))
    }
}

fn certified(certificates: &str, key: &str) -> Result<CertifiedKey, EncryptionError> {
    let read = CertificateDer::pem_slice_iter(certificates.as_bytes()).enumerate();
    let certificates = read
        .map(|(at, read)| read.map_err(|error| EncryptionError::Certificate(at + 1, error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(EncryptionError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
    let key = key.map_err(|error| EncryptionError::Key(error.to_string()))?;
    Ok(CertifiedKey::from_der(certificates, key, &crypto::ring::default_provider())?)
}

/// A connection that has just been made. A client that speaks TLS at once is understood if there is something to encrypt with.
pub(super) async fn open(client: TcpStream, encryption: Option<&Encryption>) -> io::Result<(Wire, Said)> {
    client.set_nodelay(true)?;
    let Some(encryption) = encryption else { return Ok((Box::new(client), Said::Openly)) };
    let mut first = [0];
    if client.peek(&mut first).await? == 0 || first != [HANDSHAKE] {
        return Ok((Box::new(client), Said::Openly));
    }
    let client = encryption.acceptor.accept(client).await?;
    // Whoever does not say what they speak may mean another protocol.
    if client.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "TLS began without the protocol `postgresql`"));
    }
    Ok((Box::new(client), Said::Encrypted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_key_is_refused_with_a_word() {
        const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
        for (certificate, key, expected) in [
            ("", "", "no certificate in it"),
            (NO_CERTIFICATE, "", "number 1 cannot be read"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "no private key in it"),
        ] {
            let refused = Encryption::new(certificate, key).map(drop);
            assert!(refused.is_err_and(|error| error.to_string().contains(expected)), "{expected}");
        }
    }
}
