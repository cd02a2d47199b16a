//! Who caused whom: the ids that every message carries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The id of a message: a UUID, or a content id where another domain addresses messages by content.
///
/// As JSON a UUID is a plain string; `{"Uuid": ".."}` and `{"Cid": ".."}`, which other services
/// write, are read as well, and so is text with the prefixes `correlation:` and `causation:`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MessageId {
    /// A UUID; version 7 for whatever this product writes, so that ids sort by time.
    Uuid(Uuid),
    /// A content id, as the text that it came as.
    Cid(Box<str>),
}

impl MessageId {
    /// The UUID, unless it is a content id.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(id) => Some(*id),
            Self::Cid(_) => None,
        }
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(id) => id.fmt(f),
            Self::Cid(id) => f.write_str(id),
        }
    }
}

/// Text that is no id of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoMessageId(String);

impl fmt::Display for NoMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(60).collect();
        write!(f, "`{}` is neither a UUID nor a content id", shown.escape_debug())
    }
}

impl std::error::Error for NoMessageId {}

impl FromStr for MessageId {
    type Err = NoMessageId;

    fn from_str(text: &str) -> Result<Self, NoMessageId> {
        let bare =
            ["correlation:", "causation:"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let bare = bare.unwrap_or(text);
        if let Ok(id) = Uuid::try_parse(bare) {
            return Ok(Self::Uuid(id));
        }
        match is_cid(bare) {
            true => Ok(Self::Cid(bare.into())),
            false => Err(NoMessageId(text.to_owned())),
        }
    }
}

/// Whether `text` looks like a content id: multibase text of a length that fits into a header.
fn is_cid(text: &str) -> bool {
    let is_multibase = |byte: u8| byte.is_ascii_alphanumeric() || b"+/_-=".contains(&byte);
    (8..=128).contains(&text.len()) && text.bytes().all(is_multibase) && !text.contains('-')
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Tagged<'a> {
            #[serde(rename = "Cid")]
            cid: &'a str,
        }
        match self {
            Self::Uuid(id) => id.serialize(serializer),
            Self::Cid(cid) => Tagged { cid }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = MessageId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UUID, {\"Uuid\": ..} or {\"Cid\": ..}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MessageId, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<MessageId, A::Error> {
                use serde::de::Error as _;
                let Some((kind, text)) = map.next_entry::<String, String>()? else {
                    return Err(A::Error::custom("an empty object is no message id"));
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom("a message id has one of `Uuid` and `Cid`"));
                }
                match kind.as_str() {
                    "Uuid" => Uuid::try_parse(&text).map(MessageId::Uuid).map_err(A::Error::custom),
                    "Cid" if is_cid(&text) => Ok(MessageId::Cid(text.into())),
                    "Cid" => Err(A::Error::custom(NoMessageId(text))),
                    _ => Err(A::Error::unknown_variant(&kind, &["Uuid", "Cid"])),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Which message this is, which conversation it belongs to, and which message caused it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageIdentity {
    /// The message itself. No two messages share it.
    pub message_id: MessageId,
    /// The first message of the conversation.
    pub correlation_id: MessageId,
    /// The message that caused this one; itself where nothing did.
    pub causation_id: MessageId,
}

impl MessageIdentity {
    /// The identity of a message that nothing caused.
    #[must_use]
    pub fn root(id: Uuid) -> Self {
        let id = MessageId::Uuid(id);
        Self { message_id: id.clone(), correlation_id: id.clone(), causation_id: id }
    }

    /// The identity of message `id`, which `self` causes.
    #[must_use]
    pub fn caused(&self, id: Uuid) -> Self {
        Self {
            message_id: MessageId::Uuid(id),
            correlation_id: self.correlation_id.clone(),
            causation_id: self.message_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198f7a2-7c00-7000-8000-000000000001";

    fn id() -> Uuid {
        Uuid::try_parse(ID).expect("written above")
    }

    #[test]
    fn writes_plain_uuids() {
        let identity = MessageIdentity::root(id());
        let json = serde_json::to_string(&identity).expect("serialises");
        assert_eq!(
            json,
            format!(r#"{{"message_id":"{ID}","correlation_id":"{ID}","causation_id":"{ID}"}}"#)
        );
    }

    #[test]
    fn reads_both_forms() {
        let tagged = format!(
            r#"{{"message_id":{{"Uuid":"{ID}"}},"correlation_id":{{"Cid":"bafkreiabcdefgh"}},"causation_id":"{ID}"}}"#
        );
        let identity: MessageIdentity = serde_json::from_str(&tagged).expect("both forms");
        assert_eq!(identity.message_id, MessageId::Uuid(id()));
        assert_eq!(identity.correlation_id, MessageId::Cid("bafkreiabcdefgh".into()));
        let again = serde_json::to_string(&identity).expect("serialises");
        assert_eq!(serde_json::from_str::<MessageIdentity>(&again).expect("reads"), identity);
    }

    #[test]
    fn strips_the_prefixes_of_headers() {
        let parsed: MessageId = format!("correlation:{ID}").parse().expect("a prefix");
        assert_eq!(parsed, MessageId::Uuid(id()));
    }

    #[test]
    fn refuses_what_is_no_id() {
        for text in ["\"\"", "\"hello world\"", "{}", "{\"Uuid\":\"x\"}", "{\"Name\":\"x\"}", "7"] {
            assert!(serde_json::from_str::<MessageId>(text).is_err(), "{text}");
        }
        let two = format!(r#"{{"Uuid":"{ID}","Cid":"bafkreiabcdefgh"}}"#);
        assert!(serde_json::from_str::<MessageId>(&two).is_err());
    }

    #[test]
    fn causes_inherit_the_correlation() {
        let (root, second, third) = (id(), Uuid::from_u128(2), Uuid::from_u128(3));
        let chain = MessageIdentity::root(root).caused(second).caused(third);
        assert_eq!(chain.correlation_id, MessageId::Uuid(root));
        assert_eq!(chain.causation_id, MessageId::Uuid(second));
        assert_eq!(chain.message_id, MessageId::Uuid(third));
    }
}
