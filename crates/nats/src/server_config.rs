//! A configuration for `nats-server`: accounts of tenants, users by role, what they may do.

use std::fmt::Write as _;

use cim_nix_base::Error;
use cim_nix_service::{Role, check_name};

use crate::permissions::Permissions;
use crate::space::{SubjectSpace, TenantsBy};

/// How a user shows who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// The public part of an NKey, `U...`; the user keeps the seed.
    NKey(String),
    /// A password, or what `nats server passwd` makes of one (bcrypt, `$2a$...`).
    Password(String),
    /// Something to be filled in by hand.
    Placeholder,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Their name: also the token in the subjects of their replies.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they show who they are.
    pub credential: Credential,
}

/// What a tenant may keep in JetStream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JetStreamLimits {
    /// Bytes on disk.
    pub disk: u64,
    /// Bytes in memory.
    pub memory: u64,
    /// Streams.
    pub streams: u32,
    /// Consumers.
    pub consumers: u32,
}

impl Default for JetStreamLimits {
    fn default() -> Self {
        Self { disk: 64 << 30, memory: 256 << 20, streams: 16, consumers: 256 }
    }
}

/// A tenant with its users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantUsers {
    /// Its name.
    pub tenant: String,
    /// Who there is.
    pub users: Vec<User>,
    /// What it may keep, where it has an account of its own.
    pub limits: JetStreamLimits,
}

impl TenantUsers {
    /// A tenant with one user for each role, named `TENANT-ROLE`, whose credentials are to be
    /// filled in.
    #[must_use]
    pub fn placeholders(tenant: &str) -> Self {
        let user = |role: Role| User {
            name: format!("{tenant}-{role}"),
            role,
            credential: Credential::Placeholder,
        };
        Self {
            tenant: tenant.to_owned(),
            users: Role::ALL.map(user).into(),
            limits: JetStreamLimits::default(),
        }
    }
}

/// The configuration for a server, as text. Where tenants share an account, the service has one user
/// for all of them, `cim-nix-service`, with the credential of the first tenant's.
///
/// Errors: a name could not stand in subjects, two users have one name, or a credential is none.
pub fn server_config(
    space: &SubjectSpace,
    tenants: &[TenantUsers],
    queue: &str,
) -> Result<String, Error> {
    check(tenants)?;
    let mut text = String::from(HEAD);
    let mut print = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    print("accounts {");
    if space.tenants() == TenantsBy::Token {
        print("  # Tenants share this account; what users may do keeps them apart.");
        print("  cim-nix {");
        let mut limits = JetStreamLimits { disk: 0, memory: 0, streams: 0, consumers: 0 };
        for tenant in tenants {
            limits.disk = limits.disk.saturating_add(tenant.limits.disk);
            limits.memory = limits.memory.saturating_add(tenant.limits.memory);
            limits.streams = limits.streams.saturating_add(tenant.limits.streams);
            limits.consumers = limits.consumers.saturating_add(tenant.limits.consumers);
        }
        print(&jetstream(&limits));
        print("    users: [");
        if let Some((user, permissions)) = shared_service(space, tenants, queue)? {
            print("      # the service, for all tenants");
            print(&of_user(&user, &permissions)?);
        }
        for tenant in tenants {
            print(&format!("      # {}", tenant.tenant));
            for user in tenant.users.iter().filter(|user| user.role != Role::Service) {
                let name = &tenant.tenant;
                let permissions = Permissions::of(user.role, &user.name, space, name, queue)?;
                print(&of_user(user, &permissions)?);
            }
        }
        print("    ]\n  }");
    } else {
        for tenant in tenants {
            print("  # Nothing is exported, and nothing imported: no other account reaches it.");
            print(&format!("  {} {{", tenant.tenant));
            print(&jetstream(&tenant.limits));
            print("    users: [");
            for user in &tenant.users {
                let name = &tenant.tenant;
                let permissions = Permissions::of(user.role, &user.name, space, name, queue)?;
                print(&of_user(user, &permissions)?);
            }
            print("    ]\n  }");
        }
    }
    print("}");
    Ok(text)
}

const HEAD: &str = "\
# What users of the Nix domain may do, derived from its subjects.
#
# Users have an inbox of their own, so that nobody reads the replies to others: clients set their
# inbox prefix to `_INBOX.USER` (`nats --inbox-prefix`, `custom_inbox_prefix`, `inbox_prefix`).
# Passwords are better hashed, with `nats server passwd`, and NKeys are better than passwords.
#
# Add to the server's own configuration what is particular to it: `listen`, `tls`, `cluster`, and
#
#   jetstream {
#     store_dir: \"/var/lib/nats\"
#     # What is acknowledged survives a power cut. Without it the last two minutes may be lost on a
#     # server that stands alone.
#     sync_interval: always
#   }

";

fn jetstream(limits: &JetStreamLimits) -> String {
    let JetStreamLimits { disk, memory, streams, consumers } = limits;
    format!(
        "    jetstream {{ max_file: {disk}, max_mem: {memory}, max_streams: {streams}, max_consumers: {consumers} }}"
    )
}

fn check(tenants: &[TenantUsers]) -> Result<(), Error> {
    let mut names: Vec<&str> = Vec::new();
    for tenant in tenants {
        check_name(&tenant.tenant)?;
        for user in &tenant.users {
            if names.contains(&&*user.name) {
                return Err(Error::config(format!(
                    "there are two users `{}`",
                    user.name.escape_debug()
                ))
                .hint("users of a server have different names, whatever their accounts"));
            }
            names.push(&user.name);
        }
    }
    Ok(())
}

/// The one user of the service where tenants share an account. Each tenant's own would reach the
/// streams of the others, as the API of JetStream is the account's.
fn shared_service(
    space: &SubjectSpace,
    tenants: &[TenantUsers],
    queue: &str,
) -> Result<Option<(User, Permissions)>, Error> {
    let of_service = |tenant: &TenantUsers| {
        tenant
            .users
            .iter()
            .find(|user| user.role == Role::Service)
            .map(|user| user.credential.clone())
    };
    let Some(credential) = tenants.iter().find_map(of_service) else { return Ok(None) };
    let name = SHARED_SERVICE.to_owned();
    let mut all = Permissions { publish: Vec::new(), subscribe: Vec::new() };
    for tenant in tenants {
        let of = Permissions::of(Role::Service, &name, space, &tenant.tenant, queue)?;
        all.publish.extend(of.publish);
        all.subscribe.extend(of.subscribe);
    }
    all.publish.sort();
    all.publish.dedup();
    all.subscribe.sort_by(|one, other| one.pattern.cmp(&other.pattern));
    all.subscribe.dedup();
    Ok(Some((User { name, role: Role::Service, credential }, all)))
}

/// The service's user where tenants share an account.
const SHARED_SERVICE: &str = "cim-nix-service";

fn of_user(user: &User, permissions: &Permissions) -> Result<String, Error> {
    let Permissions { publish, subscribe } = permissions;
    let who = match &user.credential {
        Credential::NKey(key) if is_nkey(key) => format!("nkey: {key} # {}", user.name),
        Credential::NKey(_) => {
            return Err(Error::config(format!("the NKey of `{}` is none of a user", user.name))
                .hint("the public part is wanted: 56 letters and digits that start with `U`"));
        }
        Credential::Password(password) => {
            format!("user: {}\n        password: {}", user.name, quoted(password))
        }
        Credential::Placeholder => {
            format!("user: {}\n        password: \"CHANGE-ME-{}\"", user.name, user.name)
        }
    };
    let mut text = format!("      {{\n        {who}\n        permissions {{\n");
    let mut list = |name: &str, all: Vec<String>| {
        let all: String = all.iter().map(|it| format!("            {}\n", quoted(it))).collect();
        // Writing to a text does not fail.
        let _ = write!(text, "          {name} {{ allow: [\n{all}          ] }}\n");
    };
    list("publish", publish.iter().map(ToString::to_string).collect());
    let subscribe = subscribe.iter().map(|hearing| match &hearing.queue {
        Some(queue) => format!("{} {queue}", hearing.pattern),
        None => hearing.pattern.to_string(),
    });
    list("subscribe", subscribe.collect());
    text.push_str("        }\n      }");
    Ok(text)
}

fn is_nkey(key: &str) -> bool {
    let is_base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    key.len() == 56 && key.starts_with('U') && key.bytes().all(is_base32)
}

/// A text as the configuration has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_a_tenant_looks_like_this() {
        let mut tenant = TenantUsers::placeholders("acme");
        tenant.users.truncate(1);
        tenant.users[0].credential = Credential::Password("a\"b".to_owned());
        let text = server_config(&SubjectSpace::default(), &[tenant], "cim-nix").expect("good");
        let shown = text.strip_prefix(HEAD).expect("a head");
        expect_test::expect![[r#"
            accounts {
              # Nothing is exported, and nothing imported: no other account reaches it.
              acme {
                jetstream { max_file: 68719476736, max_mem: 268435456, max_streams: 16, max_consumers: 256 }
                users: [
                  {
                    user: acme-reader
                    password: "a\"b"
                    permissions {
                      publish { allow: [
                        "nix.query.>"
                        "health.nix"
                        "health.cim-domain-nix"
                        "discovery.nix"
                        "discovery.cim-domain-nix"
                        "metrics.nix"
                        "metrics.cim-domain-nix"
                        "$SRV.PING"
                        "$SRV.PING.>"
                        "$SRV.INFO"
                        "$SRV.INFO.>"
                        "$SRV.STATS"
                        "$SRV.STATS.>"
                      ] }
                      subscribe { allow: [
                        "nix.event.>"
                        "nix.progress.*"
                        "discovery.announce"
                        "_INBOX.acme-reader.>"
                      ] }
                    }
                  }
                ]
              }
            }
        "#]].assert_eq(shown);
    }

    #[test]
    fn refuses_what_a_server_would_misunderstand() {
        let space = SubjectSpace::default();
        let of = |user: &str, credential: Credential| {
            let mut tenant = TenantUsers::placeholders("acme");
            tenant.users[0].name = user.to_owned();
            tenant.users[0].credential = credential;
            server_config(&space, &[tenant], "cim-nix").map_err(|error| error.to_string())
        };
        let mut errors = String::new();
        for (user, credential) in [
            ("acme-operator", Credential::Placeholder),
            ("a b", Credential::Placeholder),
            ("ann", Credential::NKey("SUAIO3".to_owned())),
        ] {
            errors.push_str(&of(user, credential).expect_err("bad"));
            errors.push('\n');
        }
        expect_test::expect![[r#"
            there are two users `acme-operator`
            `a b` cannot be a user of NATS here
            the NKey of `ann` is none of a user
        "#]]
        .assert_eq(&errors);
    }
}
