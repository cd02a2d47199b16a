//! Unpacking archives: tar, as it is or packed by gzip, bzip2, xz or Zstandard, and zip.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Component, Path};

use crate::Res;

/// Unpacks an archive into a folder that does not exist yet. If all of it lies in one folder, that
/// folder's content is what counts.
pub(crate) fn unpack(file: &Path, url: &str, folder: &Path) -> Res<()> {
    let failed = |error: io::Error| format!("cannot unpack '{url}': {error}");
    let raw = folder.with_extension("raw");
    std::fs::create_dir_all(&raw).map_err(failed)?;
    unpack_any(file, &raw).map_err(failed)?;
    let mut entries = std::fs::read_dir(&raw).map_err(failed)?;
    let (first, second) = (entries.next(), entries.next());
    let single = match (first, second) {
        (Some(entry), None) => {
            let path = entry.map_err(failed)?.path();
            path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()).then_some(path)
        }
        _ => None,
    };
    std::fs::rename(single.as_deref().unwrap_or(&raw), folder).map_err(failed)?;
    if raw.exists() {
        std::fs::remove_dir_all(&raw).map_err(failed)?;
    }
    Ok(())
}

fn unpack_any(path: &Path, folder: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut start = [0; 6];
    let n = file.read(&mut start)?;
    file.rewind()?;
    let file = BufReader::new(file);
    match &start[..n] {
        [0x1f, 0x8b, ..] => unpack_tar(flate2::read::MultiGzDecoder::new(file), folder),
        [b'B', b'Z', b'h', ..] => unpack_tar(bzip2::read::MultiBzDecoder::new(file), folder),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            unpack_tar(lzma_rust2::XzReader::new(file, true), folder)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(file);
            unpack_tar(decoder.map_err(|error| io::Error::other(error.to_string()))?, folder)
        }
        [b'P', b'K', ..] => unpack_zip(file, folder),
        _ => unpack_tar(file, folder),
    }
}

/// Unpacks a tar archive.
pub(crate) fn unpack_tar(reader: impl Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_overwrite(true);
    // Entries that would leave the folder are skipped by the library, which checks the links, too.
    archive.unpack(folder)
}

fn unpack_zip(file: BufReader<File>, folder: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(file).map_err(io::Error::other)?;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(io::Error::other)?;
        let Some(name) = entry.enclosed_name() else { continue };
        if name.components().any(|part| !matches!(part, Component::Normal(_))) {
            continue;
        }
        let path = folder.join(&name);
        if entry.is_dir() {
            std::fs::create_dir_all(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        if mode & 0o170_000 == 0o120_000 {
            let mut target = String::new();
            entry.read_to_string(&mut target)?;
            // A link to elsewhere could lead later entries out of the folder.
            if target.starts_with('/') || target.split('/').any(|part| part == "..") {
                return Err(io::Error::other(format!(
                    "the link '{}' leaves the archive",
                    name.display()
                )));
            }
            std::os::unix::fs::symlink(target, &path)?;
            continue;
        }
        io::copy(&mut entry, &mut File::create(&path)?)?;
        std::fs::set_permissions(
            &path,
            std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777),
        )?;
    }
    Ok(())
}
