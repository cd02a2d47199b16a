//! Each way to say who the service is, and TLS, on servers that ask for it.

use std::path::{Path, PathBuf};

use cim_nix_nats::{Login, NatsSettings, Secret, Tls};
use cim_nix_rig::{Nats, Setup};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::world::{Running, service, settings, wait_for};

/// Whether the service comes up, with what it says if it does not.
fn comes_up(settings: &NatsSettings) -> Result<(), String> {
    let mut running =
        Running::try_start(&service(&["acme"]), settings).map_err(|error| error.chain())?;
    wait_for("the connection", || running.nats().health()[0].is_connected);
    running.stop();
    Ok(())
}

fn with(url: &str, login: Login) -> NatsSettings {
    NatsSettings { login, ..settings(url) }
}

#[test]
fn users_tokens_and_nkeys() {
    let key = KeyPair::new_user();
    let seed = key.seed().expect("a seed");
    for (config, good, bad) in [
        (
            "authorization { user: ann, password: hunter2 }".to_owned(),
            json!({ "user": "ann", "password": "hunter2" }),
            json!({ "user": "ann", "password": "hunter3" }),
        ),
        (
            "authorization { token: hunter2 }".to_owned(),
            json!({ "token": "hunter2" }),
            json!({ "token": "hunter3" }),
        ),
        (
            format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key()),
            json!({ "nkey": seed }),
            json!({ "nkey": KeyPair::new_user().seed().expect("a seed") }),
        ),
    ] {
        let Some(nats) = Nats::start(Setup::jetstream().with(&config)) else { return };
        let login = |value: Value| serde_json::from_value::<Login>(value).expect("a login");
        assert_eq!(comes_up(&with(&nats.url(), login(good.clone()))), Ok(()), "{config}");
        let refused = comes_up(&with(&nats.url(), login(bad))).expect_err("another secret");
        assert!(refused.starts_with("the NATS server does not know the login of "), "{refused}");
        assert!(!refused.contains("hunter") && !refused.contains("SU"), "{refused}");
        // The same from files, with what people leave around secrets.
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        for (name, secret) in good.as_object().expect("fields") {
            if name == "user" {
                continue;
            }
            let secret = secret.as_str().expect("a text");
            std::fs::write(&file, format!("{secret}\n")).expect("a file");
            let mut from_file = json!({ format!("{name}-file"): file });
            if let Some(user) = good.get("user") {
                from_file["user"] = user.clone();
            }
            assert_eq!(comes_up(&with(&nats.url(), login(from_file))), Ok(()), "{name}");
        }
    }
}

#[test]
fn a_user_in_the_address() {
    let config = "authorization { user: ann, password: hunter2 }";
    let Some(nats) = Nats::start(Setup::jetstream().with(config)) else { return };
    let url = nats.url().replace("nats://", "nats://ann:hunter2@");
    assert_eq!(comes_up(&settings(&url)), Ok(()));
}

/// Text as JWTs have it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for n in 0..3 {
            bits = (bits << 8) | u32::from(chunk.get(n).copied().unwrap_or_default());
        }
        for n in 0..=chunk.len() {
            text.push(LETTERS[((bits >> (18 - 6 * n)) & 63) as usize].into());
        }
    }
    text
}

/// A JWT that `by` signs for `subject`.
fn jwt(by: &KeyPair, subject: &KeyPair, name: &str, claims: Value) -> String {
    let body = json!({
        "jti": name, "iat": 1_700_000_000, "iss": by.public_key(), "name": name,
        "sub": subject.public_key(), "nats": claims,
    });
    let head = base64(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", base64(body.to_string().as_bytes()));
    let signature = base64(&by.sign(signed.as_bytes()).expect("a key with a seed"));
    format!("{signed}.{signature}")
}

#[test]
fn credentials_of_an_operators_account() {
    let (operator, account, user) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_operator = jwt(&operator, &operator, "op", json!({ "type": "operator", "version": 2 }));
    let of_account = jwt(
        &operator,
        &account,
        "acme",
        json!({ "limits": limits, "type": "account", "version": 2 }),
    );
    let of_user = jwt(
        &account,
        &user,
        "ann",
        json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 }),
    );
    let config = format!(
        "operator: {of_operator}\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}",
        account.public_key()
    );
    let Some(nats) = Nats::start(Setup::default().with(&config)) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ann.creds");
    let write = |seed: &str| {
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        std::fs::write(&file, text).expect("a file");
    };
    let login = Login { credentials_file: Some(file.clone()), ..Login::default() };
    write(&user.seed().expect("a seed"));
    assert_eq!(comes_up(&with(&nats.url(), login.clone())), Ok(()));
    write(&KeyPair::new_user().seed().expect("a seed"));
    let refused = comes_up(&with(&nats.url(), login)).expect_err("the seed of somebody else");
    assert!(!refused.contains("SU") && !refused.contains(&of_user), "{refused}");
}

/// A certificate authority with a certificate of a server and one of a client.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
            .expect("a certificate");
        write("ca.pem", ca.pem());
        for (name, of) in [("server", "127.0.0.1"), ("client", "cim-nix.test")] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![of.to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &ca).expect("a certificate");
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, more: &str) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", {more} }}",
            path("server.pem"),
            path("server.key"),
            path("ca.pem")
        )
    }
}

#[test]
fn tls_with_certificates_on_both_sides() {
    let certificates = Certificates::new();
    let config = certificates.config("verify: true");
    let Some(nats) = Nats::start(Setup::jetstream().with(&config)) else { return };
    let of = |tls: Tls| NatsSettings { tls, ..settings(&nats.url()) };
    let ours = Tls {
        required: true,
        ca: Some(certificates.path("ca.pem")),
        certificate: Some(certificates.path("client.pem")),
        key: Some(certificates.path("client.key")),
        ..Tls::default()
    };
    assert_eq!(comes_up(&of(ours.clone())), Ok(()));
    // Nobody whom the server does not know.
    let without = Tls { certificate: None, key: None, ..ours.clone() };
    comes_up(&of(without)).expect_err("the server wants a certificate");
    // No server that we do not know.
    let other = Certificates::new();
    let refused = comes_up(&of(Tls { ca: Some(other.path("ca.pem")), ..ours.clone() }));
    refused.expect_err("another authority");
    let half = comes_up(&of(Tls { key: None, ..ours.clone() })).expect_err("half of a pair");
    assert_eq!(half, "`nats.tls` has one of `certificate` and `key`, not both");
    let gone = comes_up(&of(Tls { ca: Some(Path::new("/nowhere").into()), ..ours }));
    assert!(gone.is_err_and(|error| error.starts_with("cannot read `/nowhere`")));
}

#[test]
fn tls_that_the_server_does_not_offer_is_not_done_without() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let tls = Tls { required: true, ..Tls::default() };
    let refused = comes_up(&NatsSettings { tls, ..settings(&nats.url()) });
    refused.expect_err("the server has no TLS");
}

#[test]
fn the_user_of_the_generated_configuration_serves() {
    use cim_nix_nats::{SubjectSpace, TenantUsers, server_config};
    let tenants = ["acme", "umbrella"].map(TenantUsers::placeholders);
    let config = server_config(&SubjectSpace::default(), &tenants, "cim-nix").expect("good names");
    let Some(nats) = Nats::start(Setup::jetstream().with(&config)) else { return };
    let login = |tenant: &str, role: &str| Login {
        user: Some(format!("{tenant}-{role}")),
        password: Some(Secret::from(&*format!("CHANGE-ME-{tenant}-{role}"))),
        ..Login::default()
    };
    let mut settings = settings(&nats.url());
    for tenant in ["acme", "umbrella"] {
        settings.accounts.insert(tenant.to_owned(), login(tenant, "service"));
    }
    let service = service(&["acme", "umbrella"]);
    let mut running = Running::start(&service, &settings);
    let Some(mut python) = crate::python::Python::start() else { return };
    let connected = python.call(json!({
        "op": "connect", "servers": [nats.url()], "user": "acme-operator",
        "password": "CHANGE-ME-acme-operator", "inbox_prefix": "_INBOX.acme-operator",
    }));
    assert_eq!(connected, json!({ "ok": true }));
    python.subscribe("nix.event.>");
    let body = json!({ "path": "/home/ann/fleet", "description": "x" }).to_string();
    let answer = python.request("nix.cmd.flake.create", &body, json!({}));
    assert_eq!(answer.body["status"], "success", "{}", answer.text);
    assert_eq!(python.next("nix.event.>").subject, "nix.event.flake.created");
    let lists = [("acme", 1), ("umbrella", 0)]
        .map(|(tenant, n)| (crate::world::events(&*running.store(tenant)).len(), n));
    assert!(lists.iter().all(|(found, wanted)| found == wanted), "{lists:?}");
    assert!(running.nats().health().iter().all(|it| it.violations == 0), "{:?}", running.nats());
    running.stop();
    assert!(running.store("acme").outgoing(1).expect("a store").is_empty());
}
