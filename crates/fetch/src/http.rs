//! Downloads: tried again with growing pauses, gone on with where they broke off.

use std::io::{self, Read, Seek as _, Write as _};
use std::thread::sleep;
use std::time::Duration;

use cim_nix_model::{Url, without_passwords};
use tempfile::NamedTempFile;

use crate::watch::Watched;
use crate::{FetchKind, Res, Settings};

/// How one attempt ended that did not succeed.
enum Failure {
    /// Another attempt may succeed.
    Passing(String),
    Final(String),
}

/// What was downloaded.
pub(crate) struct Download {
    pub(crate) file: NamedTempFile,
    /// Where the server says that the same will be found for ever.
    pub(crate) immutable: Option<String>,
}

/// What servers said on the way to an answer.
#[derive(Default)]
struct Said {
    /// Where the same will be found for ever.
    immutable: Option<String>,
    /// The last status.
    status: Option<u16>,
}

/// How often a server may send us elsewhere.
const MAX_REDIRECTS: usize = 10;

/// Downloads a URL into a file.
pub(crate) fn get(
    settings: &Settings,
    parsed: &Url,
    url: &str,
    headers: &[(String, String)],
    say: &dyn Fn(&str),
) -> Res<Download> {
    let failed = |error: io::Error| format!("unable to download '{url}': {error}");
    let mut file = NamedTempFile::new().map_err(failed)?;
    let mut headers = headers.to_vec();
    headers.extend(credentials(settings, parsed));
    let mut pause = Duration::from_millis(250);
    let mut attempt = 0;
    let agent = agent(settings)?;
    let mut said = Said::default();
    loop {
        let watched = Watched::begin();
        let ended = fetch_rest((&agent, settings), url, &headers, &mut file, &mut said);
        if let Some(watched) = watched {
            let why = match &ended {
                Ok(()) => None,
                Err(Failure::Passing(why) | Failure::Final(why)) => Some(&**why),
            };
            let url = &without_passwords(url);
            watched.end(FetchKind::Http { url, status: said.status.take() }, why);
        }
        match ended {
            Ok(()) => return Ok(Download { file, immutable: said.immutable }),
            Err(Failure::Final(why)) => return Err(format!("unable to download '{url}': {why}")),
            Err(Failure::Passing(why)) if attempt >= settings.retries => {
                return Err(format!("unable to download '{url}': {why}"));
            }
            Err(Failure::Passing(why)) => {
                attempt += 1;
                let of = settings.retries;
                say(&format!(
                    "warning: unable to download '{url}': {why}; retrying in {} ms (attempt {attempt}/{of})",
                    pause.as_millis()
                ));
                sleep(pause);
                pause *= 2;
            }
        }
    }
}

/// What speaks HTTP.
fn agent(settings: &Settings) -> Res<ureq::Agent> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

    let roots = match &settings.certificates {
        None => RootCerts::PlatformVerifier,
        Some(path) => {
            let failed =
                |why: String| format!("cannot read certificates from '{}': {why}", path.display());
            let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let mut found = Vec::new();
            for item in parse_pem(&text) {
                if let PemItem::Certificate(one) = item.map_err(|e| failed(e.to_string()))? {
                    found.push(one);
                }
            }
            RootCerts::from(found)
        }
    };
    Ok(ureq::Agent::config_builder()
        .http_status_as_error(false)
        // What a server says before it sends us elsewhere counts, too.
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(300)))
        .user_agent(concat!("cim-nix/", env!("CARGO_PKG_VERSION")))
        .build()
        .into())
}

/// Asks for a URL, and goes where the server sends us. What is said on the way goes to `said`.
fn call(
    (agent, settings): (&ureq::Agent, &Settings),
    url: &str,
    headers: &[(String, String)],
    range: Option<String>,
    said: &mut Said,
) -> Result<ureq::http::Response<ureq::Body>, Failure> {
    let mut at = url.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let host = Url::parse(&at).ok().and_then(|url| url.authority).map(|it| it.host);
        (settings.checks_host)(&host.unwrap_or_default()).map_err(Failure::Final)?;
        // The bytes are wanted as they are: a packed tar must not be unpacked on the way.
        let mut request = agent.get(&at).header("accept-encoding", "identity");
        // Only whom they are for may see tokens and passwords.
        for (name, value) in headers.iter().filter(|_| origin(&at) == origin(url)) {
            request = request.header(name, value);
        }
        if let Some(range) = &range {
            request = request.header("range", range);
        }
        let response = request.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Failure::Final(error.to_string()),
            // Whom we do not trust now, we do not trust in a second.
            ureq::Error::Io(why) if why.kind() == io::ErrorKind::InvalidData => Failure::Final(
                format!("{why}; is the authority behind its certificate missing in ssl-cert-file?"),
            ),
            _ => Failure::Passing(error.to_string()),
        })?;
        said.status = Some(response.status().as_u16());
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        for name in ["link", "x-amz-meta-link"] {
            if let Some(place) = text(name).and_then(immutable_link) {
                said.immutable = Some(place.to_owned());
            }
        }
        let is_sent_on = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        match text("location").filter(|_| is_sent_on) {
            Some(location) => at = joined(&at, location),
            None => return Ok(response),
        }
    }
    Err(Failure::Final(format!("the server sends us elsewhere more than {MAX_REDIRECTS} times")))
}

/// The scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// Where a `Location` leads.
fn joined(base: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let origin = origin(base);
    if location.starts_with("//") {
        let scheme = base.split("//").next().unwrap_or("https:");
        return format!("{scheme}{location}");
    }
    if location.starts_with('/') {
        return format!("{origin}{location}");
    }
    let path = base[origin.len()..].split(['?', '#']).next().unwrap_or_default();
    let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
    format!("{origin}{folder}{location}")
}

/// The URL in `<URL>; rel="immutable"`.
fn immutable_link(header: &str) -> Option<&str> {
    let (url, rest) = header.trim().strip_prefix('<')?.split_once('>')?;
    rest.eq_ignore_ascii_case("; rel=\"immutable\"").then_some(url)
}

/// Gets what the file does not have yet.
fn fetch_rest(
    agent: (&ureq::Agent, &Settings),
    url: &str,
    headers: &[(String, String)],
    file: &mut NamedTempFile,
    said: &mut Said,
) -> Result<(), Failure> {
    let disk = |error: io::Error| Failure::Final(error.to_string());
    let have = file.as_file().metadata().map_err(disk)?.len();
    let range = (have > 0).then(|| format!("bytes={have}-"));
    let mut response = call(agent, url, headers, range, said)?;
    let status = response.status().as_u16();
    match status {
        206 => {}
        200..=299 => {
            // All of it comes again.
            file.as_file().set_len(0).map_err(disk)?;
            file.rewind().map_err(disk)?;
        }
        416 => {
            file.as_file().set_len(0).map_err(disk)?;
            file.rewind().map_err(disk)?;
            return Err(Failure::Passing("HTTP error 416".to_owned()));
        }
        408 | 429 | 500..=599 => return Err(Failure::Passing(format!("HTTP error {status}"))),
        401 | 403 => {
            let hint = "; is an access token (access-tokens) or a netrc entry missing?";
            return Err(Failure::Final(format!("HTTP error {status}{hint}")));
        }
        _ => return Err(Failure::Final(format!("HTTP error {status}"))),
    }
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Passing(error.to_string())),
        };
        file.write_all(&buffer[..n]).map_err(disk)?;
    }
}

/// The header that proves who asks, from the netrc file.
fn credentials(settings: &Settings, url: &Url) -> Option<(String, String)> {
    let authority = url.authority.as_ref()?;
    let (user, password) = match (&authority.user, &authority.password) {
        (Some(user), Some(password)) => (user.clone(), password.clone()),
        _ => {
            let text = std::fs::read_to_string(settings.netrc.as_ref()?).ok()?;
            netrc(&text, &authority.host)?
        }
    };
    let token = base64(format!("{user}:{password}").as_bytes());
    Some(("authorization".to_owned(), format!("Basic {token}")))
}

/// User name and password for a host.
fn netrc(text: &str, host: &str) -> Option<(String, String)> {
    let mut words = text.split_ascii_whitespace();
    let (mut is_here, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if is_here && password.is_some() {
                    break;
                }
                (login, password) = (None, None);
                is_here = word == "default" || words.next() == Some(host);
            }
            "login" if is_here => login = words.next(),
            "password" if is_here => password = words.next(),
            _ => {}
        }
    }
    is_here.then_some(())?;
    Some((login.unwrap_or_default().to_owned(), password?.to_owned()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_their_own_entries() {
        let text = "machine a.org login x password y\nmachine b.org\n  login u\n  password p\ndefault login d password q";
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(netrc(text, "a.org"), pair("x", "y"));
        assert_eq!(netrc(text, "b.org"), pair("u", "p"));
        assert_eq!(netrc(text, "c.org"), pair("d", "q"));
        assert_eq!(netrc("machine a.org login x password y", "c.org"), None);
    }

    #[test]
    fn redirects_are_followed_from_where_they_stand() {
        for (base, location, want) in [
            ("https://a.org/x/y?q=1", "z", "https://a.org/x/z"),
            ("https://a.org/x/y", "/z", "https://a.org/z"),
            ("https://a.org", "z", "https://a.org/z"),
            ("http://a.org:80/x", "//b.org/z", "http://b.org/z"),
            ("http://a.org/x", "https://b.org/z", "https://b.org/z"),
        ] {
            assert_eq!(joined(base, location), want);
        }
        assert_eq!(origin("https://a.org:1/x"), "https://a.org:1");
    }

    #[test]
    fn places_for_ever_are_read_as_nix_reads_them() {
        let link = immutable_link;
        assert_eq!(link("<https://a.org/x>; rel=\"immutable\""), Some("https://a.org/x"));
        assert_eq!(link(" <x>; REL=\"Immutable\" "), Some("x"));
        for other in ["<x>; rel=\"next\"", "x; rel=\"immutable\"", "<x>;rel=\"immutable\"", ""] {
            assert_eq!(link(other), None, "{other}");
        }
    }

    #[test]
    fn base64_is_padded() {
        for (text, want) in
            [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("u:p", "dTpw")]
        {
            assert_eq!(base64(text.as_bytes()), want);
        }
    }
}
