//! Where sources may come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use cim_domain_nix::model::{FlakeRef, Url};
use cim_nix_base::Error;
use cim_nix_vfs::is_within;

use crate::protocol::Sources;

/// Where a source comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A path on this machine.
    Path(PathBuf),
    /// A path below whatever the reference stands in.
    Inside(String),
    /// A server.
    Host(String),
    /// The registry of names.
    Registry,
}

impl Origin {
    /// Errors: nobody can tell.
    pub fn of(source: &FlakeRef) -> Result<Self, Error> {
        let host = |usual: &str| source.text("host").unwrap_or(usual).to_ascii_lowercase();
        match source.kind() {
            "path" => {
                let path = source.text("path").unwrap_or_default();
                Ok(match path.starts_with('/') {
                    true => Self::Path(path.into()),
                    false => Self::Inside(path.to_owned()),
                })
            }
            "git" | "tarball" | "file" => of_url(source.text("url").unwrap_or_default()),
            "github" => Ok(Self::Host(host("github.com"))),
            "gitlab" => Ok(Self::Host(host("gitlab.com"))),
            "sourcehut" => Ok(Self::Host(host("git.sr.ht"))),
            "indirect" => Ok(Self::Registry),
            kind => Err(Error::user(format!("sources of type `{kind}` are not taken here"))),
        }
    }
}

fn of_url(text: &str) -> Result<Origin, Error> {
    let url = Url::parse(text)
        .map_err(|_| Error::user(format!("`{}` is no URL", text.escape_debug())))?;
    let host = url.authority.as_ref().map(|authority| authority.host.to_ascii_lowercase());
    match (url.scheme.as_str(), host) {
        ("file", None) => Ok(Origin::Path(url.path_text().into())),
        ("file", Some(host)) if host.is_empty() => Ok(Origin::Path(url.path_text().into())),
        ("https" | "http" | "ssh" | "git", Some(host)) if !host.is_empty() => {
            Ok(Origin::Host(host))
        }
        (scheme, _) => Err(Error::user(format!(
            "sources with the scheme `{}` are not taken here",
            scheme.escape_debug()
        ))),
    }
}

impl Sources {
    /// Whether a source may be used by code in `root`, which may read `folders`.
    ///
    /// Errors: it may not, in words that tell nothing of what is there.
    pub fn check(&self, source: &FlakeRef, folders: &[PathBuf]) -> Result<(), Error> {
        let kind = source.kind();
        if !self.kinds.is_empty() && !self.kinds.iter().any(|known| known == kind) {
            return Err(Error::user(format!("sources of type `{kind}` are not allowed here")));
        }
        match Origin::of(source)? {
            Origin::Path(path) => self.check_path(source, &path, folders),
            // A source cannot lead out of the one that it stands in.
            Origin::Inside(_) => Ok(()),
            Origin::Host(host) => self.check_host(&host),
            Origin::Registry if self.network => Ok(()),
            Origin::Registry => {
                Err(Error::user(format!("cannot look up `{source}`: the network is not allowed"))
                    .hint("write where it comes from: what names stand for is asked of a server"))
            }
        }
    }

    fn check_path(&self, source: &FlakeRef, path: &Path, folders: &[PathBuf]) -> Result<(), Error> {
        let refused = || Error::user(format!("`{source}` is outside of what may be read here"));
        let folders = || folders.iter().map(PathBuf::as_path);
        if !is_within(path, folders()) {
            return Err(refused());
        }
        if source.kind() == "git" {
            // A repository may lie elsewhere, and its files only here.
            let repository = path.join(".git");
            let leads_to = std::fs::read_to_string(&repository).ok();
            let leads_to =
                leads_to.and_then(|text| Some(path.join(text.strip_prefix("gitdir:")?.trim())));
            let is_fine = |place: &Path| is_within(place, folders());
            if !is_fine(&repository) || leads_to.is_some_and(|place| !is_fine(&place)) {
                return Err(refused());
            }
            if source.is_set("submodules") && !self.network {
                return Err(Error::user(format!(
                    "cannot take submodules of `{source}`: the network is not allowed"
                )));
            }
        }
        Ok(())
    }

    /// Whether a server may be asked.
    ///
    /// Errors: it may not.
    pub fn check_host(&self, host: &str) -> Result<(), Error> {
        if !self.network {
            return Err(Error::user(format!(
                "cannot ask `{}`: the network is not allowed",
                host.escape_debug()
            )));
        }
        let is_named = |known: &String| match known.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => host.eq_ignore_ascii_case(known),
        };
        let is_allowed = match self.hosts.is_empty() {
            // Whatever listens inside, such as a cloud's metadata, is not meant by "everything".
            true => !is_internal(host),
            false => self.hosts.iter().any(is_named),
        };
        match is_allowed {
            true => Ok(()),
            false => Err(Error::user(format!(
                "the host `{}` is not among those that may be asked",
                host.escape_debug()
            ))),
        }
    }
}

/// Whether a host is this machine or one beside it, as far as its name says.
fn is_internal(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_internal_v4(address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => is_internal_v4(mapped),
            None => is_internal_v6(address),
        },
        // Other ways to write numbers, such as `127.1` and `0x7f000001`, are taken for none.
        Err(_) => {
            let is_number = bare.ends_with(|c: char| c.is_ascii_digit())
                || bare.rsplit('.').next().is_some_and(|last| last.starts_with("0x"));
            is_number
                || !bare.contains('.')
                || [".localhost", ".local", ".internal"].iter().any(|end| bare.ends_with(end))
        }
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || shared
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sources: &Sources, url: &str) -> String {
        let source = match FlakeRef::parse(url) {
            Ok(source) => source,
            Err(error) => return format!("broken: {error}"),
        };
        match sources.check(&source, &["/srv/a/root".into(), "/nix/store".into()]) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn sources_come_from_where_they_may() {
        let off = Sources::default();
        let on = Sources { network: true, ..off.clone() };
        let some =
            Sources { hosts: vec!["github.com".into(), "*.example.org".into()], ..on.clone() };
        let table = |sources: &Sources| {
            let urls = [
                "path:/srv/a/root/x",
                "path:./x",
                "path:/etc",
                "path:/srv/a/root/../../b",
                "git+file:///srv/a/root",
                "git+file:///srv/b",
                "git+file://host/srv/a/root",
                "file:///etc/passwd",
                "tarball+file:///etc/passwd",
                "path:/nix/store/abc-x",
                "github:a/b",
                "github:a/b?host=evil.org",
                "gitlab:a/b",
                "git+https://x.example.org/r",
                "git+https://notexample.org/r",
                "git+ssh://git@github.com/a/b",
                "https://169.254.169.254/latest.tar.gz",
                "https://127.1/x.tar.gz",
                "https://[::1]/x.tar.gz",
                "https://localhost:80/x.tar.gz",
                "nixpkgs",
            ];
            urls.map(|url| format!("{url}: {}", check(sources, url))).join("\n")
        };
        expect_test::expect![[r#"
            path:/srv/a/root/x: ok
            path:./x: ok
            path:/etc: `path:/etc` is outside of what may be read here
            path:/srv/a/root/../../b: `path:/srv/a/root/../../b` is outside of what may be read here
            git+file:///srv/a/root: ok
            git+file:///srv/b: `git+file:///srv/b` is outside of what may be read here
            git+file://host/srv/a/root: ok
            file:///etc/passwd: `file:///etc/passwd` is outside of what may be read here
            tarball+file:///etc/passwd: `file:///etc/passwd` is outside of what may be read here
            path:/nix/store/abc-x: ok
            github:a/b: cannot ask `github.com`: the network is not allowed
            github:a/b?host=evil.org: cannot ask `evil.org`: the network is not allowed
            gitlab:a/b: cannot ask `gitlab.com`: the network is not allowed
            git+https://x.example.org/r: cannot ask `x.example.org`: the network is not allowed
            git+https://notexample.org/r: cannot ask `notexample.org`: the network is not allowed
            git+ssh://git@github.com/a/b: cannot ask `github.com`: the network is not allowed
            https://169.254.169.254/latest.tar.gz: cannot ask `169.254.169.254`: the network is not allowed
            https://127.1/x.tar.gz: cannot ask `127.1`: the network is not allowed
            https://[::1]/x.tar.gz: cannot ask `::1`: the network is not allowed
            https://localhost:80/x.tar.gz: cannot ask `localhost`: the network is not allowed
            nixpkgs: cannot look up `flake:nixpkgs`: the network is not allowed"#]].assert_eq(&table(&off));
        expect_test::expect![[r#"
            path:/srv/a/root/x: ok
            path:./x: ok
            path:/etc: `path:/etc` is outside of what may be read here
            path:/srv/a/root/../../b: `path:/srv/a/root/../../b` is outside of what may be read here
            git+file:///srv/a/root: ok
            git+file:///srv/b: `git+file:///srv/b` is outside of what may be read here
            git+file://host/srv/a/root: ok
            file:///etc/passwd: `file:///etc/passwd` is outside of what may be read here
            tarball+file:///etc/passwd: `file:///etc/passwd` is outside of what may be read here
            path:/nix/store/abc-x: ok
            github:a/b: ok
            github:a/b?host=evil.org: ok
            gitlab:a/b: ok
            git+https://x.example.org/r: ok
            git+https://notexample.org/r: ok
            git+ssh://git@github.com/a/b: ok
            https://169.254.169.254/latest.tar.gz: the host `169.254.169.254` is not among those that may be asked
            https://127.1/x.tar.gz: the host `127.1` is not among those that may be asked
            https://[::1]/x.tar.gz: the host `::1` is not among those that may be asked
            https://localhost:80/x.tar.gz: the host `localhost` is not among those that may be asked
            nixpkgs: ok"#]].assert_eq(&table(&on));
        expect_test::expect![[r#"
            path:/srv/a/root/x: ok
            path:./x: ok
            path:/etc: `path:/etc` is outside of what may be read here
            path:/srv/a/root/../../b: `path:/srv/a/root/../../b` is outside of what may be read here
            git+file:///srv/a/root: ok
            git+file:///srv/b: `git+file:///srv/b` is outside of what may be read here
            git+file://host/srv/a/root: ok
            file:///etc/passwd: `file:///etc/passwd` is outside of what may be read here
            tarball+file:///etc/passwd: `file:///etc/passwd` is outside of what may be read here
            path:/nix/store/abc-x: ok
            github:a/b: ok
            github:a/b?host=evil.org: the host `evil.org` is not among those that may be asked
            gitlab:a/b: the host `gitlab.com` is not among those that may be asked
            git+https://x.example.org/r: ok
            git+https://notexample.org/r: the host `notexample.org` is not among those that may be asked
            git+ssh://git@github.com/a/b: ok
            https://169.254.169.254/latest.tar.gz: the host `169.254.169.254` is not among those that may be asked
            https://127.1/x.tar.gz: the host `127.1` is not among those that may be asked
            https://[::1]/x.tar.gz: the host `::1` is not among those that may be asked
            https://localhost:80/x.tar.gz: the host `localhost` is not among those that may be asked
            nixpkgs: ok"#]].assert_eq(&table(&some));
        let only = Sources { kinds: vec!["path".into()], ..off };
        assert_eq!(check(&only, "path:/srv/a/root"), "ok");
        assert_eq!(
            check(&only, "git+file:///srv/a/root"),
            "sources of type `git` are not allowed here"
        );
    }
}
