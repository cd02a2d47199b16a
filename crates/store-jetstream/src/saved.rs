//! The index in a file, so that a start need not read the whole stream.
//!
//! The file holds what the index takes in, message by message, each with a sum. What cannot be read
//! is cut off: the stream has it, and has more. A file of another stream is written anew.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use cim_domain_nix::{Kind, MessageId, StoreError, StreamId, Uuid};
use twox_hash::XxHash3_64;

use crate::fault::unavailable;
use crate::index::{Index, Outcome};
use crate::wire::Facts;

/// Writes down what the index takes in.
pub(crate) struct Recorder {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// A file that cannot be written is left alone; the index does without.
    has_failed: bool,
}

/// The buffer is written when it has this many bytes.
const FULL: usize = 256 << 10;
/// No record is longer: ids of the largest append that the index numbers.
const LONGEST: usize = 1 << 30;

/// Opens the file, and reads as much of it as belongs to the stream with this name and origin.
pub(crate) fn open(
    path: &Path,
    stream: &str,
    created: &str,
    last: u64,
) -> Result<(Index, Recorder), StoreError> {
    let cannot = |error: &std::io::Error| {
        unavailable(
            format!("cannot use the index file {}: {error}", path.display()),
            "make it writable, name another file, or do without (`index_file`)",
        )
    };
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    let mut file = options.open(path).map_err(|error| cannot(&error))?;
    if file.try_lock().is_err() {
        return Err(unavailable(
            format!("another program uses the index file {}", path.display()),
            "give each program an index file of its own",
        ));
    }
    let head = format!("cim-nix index 1 of {stream} from {created}\n");
    let (mut index, mut end) = read(&file, &head);
    if index.applied() > last {
        (index, end) = (Index::default(), 0);
    }
    let mut prepare = || {
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        if end == 0 { file.write_all(head.as_bytes()) } else { Ok(()) }
    };
    prepare().map_err(|error| cannot(&error))?;
    let recorder = Recorder { path: path.to_owned(), file, buffer: Vec::new(), has_failed: false };
    Ok((index, recorder))
}

/// What the file holds, and where that ends; nothing if it is another stream's.
fn read(file: &File, head: &str) -> (Index, u64) {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut found = vec![0; head.len()];
    let mut index = Index::default();
    if reader.read_exact(&mut found).is_err() || found != head.as_bytes() {
        return (index, 0);
    }
    let mut end = head.len() as u64;
    let mut record = Vec::new();
    while let Some(n_bytes) = next(&mut reader, &mut record) {
        let Some(taken) = Record::read(&record) else { break };
        let follows = taken.sequence > index.applied();
        if !follows
            || index.take(taken.sequence, Some(&taken.stream), taken.facts.as_ref()).is_err()
        {
            break;
        }
        end += n_bytes;
    }
    (index, end)
}

/// The next record, if it is whole.
fn next(reader: &mut impl Read, record: &mut Vec<u8>) -> Option<u64> {
    let mut head = [0; 12];
    reader.read_exact(&mut head).ok()?;
    let (n_bytes, sum) = head.split_at(4);
    let n_bytes = u32::from_le_bytes(n_bytes.try_into().ok()?) as usize;
    if n_bytes > LONGEST {
        return None;
    }
    record.clear();
    reader.take(n_bytes as u64).read_to_end(record).ok()?;
    let is_whole = record.len() == n_bytes;
    let is_sound = XxHash3_64::oneshot(record).to_le_bytes() == sum;
    (is_whole && is_sound).then_some(n_bytes as u64 + 12)
}

struct Record {
    sequence: u64,
    stream: StreamId,
    /// `None` for a message that is no append.
    facts: Option<Facts>,
}

impl Record {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let sequence = bytes.number()?;
        let kind: Kind = bytes.text()?.parse().ok()?;
        let stream = StreamId::new(kind, bytes.id()?);
        let first = bytes.number()?;
        if first == 0 {
            return Some(Self { sequence, stream, facts: None });
        }
        let ids = bytes.list(Bytes::id)?;
        let causes = bytes.list(Bytes::message)?;
        let correlations = bytes.list(Bytes::message)?;
        let facts = Facts { stream: stream.clone(), first, ids, causes, correlations };
        Some(Self { sequence, stream, facts: Some(facts) })
    }
}

/// Bytes that are read from the front.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, n_bytes: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(n_bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn id(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.take(16)?).ok()
    }

    fn text(&mut self) -> Option<&'b str> {
        let n_bytes = *self.take(1)?.first()?;
        std::str::from_utf8(self.take(n_bytes.into())?).ok()
    }

    /// An empty text stands before an id that is a UUID.
    fn message(&mut self) -> Option<MessageId> {
        match self.text()? {
            "" => self.id().map(MessageId::Uuid),
            cid => Some(MessageId::Cid(cid.into())),
        }
    }

    fn list<T, L: FromIterator<T>>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<L> {
        let n_items = self.number()?;
        (0..n_items).map(|_| item(self)).collect()
    }
}

impl Recorder {
    pub(crate) fn note(
        &mut self,
        sequence: u64,
        stream: Option<&StreamId>,
        facts: Option<&Facts>,
        outcome: Outcome,
    ) {
        let Some(stream) = stream else { return };
        if self.has_failed {
            return;
        }
        let start = self.buffer.len();
        self.buffer.extend([0; 12]);
        self.buffer.extend(sequence.to_le_bytes());
        self.text(stream.kind.token());
        self.buffer.extend(stream.id.as_bytes());
        match facts.filter(|_| outcome == Outcome::Counts) {
            None => self.buffer.extend(0_u64.to_le_bytes()),
            Some(facts) => self.facts(facts),
        }
        let body = &self.buffer[start + 12..];
        let sum = XxHash3_64::oneshot(body).to_le_bytes();
        let n_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.buffer[start..start + 4].copy_from_slice(&n_bytes);
        self.buffer[start + 4..start + 12].copy_from_slice(&sum);
        if self.buffer.len() >= FULL {
            self.flush();
        }
    }

    fn facts(&mut self, facts: &Facts) {
        self.buffer.extend(facts.first.to_le_bytes());
        self.buffer.extend((facts.ids.len() as u64).to_le_bytes());
        for id in &facts.ids {
            self.buffer.extend(id.as_bytes());
        }
        for list in [&facts.causes, &facts.correlations] {
            self.buffer.extend((list.len() as u64).to_le_bytes());
            for id in list {
                match id {
                    MessageId::Uuid(id) => {
                        self.text("");
                        self.buffer.extend(id.as_bytes());
                    }
                    MessageId::Cid(cid) => self.text(cid),
                }
            }
        }
    }

    /// Kinds and content ids have at most 128 bytes.
    fn text(&mut self, text: &str) {
        self.buffer.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.buffer.extend(text.as_bytes());
    }

    pub(crate) fn flush(&mut self) {
        if !self.has_failed
            && let Err(error) = self.file.write_all(&self.buffer)
        {
            tracing::warn!(path = %self.path.display(), %error, "the index file is not written any more");
            self.has_failed = true;
        }
        self.buffer.clear();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(n: u64) -> Facts {
        Facts {
            stream: StreamId::new(Kind::Flake, Uuid::from_u128(u128::from(n % 3))),
            first: n / 3 + 1,
            ids: [Uuid::from_u128(u128::from(n) + 1)].into(),
            causes: [MessageId::Cid("bafkreiabcdefgh".into())].into(),
            correlations: [MessageId::Uuid(Uuid::from_u128(7))].into(),
        }
    }

    fn fill(index: &mut Index, recorder: &mut Recorder, numbers: std::ops::Range<u64>) {
        for n in numbers {
            let facts = facts(n);
            let outcome = index.take(n + 1, Some(&facts.stream), Some(&facts)).expect("follows");
            recorder.note(n + 1, Some(&facts.stream), Some(&facts), outcome);
        }
    }

    #[test]
    fn an_index_comes_back_from_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index");
        let (mut index, mut recorder) = open(&path, "s", "now", 0).expect("new");
        fill(&mut index, &mut recorder, 0..10);
        recorder.note(11, Some(&facts(0).stream), None, Outcome::Void);
        assert!(open(&path, "s", "now", 99).is_err(), "it is in use");
        drop(recorder);
        let (mut index, mut recorder) = open(&path, "s", "now", 99).expect("there");
        assert_eq!((index.applied(), index.head()), (11, 10));
        assert_eq!(index.tip(&facts(0).stream).last, 11);
        assert_eq!(index.caused_by(&facts(0).causes[0]).len(), 10);
        // It goes on where it ended.
        let facts = facts(10);
        let outcome = index.take(12, Some(&facts.stream), Some(&facts)).expect("follows");
        recorder.note(12, Some(&facts.stream), Some(&facts), outcome);
        drop(recorder);
        let (index, recorder) = open(&path, "s", "now", 99).expect("there");
        assert_eq!(index.head(), 11);
        drop(recorder);
        // Neither another stream's nor one from the future is believed.
        let (index, recorder) = open(&path, "s", "now", 11).expect("there");
        assert_eq!(index.head(), 0);
        drop(recorder);
        let (index, _recorder) = open(&path, "s", "later", 99).expect("there");
        assert_eq!(index.head(), 0);
    }

    #[test]
    fn damage_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index");
        let (mut index, mut recorder) = open(&path, "s", "now", 0).expect("new");
        fill(&mut index, &mut recorder, 0..20);
        drop(recorder);
        let whole = std::fs::read(&path).expect("written");
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            match at % 2 {
                0 => bytes.truncate(at),
                _ => bytes[at] ^= 0x40,
            }
            std::fs::write(&path, bytes).expect("ours");
            let (mut index, mut recorder) = open(&path, "s", "now", 99).expect("there");
            let n_kept = index.head();
            assert!(n_kept < 20);
            fill(&mut index, &mut recorder, n_kept..20);
            drop((recorder, index));
            let (index, _recorder) = open(&path, "s", "now", 99).expect("there");
            assert_eq!(index.head(), 20, "byte {at}");
        }
    }
}
