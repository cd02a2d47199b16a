//! An event as one value: what loading a stream reads.
//!
//! The log has events as rows, in the order in which they came: those of one stream lie on as many
//! pages as there are. So `stream_events` has each event again, beside the others of its stream and
//! packed: loading a stream reads a few pages, and one value in the place of eleven. Long events are
//! not kept twice: a page that holds one alone is read as fast from the log.
//!
//! A value is a sum of 8 bytes, a byte that says what it is, the position, and for an event: the
//! moment, the schema, its id, the ids of messages that are UUIDs, the lengths of the type, the
//! content ids and the meta, then these and the body. Numbers are little-endian.

use cim_domain_nix::{MessageId, StreamId, Timestamp, Uuid};
use twox_hash::xxhash3_64;

use crate::decode::Summed;

/// Bits of a place that count versions; those above are the row of the stream.
const VERSION_BITS: u32 = 31;
/// Versions that a stream can have.
pub(crate) const MOST_VERSIONS: u64 = (1 << VERSION_BITS) - 1;
/// Bytes of texts in a value; events with more are read from the log.
const MOST_TEXT: usize = 1_000;

/// It stands in the log alone.
const ELSEWHERE: u8 = 0;
const HERE: u8 = 1;
const HAS_CORRELATION_TEXT: u8 = 2;
const HAS_CAUSATION_TEXT: u8 = 4;

/// The key of an event in `stream_events`.
pub(crate) fn place(stream: i64, version: u64) -> i64 {
    (stream << VERSION_BITS) | (version.min(MOST_VERSIONS) as i64)
}

/// The version of the event at a place.
pub(crate) fn version_at(place: i64) -> u64 {
    place.cast_unsigned() & MOST_VERSIONS
}

/// Packs the events of one stream, and finds them again.
pub(crate) struct Packer {
    seed: u64,
}

/// A value that is what was written.
pub(crate) enum Packed<'a> {
    Event(Fields<'a>),
    /// The event has to be read from the log, at this position.
    Elsewhere(u64),
}

/// What a value holds of an event.
pub(crate) struct Fields<'a> {
    pub(crate) position: u64,
    pub(crate) id: Uuid,
    pub(crate) event_type: &'a str,
    pub(crate) schema: u32,
    pub(crate) at: Timestamp,
    pub(crate) correlation: MessageId,
    pub(crate) causation: MessageId,
    pub(crate) body: &'a str,
    pub(crate) meta: &'a str,
}

impl Packer {
    pub(crate) fn new(stream: &StreamId) -> Self {
        Self::of(stream.kind.token(), stream.id)
    }

    pub(crate) fn of(kind: &str, aggregate: Uuid) -> Self {
        let seed = u64::from_le_bytes(aggregate.as_bytes()[..8].try_into().expect("8 of 16 bytes"));
        let seed = xxhash3_64::Hasher::oneshot_with_seed(seed, kind.as_bytes());
        Self { seed: xxhash3_64::Hasher::oneshot_with_seed(seed, aggregate.as_bytes()) }
    }

    /// Like the sum of a row it notices what a disk did, a value in the place of another included.
    fn sum(&self, place: i64, rest: &[u8]) -> u64 {
        let seed = self.seed.wrapping_add(place.cast_unsigned());
        xxhash3_64::Hasher::oneshot_with_seed(seed, rest)
    }

    /// The value for an event.
    pub(crate) fn pack(&self, place: i64, position: u64, event: &Summed<'_>) -> Vec<u8> {
        let texts = [
            event.event_type,
            text(event.correlation),
            text(event.causation),
            event.meta,
            event.body,
        ];
        let n_bytes: usize = texts.iter().map(|text| text.len()).sum();
        if n_bytes > MOST_TEXT {
            return self.elsewhere(place, position);
        }
        let mut bytes = Vec::with_capacity(n_bytes + 128);
        bytes.extend_from_slice(&[0; 8]);
        bytes.push(
            HERE | flag(event.correlation, HAS_CORRELATION_TEXT)
                | flag(event.causation, HAS_CAUSATION_TEXT),
        );
        bytes.extend_from_slice(&position.to_le_bytes());
        bytes.extend_from_slice(&event.at.micros().to_le_bytes());
        bytes.extend_from_slice(&event.schema.to_le_bytes());
        bytes.extend_from_slice(event.id.as_bytes());
        for id in [event.correlation, event.causation] {
            if let MessageId::Uuid(id) = id {
                bytes.extend_from_slice(id.as_bytes());
            }
        }
        for text in &texts[..4] {
            // At most `MOST_TEXT`.
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        }
        for text in texts {
            bytes.extend_from_slice(text.as_bytes());
        }
        self.finish(place, bytes)
    }

    /// The value for an event that is to be read from the log.
    pub(crate) fn elsewhere(&self, place: i64, position: u64) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes.push(ELSEWHERE);
        bytes.extend_from_slice(&position.to_le_bytes());
        self.finish(place, bytes)
    }

    fn finish(&self, place: i64, mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = self.sum(place, &bytes[8..]);
        bytes[..8].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What a value says; `None` if it is not what was written.
    pub(crate) fn unpack<'a>(&self, place: i64, bytes: &'a [u8]) -> Option<Packed<'a>> {
        let mut rest = bytes;
        let sum = u64::from_le_bytes(take(&mut rest)?);
        if self.sum(place, rest) != sum {
            return None;
        }
        let [what] = take(&mut rest)?;
        let position = u64::from_le_bytes(take(&mut rest)?);
        if what == ELSEWHERE {
            return Some(Packed::Elsewhere(position));
        }
        let at = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
        let schema = u32::from_le_bytes(take(&mut rest)?);
        let id = Uuid::from_bytes(take(&mut rest)?);
        let mut uuid = |flag: u8| match what & flag {
            0 => Some(Some(Uuid::from_bytes(take(&mut rest)?))),
            _ => Some(None),
        };
        let (correlation, causation) = (uuid(HAS_CORRELATION_TEXT)?, uuid(HAS_CAUSATION_TEXT)?);
        let mut length = || Some(usize::from(u16::from_le_bytes(take(&mut rest)?)));
        let lengths = [length()?, length()?, length()?, length()?];
        let mut text = std::str::from_utf8(rest).ok()?;
        let mut next = |length| {
            let (part, after) = text.split_at_checked(length)?;
            text = after;
            Some(part)
        };
        let event_type = next(lengths[0])?;
        let texts = (next(lengths[1])?, next(lengths[2])?);
        let meta = next(lengths[3])?;
        let message = |id: Option<Uuid>, text: &str| {
            id.map_or_else(|| MessageId::Cid(text.into()), MessageId::Uuid)
        };
        Some(Packed::Event(Fields {
            position,
            id,
            event_type,
            schema,
            at,
            correlation: message(correlation, texts.0),
            causation: message(causation, texts.1),
            body: text,
            meta,
        }))
    }
}

/// A content id.
fn text(id: &MessageId) -> &str {
    match id {
        MessageId::Cid(text) => text,
        MessageId::Uuid(_) => "",
    }
}

fn flag(id: &MessageId, flag: u8) -> u8 {
    match id {
        MessageId::Cid(_) => flag,
        MessageId::Uuid(_) => 0,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use cim_domain_nix::Kind;

    use super::*;

    fn cid() -> MessageId {
        MessageId::Cid("bafyreigh2akiscaildc".into())
    }

    fn event<'a>(ids: &'a [MessageId; 2], body: &'a str) -> Summed<'a> {
        Summed {
            kind: "flake",
            aggregate: Uuid::from_u128(5),
            version: 3,
            id: Uuid::from_u128(7),
            event_type: "FlakeCreated",
            schema: 2,
            at: Timestamp::from_micros(-9),
            correlation: &ids[0],
            causation: &ids[1],
            body,
            meta: r#"{"actor":"ü"}"#,
        }
    }

    fn packer() -> Packer {
        Packer::new(&StreamId::new(Kind::Flake, Uuid::from_u128(5)))
    }

    #[test]
    fn unpacks_what_was_packed() {
        let uuid = MessageId::Uuid(Uuid::from_u128(8));
        for ids in
            [[uuid.clone(), uuid.clone()], [uuid.clone(), cid()], [cid(), uuid], [cid(), cid()]]
        {
            for body in ["1", r#"{"name":"ö"}"#] {
                let event = event(&ids, body);
                let bytes = packer().pack(place(4, 3), 12, &event);
                let Some(Packed::Event(found)) = packer().unpack(place(4, 3), &bytes) else {
                    panic!("it is an event");
                };
                let stands = (found.position, found.id, found.schema, found.at.micros());
                assert_eq!(stands, (12, event.id, 2, -9));
                assert_eq!([found.correlation, found.causation], ids);
                let texts = [found.event_type, found.meta, found.body];
                assert_eq!(texts, [event.event_type, event.meta, event.body]);
            }
        }
    }

    #[test]
    fn leaves_long_events_to_the_log() {
        let body = format!("\"{}\"", "x".repeat(1_000));
        let ids = [cid(), cid()];
        let bytes = packer().pack(place(4, 3), 12, &event(&ids, &body));
        assert!(bytes.len() < 20);
        let found = packer().unpack(place(4, 3), &bytes);
        assert!(matches!(found, Some(Packed::Elsewhere(12))));
    }

    /// No bit can change, nothing can be cut off, and no value can take another's place.
    #[test]
    fn knows_what_was_not_written() {
        let ids = [cid(), MessageId::Uuid(Uuid::from_u128(8))];
        let whole = packer().pack(place(4, 3), 12, &event(&ids, r#"{"name":"ö"}"#));
        assert!(packer().unpack(place(4, 3), &whole).is_some());
        assert!(packer().unpack(place(4, 4), &whole).is_none());
        assert!(packer().unpack(place(5, 3), &whole).is_none());
        let others = [
            StreamId::new(Kind::Module, Uuid::from_u128(5)),
            StreamId::new(Kind::Flake, Uuid::from_u128(6)),
        ];
        for other in others {
            assert!(Packer::new(&other).unpack(place(4, 3), &whole).is_none());
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(packer().unpack(place(4, 3), &bytes).is_none(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(packer().unpack(place(4, 3), &whole[..len]).is_none(), "{len} bytes");
        }
        // Also where somebody has made the sum fit.
        for len in 0..whole.len() - 8 {
            let bytes = packer().finish(place(4, 3), whole[..8 + len].to_vec());
            let _ = packer().unpack(place(4, 3), &bytes);
        }
    }
}
