//! Where the subjects of a tenant are: as they stand in an account of its own, or behind a prefix
//! and the tenant's name in one that tenants share.

use std::fmt;
use std::sync::Arc;

use cim_domain_nix::Subject;
use cim_nix_base::Error;
use cim_nix_service::check_name;
use serde::Deserialize;

use crate::pattern::{Pattern, is_token};

/// How tenants are kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantsBy {
    /// Each has an account of the server, and a connection of its own. The server keeps them apart.
    #[default]
    Account,
    /// They share an account; the tenant's name is the token before `nix`. The permissions of users
    /// keep them apart.
    Token,
}

/// How subjects are written and read.
///
/// ```
/// use cim_domain_nix::Subject;
/// use cim_nix_nats::{SubjectSpace, TenantsBy};
///
/// let create: Subject = "nix.cmd.flake.create".parse()?;
/// let plain = SubjectSpace::default();
/// assert_eq!(plain.print("acme", create), "nix.cmd.flake.create");
///
/// let shared = SubjectSpace::new(Some("prod.eu"), TenantsBy::Token)?;
/// assert_eq!(shared.print("acme", create), "prod.eu.acme.nix.cmd.flake.create");
/// assert_eq!(shared.parse("prod.eu.acme.nix.cmd.flake.create"), Some((Some("acme"), create)));
/// assert_eq!(shared.parse("nix.cmd.flake.create"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SubjectSpace {
    /// Empty, or tokens with a dot after the last one.
    prefix: String,
    tenants: TenantsBy,
}

impl SubjectSpace {
    /// A space behind a prefix of one or more tokens.
    ///
    /// Errors: the prefix could not stand in subjects.
    pub fn new(prefix: Option<&str>, tenants: TenantsBy) -> Result<Self, Error> {
        let prefix = match prefix {
            None => String::new(),
            Some(prefix) if prefix.len() <= 128 && prefix.split('.').all(is_token) => {
                format!("{prefix}.")
            }
            Some(prefix) => {
                return Err(Error::config(format!(
                    "`{}` cannot stand before subjects",
                    prefix.escape_debug()
                ))
                .hint("one or more tokens with dots between them, such as `prod` or `prod.eu`"));
            }
        };
        // A system subject, or one of these, would be taken for what it is not.
        match prefix.split('.').next() {
            Some("nix" | "_INBOX") => Err(Error::config("a prefix is neither `nix` nor `_INBOX`")),
            Some(first) if first.starts_with('$') => {
                Err(Error::config("subjects that start with `$` belong to the server"))
            }
            _ => Ok(Self { prefix, tenants }),
        }
    }

    /// How tenants are kept apart.
    #[must_use]
    pub fn tenants(&self) -> TenantsBy {
        self.tenants
    }

    /// Where the subjects of a tenant are.
    #[must_use]
    pub fn place(&self, tenant: &str) -> Place {
        let lead = match self.tenants {
            TenantsBy::Account => self.prefix.clone(),
            TenantsBy::Token => format!("{}{tenant}.", self.prefix),
        };
        Place { lead: lead.into() }
    }

    /// The subject as text, for a tenant.
    #[must_use]
    pub fn print(&self, tenant: &str, subject: Subject) -> String {
        self.place(tenant).subject(subject.as_str())
    }

    /// The tenant, if it stands in the text, and the subject; `None` for any other text.
    #[must_use]
    pub fn parse<'t>(&self, text: &'t str) -> Option<(Option<&'t str>, Subject)> {
        let rest = text.strip_prefix(&*self.prefix)?;
        match self.tenants {
            TenantsBy::Account => Some((None, rest.parse().ok()?)),
            TenantsBy::Token => {
                let (tenant, subject) = rest.split_once('.')?;
                check_name(tenant).ok()?;
                Some((Some(tenant), subject.parse().ok()?))
            }
        }
    }
}

/// Where the subjects of one tenant are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    lead: Arc<str>,
}

impl Place {
    /// What stands before the subjects: nothing, or tokens with a dot after the last one.
    #[must_use]
    pub fn lead(&self) -> &str {
        &self.lead
    }

    /// A subject of the tenant, `nix.cmd.flake.create` or `health.nix`, as it is on the wire.
    #[must_use]
    pub fn subject(&self, subject: &str) -> String {
        format!("{}{subject}", self.lead)
    }

    /// A subject with wildcards as it is on the wire.
    ///
    /// Errors: it is none, which is a mistake of ours.
    pub(crate) fn pattern(&self, subject: &str) -> Result<Pattern, Error> {
        let text = self.subject(subject);
        text.parse().map_err(|error| Error::bug("a subject of ours is none").because(error))
    }

    /// What stands behind the tenant's place; `None` if the subject is elsewhere.
    #[must_use]
    pub fn relative<'t>(&self, subject: &'t str) -> Option<&'t str> {
        subject.strip_prefix(&*self.lead)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}nix", self.lead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_46_read_as_they_are_printed_anywhere() {
        for (prefix, tenants) in [
            (None, TenantsBy::Account),
            (None, TenantsBy::Token),
            (Some("prod"), TenantsBy::Account),
            (Some("prod.eu-1"), TenantsBy::Token),
        ] {
            let space = SubjectSpace::new(prefix, tenants).expect("a good prefix");
            for tenant in ["acme", "x", "nix", "0-9"] {
                for subject in Subject::all() {
                    let text = space.print(tenant, *subject);
                    let expected = (tenants == TenantsBy::Token).then_some(tenant);
                    assert_eq!(space.parse(&text), Some((expected, *subject)), "{text}");
                    assert_eq!(space.place(tenant).relative(&text), Some(subject.as_str()));
                    assert_eq!(space.parse(&format!("{text}.x")), None);
                    assert_ne!(space.parse(&format!("x{text}")), Some((expected, *subject)));
                }
            }
        }
    }

    #[test]
    fn nothing_of_one_tenant_reads_as_another_ones() {
        let space = SubjectSpace::new(Some("p"), TenantsBy::Token).expect("a good prefix");
        let (one, other) = (space.place("a"), space.place("ab"));
        let text = other.subject("nix.cmd.flake.create");
        assert_eq!(one.relative(&text), None);
        assert_eq!(space.parse("p.A.nix.cmd.flake.create"), None);
        assert_eq!(space.parse("p.*.nix.cmd.flake.create"), None);
    }

    #[test]
    fn refuses_prefixes_that_are_none() {
        let mut errors = String::new();
        for prefix in ["", "a.", "a b", "a.*", ">", "nix", "nix.x", "_INBOX", "$SYS", "a\r\nPUB"] {
            let error = SubjectSpace::new(Some(prefix), TenantsBy::Account).expect_err(prefix);
            errors.push_str(&format!("{error}\n"));
        }
        expect_test::expect![[r#"
            `` cannot stand before subjects
            `a.` cannot stand before subjects
            `a b` cannot stand before subjects
            `a.*` cannot stand before subjects
            `>` cannot stand before subjects
            a prefix is neither `nix` nor `_INBOX`
            a prefix is neither `nix` nor `_INBOX`
            a prefix is neither `nix` nor `_INBOX`
            subjects that start with `$` belong to the server
            `a\r\nPUB` cannot stand before subjects
        "#]]
        .assert_eq(&errors);
    }
}
