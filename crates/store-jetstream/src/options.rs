//! How a store is opened, and what its stream has to be.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};
use cim_domain_nix::StoreError;

use crate::fault::unavailable;
use crate::models::Models;

/// How to open a [`JetStreamStore`](crate::JetStreamStore).
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose events these are: lower-case letters, digits, `-` and `_`, at most 63 of them.
    pub tenant: String,
    /// What subjects start with: `cim.nix` leads to `cim.nix.v1.TENANT.KIND.ID`.
    pub prefix: String,
    /// The stream's name; `None` makes one of prefix and tenant, `cim-nix_TENANT`.
    pub name: Option<String>,
    /// How many servers keep each message: 1, 3 or 5.
    pub replicas: usize,
    /// Whether messages are kept in memory only, for tests. They are lost with the server.
    pub in_memory: bool,
    /// How long the server itself remembers the ids of messages. Ids are unique for ever without it;
    /// it saves the space of a message that is sent twice.
    pub duplicate_window: Duration,
    /// Whether the server compresses its files (S2).
    pub compression: bool,
    /// How many bytes the stream may take; beyond that appends are refused.
    pub max_bytes: Option<u64>,
    /// Whether the server refuses to remove messages. Once it does, it does so for good.
    pub locked: bool,
    /// Another prefix of the API than `$JS.API`: `$JS.DOMAIN.API` for a domain.
    pub api_prefix: Option<String>,
    /// How long one call tries before it gives up.
    pub patience: Duration,
    /// How many messages may wait for the server's answer at once.
    pub max_in_flight: usize,
    /// How many bytes of messages are kept in memory for the next reader.
    pub cache: usize,
    /// Where the read models of this process are.
    pub models: Models,
    /// After how many events a read model's rows are put into the key-value bucket.
    pub save_models_every: u64,
    /// A file that keeps the index, so that a start need not read the whole stream. It may be
    /// removed at any time, and must not be shared by programs.
    pub index_file: Option<PathBuf>,
    /// Whether the stream and the bucket are made where there are none; without that, a stream that
    /// is not there is an error.
    pub create: bool,
}

impl Options {
    /// The options for a tenant: one replica, on disk, nothing compressed, nothing limited.
    #[must_use]
    pub fn of(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            prefix: "cim.nix".to_owned(),
            name: None,
            replicas: 1,
            in_memory: false,
            duplicate_window: Duration::from_secs(120),
            compression: false,
            max_bytes: None,
            locked: true,
            api_prefix: None,
            patience: Duration::from_secs(10),
            max_in_flight: 1024,
            cache: 32 << 20,
            models: Models::default(),
            save_models_every: 10_000,
            index_file: None,
            create: true,
        }
    }

    /// Errors: a name could not be a part of a subject.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let is_good = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        let is_token =
            |token: &str| !token.is_empty() && token.len() <= 63 && token.bytes().all(is_good);
        if !is_token(&self.tenant) {
            return Err(unavailable(
                format!("`{}` cannot be a tenant's name", self.tenant.escape_debug()),
                "lower-case letters, digits, `-` and `_`, at most 63 of them",
            ));
        }
        if !self.prefix.split('.').all(is_token) {
            return Err(unavailable(
                format!("`{}` cannot be a prefix of subjects", self.prefix.escape_debug()),
                "tokens of lower-case letters, digits, `-` and `_`, with points between them",
            ));
        }
        Ok(())
    }

    pub(crate) fn stream_name(&self) -> String {
        let made = || format!("{}_{}", self.prefix.replace('.', "-"), self.tenant);
        self.name.clone().unwrap_or_else(made)
    }

    /// What the subjects of all events start with.
    pub(crate) fn root(&self) -> String {
        format!("{}.v1.{}", self.prefix, self.tenant)
    }

    /// The stream as it has to be.
    pub(crate) fn config(&self) -> Config {
        Config {
            name: self.stream_name(),
            description: Some(format!("events of the tenant {}, for ever", self.tenant)),
            subjects: vec![format!("{}.>", self.root())],
            max_bytes: self.max_bytes.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX)),
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            // Old messages must not make room for new ones.
            discard: DiscardPolicy::New,
            retention: RetentionPolicy::Limits,
            storage: if self.in_memory { StorageType::Memory } else { StorageType::File },
            num_replicas: self.replicas,
            duplicate_window: self.duplicate_window,
            deny_delete: self.locked,
            deny_purge: self.locked,
            allow_direct: true,
            compression: Some(if self.compression { Compression::S2 } else { Compression::None }),
            ..Config::default()
        }
    }
}

/// What an existing stream has otherwise than it has to be, a line each.
pub(crate) fn differences(wanted: &Config, found: &Config) -> Vec<String> {
    let mut out = Vec::new();
    let mut differ = |what: &str, wanted: &dyn Debug, found: &dyn Debug| {
        let (wanted, found) = (format!("{wanted:?}"), format!("{found:?}"));
        if wanted != found {
            out.push(format!("`{what}` is {found}, not {wanted}"));
        }
    };
    let unlimited = |limit: i64| if limit <= 0 { -1 } else { limit };
    let ours = |config: &Config| config.compression.clone().unwrap_or(Compression::None);
    differ("subjects", &wanted.subjects, &found.subjects);
    differ("retention", &wanted.retention, &found.retention);
    differ("discard", &wanted.discard, &found.discard);
    differ("storage", &wanted.storage, &found.storage);
    differ("num_replicas", &wanted.num_replicas, &found.num_replicas);
    differ("duplicate_window", &wanted.duplicate_window, &found.duplicate_window);
    differ("compression", &ours(wanted), &ours(found));
    differ("max_bytes", &unlimited(wanted.max_bytes), &unlimited(found.max_bytes));
    differ("max_msgs", &-1, &unlimited(found.max_messages));
    differ("max_msgs_per_subject", &-1, &unlimited(found.max_messages_per_subject));
    differ("max_msg_size", &-1, &unlimited(found.max_message_size.into()));
    differ("max_age", &Duration::ZERO, &found.max_age);
    differ("no_ack", &false, &found.no_ack);
    differ("sealed", &false, &found.sealed);
    differ("deny_delete", &wanted.deny_delete, &found.deny_delete);
    differ("deny_purge", &wanted.deny_purge, &found.deny_purge);
    differ("allow_rollup_hdrs", &false, &found.allow_rollup);
    differ("allow_direct", &true, &found.allow_direct);
    differ("allow_msg_ttl", &false, &found.allow_message_ttl);
    differ("mirror", &false, &found.mirror.is_some());
    differ("sources", &false, &found.sources.as_ref().is_some_and(|list| !list.is_empty()));
    differ("subject_transform", &false, &found.subject_transform.is_some());
    // An acknowledgement has to mean that the message is written.
    let is_async = matches!(found.persist_mode, Some(PersistenceMode::Async));
    differ("persist_mode async", &false, &is_async);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let wanted = Options::of("acme").config();
        assert_eq!(differences(&wanted, &wanted), Vec::<String>::new());
        let found = Config {
            max_age: Duration::from_secs(60),
            num_replicas: 3,
            compression: None,
            max_bytes: 1_000,
            persist_mode: Some(PersistenceMode::Async),
            ..wanted.clone()
        };
        expect_test::expect![[r#"
            `num_replicas` is 3, not 1
            `max_bytes` is 1000, not -1
            `max_age` is 60s, not 0ns
            `persist_mode async` is true, not false"#]]
        .assert_eq(&differences(&wanted, &found).join("\n"));
    }

    #[test]
    fn names_are_tokens() {
        for tenant in ["", "a.b", "a*", ">", "a b", "Ä", "A", "a\r\nb", &"x".repeat(64)] {
            assert!(Options::of(tenant).check().is_err(), "{tenant}");
        }
        for prefix in ["", ".", "cim.", "cim.>", "cim..nix", "$JS"] {
            let options = Options { prefix: prefix.into(), ..Options::of("a") };
            assert!(options.check().is_err(), "{prefix}");
        }
        assert!(Options::of("acme-2").check().is_ok());
        assert_eq!(Options::of("acme-2").stream_name(), "cim-nix_acme-2");
    }
}
