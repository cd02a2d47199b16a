//! Repositories at GitHub, GitLab and SourceHut: a commit's archive, without Git.

use cim_nix_eval::{Fetched, Io};
use cim_nix_model::{FlakeRef, RefAttr, percent_encode};

use crate::{Fetching, Res};

impl<I: Io> Fetching<I> {
    pub(crate) fn fetch_hosted(&self, source: &FlakeRef) -> Res<Fetched> {
        let part = |name: &str| percent_encode(source.text(name).unwrap_or_default(), "~/%");
        let (kind, owner, repo) = (source.kind(), part("owner"), part("repo"));
        let headers = self.token(source);
        let base = self.base(source);
        let mut locked = source.clone();
        let rev = match source.text("rev") {
            Some(rev) => rev.to_owned(),
            None => self.revision(source, &base, &headers)?,
        };
        locked.set("rev", RefAttr::Text(rev.clone()));
        locked.remove("ref");
        let url = match kind {
            "github" => format!("{base}/repos/{owner}/{repo}/tarball/{rev}"),
            "gitlab" => format!(
                "{base}/api/v4/projects/{}%2F{repo}/repository/archive.tar.gz?sha={rev}",
                owner.replace('/', "%2F")
            ),
            _ => format!("{base}/{owner}/{repo}/archive/{rev}.tar.gz"),
        };
        let mut fetched = self.download(&locked, &url, true, &headers)?;
        fetched.shown = format!("«{locked}»");
        Ok(fetched)
    }

    fn base(&self, source: &FlakeRef) -> String {
        let kind = source.kind();
        let configured = self.settings.base_urls.iter().find(|(known, _)| known == kind);
        if let Some((_, url)) = configured {
            return url.trim_end_matches('/').to_owned();
        }
        match (kind, source.text("host")) {
            ("github", None | Some("github.com")) => "https://api.github.com".to_owned(),
            ("github", Some(host)) => format!("https://{host}/api/v3"),
            ("gitlab", host) => format!("https://{}", host.unwrap_or("gitlab.com")),
            (_, host) => format!("https://{}", host.unwrap_or("git.sr.ht")),
        }
    }

    fn host(source: &FlakeRef) -> &str {
        source.text("host").unwrap_or(match source.kind() {
            "github" => "github.com",
            "gitlab" => "gitlab.com",
            _ => "git.sr.ht",
        })
    }

    /// The header with the token for a repository: that of the longest path that fits.
    fn token(&self, source: &FlakeRef) -> Vec<(String, String)> {
        let part = |name: &str| source.text(name).unwrap_or_default();
        let path = format!("{}/{}/{}", Self::host(source), part("owner"), part("repo"));
        let fits = |known: &str| {
            path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let tokens = self.settings.access_tokens.iter().filter(|(known, _)| fits(known));
        let Some((_, token)) = tokens.max_by_key(|(known, _)| known.len()) else {
            return Vec::new();
        };
        let header = |name: &str, value: String| vec![(name.to_owned(), value)];
        match (source.kind(), token.split_once(':')) {
            ("github", _) => header("authorization", format!("Bearer {token}")),
            ("gitlab", Some(("OAuth2", token))) => {
                header("authorization", format!("Bearer {token}"))
            }
            ("gitlab", Some(("PAT", token))) => header("private-token", token.to_owned()),
            _ => header("authorization", format!("Bearer {token}")),
        }
    }

    /// The commit that a branch, a tag or the default branch is at.
    fn revision(&self, source: &FlakeRef, base: &str, headers: &[(String, String)]) -> Res<String> {
        let part = |name: &str| percent_encode(source.text(name).unwrap_or_default(), "~/%");
        let (owner, repo) = (part("owner"), part("repo"));
        let name = source.text("ref").unwrap_or("HEAD");
        let encoded = percent_encode(name, "/");
        let url = match source.kind() {
            "github" => format!("{base}/repos/{owner}/{repo}/commits/{encoded}"),
            "gitlab" => format!(
                "{base}/api/v4/projects/{}%2F{repo}/repository/commits?ref_name={encoded}",
                owner.replace('/', "%2F")
            ),
            _ => format!("{base}/{owner}/{repo}/info/refs"),
        };
        // Kept for a while, as Nix does, so that several runs see the same and one may be offline.
        let file = self.download_file(&url, None, headers)?;
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let unknown = || format!("cannot find '{name}' of '{source}'");
        if source.kind() == "sourcehut" {
            let mut wanted = vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")];
            if name == "HEAD" {
                let file =
                    self.download_file(&format!("{base}/{owner}/{repo}/HEAD"), None, headers)?;
                let head = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
                let head = head.trim().strip_prefix("ref:").unwrap_or(&head).trim();
                wanted = vec![head.to_owned()];
            }
            let found = text.lines().find_map(|line| {
                let (rev, known) = line.split_once(char::is_whitespace)?;
                wanted.iter().any(|name| name == known.trim()).then(|| rev.to_owned())
            });
            return found.ok_or_else(unknown);
        }
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| format!("'{url}' did not answer with JSON: {error}"))?;
        let rev = match source.kind() {
            "github" => json["sha"].as_str(),
            _ => json[0]["id"].as_str(),
        };
        rev.map(str::to_owned).ok_or_else(unknown)
    }
}
