//! Generations of a profile: what was current once, and can be again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a path is not that of a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GenerationError {
    link: String,
    why: &'static str,
}

impl fmt::Display for GenerationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no link of a generation: {}", self.link, self.why)
    }
}

impl std::error::Error for GenerationError {}

/// A generation of a profile: the number that stands in the name of its link.
///
/// Generations are ordered by their profile, then by their number. In JSON, one is an object with
/// its `link`, its `number` and, where it is known, `created` in seconds since 1970; it is read from
/// that or from the link alone.
///
/// ```
/// # use cim_nix_model::Generation;
/// let generation: Generation = "/nix/var/nix/profiles/system-42-link".parse()?;
/// assert_eq!((generation.profile(), generation.number()), ("/nix/var/nix/profiles/system", 42));
/// assert_eq!(Generation::new("home-manager", 7).to_string(), "home-manager-7-link");
/// # Ok::<(), cim_nix_model::GenerationError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "Read", into = "Written")]
pub struct Generation {
    profile: String,
    number: u64,
    created: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a generation is the path of its link or has one as 'link'")]
enum Read {
    Link(String),
    Parts { link: String, number: Option<u64>, created: Option<u64> },
}

#[derive(Serialize)]
struct Written {
    link: String,
    number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
}

impl TryFrom<Read> for Generation {
    type Error = GenerationError;

    fn try_from(read: Read) -> Result<Self, GenerationError> {
        let (link, number, created) = match read {
            Read::Link(link) => (link, None, None),
            Read::Parts { link, number, created } => (link, number, created),
        };
        let found = Self { created, ..Self::parse(&link)? };
        match number {
            Some(number) if number != found.number => {
                Err(GenerationError { link, why: "its number is another one than is said" })
            }
            _ => Ok(found),
        }
    }
}

impl From<Generation> for Written {
    fn from(generation: Generation) -> Self {
        let link = generation.to_string();
        Self { link, number: generation.number, created: generation.created }
    }
}

impl Generation {
    /// A generation of a profile, which may be a path or a name.
    #[must_use]
    pub fn new(profile: impl Into<String>, number: u64) -> Self {
        Self { profile: profile.into(), number, created: None }
    }

    /// Reads the path of a link, or its name: `system-42-link`.
    ///
    /// Errors: it does not end in a number and `-link`, or no profile stands before them.
    pub fn parse(link: &str) -> Result<Self, GenerationError> {
        let error = |why| GenerationError { link: link.to_owned(), why };
        let rest = link.strip_suffix("-link").ok_or_else(|| error("it does not end in '-link'"))?;
        let (profile, digits) =
            rest.rsplit_once('-').ok_or_else(|| error("no number stands before '-link'"))?;
        let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
        let number = digits.parse().ok().filter(|_| is_plain);
        let number = number.ok_or_else(|| error("no number stands before '-link'"))?;
        if profile.is_empty() || profile.ends_with('/') {
            return Err(error("it does not name a profile"));
        }
        Ok(Self::new(profile, number))
    }

    /// The same generation with the time at which it was made, in seconds since 1970.
    #[must_use]
    pub fn created_at(self, seconds: u64) -> Self {
        Self { created: Some(seconds), ..self }
    }

    /// The profile, as a path or a name.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The number: later generations have larger ones.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it was made, in seconds since 1970, where that is known.
    #[must_use]
    pub const fn created(&self) -> Option<u64> {
        self.created
    }
}

/// The path of the link.
impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-link", self.profile, self.number)
    }
}

impl FromStr for Generation {
    type Err = GenerationError;

    fn from_str(text: &str) -> Result<Self, GenerationError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn links_of_generations_are_read() {
        let read = |link: &str| {
            let generation: Generation = link.parse().unwrap();
            assert_eq!(generation.to_string(), link);
            (generation.profile, generation.number)
        };
        assert_eq!(read("system-42-link"), ("system".to_owned(), 42));
        assert_eq!(read("/x/home-manager-7-link"), ("/x/home-manager".to_owned(), 7));
        assert_eq!(read("profile-3-link"), ("profile".to_owned(), 3));
        assert_eq!(read("a-1-2-link"), ("a-1".to_owned(), 2));
        assert_eq!(read("a-link-0-link"), ("a-link".to_owned(), 0));
        assert_eq!(read("a-18446744073709551615-link"), ("a".to_owned(), u64::MAX));
    }

    #[test]
    fn other_links_are_refused() {
        let links = [
            "",
            "system",
            "system-42",
            "-link",
            "system-link",
            "42-link",
            "-42-link",
            "/x/-42-link",
            "a-x-link",
            "a-042-link",
            "a-+4-link",
            "a--link",
            "a-18446744073709551616-link",
        ];
        let errors = links.map(|link| Generation::parse(link).unwrap_err().to_string());
        expect![[r#"
            '' is no link of a generation: it does not end in '-link'
            'system' is no link of a generation: it does not end in '-link'
            'system-42' is no link of a generation: it does not end in '-link'
            '-link' is no link of a generation: no number stands before '-link'
            'system-link' is no link of a generation: no number stands before '-link'
            '42-link' is no link of a generation: no number stands before '-link'
            '-42-link' is no link of a generation: it does not name a profile
            '/x/-42-link' is no link of a generation: it does not name a profile
            'a-x-link' is no link of a generation: no number stands before '-link'
            'a-042-link' is no link of a generation: no number stands before '-link'
            'a-+4-link' is no link of a generation: no number stands before '-link'
            'a--link' is no link of a generation: no number stands before '-link'
            'a-18446744073709551616-link' is no link of a generation: no number stands before '-link'"#]].assert_eq(&errors.join("\n"));
    }

    #[test]
    fn any_generation_is_read_again() {
        let mut random = fastrand::Rng::with_seed(17);
        const PIECES: [&str; 7] = ["a", "-", "1", "-link", "/", "é", "-2-link"];
        for _ in 0..2_000 {
            let n_pieces = random.usize(..5);
            let profile: String =
                (0..n_pieces).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
            let generation = Generation::new(format!("{profile}x"), random.u64(..));
            let generation = match random.bool() {
                true => generation.created_at(random.u64(..)),
                false => generation,
            };
            let read: Generation = generation.to_string().parse().unwrap();
            assert_eq!((&read.profile, read.number), (&generation.profile, generation.number));
            let json = serde_json::to_string(&generation).unwrap();
            assert_eq!(serde_json::from_str::<Generation>(&json).unwrap(), generation);
        }
    }

    #[test]
    fn generations_are_objects_or_links_in_json() {
        let read = |json: &str| match serde_json::from_str::<Generation>(json) {
            Ok(generation) => serde_json::to_string(&generation).unwrap(),
            Err(error) => error.to_string(),
        };
        expect![[r#"{"link":"system-42-link","number":42}"#]]
            .assert_eq(&read(r#""system-42-link""#));
        expect![[r#"{"link":"a-1-link","number":1,"created":5}"#]]
            .assert_eq(&read(r#"{"created":5,"link":"a-1-link"}"#));
        expect!["'a-1-link' is no link of a generation: its number is another one than is said"]
            .assert_eq(&read(r#"{"number":5,"link":"a-1-link"}"#));
        expect!["a generation is the path of its link or has one as 'link'"].assert_eq(&read("1"));
    }
}
