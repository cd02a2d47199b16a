//! Read models: rows in the memory of a process, with the position up to which they are.
//!
//! A read model can always be made again from the events. So that a start need not do that, its
//! rows are put into the key-value bucket now and then, with their position; what is newer is read
//! from the stream.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cim_domain_nix::StoreError;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::kept::Kept;

/// Rows by key.
pub(crate) type Table = BTreeMap<String, String>;

/// The read models of this process. Clones are the same models: give one to all stores that are
/// opened on the same stream, and each event is taken once.
#[derive(Clone, Default)]
pub struct Models {
    models: Arc<Mutex<HashMap<String, Arc<Model>>>>,
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models").finish_non_exhaustive()
    }
}

/// A read model.
#[derive(Default)]
pub(crate) struct Model {
    /// Held by whoever moves it; readers need not wait.
    pub(crate) moving: Mutex<()>,
    standing: Mutex<Standing>,
}

/// How far a read model is, and its rows there.
#[derive(Clone, Default)]
pub(crate) struct Standing {
    /// 0 before it was moved for the first time.
    pub(crate) schema: u32,
    pub(crate) position: u64,
    /// Shared with readers, which keep the moment at which they began.
    pub(crate) rows: Arc<Table>,
    /// The position that the bucket has rows of.
    pub(crate) saved: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A projection may panic while a model is moved: its changes are not in the rows yet.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Models {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Model>> {
        lock(&self.models).get(name).cloned()
    }

    pub(crate) fn get_or_make(&self, name: &str) -> Arc<Model> {
        Arc::clone(lock(&self.models).entry(name.to_owned()).or_default())
    }

    pub(crate) fn remove(&self, name: &str) {
        lock(&self.models).remove(name);
    }
}

impl Model {
    pub(crate) fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }

    pub(crate) fn set(&self, standing: Standing) {
        *lock(&self.standing) = standing;
    }

    pub(crate) fn is_saved(&self, position: u64) {
        lock(&self.standing).saved = position;
    }

    /// Writes changes and the position that they lead to.
    pub(crate) fn write(&self, changes: BTreeMap<String, Option<String>>, position: u64) {
        let mut standing = lock(&self.standing);
        let rows = Arc::make_mut(&mut standing.rows);
        for (key, change) in changes {
            match change {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        standing.position = position;
    }
}

/// What the bucket says of saved rows.
#[derive(Serialize, Deserialize)]
struct Saved {
    name: String,
    schema: u32,
    position: u64,
    /// Which parts are its own.
    generation: String,
    n_parts: usize,
    sum: String,
}

impl Saved {
    fn part(&self, key: &str, n: usize) -> String {
        format!("{key}.{}.{n}", self.generation)
    }
}

/// The key of a model: any name, as the letters that keys may have.
fn key(name: &str) -> String {
    let mut key = "model.x".to_owned();
    for byte in name.bytes() {
        // Writing to a text does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Puts rows into the bucket. The rows that were there before go once the new ones stand.
pub(crate) async fn save(
    kept: &Kept,
    longest: usize,
    name: &str,
    standing: &Standing,
) -> Result<(), StoreError> {
    let rows = serde_json::to_vec(&*standing.rows);
    let rows = Bytes::from(rows.map_err(|error| StoreError::Invalid(error.to_string()))?);
    let saved = Saved {
        name: name.to_owned(),
        schema: standing.schema,
        position: standing.position,
        generation: format!("{:016x}", fastrand::u64(..)),
        n_parts: rows.len().div_ceil(longest),
        sum: format!("{:016x}", XxHash3_64::oneshot(&rows)),
    };
    let key = key(name);
    for n in 0..saved.n_parts {
        let part = rows.slice(n * longest..rows.len().min((n + 1) * longest));
        kept.put(&saved.part(&key, n), part).await?;
    }
    let head = serde_json::to_vec(&saved);
    let head = Bytes::from(head.map_err(|error| StoreError::Invalid(error.to_string()))?);
    let mut is_late = false;
    let former = kept
        .change(&key, |found| {
            let found = found.and_then(|found| serde_json::from_slice::<Saved>(found).ok());
            is_late = found.is_some_and(|found| {
                found.schema == saved.schema && found.position >= saved.position
            });
            Ok((!is_late).then(|| head.clone()))
        })
        .await?;
    let old = match is_late {
        true => Some(saved),
        false => former.and_then(|former| serde_json::from_slice(&former).ok()),
    };
    remove_parts(kept, &key, old).await
}

async fn remove_parts(kept: &Kept, key: &str, saved: Option<Saved>) -> Result<(), StoreError> {
    let Some(saved) = saved else { return Ok(()) };
    for n in 0..saved.n_parts {
        kept.remove(&saved.part(key, n)).await?;
    }
    Ok(())
}

/// The rows that the bucket has for a model with this schema, if they are of no later moment.
pub(crate) async fn load(
    kept: &Kept,
    name: &str,
    schema: u32,
    head: u64,
) -> Result<Option<Standing>, StoreError> {
    let key = key(name);
    let Some(found) = kept.get(&key).await? else { return Ok(None) };
    let saved: Option<Saved> = serde_json::from_slice(&found).ok();
    let Some(saved) = saved.filter(|saved| saved.schema == schema && saved.position <= head) else {
        return Ok(None);
    };
    let mut rows = Vec::new();
    for n in 0..saved.n_parts {
        // Somebody saves another state just now.
        let Some(part) = kept.get(&saved.part(&key, n)).await? else { return Ok(None) };
        rows.extend_from_slice(&part);
    }
    let is_sound = format!("{:016x}", XxHash3_64::oneshot(&rows)) == saved.sum;
    let rows: Option<Table> = serde_json::from_slice(&rows).ok().filter(|_| is_sound);
    let Some(rows) = rows else {
        tracing::warn!(name, "saved rows of a read model are damaged: they are made again");
        return Ok(None);
    };
    let position = saved.position;
    Ok(Some(Standing { schema, position, rows: Arc::new(rows), saved: position }))
}

/// Removes saved rows.
pub(crate) async fn forget(kept: &Kept, name: &str) -> Result<(), StoreError> {
    let key = key(name);
    let Some(found) = kept.get(&key).await? else { return Ok(()) };
    kept.remove(&key).await?;
    remove_parts(kept, &key, serde_json::from_slice(&found).ok()).await
}
