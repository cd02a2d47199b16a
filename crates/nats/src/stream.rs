//! The stream that keeps the published events: made, changed or looked for, as the settings say.

use std::time::Duration;

use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, PersistenceMode, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use cim_nix_base::Error;

use crate::settings::StreamSettings;
use crate::space::{Place, SubjectSpace, TenantsBy};

/// The name of a tenant's stream.
pub(crate) fn name(settings: &StreamSettings, space: &SubjectSpace, tenant: &str) -> String {
    match space.tenants() {
        TenantsBy::Account => settings.name.clone(),
        TenantsBy::Token => format!("{}_{}", settings.name, tenant.to_ascii_uppercase()),
    }
}

/// Sees to it that a stream takes the events of a tenant; answers how many servers keep each message.
///
/// Errors: there is none and it may not be made, or the server does not let us look or change it.
pub(crate) async fn ensure(
    context: &jetstream::Context,
    settings: &StreamSettings,
    name: &str,
    place: &Place,
) -> Result<usize, Error> {
    let outside = |what: String, error: &dyn std::fmt::Display| {
        Error::outside(what).because(std::io::Error::other(error.to_string()))
    };
    let subject = place.subject("nix.event.>");
    if !settings.create {
        let found = context.stream_by_subject(subject.clone()).await;
        let found = found.map_err(|error| {
            outside(format!("no stream takes `{subject}`, and none may be made"), &error)
                .hint("make one, or set `nats.stream.create`")
        })?;
        let stream = context.get_stream(&found).await;
        let stream = stream
            .map_err(|error| outside(format!("cannot look at the stream {found}"), &error))?;
        let config = &stream.cached_info().config;
        return is_durable(config).map(|()| config.num_replicas);
    }
    let n_replicas = settings.replicas.max(1);
    let wanted = |config: &mut Config| {
        if !config.subjects.contains(&subject) {
            config.subjects.push(subject.clone());
        }
        config.num_replicas = n_replicas;
        config.max_age = Duration::from_secs(settings.max_age_days.saturating_mul(86_400));
        // For the server any number is -1.
        config.max_bytes = i64::try_from(settings.max_bytes).ok().filter(|n| *n > 0).unwrap_or(-1);
        config.duplicate_window = Duration::from_secs(settings.duplicate_seconds.max(1));
        if !config.max_age.is_zero() {
            config.duplicate_window = config.duplicate_window.min(config.max_age);
        }
    };
    match context.get_stream(name).await {
        Ok(stream) => {
            let present = stream.cached_info().config.clone();
            is_durable(&present)?;
            let mut config = present.clone();
            wanted(&mut config);
            if config == present {
                return Ok(n_replicas);
            }
            let changed = context.update_stream(config).await;
            changed.map_err(|error| outside(format!("cannot change the stream {name}"), &error))?;
            tracing::info!(stream = name, "changed the stream of events to what is set");
            Ok(n_replicas)
        }
        Err(error) if is_missing(&error) => {
            let mut config = Config {
                name: name.to_owned(),
                description: Some("events of the Nix domain".to_owned()),
                storage: StorageType::File,
                allow_direct: true,
                ..Config::default()
            };
            wanted(&mut config);
            let made = context.create_stream(config).await;
            made.map_err(|error| outside(format!("cannot make the stream {name}"), &error))?;
            tracing::info!(stream = name, "made the stream of events");
            Ok(n_replicas)
        }
        Err(error) => Err(outside(format!("cannot look at the stream {name}"), &error)),
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Errors: what it acknowledges may be lost when the server's process ends.
fn is_durable(config: &Config) -> Result<(), Error> {
    let is_async = config.persist_mode == Some(PersistenceMode::Async);
    let name = &config.name;
    match is_async || config.storage == StorageType::Memory {
        true => Err(Error::config(format!("the stream {name} forgets what it has acknowledged"))
            .hint("it has to keep files, and not with `persist_mode: async`")),
        false => Ok(()),
    }
}
