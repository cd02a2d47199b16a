//! Paths as Nix has them: absolute, without `.`, `..` and doubled slashes.

/// The canonical form of an absolute path.
pub(crate) fn canonical(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                out.truncate(parent);
            }
            part => {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
    }
    if out.is_empty() { b"/".to_vec() } else { out }
}

/// A path that is seen from a folder.
pub(crate) fn join(folder: &[u8], path: &[u8]) -> Vec<u8> {
    match path {
        [b'/', ..] => canonical(path),
        _ => canonical(&[folder, b"/", path].concat()),
    }
}

/// The way from a folder to a path; both are canonical.
pub(crate) fn relative(folder: &[u8], path: &[u8]) -> Vec<u8> {
    let split = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|&b| b == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (folder, path) = (split(folder), split(path));
    let same = folder.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = folder[same..].iter().map(|_| b"..".to_vec());
    let way: Vec<Vec<u8>> = up.chain(path[same..].iter().cloned()).collect();
    match way.is_empty() {
        true => b".".to_vec(),
        false => way.join(&b'/'),
    }
}

/// What is left of the last slash of a path that is canonical.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        None | Some(0) => b"/",
        Some(at) => &path[..at],
    }
}

/// The last part of a path; one slash at the end does not count.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    match path.iter().rposition(|&byte| byte == b'/') {
        None => path,
        Some(at) => &path[at + 1..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_lead_from_a_folder_to_a_path() {
        let check = |folder: &str, path: &str, want: &str| {
            let way = relative(folder.as_bytes(), path.as_bytes());
            assert_eq!(String::from_utf8_lossy(&way), want, "{folder} {path}");
        };
        check("/a", "/a/b/c", "b/c");
        check("/a/b", "/a/c", "../c");
        check("/a/b", "/a/b", ".");
        check("/a/b", "/", "../..");
    }

    #[test]
    fn parts_are_resolved() {
        let check = |path: &str, want: &str| {
            assert_eq!(String::from_utf8_lossy(&canonical(path.as_bytes())), want, "{path}");
        };
        check("/", "/");
        check("//a/./b//", "/a/b");
        check("/a/../..", "/");
        check("/a/../../b", "/b");
        check("/a.b/..c", "/a.b/..c");
    }
}
