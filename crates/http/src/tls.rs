//! TLS: certificates from files, and who comes with one.

use std::path::Path;
use std::sync::Arc;

use cim_nix_base::Error;
use cim_nix_service::{Caller, Known};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};

use crate::auth::VIA;
use crate::settings::{ClientEntry, TlsSettings};

/// Reads the certificates that settings name.
///
/// Errors: a file cannot be read, or does not have what it should.
pub(crate) fn read(settings: &TlsSettings) -> Result<Arc<ServerConfig>, Error> {
    let chain = certificates(&settings.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| {
        Error::config(format!("there is no key in `{}`", settings.key.display())).because(error)
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let broken = |error: rustls::Error| {
        let file = settings.certificate.display();
        Error::config(format!("the certificate in `{file}` cannot be used")).because(error)
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = match &settings.client_ca {
        None if settings.require_client_certificate => {
            return Err(Error::config("clients need a certificate, and no authority is named")
                .hint("set `client-ca` to the certificate of the authority"));
        }
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(broken)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match settings.require_client_certificate {
                true => verifier,
                false => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| {
                let file = file.display();
                Error::config(format!("`{file}` is no authority of certificates")).because(error)
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(broken)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let broken = |error| {
        Error::config(format!("there is no certificate in `{}`", file.display())).because(error)
    };
    let read = CertificateDer::pem_file_iter(file).map_err(broken)?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(broken)?;
    match read.is_empty() {
        false => Ok(read),
        true => Err(Error::config(format!("there is no certificate in `{}`", file.display()))),
    }
}

/// Errors: an entry says of no certificate how it is known.
pub(crate) fn check(clients: &[ClientEntry]) -> Result<(), Error> {
    for client in clients {
        let is_sound = match client.certificate.split_once(':') {
            Some(("dns" | "uri", name)) => !name.is_empty(),
            Some(("sha256", hex)) => {
                hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
            }
            _ => false,
        };
        if !is_sound {
            let name = client.name.escape_debug();
            return Err(Error::config(format!("the certificate of `{name}` is not named")).hint(
                "`dns:NAME`, `uri:URI`, or `sha256:` with the 64 digits of its fingerprint",
            ));
        }
    }
    Ok(())
}

/// Who comes with this certificate, which an authority has vouched for.
pub(crate) fn client(
    clients: &[ClientEntry],
    certificate: &CertificateDer<'_>,
) -> Option<Arc<Known>> {
    let names = webpki::EndEntityCert::try_from(certificate).ok();
    let fingerprint = Sha256::digest(certificate.as_ref());
    let fingerprint: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let is_meant = |client: &&ClientEntry| match client.certificate.split_once(':') {
        Some(("sha256", hex)) => hex.eq_ignore_ascii_case(&fingerprint),
        Some(("dns", name)) => names.as_ref().is_some_and(|names| {
            names.valid_dns_names().any(|known| known.eq_ignore_ascii_case(name))
        }),
        Some(("uri", uri)) => {
            names.as_ref().is_some_and(|names| names.valid_uri_names().any(|known| known == uri))
        }
        _ => false,
    };
    let client = clients.iter().find(is_meant)?;
    let caller = Caller { name: client.name.as_str().into(), role: client.role, via: VIA };
    Some(Arc::new(Known { caller, tenants: client.tenants.clone() }))
}
