//! Whose request it is where proxies stand between: headers count if a proxy that is trusted sent
//! them, and no further than those reach.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use serde::Deserialize;

use crate::settings::Settings;

/// Addresses that begin alike: `10.0.0.0/8`, `2001:db8::/32`, or one alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    /// How many bits count.
    bits: u32,
}

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                self.bits == 0 || differs >> (32 - self.bits) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                self.bits == 0 || differs >> (128 - self.bits) == 0
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!("`{}` is no network, such as 10.0.0.0/8 or 2001:db8::1", text.escape_debug())
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (&*text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?,
            None => most,
        };
        Ok(Self { address, bits })
    }
}

/// The header in which proxies say whom they speak for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedBy {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded`, as RFC 7239 has it.
    Forwarded,
}

/// Whether the other end is a proxy that is trusted.
pub(crate) fn is_trusted(settings: &Settings, address: IpAddr) -> bool {
    settings.trusted_proxies.iter().any(|network| network.contains(address))
}

/// Whose request it is: the other end of the connection, or whom the last proxy that is not trusted
/// speaks for. What such a one says is nobody's word.
pub(crate) fn client(settings: &Settings, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !is_trusted(settings, peer) {
        return peer;
    }
    let name = match settings.forwarded_by {
        ForwardedBy::XForwardedFor => "x-forwarded-for",
        ForwardedBy::Forwarded => "forwarded",
    };
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let mut client = peer;
    // Each proxy adds at the end; so the last is the nearest.
    for line in lines.into_iter().rev() {
        let Ok(line) = line.to_str() else { return client };
        for hop in line.rsplit(',') {
            let address = match settings.forwarded_by {
                ForwardedBy::XForwardedFor => address(hop),
                ForwardedBy::Forwarded => said_for(hop).and_then(address),
            };
            // A proxy that hides whom it speaks for answers for it.
            let Some(address) = address else { return client };
            client = address;
            if !is_trusted(settings, client) {
                return client;
            }
        }
    }
    client
}

/// What a hop of `Forwarded` says behind `for=`.
fn said_for(hop: &str) -> Option<&str> {
    hop.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|it: SocketAddr| it.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn network(text: &str) -> Result<Network, String> {
        Network::try_from(text.to_owned())
    }

    #[test]
    fn networks_have_their_addresses() {
        let has = |text: &str, address: &str| {
            network(text).expect("a network").contains(address.parse().expect("an address"))
        };
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.0.0.1") && !has("10.0.0.0/8", "::1"));
        assert!(has("192.0.2.1", "192.0.2.1") && !has("192.0.2.1", "192.0.2.2"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::"));
        assert!(has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "::1") && has("::/0", "::1"));
        for text in ["", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0/8", "localhost", "/8"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    fn whose(forwarded_by: ForwardedBy, peer: &str, lines: &[&str]) -> String {
        let trusted_proxies =
            ["10.0.0.0/8", "2001:db8::/32"].map(|text| network(text).expect("a network")).into();
        let settings = Settings { trusted_proxies, forwarded_by, ..Settings::default() };
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            let name = hyper::header::HeaderName::try_from(name).expect("a name");
            headers.append(name, HeaderValue::try_from(value).expect("a value"));
        }
        client(&settings, peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn headers_count_as_far_as_trust_goes() {
        let whose = |peer, lines: &[&str]| whose(ForwardedBy::XForwardedFor, peer, lines);
        let spoken = "x-forwarded-for: 192.0.2.66, 198.51.100.7";
        assert_eq!(whose("203.0.113.9", &[spoken]), "203.0.113.9");
        assert_eq!(whose("10.0.0.1", &[spoken]), "198.51.100.7");
        let over_two = "x-forwarded-for: 192.0.2.66, 198.51.100.7, 10.1.1.1";
        assert_eq!(whose("10.0.0.1", &[over_two]), "198.51.100.7");
        let lines = ["x-forwarded-for: 192.0.2.66", "x-forwarded-for: 198.51.100.7:4711"];
        assert_eq!(whose("10.0.0.1", &lines), "198.51.100.7");
        assert_eq!(whose("10.0.0.1", &["x-forwarded-for: [2001:db9::1]:80"]), "2001:db9::1");
        // What is no address ends it where it is still known.
        for nothing in ["", "unknown", "192.0.2.66, x", "10.0.0", ", ,", "::ffff:x"] {
            let line = format!("x-forwarded-for: {nothing}");
            assert_eq!(whose("10.0.0.1", &[&line]), "10.0.0.1", "{nothing}");
        }
        assert_eq!(whose("10.0.0.1", &[]), "10.0.0.1");
        // The other header is the client's own, which this proxy passes on.
        assert_eq!(whose("10.0.0.1", &["forwarded: for=192.0.2.66"]), "10.0.0.1");
    }

    #[test]
    fn forwarded_is_read_where_proxies_write_it() {
        let whose = |lines: &[&str]| whose(ForwardedBy::Forwarded, "10.0.0.1", lines);
        let line = "forwarded: for=192.0.2.66, proto=https;For=\"[2001:db9::1]:80\";by=10.0.0.1";
        assert_eq!(whose(&[line]), "2001:db9::1");
        assert_eq!(whose(&["forwarded: for=_hidden"]), "10.0.0.1");
        assert_eq!(whose(&["forwarded: proto=https"]), "10.0.0.1");
        assert_eq!(whose(&["x-forwarded-for: 192.0.2.66"]), "10.0.0.1");
    }
}
