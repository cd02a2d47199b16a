//! What each role may do, asked of a real server in its own protocol.

use std::fmt::Write as _;
use std::time::Duration;

use cim_domain_nix::Subject;
use cim_nix_nats::{
    Credential, Pattern, Permissions, SubjectSpace, TenantUsers, TenantsBy, User, server_config,
};
use cim_nix_rig::{Nats, Setup};
use cim_nix_service::Role;

const TENANTS: [&str; 2] = ["acme", "umbrella"];

fn config(space: &SubjectSpace) -> String {
    server_config(space, &TENANTS.map(TenantUsers::placeholders), "cim-nix").expect("good names")
}

/// What a user tries in one connection.
fn attempts(user: &str, publish: &[String], subscribe: &[(String, Option<&str>)]) -> String {
    let mut lines = format!(
        "CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"CHANGE-ME-{user}\",\"headers\":true}}\r\n"
    );
    for subject in publish {
        write!(lines, "PUB {subject} 2\r\n{{}}\r\n").expect("a text");
    }
    for (nth, (subject, queue)) in subscribe.iter().enumerate() {
        let queue = queue.map(|queue| format!("{queue} ")).unwrap_or_default();
        write!(lines, "SUB {subject} {queue}{nth}\r\n").expect("a text");
    }
    lines + "PING\r\n"
}

#[test]
fn the_configuration_is_taken() {
    for tenants in [TenantsBy::Account, TenantsBy::Token] {
        for prefix in [None, Some("prod.eu")] {
            let space = SubjectSpace::new(prefix, tenants).expect("a good prefix");
            let Some(checked) = Nats::check(&config(&space)) else { return };
            assert_eq!(checked, Ok(()), "{}", config(&space));
        }
    }
    let nkey = User {
        name: "ann".to_owned(),
        role: Role::Operator,
        credential: Credential::NKey(
            "UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR".to_owned(),
        ),
    };
    let bcrypt = User {
        name: "bob".to_owned(),
        role: Role::Reader,
        credential: Credential::Password(
            "$2a$11$Bx0vYDs8cEPJvGzVhGfaz.ZDgMwQKYBWTXDqMYPyKXBsTtyCJDSEC".to_owned(),
        ),
    };
    let tenant = TenantUsers { users: vec![nkey, bcrypt], ..TenantUsers::placeholders("acme") };
    let text = server_config(&SubjectSpace::default(), &[tenant], "cim-nix").expect("good");
    assert_eq!(Nats::check(&text), Some(Ok(())), "{text}");
}

#[test]
fn the_server_agrees_with_the_table_for_every_subject_role_and_tenant() {
    for tenants in [TenantsBy::Account, TenantsBy::Token] {
        let space = SubjectSpace::new(None, tenants).expect("no prefix");
        let Some(nats) = Nats::start(Setup::jetstream().with(&config(&space))) else { return };
        // All subjects of both tenants, and what else there is.
        let mut subjects: Vec<String> = TENANTS
            .iter()
            .flat_map(|tenant| Subject::all().iter().map(|it| space.print(tenant, *it)))
            .collect();
        for more in [
            "nix.cmd.flake.melt",
            "nix.progress.7",
            "health.nix",
            "health.cim-domain-nix",
            "discovery.announce",
            "metrics.nix",
            "$SRV.PING",
            "$SRV.STATS.cim-domain-nix",
            "$JS.API.STREAM.NAMES",
            "$JS.API.CONSUMER.CREATE.NIX_EVENTS",
            "$JS.ACK.x",
            "_INBOX.other.x",
            "cim.nix.v1.acme.flake.7",
            "cim.nix.v1.umbrella.flake.7",
            "git.event.commit.analyzed",
            "anything",
        ] {
            subjects.push(more.to_owned());
        }
        subjects.sort();
        subjects.dedup();
        let mut wanted: Vec<(String, Option<&str>)> =
            subjects.iter().map(|subject| (subject.clone(), None)).collect();
        for lead in TENANTS.map(|tenant| space.place(tenant).lead().to_owned()) {
            for pattern in ["nix.cmd.>", "nix.query.>", "nix.event.>", "nix.>", "nix.progress.*"] {
                for queue in [None, Some("cim-nix"), Some("other")] {
                    wanted.push((format!("{lead}{pattern}"), queue));
                }
            }
        }
        for pattern in [">", "*.>", "_INBOX.>", "$SRV.>", "$JS.>", "git.event.>"] {
            wanted.push((pattern.to_owned(), None));
        }
        let (mut n_asked, mut n_refused) = (0, 0);
        for tenant in TENANTS {
            for role in Role::ALL {
                let user = format!("{tenant}-{role}");
                if role == Role::Service && tenants == TenantsBy::Token {
                    // The service has one user for all; it is looked at below.
                    continue;
                }
                let permissions =
                    Permissions::of(role, &user, &space, tenant, "cim-nix").expect("a good name");
                let said =
                    nats.talk(&attempts(&user, &subjects, &wanted), Duration::from_millis(700));
                assert!(said.contains("PONG\r\n"), "{user}: {said}");
                for subject in &subjects {
                    let refused = said
                        .contains(&format!("Permissions Violation for Publish to \"{subject}\""));
                    assert_eq!(!refused, permissions.may_publish(subject), "{user} to {subject}");
                    n_asked += 1;
                    n_refused += usize::from(refused);
                }
                for (subject, queue) in &wanted {
                    let pattern: Pattern = subject.parse().expect("a pattern");
                    let end = match queue {
                        Some(queue) => format!("\"{subject}\" using queue \"{queue}\"'"),
                        None => format!("\"{subject}\"'"),
                    };
                    let refused =
                        said.contains(&format!("Permissions Violation for Subscription to {end}"));
                    let may = permissions.may_subscribe(&pattern, *queue);
                    assert_eq!(!refused, may, "{user} from {subject} in {queue:?}");
                    n_asked += 1;
                    n_refused += usize::from(refused);
                }
            }
        }
        assert!(n_refused > 100 && n_refused < n_asked, "{n_refused} of {n_asked}");
        if tenants == TenantsBy::Token {
            let commands: Vec<String> =
                TENANTS.iter().map(|it| format!("{it}.nix.cmd.flake.create")).collect();
            let taken: Vec<_> =
                TENANTS.iter().map(|it| (format!("{it}.nix.cmd.>"), Some("cim-nix"))).collect();
            let said = nats
                .talk(&attempts("cim-nix-service", &commands, &taken), Duration::from_millis(500));
            assert_eq!(said.matches("Permissions Violation for Publish").count(), 2, "{said}");
            assert!(!said.contains("Permissions Violation for Subscription"), "{said}");
        }
    }
}

#[test]
fn accounts_hear_nothing_of_each_other() {
    let space = SubjectSpace::default();
    let Some(nats) = Nats::start(Setup::default().with(&config(&space))) else { return };
    let hearing = std::thread::scope(|scope| {
        let own = scope.spawn(|| {
            let subjects = [("nix.event.>".to_owned(), None)];
            nats.talk(&attempts("acme-reader", &[], &subjects), Duration::from_millis(1_000))
        });
        std::thread::sleep(Duration::from_millis(300));
        let subjects = ["nix.event.flake.created".to_owned()];
        for user in ["umbrella-service", "acme-service"] {
            let said = nats.talk(&attempts(user, &subjects, &[]), Duration::from_millis(200));
            assert!(!said.contains("Violation"), "{user}: {said}");
        }
        own.join().expect("a talk")
    });
    // One of the two, from its own account.
    assert_eq!(hearing.matches("MSG nix.event.flake.created").count(), 1, "{hearing}");
}
