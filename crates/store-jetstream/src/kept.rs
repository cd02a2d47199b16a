//! What may change: snapshots, the outbox' mark, rows of read models, in a key-value bucket.

use async_nats::jetstream::kv::{self, EntryErrorKind, Operation, Store, UpdateErrorKind};
use bytes::Bytes;
use cim_domain_nix::StoreError;

use crate::fault::{Pauses, Trouble, no_answer, passing, retry, unavailable};
use crate::options::Options;
use crate::remote::Remote;

pub(crate) struct Kept {
    bucket: Store,
    patience: std::time::Duration,
}

/// How long a value may be; longer ones stand in parts, or are not kept.
const LONGEST: usize = 512 << 10;

impl Kept {
    /// Opens the bucket, and makes it where there is none.
    pub(crate) async fn open(remote: &Remote, options: &Options) -> Result<Self, StoreError> {
        let config = kv::Config {
            bucket: remote.name.clone(),
            description: format!("snapshots and marks of the tenant {}", options.tenant),
            history: 1,
            num_replicas: options.replicas,
            storage: options.config().storage,
            ..kv::Config::default()
        };
        let bucket = retry(remote.patience(), "open the key-value bucket", async || {
            if let Ok(found) = remote.context.get_key_value(&remote.name).await {
                return Ok(found);
            }
            remote.context.create_key_value(config.clone()).await.map_err(passing)
        })
        .await?;
        Ok(Self { bucket, patience: remote.patience() })
    }

    /// How long a value may be.
    pub(crate) fn longest(&self, room: usize) -> usize {
        LONGEST.min(room)
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.entry(key).await?.0)
    }

    /// A value and its revision, which is 0 where there never was one.
    async fn entry(&self, key: &str) -> Result<(Option<Bytes>, u64), StoreError> {
        let entry = retry(self.patience, "read from the key-value bucket", async || {
            self.bucket.entry(key).await.map_err(|error| match error.kind() {
                EntryErrorKind::InvalidKey => Trouble::Final(bad_key(key)),
                EntryErrorKind::TimedOut | EntryErrorKind::Other => passing(error),
            })
        })
        .await?;
        Ok(match entry {
            Some(entry) if entry.operation == Operation::Put => (Some(entry.value), entry.revision),
            Some(entry) => (None, entry.revision),
            None => (None, 0),
        })
    }

    pub(crate) async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.change(key, |_| Ok(Some(value.clone()))).await.map(drop)
    }

    /// Changes a value by what it is now; `change` answers `None` to leave it. Nobody's change is
    /// lost, and `change` has to bear being made twice.
    ///
    /// Shape: answers the value that was there before.
    pub(crate) async fn change(
        &self,
        key: &str,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Option<Bytes>, StoreError>,
    ) -> Result<Option<Bytes>, StoreError> {
        let mut pauses = Pauses::new(self.patience);
        loop {
            let (former, revision) = self.entry(key).await?;
            let Some(value) = change(former.as_deref())? else { return Ok(former) };
            let Err(error) = self.bucket.update(key, value, revision).await else {
                return Ok(former);
            };
            let problem = match error.kind() {
                UpdateErrorKind::InvalidKey => return Err(bad_key(key)),
                _ => error.to_string(),
            };
            if !pauses.wait().await {
                return Err(no_answer("write to the key-value bucket", &problem));
            }
        }
    }

    /// Removes a value, and the room that it took.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), StoreError> {
        retry(self.patience, "write to the key-value bucket", async || {
            self.bucket.purge(key).await.map_err(passing)
        })
        .await
    }
}

fn bad_key(key: &str) -> StoreError {
    unavailable(format!("`{key}` cannot be a key"), "this is a fault of the program")
}
