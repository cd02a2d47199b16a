//! `cim-nix-server healthcheck`: asks a running service whether it is ready, as containers do.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cim_nix_base::Error;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer that are looked at.
const LONGEST: u64 = 64 << 10;

/// What a server with TLS says to who speaks without: an alert.
const ALERT: u8 = 21;

/// Asks a service whether it is ready, over TLS if it speaks that.
///
/// Errors: it does not answer, or is not ready; with its reasons.
pub(crate) fn run(address: SocketAddr) -> Result<ExitCode, Error> {
    let failed =
        |error: io::Error| Error::outside(format!("{address} does not answer")).because(error);
    let answer = ask(connect(address).map_err(failed)?, address);
    let answer = match answer.map_err(failed)? {
        alert if alert.first() == Some(&ALERT) => {
            ask(encrypted(connect(address).map_err(failed)?, address)?, address).map_err(failed)?
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
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let broken = |error| Error::bug("TLS cannot be spoken").because(error);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
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
