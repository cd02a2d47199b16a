//! The lines of an export: one JSON object each, with one key that says what it is.
//!
//! `head` is the first, `end` the last: a file that was cut off is noticed. Between them stand
//! `blob`s and `event`s, the events by position. A body is written as it is stored; one that a line
//! cannot hold as it is (it has line breaks, or space around it) is written as a text instead.

use std::borrow::Cow;

use cim_domain_nix::{MessageId, StreamId, Timestamp, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of these lines.
pub(crate) const VERSION: u32 = 1;

/// What an export or an import moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Events.
    pub events: u64,
    /// Blobs.
    pub blobs: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line<'a> {
    Head(Head),
    #[serde(borrow)]
    Blob(BlobLine<'a>),
    #[serde(borrow)]
    Event(EventLine<'a>),
    End(Moved),
}

/// Newer versions may say more here; the version says so.
#[derive(Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) format: Format,
    pub(crate) version: u32,
    /// All events up to this position are published.
    pub(crate) published: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Format {
    #[serde(rename = "cim-nix-events")]
    Events,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlobLine<'a> {
    pub(crate) hash: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) base64: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventLine<'a> {
    pub(crate) position: u64,
    pub(crate) stream: StreamId,
    pub(crate) version: u64,
    pub(crate) id: Uuid,
    #[serde(rename = "type")]
    pub(crate) event_type: Cow<'a, str>,
    pub(crate) schema: u32,
    pub(crate) at: Timestamp,
    pub(crate) correlation: MessageId,
    pub(crate) causation: MessageId,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body_text: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) meta: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) meta_text: Option<Cow<'a, str>>,
}

/// A stored text as a line can hold it.
pub(crate) fn written(text: &str) -> (Option<&RawValue>, Option<Cow<'_, str>>) {
    let fits = !text.contains(['\n', '\r']) && text.trim_ascii() == text;
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if fits => (Some(raw), None),
        _ => (None, Some(Cow::Borrowed(text))),
    }
}

/// The text that a line holds in one of the two ways.
pub(crate) fn stored(raw: Option<&RawValue>, text: Option<Cow<'_, str>>) -> Option<String> {
    match (raw, text) {
        (Some(raw), None) => Some(raw.get().to_owned()),
        (None, Some(text)) => Some(text.into_owned()),
        _ => None,
    }
}
