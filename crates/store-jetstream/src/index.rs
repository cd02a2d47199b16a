//! What stands where, in memory: a fold of the stream's messages, the same for everybody who reads
//! them.
//!
//! The stream is the truth, and whoever reads it from its start comes to the same result. That is
//! what makes ids unique for ever and appends happen once, without a lock between programs: a
//! message counts if its events follow the version that its stream had before it and none of their
//! ids occurred before. One that does not count is void: it changes nothing, for nobody. Positions
//! number the events that count, 1, 2, 3.

use std::hash::BuildHasher as _;

use cim_domain_nix::{MessageId, StreamId, Uuid};
use hashbrown::HashTable;

use crate::hash::{HashMap, Hashes};
use crate::wire::Facts;

/// A message that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    /// The position of its first event.
    pub(crate) position: u32,
    stream: u32,
    /// The version of its first event.
    pub(crate) version: u32,
}

/// One stream.
struct Entry {
    version: u64,
    /// The last message on its subject, void ones included: what the server compares.
    last: u64,
    /// Its messages, as numbers in `places`.
    messages: Vec<u32>,
}

/// What an append has to know of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tip {
    pub(crate) version: u64,
    pub(crate) last: u64,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Counts,
    Void,
}

/// A message says that it follows events that are not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gap {
    pub(crate) version: u64,
    pub(crate) first: u64,
}

/// See the module's text.
#[derive(Default)]
pub(crate) struct Index {
    /// The sequence up to which all messages are taken in.
    applied: u64,
    places: Vec<Place>,
    streams: Vec<Entry>,
    by_stream: HashMap<StreamId, u32>,
    /// Ids by position, from 1.
    ids: Vec<Uuid>,
    by_id: HashTable<u32>,
    hasher: Hashes,
    causes: Links,
    correlations: Links,
}

impl Index {
    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    /// The position of the last event.
    pub(crate) fn head(&self) -> u64 {
        self.ids.len() as u64
    }

    pub(crate) fn ids_len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn n_messages(&self) -> usize {
        self.places.len()
    }

    /// More than this many events have no room in it.
    pub(crate) const MOST: usize = u32::MAX as usize - 1;

    /// Takes the next message in; `None` for one that is not ours, which may still stand on the
    /// subject of a stream.
    pub(crate) fn take(
        &mut self,
        sequence: u64,
        stream: Option<&StreamId>,
        facts: Option<&Facts>,
    ) -> Result<Outcome, Gap> {
        let entry = stream.map(|stream| self.entry(stream));
        let outcome = match (facts, entry) {
            (Some(facts), Some(entry)) => self.judge(facts, entry)?,
            _ => Outcome::Void,
        };
        self.applied = sequence;
        if let Some(entry) = entry {
            self.streams[entry as usize].last = sequence;
        }
        if let (Outcome::Counts, Some(facts), Some(entry)) = (outcome, facts, entry) {
            self.push(sequence, facts, entry);
        }
        Ok(outcome)
    }

    fn entry(&mut self, stream: &StreamId) -> u32 {
        if let Some(entry) = self.by_stream.get(stream) {
            return *entry;
        }
        let entry = number(self.streams.len());
        self.streams.push(Entry { version: 0, last: 0, messages: Vec::new() });
        self.by_stream.insert(stream.clone(), entry);
        entry
    }

    fn judge(&self, facts: &Facts, entry: u32) -> Result<Outcome, Gap> {
        let version = self.streams[entry as usize].version;
        if facts.first > version + 1 {
            return Err(Gap { version, first: facts.first });
        }
        let counts =
            facts.first == version + 1 && facts.ids.iter().all(|id| self.id(*id).is_none());
        Ok(if counts { Outcome::Counts } else { Outcome::Void })
    }

    fn push(&mut self, sequence: u64, facts: &Facts, entry: u32) {
        let message = number(self.places.len());
        let stream = &mut self.streams[entry as usize];
        self.places.push(Place {
            sequence,
            position: number(self.ids.len() + 1),
            stream: entry,
            version: number(stream.version as usize + 1),
        });
        stream.version += facts.ids.len() as u64;
        stream.messages.push(message);
        for id in &facts.ids {
            self.ids.push(*id);
            let position = number(self.ids.len());
            let (ids, hasher) = (&self.ids, &self.hasher);
            let hash = |position: &u32| hasher.hash_one(ids[*position as usize - 1]);
            self.by_id.insert_unique(hasher.hash_one(id), position, hash);
        }
        self.causes.push(&self.hasher, &facts.causes, message);
        self.correlations.push(&self.hasher, &facts.correlations, message);
    }

    /// The position of the event with this id.
    pub(crate) fn id(&self, id: Uuid) -> Option<u64> {
        let is_it = |position: &u32| self.ids[*position as usize - 1] == id;
        self.by_id.find(self.hasher.hash_one(id), is_it).map(|position| u64::from(*position))
    }

    pub(crate) fn tip(&self, stream: &StreamId) -> Tip {
        self.by_stream.get(stream).map_or(Tip::default(), |entry| {
            let entry = &self.streams[*entry as usize];
            Tip { version: entry.version, last: entry.last }
        })
    }

    pub(crate) fn place(&self, message: usize) -> Place {
        self.places[message]
    }

    /// The position of the first event of message `sequence`, if that counts.
    pub(crate) fn position_at(&self, sequence: u64) -> Option<u64> {
        // Mostly it is among the last ones.
        let tail = &self.places[self.places.len().saturating_sub(128)..];
        let is_late = tail.first().is_some_and(|place| place.sequence <= sequence);
        let places = if is_late { tail } else { &self.places };
        let found = places.binary_search_by_key(&sequence, |place| place.sequence);
        found.ok().map(|at| u64::from(places[at].position))
    }

    /// The last message that counts, and the id of its first event.
    pub(crate) fn last(&self) -> Option<(u64, Uuid)> {
        let place = self.places.last()?;
        Some((place.sequence, self.ids[place.position as usize - 1]))
    }

    /// The message with the first event after position `after`.
    pub(crate) fn message_after(&self, after: u64) -> usize {
        let starts_before = |place: &Place| u64::from(place.position) <= after.saturating_add(1);
        match after >= self.head() {
            true => self.places.len(),
            false => self.places.partition_point(starts_before) - 1,
        }
    }

    /// The messages of a stream with versions above `after`, and no more than there are now.
    pub(crate) fn messages_of(&self, stream: &StreamId, after: u64) -> Vec<Place> {
        let Some(entry) = self.by_stream.get(stream) else { return Vec::new() };
        let entry = &self.streams[*entry as usize];
        if after >= entry.version {
            return Vec::new();
        }
        let starts_before =
            |message: &u32| u64::from(self.places[*message as usize].version) <= after + 1;
        let from = entry.messages.partition_point(starts_before) - 1;
        entry.messages[from..].iter().map(|message| self.places[*message as usize]).collect()
    }

    /// The messages in which a cause may stand.
    pub(crate) fn caused_by(&self, cause: &MessageId) -> Vec<Place> {
        self.linked(&self.causes, cause)
    }

    /// The messages in which a conversation may stand.
    pub(crate) fn correlated(&self, correlation: &MessageId) -> Vec<Place> {
        self.linked(&self.correlations, correlation)
    }

    fn linked(&self, links: &Links, id: &MessageId) -> Vec<Place> {
        let messages = links.get(&self.hasher, id);
        messages.into_iter().map(|message| self.places[message as usize]).collect()
    }
}

/// Numbers are four bytes: `Index::MOST` is looked at before anything is taken in.
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Messages by an id that several may have, the newest first.
///
/// Ids are kept as 32 bits of their hash: a reader looks at the events anyway.
#[derive(Default)]
struct Links {
    links: Vec<Link>,
    newest: HashTable<u32>,
}

struct Link {
    hash: u32,
    message: u32,
    /// The link before it, itself for the first.
    former: u32,
}

impl Links {
    fn push(&mut self, hasher: &Hashes, ids: &[MessageId], message: u32) {
        for id in ids {
            let hash = short(hasher, id);
            let link = number(self.links.len());
            let links = &self.links;
            let newest =
                self.newest.find_mut(spread(hash), |link| links[*link as usize].hash == hash);
            let former = match newest {
                Some(newest) => std::mem::replace(newest, link),
                None => link,
            };
            self.links.push(Link { hash, message, former });
            if former == link {
                let links = &self.links;
                let hash_of = |link: &u32| spread(links[*link as usize].hash);
                self.newest.insert_unique(spread(hash), link, hash_of);
            }
        }
    }

    /// In the order of messages.
    fn get(&self, hasher: &Hashes, id: &MessageId) -> Vec<u32> {
        let hash = short(hasher, id);
        let newest = self.newest.find(spread(hash), |link| self.links[*link as usize].hash == hash);
        let mut messages = Vec::new();
        let mut next = newest.copied();
        while let Some(link) = next {
            let Link { message, former, .. } = self.links[link as usize];
            messages.push(message);
            next = (former != link).then_some(former);
        }
        messages.reverse();
        // Two ids of one message may have the same hash.
        messages.dedup();
        messages
    }
}

fn short(hasher: &Hashes, id: &MessageId) -> u32 {
    (hasher.hash_one(id) >> 32) as u32
}

/// A table takes its tags from the upper bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cim_domain_nix::Kind;

    fn stream(n: u128) -> StreamId {
        StreamId::new(Kind::Flake, Uuid::from_u128(n))
    }

    fn facts(of: u128, first: u64, ids: &[u128]) -> Facts {
        Facts {
            stream: stream(of),
            first,
            ids: ids.iter().map(|id| Uuid::from_u128(*id)).collect(),
            causes: [MessageId::Uuid(Uuid::from_u128(of))].into(),
            correlations: [].as_slice().into(),
        }
    }

    fn take(index: &mut Index, facts: &Facts) -> Result<Outcome, Gap> {
        index.take(index.applied() + 1, Some(&facts.stream), Some(facts))
    }

    #[test]
    fn what_does_not_follow_is_void() {
        let mut index = Index::default();
        assert_eq!(take(&mut index, &facts(1, 1, &[1, 2])), Ok(Outcome::Counts));
        // Late, or with an id that occurred.
        assert_eq!(take(&mut index, &facts(1, 2, &[3])), Ok(Outcome::Void));
        assert_eq!(take(&mut index, &facts(2, 1, &[4, 2])), Ok(Outcome::Void));
        assert_eq!(take(&mut index, &facts(2, 1, &[4])), Ok(Outcome::Counts));
        assert_eq!(index.take(5, Some(&stream(1)), None), Ok(Outcome::Void));
        assert_eq!(index.take(6, None, None), Ok(Outcome::Void));
        assert_eq!((index.head(), index.applied()), (3, 6));
        assert_eq!(index.tip(&stream(1)), Tip { version: 2, last: 5 });
        assert_eq!(index.tip(&stream(2)), Tip { version: 1, last: 4 });
        assert_eq!(index.tip(&stream(3)), Tip::default());
        assert_eq!((index.id(Uuid::from_u128(4)), index.id(Uuid::from_u128(3))), (Some(3), None));
        assert_eq!(take(&mut index, &facts(1, 4, &[9])), Err(Gap { version: 2, first: 4 }));
        assert_eq!(index.applied(), 6);
    }

    #[test]
    fn places_are_found_by_position_version_and_cause() {
        let mut index = Index::default();
        let mut model = Vec::new();
        fastrand::seed(3);
        let mut versions = [0; 4];
        for _ in 0..500 {
            let (of, n) = (fastrand::usize(..4), fastrand::u64(1..4));
            let first = model.len() as u128 + 1;
            let ids: Vec<u128> = (first..first + u128::from(n)).collect();
            let message = index.n_messages();
            take(&mut index, &facts(of as u128, versions[of] + 1, &ids)).expect("follows");
            for _ in 0..n {
                versions[of] += 1;
                model.push((message, of, versions[of]));
            }
        }
        assert_eq!(index.head(), model.len() as u64);
        assert_eq!(index.message_after(index.head()), index.n_messages());
        assert_eq!(index.message_after(u64::MAX), index.n_messages());
        for (after, (message, of, version)) in model.iter().enumerate() {
            assert_eq!(index.message_after(after as u64), *message);
            let places = index.messages_of(&stream(*of as u128), version - 1);
            assert_eq!(places[0], index.place(*message));
            let cause = MessageId::Uuid(Uuid::from_u128(*of as u128));
            let linked = index.caused_by(&cause);
            assert!(linked.len() < 500 && linked.contains(&places[0]));
            assert!(linked.is_sorted_by_key(|place| place.sequence));
        }
        assert!(index.messages_of(&stream(0), versions[0]).is_empty());
        assert!(index.messages_of(&stream(0), u64::MAX).is_empty());
        assert!(index.correlated(&MessageId::Uuid(Uuid::from_u128(1))).is_empty());
    }
}
