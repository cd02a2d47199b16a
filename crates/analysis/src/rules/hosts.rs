//! Hosts in addresses: whether one is the machine itself, or known within one's own network only.

/// The host of an address without its scheme.
pub(super) fn host_of(address: &str) -> &str {
    let authority = address.split(['/', '?', '#']).next().unwrap_or(address);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    match host.find(']').filter(|_| host.starts_with('[')) {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Whether a host is the machine itself. A NUL stands for what is interpolated.
pub(super) fn is_this_machine(host: &str) -> bool {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == 0);
    let mut parts = host.split('.');
    // Names may begin with the same number: `127.0.0.1.example.org`.
    let is_loopback = parts.next() == Some("127") && host.len() > 3 && parts.all(is_number);
    is_loopback || matches!(host, "localhost" | "[::1]") || host.ends_with(".localhost")
}

/// Ends of names that the internet does not know.
const PRIVATE: &[&str] = &[
    ".home",
    ".home.arpa",
    ".i2p",
    ".internal",
    ".lan",
    ".local",
    ".localdomain",
    ".localhost",
    ".onion",
    ".test",
    ".ts.net",
];

/// Whether a name is known within one's own network only.
pub(super) fn is_private_name(host: &str) -> bool {
    !host.contains('.') || PRIVATE.iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_addresses() {
        for (address, host) in [
            ("a.org/b@c:d", "a.org"),
            ("u:p@a.org:80?b", "a.org"),
            ("[::1]:80/a", "[::1]"),
            ("[::1", "["),
            ("127.0.0.1:x@a.org", "a.org"),
            ("", ""),
        ] {
            assert_eq!(host_of(address), host, "{address}");
        }
    }

    #[test]
    fn the_machine_itself() {
        for host in ["localhost", "a.localhost", "127.0.0.1", "127.0.0.\0", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "127", "127.0.0.1.a.org", "localhost.a.org", "[fe80::1]", "10.0.0.1"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
