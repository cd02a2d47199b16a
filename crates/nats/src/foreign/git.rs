//! Events of Git. Several types share a subject, so the type is read from the header or the body.

use cim_domain_nix::headers::Headers;
use cim_domain_nix::{MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Foreign, ForeignEvent, More, id, moment, text};

/// What an envelope says of the event in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GitMetadata {
    /// The event.
    pub event_id: MessageId,
    /// The conversation.
    pub correlation_id: MessageId,
    /// What caused it.
    pub causation_id: MessageId,
    /// Who caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The version of its shape.
    pub schema_version: u32,
    /// What else there is.
    #[serde(flatten)]
    pub more: More,
}

/// Somebody who wrote a commit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Author {
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// What else there is.
    #[serde(flatten)]
    pub more: More,
}

/// What became of a file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another name.
    Renamed,
    /// Something that is not known here.
    #[serde(untagged)]
    Other(Value),
}

/// A file of a commit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FileChanged {
    /// Its path.
    pub path: String,
    /// What became of it.
    pub change_type: ChangeKind,
    /// Lines that are new.
    pub additions: u64,
    /// Lines that are gone.
    pub deletions: u64,
    /// What else there is.
    #[serde(flatten)]
    pub more: More,
}

/// A commit was looked at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CommitAnalyzed {
    /// The repository.
    pub repository_id: String,
    /// The commit.
    pub commit_hash: String,
    /// The commits before it.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Who wrote it.
    pub author: Author,
    /// What they said.
    pub message: String,
    /// What they changed.
    #[serde(default)]
    pub files_changed: Vec<FileChanged>,
    /// When they wrote it.
    pub commit_timestamp: String,
    /// When it was looked at.
    pub timestamp: String,
    /// What else there is.
    #[serde(flatten)]
    pub more: More,
}

/// A branch was made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BranchCreated {
    /// The repository.
    pub repository_id: String,
    /// The branch.
    pub branch_name: String,
    /// Where it begins.
    pub commit_hash: String,
    /// The branch that it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_branch: Option<String>,
    /// When.
    pub timestamp: String,
    /// What else there is.
    #[serde(flatten)]
    pub more: More,
}

/// A repository was cloned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RepositoryCloned {
    /// The repository.
    pub repository_id: String,
    /// Where it is from.
    pub remote_url: String,
    /// Where it is now.
    pub local_path: String,
    /// When.
    pub timestamp: String,
    /// What else there is.
    #[serde(flatten)]
    pub more: More,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event_type")]
pub enum GitEvent {
    /// A commit was looked at.
    CommitAnalyzed(CommitAnalyzed),
    /// A branch was made.
    BranchCreated(BranchCreated),
    /// A repository was cloned.
    RepositoryCloned(RepositoryCloned),
    /// Another of its events, as it came: its type is in its body or its headers.
    #[serde(untagged)]
    Other(More),
}

/// Reads an event, bare or in an envelope.
pub(super) fn read(subject: &str, headers: &Headers, mut value: Value) -> ForeignEvent {
    let metadata: Option<GitMetadata> =
        value.get("metadata").and_then(|it| serde_json::from_value(it.clone()).ok());
    if let Some(event) = value.get_mut("event").filter(|event| event.is_object()) {
        value = event.take();
    }
    let named = headers.event_type.clone().or_else(|| text(&value, &["event_type"]));
    // Better than nothing: `commit.analyzed` is what was done, if not which of the events it is.
    let event_type =
        named.unwrap_or_else(|| subject.strip_prefix("git.event.").unwrap_or(subject).to_owned());
    if value.get("event_type").is_none() {
        value["event_type"] = Value::String(event_type.clone());
    }
    let about = text(&value, &["repository_id"]);
    let identity = match &metadata {
        Some(metadata) => Some(cim_domain_nix::MessageIdentity {
            message_id: metadata.event_id.clone(),
            correlation_id: metadata.correlation_id.clone(),
            causation_id: metadata.causation_id.clone(),
        }),
        None => {
            let own = headers.identity();
            own.or_else(|| id(&value, "event_id").map(|id| headers.identity_of(id)))
        }
    };
    let at = metadata
        .as_ref()
        .map(|metadata| metadata.occurred_at)
        .or(headers.timestamp)
        .or_else(|| moment(&value, &["timestamp"]));
    let event = match serde_json::from_value(value.clone()) {
        Ok(event) => Foreign::Git(event),
        Err(_) => Foreign::Other(value),
    };
    ForeignEvent { domain: "git", event_type, event, identity, at, about }
}
