//! Moments, as the wire writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in microseconds since 1970, UTC.
///
/// As text it is RFC 3339 with `Z`; other offsets are read as well, and what is finer than a
/// microsecond is cut off. Clocks go backwards: order of events is their position, never this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

/// From the year 0 to two days before the end of 9999, which is as far as `jiff` goes, in microseconds.
const WRITABLE: std::ops::RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_207_199_999_999;

impl Timestamp {
    /// The moment `micros` microseconds after the start of 1970, at most at either end of what
    /// RFC 3339 can write.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(*WRITABLE.start(), *WRITABLE.end()))
    }

    /// Microseconds since the start of 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// An id of version 7 that nobody has used, which sorts by this moment; moments before 1970 count
    /// as its start. (The clock of a machine may be anywhere, and must be no reason to stop.)
    #[must_use]
    pub fn new_id(self) -> uuid::Uuid {
        let micros = u64::try_from(self.0).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
        let at = uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos);
        uuid::Uuid::new_v7(at)
    }

    /// Whole seconds since the start of 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            // Unreachable by construction; a number is still better than a panic.
            Err(_) => self.0.fmt(f),
        }
    }
}

/// Text that is no moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoTimestamp(String);

impl fmt::Display for NoTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(60).collect();
        write!(f, "`{}` is no moment such as 2026-01-31T12:00:00Z", shown.escape_debug())
    }
}

impl std::error::Error for NoTimestamp {}

impl FromStr for Timestamp {
    type Err = NoTimestamp;

    fn from_str(text: &str) -> Result<Self, NoTimestamp> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| NoTimestamp(text.to_owned()))?;
        // Rounded down, so that text and number sort alike before 1970 as well.
        let micros = moment.as_nanosecond().div_euclid(1_000);
        let micros = i64::try_from(micros).map_err(|_| NoTimestamp(text.to_owned()))?;
        match WRITABLE.contains(&micros) {
            true => Ok(Self(micros)),
            false => Err(NoTimestamp(text.to_owned())),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a moment such as 2026-01-31T12:00:00Z")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc_3339() {
        let moment = Timestamp::from_micros(1_795_530_059_123_456);
        assert_eq!(moment.to_string(), "2026-11-24T14:20:59.123456Z");
        assert_eq!("2026-11-24T15:20:59.123456789+01:00".parse(), Ok(moment));
        assert_eq!(moment.seconds(), 1_795_530_059);
    }

    #[test]
    fn any_clock_gives_ids() {
        for micros in [i64::MIN, -1, 0, 1_795_530_059_123_456, i64::MAX] {
            let moment = Timestamp::from_micros(micros);
            assert_ne!(moment.new_id(), moment.new_id());
            assert_eq!(moment.new_id().get_version_num(), 7);
        }
    }

    #[test]
    fn refuses_what_is_no_moment() {
        for text in ["", "yesterday", "2026-11-24", "2026-13-01T00:00:00Z", "12026-01-01T00:00:00Z"]
        {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn round_trips_at_the_ends() {
        for micros in [i64::MIN, i64::MAX, 0, -1, -1_000_001] {
            let moment = Timestamp::from_micros(micros);
            assert_eq!(moment.to_string().parse(), Ok(moment), "{micros}");
        }
    }
}
