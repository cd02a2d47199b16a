//! Intents and blobs.

use cim_domain_nix::{Intent, IntentStore, StoreError, Timestamp, Uuid};
use cim_nix_base::ContentHash;
use rusqlite::Row;

use crate::decode::{number, uuid};
use crate::fault::{Fault, corrupt};
use crate::group::Job;
use crate::store::SqliteStore;

/// The most bytes of one blob: what the file can hold in one value is not much more.
const MOST_BYTES: usize = 512 << 20;

impl IntentStore for SqliteStore {
    fn open_intent(&self, intent: &Intent, blobs: &[&[u8]]) -> Result<(), StoreError> {
        intent.check()?;
        if blobs.iter().any(|bytes| bytes.len() > MOST_BYTES) {
            return Err(StoreError::Invalid("a store keeps at most 512 MiB of one file".into()));
        }
        let blobs = blobs.iter().map(|bytes| (ContentHash::of(bytes), bytes.to_vec()));
        self.submit(Job::OpenIntent(intent.clone(), blobs.collect())).map(drop)
    }

    fn close_intent(&self, id: Uuid) -> Result<(), StoreError> {
        self.submit(Job::CloseIntent(id)).map(drop)
    }

    fn open_intents(&self) -> Result<Vec<Intent>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, at, stream, expected, events, plan FROM intents ORDER BY number",
            )?;
            let mut rows = query.query([])?;
            let mut intents = Vec::new();
            while let Some(row) = rows.next()? {
                intents.push(intent(row)?);
            }
            Ok(intents)
        })
    }

    fn blob(&self, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached("SELECT bytes FROM blobs WHERE hash = ?1")?;
            let mut rows = query.query([hash.as_bytes()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let bytes: Vec<u8> = row.get(0)?;
            match ContentHash::of(&bytes) == hash {
                true => Ok(Some(bytes)),
                false => Err(corrupt(format!("blob {hash}"), "its bytes have another hash")),
            }
        })
    }
}

fn intent(row: &Row<'_>) -> Result<Intent, Fault> {
    let id = uuid(row.get_ref(0)?);
    let id = id.ok_or_else(|| corrupt("intents", "an id cannot be read"))?;
    let broken = |what: &str| corrupt(format!("intent {id}"), format!("{what} cannot be read"));
    let stream: String = row.get(2)?;
    let events: Vec<u8> = row.get(4)?;
    let (events, rest) = events.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(broken("the ids of its events"));
    }
    Ok(Intent {
        id,
        at: Timestamp::from_micros(row.get(1)?),
        stream: stream.parse().map_err(|_| broken("its stream"))?,
        expected: number(row, 3)?,
        events: events.iter().map(|bytes| Uuid::from_bytes(*bytes)).collect(),
        plan: row.get(5)?,
    })
}
