//! Unpacking archives: tar, as it is or packed by gzip, bzip2, xz or Zstandard, and zip.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Component, Path};

use crate::Res;

/// Unpacks an archive into a folder that does not exist yet. If all of it lies in one folder, that
/// folder's content is what counts. Gives the date of the newest entry, folders among them, in
/// seconds since 1970.
pub(crate) fn unpack(file: &Path, url: &str, folder: &Path) -> Res<u64> {
    let failed = |error: io::Error| format!("cannot unpack '{url}': {error}");
    let raw = folder.with_extension("raw");
    std::fs::create_dir_all(&raw).map_err(failed)?;
    let newest = unpack_any(file, &raw).map_err(failed)?;
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
    Ok(newest)
}

fn unpack_any(path: &Path, folder: &Path) -> io::Result<u64> {
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

/// Unpacks a tar archive; gives the date of its newest entry.
pub(crate) fn unpack_tar(reader: impl Read, folder: &Path) -> io::Result<u64> {
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_overwrite(true);
    let folder = folder.canonicalize()?;
    let mut newest = 0;
    // Folders come last, the inner ones first: what they forbid would be in the way.
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        newest = newest.max(entry.header().mtime().unwrap_or(0));
        // Entries that would leave the folder are skipped by the library, which checks the links,
        // too.
        match entry.header().entry_type() {
            tar::EntryType::Directory => folders.push(entry),
            _ => drop(entry.unpack_in(&folder)?),
        }
    }
    folders.sort_by(|one, other| other.path_bytes().cmp(&one.path_bytes()));
    for mut entry in folders {
        entry.unpack_in(&folder)?;
    }
    Ok(newest)
}

/// The date of an entry of a zip archive. It has no time zone, unless a newer program made it.
fn zip_date<R: Read>(entry: &zip::read::ZipFile<'_, R>) -> u64 {
    let exact = entry.extra_data_fields().find_map(|field| match field {
        zip::ExtraField::ExtendedTimestamp(times) => times.mod_time(),
        _ => None,
    });
    if let Some(seconds) = exact {
        return u64::from(seconds);
    }
    let Some(date) = entry.last_modified() else { return 0 };
    // Years begin in March, so that a leap day is the last one.
    let (year, month) = (u64::from(date.year()), u64::from(date.month()));
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + u64::from(date.day()) - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    let [hour, minute, second] = [date.hour(), date.minute(), date.second()].map(u64::from);
    days * 86_400 + hour * 3_600 + minute * 60 + second
}

fn unpack_zip(file: BufReader<File>, folder: &Path) -> io::Result<u64> {
    let mut archive = zip::ZipArchive::new(file).map_err(io::Error::other)?;
    let mut newest = 0;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(io::Error::other)?;
        newest = newest.max(zip_date(&entry));
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
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zip_archives_tell_when_they_were_made() {
        use std::io::Write as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, year) in [("p/old", 1999), ("p/new", 2024)] {
            let date = zip::DateTime::from_date_and_time(year, 2, 29, 3, 4, 6);
            let date = date.or_else(|_| zip::DateTime::from_date_and_time(year, 1, 1, 0, 0, 0));
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name, options.last_modified_time(date.unwrap())).unwrap();
            zip.write_all(b"x").unwrap();
        }
        zip.finish().unwrap();
        let tree = folder.path().join("tree");
        // 2024-02-29 03:04:06
        assert_eq!(unpack(&path, "u", &tree).unwrap(), 1_709_175_846);
        assert!(tree.join("new").exists());
    }
}
