//! Events of other domains: read into types of their own, and kept in the tenant's store.
//!
//! Two services of networks publish two different sets of events, and one of Git publishes several
//! types on one subject, bare or in an envelope. Fields that are not known here are kept. A body of
//! a shape that nobody told us of is kept, too: it is [`Foreign::Other`].

mod git;
mod keep;
mod network;
#[cfg(test)]
mod tests;

use cim_domain_nix::headers::Headers;
use cim_domain_nix::{Kind, MessageId, MessageIdentity, StreamId, Timestamp};
use serde_json::{Map, Value};

pub use git::{
    Author, BranchCreated, ChangeKind, CommitAnalyzed, FileChanged, GitEvent, GitMetadata,
    RepositoryCloned,
};
pub(crate) use keep::Keeper;
pub use network::{
    Action, Address, Change, ConnectionKind, ConnectionProperties, Direction, FirewallRule,
    FirewallRuleChange, Interface, InterfaceChange, InterfaceKind, Link, LinkChange, LinkEnds,
    NetworkEvent, NetworkKind, Node, NodeChange, NodeConfigured, NodeKind, Route, RouteChange,
    Tier, Topology, TopologyEvent,
};

/// Fields that are not known here.
pub type More = Map<String, Value>;

/// An event of another domain.
#[derive(Clone, PartialEq, Debug)]
pub enum Foreign {
    /// Of a network, on `network.>`.
    Network(NetworkEvent),
    /// Of a network, on `cim.network.>`.
    Topology(TopologyEvent),
    /// Of Git, on `git.event.>`.
    Git(GitEvent),
    /// Of a shape that is not known here.
    Other(Value),
}

/// An event of another domain with what is known of it.
#[derive(Clone, PartialEq, Debug)]
pub struct ForeignEvent {
    /// The domain: `network` or `git`.
    pub domain: &'static str,
    /// The name of its type.
    pub event_type: String,
    /// What it says.
    pub event: Foreign,
    /// Its ids, if it has one of its own.
    pub identity: Option<MessageIdentity>,
    /// When it happened, if it says so.
    pub at: Option<Timestamp>,
    /// The thing that it is about, if it names one.
    pub about: Option<String>,
}

impl ForeignEvent {
    /// Reads the message on `subject`.
    ///
    /// Errors: the subject is of no domain that is known here, or the body is no JSON object.
    pub fn read(subject: &str, headers: &Headers, body: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if !value.is_object() {
            return Err("the body is no JSON object".to_owned());
        }
        let is_of = |lead: &str| subject.starts_with(lead);
        match () {
            () if is_of("git.event.") => Ok(git::read(subject, headers, value)),
            () if is_of("network.") || is_of("cim.network.") => {
                Ok(network::read(subject, headers, value))
            }
            () => Err(format!("`{}` is of no domain that is known here", subject.escape_debug())),
        }
    }

    /// The stream of a tenant's store that keeps what is said of the same thing.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        let kind = Kind::Other(format!("foreign_{}", self.domain).into());
        let about = self.about.as_deref().unwrap_or_default();
        match about.parse() {
            Ok(id) => StreamId::new(kind, id),
            Err(_) => StreamId::of(kind, &[about]),
        }
    }
}

/// The first of some fields that has text.
fn text(value: &Value, fields: &[&str]) -> Option<String> {
    fields.iter().find_map(|field| value.get(field)?.as_str().map(str::to_owned))
}

/// The first of some fields that has a moment.
fn moment(value: &Value, fields: &[&str]) -> Option<Timestamp> {
    fields.iter().find_map(|field| value.get(field)?.as_str()?.parse().ok())
}

/// The first of some fields that has the id of a message, in whatever form.
fn id(value: &Value, field: &str) -> Option<MessageId> {
    serde_json::from_value(value.get(field)?.clone()).ok()
}
