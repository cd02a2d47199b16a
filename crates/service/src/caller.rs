//! Who asks, and what they may ask for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a caller may do. Each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Ask, and follow events.
    Reader,
    /// Send commands as well.
    Operator,
    /// Be another instance of the service: serve the requests and publish the events.
    Service,
}

impl Role {
    /// All of them, the weakest first.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Operator, Self::Service];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Service => "service",
        }
    }

    /// Whether it may send commands.
    #[must_use]
    pub fn may_command(self) -> bool {
        self >= Self::Operator
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| {
            format!("`{}` is no role: reader, operator or service", text.escape_debug())
        })
    }
}

/// Somebody who asks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Caller {
    /// Their name, as events and logs have it.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// What carried the request: `nats`, `http`.
    pub via: &'static str,
}
