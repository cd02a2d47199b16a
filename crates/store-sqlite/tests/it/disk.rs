//! A disk that counts, fails and loses power.
//!
//! A layer between SQLite and the files (a VFS): what SQLite writes goes through to the files, and
//! is noted until the file is synced. At a power cut a random part of what was not synced is
//! written to an image of the disk, in sectors, each whole, torn or missing, whatever their order
//! was; after the cut nothing can be written any more.

#![allow(unsafe_code, reason = "SQLite takes a layer of this kind as C functions alone")]

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

/// What the disk does beside keeping bytes.
#[derive(Default)]
pub(crate) struct Plan {
    /// Whether writes are noted, for a power cut.
    pub(crate) notes_writes: bool,
    /// The power goes at this operation, counted from 1.
    pub(crate) cut_at: Option<u64>,
    /// Where the image of the disk is written at the cut.
    pub(crate) image: PathBuf,
    pub(crate) seed: u64,
    /// A disk that says that it synced, and did not.
    pub(crate) lies: bool,
    /// Each write fails with this code from this operation on.
    pub(crate) fail_writes: Option<(u64, c_int)>,
    /// Each sync fails from this operation on.
    pub(crate) fail_syncs: Option<u64>,
    /// What each sync takes at least.
    pub(crate) sync_takes: Duration,
}

/// What is on the disk for sure, and what may be.
#[derive(Default)]
struct Shadow {
    /// As of the last sync; `None` while the folder may not know the file.
    durable: Option<Vec<u8>>,
    pending: Vec<Change>,
}

enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
    /// The file was removed and the folder not synced.
    Remove,
}

#[derive(Default)]
struct Disk {
    plan: Plan,
    files: HashMap<PathBuf, Shadow>,
    n_operations: u64,
    is_cut: bool,
}

static DISK: Mutex<Option<Disk>> = Mutex::new(None);
static SYNCS: AtomicU64 = AtomicU64::new(0);
static WRITTEN: AtomicU64 = AtomicU64::new(0);
static REAL: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());
/// Files that are opened now cannot share memory, as on a network file system.
static LACKS_SHARED_MEMORY: AtomicBool = AtomicBool::new(false);

/// Puts the layer between SQLite and all files that this process opens from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the default layer exists and lives for ever, as does ours, which is leaked; all
        // of its fields that are not replaced are copied from the default one.
        unsafe {
            let real = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!real.is_null());
            REAL.store(real, Ordering::Release);
            let mut layer = *real;
            layer.szOsFile = (size_of::<File>() as c_int) + (*real).szOsFile;
            layer.pNext = std::ptr::null_mut();
            layer.zName = c"losing".as_ptr();
            layer.xOpen = Some(open);
            layer.xDelete = Some(delete);
            let layer = Box::leak(Box::new(layer));
            assert_eq!(ffi::sqlite3_vfs_register(layer, 1), ffi::SQLITE_OK);
        }
    });
}

/// Begins anew, with another plan.
pub(crate) fn plan(plan: Plan) {
    *disk() = Some(Disk { plan, ..Disk::default() });
}

/// From now on files have no memory that processes share.
pub(crate) fn lack_shared_memory() {
    LACKS_SHARED_MEMORY.store(true, Ordering::Release);
}

/// How many syncs there were at all.
pub(crate) fn n_syncs() -> u64 {
    SYNCS.load(Ordering::Acquire)
}

/// How many bytes were written at all.
#[allow(dead_code, reason = "the tests do not ask, measuring does")]
pub(crate) fn n_written() -> u64 {
    WRITTEN.load(Ordering::Acquire)
}

/// Cuts the power, unless it is cut.
pub(crate) fn cut() {
    if let Some(disk) = &mut *disk() {
        disk.cut();
    }
}

fn disk() -> MutexGuard<'static, Option<Disk>> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// Counts an operation; answers whether there is still power for it.
    fn operate(&mut self) -> bool {
        self.n_operations += 1;
        if self.plan.cut_at.is_some_and(|at| self.n_operations >= at) {
            self.cut();
        }
        !self.is_cut
    }

    fn cut(&mut self) {
        if std::mem::replace(&mut self.is_cut, true) {
            return;
        }
        let mut random = fastrand::Rng::with_seed(self.plan.seed);
        std::fs::create_dir_all(&self.plan.image).unwrap();
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(path, _)| (*path).clone());
        for (path, shadow) in files {
            if let Some(bytes) = shadow.after_cut(&mut random) {
                let name = path.file_name().unwrap();
                std::fs::write(self.plan.image.join(name), bytes).unwrap();
            }
        }
    }

    fn sync(&mut self, path: &Path) {
        let file = self.files.entry(path.to_owned()).or_default();
        let is_new = file.durable.is_none();
        file.sync();
        // SQLite syncs the folder with a journal or log that is new, and so what was removed in it.
        if is_new {
            self.files.values_mut().for_each(Shadow::sync_removal);
        }
    }

    fn note(&mut self, path: &Path, change: Change) {
        if self.plan.notes_writes {
            self.files.entry(path.to_owned()).or_default().pending.push(change);
        }
    }
}

const SECTOR: u64 = 512;

impl Shadow {
    fn sync(&mut self) {
        let mut bytes = self.durable.take();
        for change in self.pending.drain(..) {
            match change {
                Change::Write(at, data) => put(bytes.get_or_insert_default(), at, &data),
                Change::Truncate(len) => bytes.get_or_insert_default().resize(len as usize, 0),
                Change::Remove => bytes = None,
            }
        }
        self.durable = bytes;
    }

    /// The folder is synced: a file that was removed is gone, what came after is as open as before.
    fn sync_removal(&mut self) {
        let removal = self.pending.iter().rposition(|change| matches!(change, Change::Remove));
        if let Some(removal) = removal {
            self.pending.drain(..=removal);
            self.durable = None;
        }
    }

    /// What a person finds who starts the machine again.
    fn after_cut(&self, random: &mut fastrand::Rng) -> Option<Vec<u8>> {
        let mut bytes = self.durable.clone();
        // Sometimes everything got through, sometimes nothing.
        let share = [0, 10, 50, 90, 100][random.usize(..5)];
        for change in &self.pending {
            match change {
                Change::Write(at, data) => {
                    let mut gets_through = || random.u32(..100) < share;
                    for (at, sector) in sectors(*at, data) {
                        if gets_through() {
                            put(bytes.get_or_insert_default(), at, sector);
                        }
                    }
                    // Now and then one is torn in the middle.
                    let torn = random.usize(..8 * sectors(*at, data).count());
                    if let Some((at, sector)) = sectors(*at, data).nth(torn) {
                        let part = random.usize(..sector.len());
                        put(bytes.get_or_insert_default(), at, &sector[..part]);
                    }
                }
                _ if random.u32(..100) >= share => {}
                Change::Truncate(len) => {
                    bytes.get_or_insert_default().resize(*len as usize, 0);
                }
                Change::Remove => bytes = None,
            }
        }
        bytes
    }
}

/// A write, cut where sectors end.
fn sectors(at: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let first = data.len().min((SECTOR - at % SECTOR) as usize);
    let (head, rest) = data.split_at(first);
    let rest = rest.chunks(SECTOR as usize);
    let rest = rest.zip(0..).map(move |(chunk, n)| (at + first as u64 + n * SECTOR, chunk));
    std::iter::once((at, head)).chain(rest)
}

fn put(bytes: &mut Vec<u8>, at: u64, data: &[u8]) {
    let end = at as usize + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at as usize..end].copy_from_slice(data);
}

/// Our file; the one of the default layer lies behind it.
#[repr(C)]
struct File {
    base: sqlite3_file,
    /// Leaked by `open`, freed by `close`; null for temporary files.
    path: *mut PathBuf,
}

/// The file of the default layer.
///
/// # Safety
///
/// `file` was opened by [`open`].
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite allocates `szOsFile` bytes, which `install` made long enough for both; `File`
    // has the alignment of pointers, so what follows it has it, too.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// # Safety
///
/// `file` was opened by [`open`].
unsafe fn path<'f>(file: *mut sqlite3_file) -> Option<&'f Path> {
    // SAFETY: `open` has written the field, and it is freed by `close` alone, the last call.
    unsafe { (*file.cast::<File>()).path.as_ref() }.map(PathBuf::as_path)
}

/// A function of the default layer for this file.
macro_rules! forward {
    ($file:ident . $method:ident ( $($value:expr),* )) => {
        // SAFETY: SQLite passes files that `open` has opened; the default layer's file was opened
        // by its own function, so its methods are there and may be called with it.
        unsafe {
            let real = real($file);
            let method = (*(*real).pMethods).$method.expect("the default layer has all methods");
            method(real, $($value),*)
        }
    };
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let vfs = REAL.load(Ordering::Acquire);
    // SAFETY: SQLite gives a name that ends with a zero, or none; memory for both files; and the
    // default layer's function is called with what it would have been given without us.
    unsafe {
        let ours = file.cast::<File>();
        (*ours).base.pMethods = std::ptr::null();
        (*ours).path = std::ptr::null_mut();
        let rc =
            ((*vfs).xOpen.expect("a layer opens files"))(vfs, name, real(file), flags, out_flags);
        if rc != ffi::SQLITE_OK {
            return rc;
        }
        if !name.is_null() {
            let path = Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())).to_owned();
            know(&path);
            (*ours).path = Box::into_raw(Box::new(path));
        }
        (*ours).base.pMethods = match LACKS_SHARED_MEMORY.load(Ordering::Acquire) {
            true => &raw const PLAIN,
            false => &raw const METHODS,
        };
        rc
    }
}

/// Takes a file that was there before the plan as durable.
fn know(path: &Path) {
    let mut disk = disk();
    let Some(disk) = disk.as_mut().filter(|disk| disk.plan.notes_writes) else { return };
    if !disk.files.contains_key(path) {
        let bytes = std::fs::read(path).ok().filter(|bytes| !bytes.is_empty());
        // The main file is made, and its folder synced, before SQLite sees it.
        let is_log = path.to_string_lossy().ends_with("-wal");
        let durable = bytes.or((!is_log).then(Vec::new));
        disk.files.insert(path.to_owned(), Shadow { durable, pending: Vec::new() });
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    let vfs = REAL.load(Ordering::Acquire);
    // SAFETY: SQLite gives a name that ends with a zero.
    let path = unsafe { CStr::from_ptr(name) };
    let path = Path::new(OsStr::from_bytes(path.to_bytes())).to_owned();
    if let Some(disk) = &mut *disk() {
        if !disk.operate() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        disk.note(&path, Change::Remove);
        if sync != 0 && disk.plan.notes_writes && !disk.plan.lies {
            disk.files.entry(path).or_default().sync();
        }
    }
    // SAFETY: as above, and the default layer gets its own pointer.
    unsafe { ((*vfs).xDelete.expect("a layer removes files"))(vfs, name, sync) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let rc = forward!(file.xClose());
    // SAFETY: closing is the last call for a file; the box was leaked by `open`.
    unsafe {
        let path = std::mem::replace(&mut (*file.cast::<File>()).path, std::ptr::null_mut());
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
    }
    rc
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    into: *mut c_void,
    len: c_int,
    at: sqlite3_int64,
) -> c_int {
    forward!(file.xRead(into, len, at))
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: sqlite3_int64,
) -> c_int {
    WRITTEN.fetch_add(len as u64, Ordering::AcqRel);
    // SAFETY: the file is one of `open`.
    let path = unsafe { path(file) };
    if let (Some(disk), Some(path)) = (&mut *disk(), path) {
        if !disk.operate() {
            return ffi::SQLITE_IOERR_WRITE;
        }
        if let Some((from, code)) = disk.plan.fail_writes
            && disk.n_operations >= from
        {
            return code;
        }
        // SAFETY: SQLite gives `len` bytes.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), len as usize) };
        disk.note(path, Change::Write(at as u64, bytes.to_vec()));
    }
    forward!(file.xWrite(from, len, at))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    // SAFETY: the file is one of `open`.
    let path = unsafe { path(file) };
    if let (Some(disk), Some(path)) = (&mut *disk(), path) {
        if !disk.operate() {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        disk.note(path, Change::Truncate(len as u64));
    }
    forward!(file.xTruncate(len))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    SYNCS.fetch_add(1, Ordering::AcqRel);
    let takes = disk().as_ref().map(|disk| disk.plan.sync_takes);
    std::thread::sleep(takes.unwrap_or_default());
    // SAFETY: the file is one of `open`.
    let path = unsafe { path(file) };
    if let (Some(disk), Some(path)) = (&mut *disk(), path) {
        let fails = disk.plan.fail_syncs.is_some_and(|from| disk.n_operations + 1 >= from);
        if !disk.operate() || fails {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if disk.plan.notes_writes {
            if !disk.plan.lies {
                disk.sync(path);
            }
            // The image is what counts, so the real disk need not be troubled.
            return ffi::SQLITE_OK;
        }
    }
    forward!(file.xSync(flags))
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, len: *mut sqlite3_int64) -> c_int {
    forward!(file.xFileSize(len))
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xLock(level))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xUnlock(level))
}

unsafe extern "C" fn check_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    forward!(file.xCheckReservedLock(out))
}

unsafe extern "C" fn control(file: *mut sqlite3_file, op: c_int, with: *mut c_void) -> c_int {
    forward!(file.xFileControl(op, with))
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    forward!(file.xSectorSize())
}

unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    forward!(file.xDeviceCharacteristics())
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    forward!(file.xShmMap(page, size, extend, out))
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, at: c_int, n: c_int, flags: c_int) -> c_int {
    forward!(file.xShmLock(at, n, flags))
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    forward!(file.xShmBarrier());
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    forward!(file.xShmUnmap(delete))
}

/// Version 2: with shared memory, without mapped reads.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Version 1: without shared memory.
static PLAIN: sqlite3_io_methods = sqlite3_io_methods { iVersion: 1, ..METHODS };
