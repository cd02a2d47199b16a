//! Who may publish and subscribe to what, derived from the subjects.
//!
//! Roles are those of the service. They are kept apart by the server, since messages do not say who
//! sent them.
//!
//! The user of the service itself (the role `service`) may not send commands and queries, although
//! a `service` may over HTTP: whoever asks it something names the subject of the reply, and must
//! not reach with it what they may not reach themselves. For the same reason nobody else gets at
//! the API of JetStream: a consumer delivers to any subject that its maker names.

use cim_nix_base::Error;
use cim_nix_service::Role;

use crate::about::NAME;
use crate::pattern::{Pattern, is_token};
use crate::space::{Place, SubjectSpace, TenantsBy};

/// What a user may subscribe to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hearing {
    /// The subjects.
    pub pattern: Pattern,
    /// The queue group that it has to be in, if that matters.
    pub queue: Option<String>,
}

/// What a user may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// What they may publish to.
    pub publish: Vec<Pattern>,
    /// What they may subscribe to.
    pub subscribe: Vec<Hearing>,
}

impl Permissions {
    /// What the user `user` may do in the place of a tenant. `queue` is the queue group that the
    /// instances of the service share.
    ///
    /// Errors: the user's name could not stand in a subject.
    pub fn of(
        role: Role,
        user: &str,
        space: &SubjectSpace,
        tenant: &str,
        queue: &str,
    ) -> Result<Self, Error> {
        let place = space.place(tenant);
        if !is_token(user) {
            return Err(Error::config(format!(
                "`{}` cannot be a user of NATS here",
                user.escape_debug()
            ))
            .hint("letters, digits, `-` and `_`: the name stands in the subjects of replies"));
        }
        let inbox = system(&format!("_INBOX.{user}.>"))?;
        let has_own_account = space.tenants() == TenantsBy::Account;
        let mut permissions = Self { publish: Vec::new(), subscribe: Vec::new() };
        match role {
            Role::Service => permissions.serve(&place, tenant, queue, has_own_account)?,
            Role::Reader | Role::Operator => {
                permissions.ask(&place, has_own_account)?;
                if role.may_command() {
                    permissions.publish.push(place.pattern("nix.cmd.>")?);
                }
            }
        }
        permissions.hear(inbox);
        Ok(permissions)
    }

    fn ask(&mut self, place: &Place, has_own_account: bool) -> Result<(), Error> {
        self.publish.push(place.pattern("nix.query.>")?);
        for topic in ["health", "discovery", "metrics"] {
            for name in ["nix", NAME] {
                self.publish.push(place.pattern(&format!("{topic}.{name}"))?);
            }
        }
        if has_own_account {
            // The protocol of micro services knows no prefixes, so it would tell of all tenants.
            for verb in ["PING", "INFO", "STATS"] {
                self.publish.push(system(&format!("$SRV.{verb}"))?);
                self.publish.push(system(&format!("$SRV.{verb}.>"))?);
            }
        }
        for events in ["nix.event.>", "nix.progress.*", "discovery.announce"] {
            self.hear(place.pattern(events)?);
        }
        Ok(())
    }

    fn serve(
        &mut self,
        place: &Place,
        tenant: &str,
        queue: &str,
        has_own_account: bool,
    ) -> Result<(), Error> {
        for said in ["nix.event.>", "nix.progress.*", "discovery.announce"] {
            self.publish.push(place.pattern(said)?);
        }
        self.publish.push(system("_INBOX.>")?);
        // Where a store in JetStream keeps the events.
        self.publish.push(system(&format!("cim.nix.v1.{tenant}.>"))?);
        for api in ["$JS.API.>", "$JS.ACK.>", "$KV.>"] {
            self.publish.push(system(api)?);
        }
        for requests in ["nix.cmd.>", "nix.query.>"] {
            // Without the group each instance would run each command.
            let pattern = place.pattern(requests)?;
            self.subscribe.push(Hearing { pattern, queue: Some(queue.to_owned()) });
        }
        for topic in ["health", "discovery", "metrics"] {
            for name in ["nix", NAME] {
                self.hear(place.pattern(&format!("{topic}.{name}"))?);
            }
        }
        self.hear(system("$SRV.>")?);
        for foreign in ["network.>", "cim.network.>", "git.event.>"] {
            self.hear(match has_own_account {
                true => system(foreign)?,
                false => place.pattern(foreign)?,
            });
        }
        self.hear(system(&format!("cim.nix.v1.{tenant}.>"))?);
        Ok(())
    }

    fn hear(&mut self, pattern: Pattern) {
        self.subscribe.push(Hearing { pattern, queue: None });
    }

    /// Whether something may be published to `subject`.
    #[must_use]
    pub fn may_publish(&self, subject: &str) -> bool {
        self.publish.iter().any(|pattern| pattern.matches(subject))
    }

    /// Whether `wanted` may be subscribed to as a whole, in the queue group `queue` or outside of any.
    #[must_use]
    pub fn may_subscribe(&self, wanted: &Pattern, queue: Option<&str>) -> bool {
        self.subscribe.iter().any(|hearing| {
            hearing.pattern.covers(wanted)
                && hearing.queue.as_deref().is_none_or(|needed| queue == Some(needed))
        })
    }
}

/// A subject that no prefix stands before.
fn system(text: &str) -> Result<Pattern, Error> {
    text.parse().map_err(|error| Error::bug("a subject of ours is none").because(error))
}

#[cfg(test)]
mod tests {
    use cim_domain_nix::{Role as For, Subject};

    use super::*;

    fn of(role: Role, space: &SubjectSpace, tenant: &str) -> Permissions {
        Permissions::of(role, "ann", space, tenant, "cim-nix").expect("a good name")
    }

    #[test]
    fn each_role_may_what_it_is_for_and_nothing_of_other_tenants() {
        for tenants in [TenantsBy::Account, TenantsBy::Token] {
            let space = SubjectSpace::new(Some("p"), tenants).expect("a good prefix");
            for role in Role::ALL {
                let permissions = of(role, &space, "acme");
                for subject in Subject::all() {
                    let own = space.print("acme", *subject);
                    let may = match subject.role() {
                        For::Command => role == Role::Operator,
                        For::Query => role != Role::Service,
                        For::Event => role == Role::Service,
                    };
                    assert_eq!(permissions.may_publish(&own), may, "{role} {own}");
                    let other = SubjectSpace::new(Some("p"), TenantsBy::Token).expect("good");
                    let foreign = other.print("umbrella", *subject);
                    assert!(!permissions.may_publish(&foreign), "{role} {foreign}");
                    let pattern: Pattern = foreign.parse().expect("a subject");
                    assert!(!permissions.may_subscribe(&pattern, Some("cim-nix")));
                }
            }
        }
    }

    #[test]
    fn commands_are_taken_in_the_group_only() {
        let service = of(Role::Service, &SubjectSpace::default(), "acme");
        let commands: Pattern = "nix.cmd.>".parse().expect("a pattern");
        assert!(service.may_subscribe(&commands, Some("cim-nix")));
        assert!(!service.may_subscribe(&commands, Some("other")));
        assert!(!service.may_subscribe(&commands, None));
        let operator = of(Role::Operator, &SubjectSpace::default(), "acme");
        assert!(!operator.may_subscribe(&commands, Some("cim-nix")));
    }

    #[test]
    fn inboxes_are_private() {
        let reader = of(Role::Reader, &SubjectSpace::default(), "acme");
        let may = |text: &str| reader.may_subscribe(&text.parse().expect("a pattern"), None);
        assert!(may("_INBOX.ann.x.*"));
        assert!(!may("_INBOX.>") && !may("_INBOX.bob.x") && !may(">"));
        assert!(Permissions::of(Role::Reader, "a b", &SubjectSpace::default(), "t", "q").is_err());
        for user in ["", "a.b", ">", "*"] {
            assert!(
                Permissions::of(Role::Reader, user, &SubjectSpace::default(), "t", "q").is_err()
            );
        }
    }
}
