//! Who asks: bearer tokens, certificates of clients, and how many guesses an address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cim_nix_service::{Known, Refusal};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use crate::front::Shared;
use crate::problem::Problem;

/// What carries requests here, as events and logs have it.
pub(crate) const VIA: &str = "http";

/// The other end of a connection.
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whose certificate it came with.
    pub(crate) certificate: Option<Arc<Known>>,
}

/// How a caller may say who they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// With a bearer token.
    Bearer,
    /// With a token as the password of HTTP Basic, as browsers ask people for one. Pages that only
    /// read take it; anything else does not, as browsers send it with what other sites ask for.
    Basic,
}

/// Who asks.
///
/// Errors: nobody who is known; there is one answer whatever is wrong.
pub(crate) fn who(
    shared: &Shared,
    peer: &Peer,
    headers: &HeaderMap,
    path: &str,
    scheme: Scheme,
) -> Result<Arc<Known>, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let first = given.next();
    if let (None, Some(known)) = (first, &peer.certificate) {
        return Ok(known.clone());
    }
    let token = first.and_then(|value| token(value, scheme)).filter(|_| given.next().is_none());
    let found = token.as_deref().map(|token| {
        let tokens = shared.tokens.read().unwrap_or_else(PoisonError::into_inner).clone();
        tokens.find(token, shared.service.now(), VIA)
    });
    let refusal = match found {
        Some(Ok(known)) => return Ok(Arc::new(known)),
        Some(Err(refusal)) => refusal,
        None => Refusal::new(cim_nix_service::Cause::Unauthenticated, "no token came"),
    };
    Err(refused(shared, peer, path, scheme, &refusal, first.is_some()))
}

fn refused(
    shared: &Shared,
    peer: &Peer,
    path: &str,
    scheme: Scheme,
    refusal: &Refusal,
    is_guess: bool,
) -> Problem {
    let most = shared.settings.bad_tokens_per_minute;
    if let Err(wait) = shared.guesses.count(peer.address, most, Instant::now()) {
        // Those before it are in the log; more would push others out of it.
        if is_guess {
            let detail = "too many tokens that are not known came from this address";
            return Problem::new(StatusCode::TOO_MANY_REQUESTS, "limited", detail).after(wait);
        }
    } else {
        let caller = cim_nix_service::Caller {
            name: peer.address.to_string().into(),
            role: cim_nix_service::Role::Reader,
            via: VIA,
        };
        // Whoever it was, they asked for what is a tenant's: it is for that tenant's people to see.
        let tenant = path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next());
        shared.note(&caller, tenant.unwrap_or_default(), path, refusal);
    }
    let detail = "the request has to come with a token that is known and has not expired";
    let problem = Problem::unauthenticated(detail);
    match scheme {
        Scheme::Bearer => problem.hint("Authorization: Bearer cimnix_.."),
        Scheme::Basic => {
            let challenge = "Basic realm=\"cim-nix: any name, and a token as the password\"";
            problem.header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
        }
    }
}

/// The token in a header.
fn token(value: &HeaderValue, scheme: Scheme) -> Option<String> {
    let (name, rest) = value.to_str().ok()?.split_once(' ')?;
    if name.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    let is_basic = scheme == Scheme::Basic && name.eq_ignore_ascii_case("basic");
    let pair = STANDARD.decode(rest.trim()).ok().filter(|_| is_basic)?;
    let pair = String::from_utf8(pair).ok()?;
    pair.split_once(':').map(|(_, token)| token.trim().to_owned())
}

/// Refused tokens by address, in the present minute.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<HashMap<IpAddr, (Instant, u32)>>);

/// Addresses of which something is remembered.
const MOST_ADDRESSES: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

impl Guesses {
    /// Counts a guess.
    ///
    /// Errors: the address had as many as it may have, for that much longer.
    fn count(&self, address: IpAddr, most: u32, now: Instant) -> Result<(), Duration> {
        let mut by_address = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if by_address.len() >= MOST_ADDRESSES {
            by_address.retain(|_, (since, _)| now.saturating_duration_since(*since) < MINUTE);
        }
        if by_address.len() >= MOST_ADDRESSES {
            return Err(MINUTE);
        }
        let (since, n) = by_address.entry(network(address)).or_insert((now, 0));
        let age = now.saturating_duration_since(*since);
        if age >= MINUTE {
            (*since, *n) = (now, 0);
        }
        if *n >= most {
            return Err(MINUTE.saturating_sub(age));
        }
        *n += 1;
        Ok(())
    }
}

/// Who has one IPv6 address has all of its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tokens_where_they_may_stand() {
        let read = |text: &str, scheme| token(&HeaderValue::from_str(text).expect("text"), scheme);
        let both = [Scheme::Bearer, Scheme::Basic];
        assert_eq!(
            both.map(|scheme| read("bearer  t ", scheme).as_deref() == Some("t")),
            [true; 2]
        );
        // x:t
        assert_eq!(read("Basic eDp0", Scheme::Basic).as_deref(), Some("t"));
        assert_eq!(read("Basic eDp0", Scheme::Bearer), None);
        for text in ["t", "Bearer", "Digest t", "Basic !", "Basic eA=="] {
            assert_eq!(read(text, Scheme::Basic), None, "{text}");
        }
    }

    #[test]
    fn guesses_are_counted_by_network_and_minute() {
        let guesses = Guesses::default();
        let now = Instant::now();
        let count = |text: &str, now| guesses.count(text.parse().expect("an address"), 2, now);
        assert_eq!(count("2001:db8::1", now), Ok(()));
        assert_eq!(count("2001:db8::2", now), Ok(()));
        assert_eq!(count("2001:db8::3", now), Err(MINUTE));
        assert_eq!(count("192.0.2.1", now), Ok(()));
        assert_eq!(count("::ffff:192.0.2.1", now), Ok(()));
        assert_eq!(count("192.0.2.1", now), Err(MINUTE));
        assert_eq!(count("192.0.2.1", now + MINUTE), Ok(()));
    }
}
