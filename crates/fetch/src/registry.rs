//! Where registries lie: files and URLs.

use cim_nix_eval::Io;
use cim_nix_model::{Registries, Registry};

use crate::{Fetching, Res};

/// A registry and for whom it counts.
#[derive(Clone, Debug)]
pub struct RegistryPlace {
    /// A file or a URL.
    pub place: String,
    /// Whether it is the same for everybody, and not this user's or this machine's.
    pub is_common: bool,
}

/// The registry at a place in the order in which they are asked.
pub(crate) fn read<I: Io>(
    fetching: &Fetching<I>,
    number: usize,
    registries: Registries,
) -> Option<Res<Registry>> {
    let places = fetching.settings.registries.iter();
    let place =
        &places.filter(|place| place.is_common || registries == Registries::All).nth(number)?.place;
    let text = match place.contains("://") {
        // A registry that nobody made is an empty one.
        false if !std::path::Path::new(place).exists() => return Some(Ok(Registry::default())),
        false => std::fs::read_to_string(place).map_err(|error| error.to_string()),
        true => fetching
            .registry_file(place)
            .and_then(|path| std::fs::read_to_string(path).map_err(|error| error.to_string())),
    };
    let registry = text.and_then(|text| Registry::parse(&text));
    Some(registry.map_err(|why| format!("cannot read flake registry '{place}': {why}")))
}
