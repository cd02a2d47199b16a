//! `cim-nix-server healthcheck`: asks a running service whether it is ready, as containers do.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cim_nix_base::Error;
use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer that are looked at.
const LONGEST: u64 = 64 << 10;

/// What a server with TLS says to who speaks without: an alert.
const ALERT: u8 = 21;

/// The certificate for a service that lets in nobody without.
#[derive(Args, Clone, Debug)]
pub(crate) struct Shown {
    /// The file with the certificate to show, where the service asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The file with its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

/// A certificate, with those that lead to its authority, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Shown {
    /// Errors: a file cannot be read, or does not have what it should.
    fn read(&self) -> Result<Option<Identity>, Error> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(None);
        };
        let without = |what: &str, file: &Path| {
            Error::config(format!("there is no {what} in `{}`", file.display()))
        };
        let broken = |error| without("certificate", certificate).because(error);
        let chain = CertificateDer::pem_file_iter(certificate).map_err(broken)?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(broken)?;
        if chain.is_empty() {
            return Err(without("certificate", certificate));
        }
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| without("key", key).because(error))?;
        Ok(Some((chain, key)))
    }
}

/// Asks a service whether it is ready, over TLS if it speaks that.
///
/// Errors: it does not answer, or is not ready; with its reasons. The certificate cannot be shown.
pub(crate) fn run(address: SocketAddr, shown: &Shown) -> Result<ExitCode, Error> {
    let identity = shown.read()?;
    let failed =
        |error: io::Error| Error::outside(format!("{address} does not answer")).because(error);
    let answer = ask(connect(address).map_err(failed)?, address);
    let answer = match answer.map_err(failed)? {
        alert if alert.first() == Some(&ALERT) => {
            let is_anonymous = identity.is_none();
            let stream = encrypted(connect(address).map_err(failed)?, address, identity)?;
            ask(stream, address).map_err(|error| match is_anonymous {
                true => failed(error)
                    .hint("where clients need a certificate, `--certificate` and `--key` name one"),
                false => failed(error).hint(
                    "does an authority in `client-ca` vouch for the certificate that is shown?",
                ),
            })?
        }
        plain => plain,
    };
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1).filter(|_| status.starts_with("HTTP/1.1 ")) {
        Some("200") => Ok(ExitCode::SUCCESS),
        Some("503") => Err(Error::outside(format!("{address} is not ready: {}", reasons(body)))),
        Some("401") => Err(Error::outside(format!("{address} asks for a token"))
            .hint("`open-health = true` in `[http]` lets health be asked without")),
        Some(other) => Err(Error::outside(format!("{address} answers {other}"))),
        None => Err(Error::outside(format!("{address} does not answer as HTTP has it"))),
    }
}

fn reasons(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let reasons = body["reasons"].as_array().into_iter().flatten();
    let reasons: Vec<&str> = reasons.filter_map(serde_json::Value::as_str).collect();
    match reasons.is_empty() {
        true => "it does not say why".to_owned(),
        false => reasons.join(", "),
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<Vec<u8>> {
    let request =
        format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.take(LONGEST).read_to_end(&mut answer) {
        // Who has said all may hang up in any way.
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

fn encrypted(
    stream: TcpStream,
    address: SocketAddr,
    identity: Option<Identity>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let broken = |error| Error::bug("TLS cannot be spoken").because(error);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            Error::config("the certificate and its key cannot be used").because(error)
        })?,
    };
    let name = ServerName::from(address.ip());
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name).map_err(broken)?, stream))
}

/// Takes any certificate. Nothing that is secret is said to whoever answers, and who could answer in
/// the service's place on this machine could as well answer without TLS.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
