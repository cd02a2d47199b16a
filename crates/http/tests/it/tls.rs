//! TLS: certificates on both sides, and HTTP/2.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cim_nix_http::{ClientEntry, Settings, TlsSettings};
use cim_nix_service::{Limits, Role};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::kit::{Answer, Kit, OPERATOR};

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        // An authority of the same name as what it vouches for would pass for self-signed.
        params.distinguished_name.push(rcgen::DnType::CommonName, "the authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Self(Issuer::new(params, key), pem)
    }

    /// Certificate and key as PEM.
    fn issue(&self, dns: &str, uri: Option<&str>) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![dns.to_owned()]).expect("a name");
        if let Some(uri) = uri {
            params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
        }
        let signed = params.signed_by(&key, &self.0).expect("signed");
        (signed.pem(), key.serialize_pem())
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).expect("it can be written");
    file
}

struct Secure {
    kit: Kit,
    authority: Authority,
    folder: tempfile::TempDir,
}

fn secure(is_required: bool) -> Secure {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost", None);
    let tls = TlsSettings {
        certificate: write(folder.path(), "server.pem", &certificate),
        key: write(folder.path(), "server.key", &key),
        client_ca: Some(write(folder.path(), "ca.pem", &authority.1)),
        require_client_certificate: is_required,
    };
    let client = |name: &str, role, tenant: &str, certificate: &str| ClientEntry {
        name: name.to_owned(),
        role,
        tenants: vec![tenant.to_owned()],
        certificate: certificate.to_owned(),
    };
    let clients = vec![
        client("ci", Role::Operator, "acme", "dns:ci.acme.example"),
        client("watch", Role::Reader, "beta", "uri:spiffe://acme/watch"),
    ];
    let settings = Settings { tls: Some(tls), clients, ..Settings::default() };
    Secure { kit: Kit::with(settings, Limits::default()), authority, folder }
}

impl Secure {
    /// Sends a request; `None` if the handshake fails.
    fn ask(&self, own: Option<&(String, String)>, request: &str) -> Option<Answer> {
        let mut roots = rustls::RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.authority.1.as_bytes()).expect("PEM");
        roots.add(authority).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(vec![certificate.expect("PEM")], key).expect("a pair")
            }
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
        let mut socket = self.kit.connect();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        stream.write_all(request.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        // The end may come without a goodbye.
        let _ = stream.read_to_end(&mut bytes);
        Some(Answer::of(&bytes)).filter(|answer| answer.status > 0)
    }
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

#[test]
fn certificates_say_who_asks() {
    let secure = secure(false);
    let ci = secure.authority.issue("ci.acme.example", None);
    let watch = secure.authority.issue("watch.example", Some("spiffe://acme/watch"));
    let unknown = secure.authority.issue("other.example", None);
    let status = |own, request: &str| secure.ask(own, request).map_or(0, |answer| answer.status);
    let acme = get("/v1/acme/flakes", "");
    assert_eq!(status(Some(&ci), &acme), 200);
    assert_eq!(status(Some(&watch), &acme), 403);
    assert_eq!(status(Some(&watch), &get("/v1/beta/flakes", "")), 200);
    assert_eq!(status(Some(&unknown), &acme), 401);
    assert_eq!(status(None, &acme), 401);
    let bearer = format!("Authorization: Bearer {OPERATOR}\r\n");
    assert_eq!(status(None, &get("/v1/acme/flakes", &bearer)), 200);
    // A token counts more than a certificate, a bad one as well.
    assert_eq!(status(Some(&ci), &get("/v1/acme/flakes", "Authorization: Bearer x\r\n")), 401);
    // Whoever another authority vouches for does not get in.
    let foreign = Authority::new().issue("ci.acme.example", None);
    assert_eq!(status(Some(&foreign), &acme), 0);
    let answer = secure.ask(None, &get("/version", "")).expect("an answer");
    assert!(answer.header("strict-transport-security").is_some());
    // Plain text is no TLS.
    assert_eq!(secure.kit.send(acme.as_bytes()).status, 0);
}

#[test]
fn nobody_gets_in_without_a_certificate_where_one_is_wanted() {
    let secure = secure(true);
    let version = get("/version", "");
    assert!(secure.ask(None, &version).is_none());
    let ci = secure.authority.issue("ci.acme.example", None);
    assert_eq!(secure.ask(Some(&ci), &version).map(|answer| answer.status), Some(200));
}

#[test]
fn certificates_are_read_again() {
    let secure = secure(false);
    let (certificate, key) = secure.authority.issue("elsewhere.example", None);
    write(secure.folder.path(), "server.pem", &certificate);
    assert!(secure.kit.handle.reload().is_err(), "the key is that of another one");
    assert!(secure.ask(None, &get("/version", "")).is_some());
    write(secure.folder.path(), "server.key", &key);
    secure.kit.handle.reload().expect("a pair");
    assert!(secure.ask(None, &get("/version", "")).is_none(), "it is not localhost any more");
}

#[test]
fn http2_is_spoken_over_tls() {
    let Some(curl) = crate::kit::is_there("curl") else { return };
    let secure = secure(false);
    let mut run = std::process::Command::new(curl);
    let address = secure.kit.address;
    run.args(["-s", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]);
    run.arg("--cacert").arg(secure.folder.path().join("ca.pem"));
    run.args(["--resolve", &format!("localhost:{}:127.0.0.1", address.port())]);
    run.args(["-H", &format!("Authorization: Bearer {OPERATOR}")]);
    run.arg(format!("https://localhost:{}/v1/acme/flakes", address.port()));
    let output = run.env_remove("https_proxy").output().expect("curl");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 200", "{output:?}");
}
