//! Queries: what somebody wants to know. All fourteen are on the wire of other services.
//!
//! Every field may be left out: a thing is found by its id or by what people call it, and a list
//! has what fits all fields that are given. What is missing or does not fit is said by
//! [`ask`](crate::ask), so a query from the wire is read whatever it says.

use cim_nix_model::AttributePath;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::answer::{
    BuildStatus, ConfigurationHistory, ConfigurationView, CurrentConfiguration, FlakeInputsView,
    FlakeView, ModuleView, OverlayView, PackageView, Page,
};
use crate::{ConfigurationKind, EntityId, Kind, MessageId, MessageIdentity};

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

macro_rules! queries {
    ($(
        $(#[$doc:meta])*
        $name:ident: $kind:ident $action:literal contract $contract:literal
            $(alias $alias:literal)? gives $answer:ty {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            pub struct $name {
                $(
                    $(#[$field_doc])*
                    #[serde(default, skip_serializing_if = "is_default")]
                    pub $field: $type,
                )*
            }

            impl From<$name> for Query {
                fn from(query: $name) -> Self {
                    Self::$name(query)
                }
            }
        )*

        /// Any query.
        #[derive(Clone, PartialEq, Debug)]
        #[expect(missing_docs, reason = "each is the name of its struct, which is documented")]
        pub enum Query {
            $($name($name),)*
        }

        impl Query {
            /// The schemas of all types, by name.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$((stringify!($name), crate::schema::of::<$name>()),)*]
            }

            /// The names of all types of queries.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The names of the fields that a type of queries has.
            #[must_use]
            pub fn fields_of(query_type: &str) -> Option<&'static [&'static str]> {
                match query_type {
                    $(stringify!($name) $(| $alias)? => Some(&[$(stringify!($field)),*]),)*
                    _ => None,
                }
            }

            /// The name of its type.
            #[must_use]
            pub fn query_type(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// The kind of aggregate that it asks about.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$kind,)* }
            }

            /// What is asked, as in its subject: `get_inputs`.
            #[must_use]
            pub fn action(&self) -> &'static str {
                match self { $(Self::$name(_) => $action,)* }
            }

            /// Its body as JSON.
            ///
            /// Errors: none in practice; they are those of the JSON library.
            pub fn to_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$name(query) => serde_json::to_string(query),)* }
            }

            /// Reads the body of a query. The names that other services have for some of them
            /// (`FindFlake`, `FindPackage`, `FindConfiguration`, `SearchNixPackages`) are known.
            ///
            /// Errors: the type is not known, or the body does not have its shape.
            pub fn read(query_type: &str, body: &str) -> Result<Self, String> {
                let read = match query_type {
                    $(stringify!($name) $(| $alias)? => serde_json::from_str(body).map(Self::$name),)*
                    _ => return Err(format!("no query of the type `{}` is known", query_type.escape_debug())),
                };
                read.map_err(|error| format!("the body of {query_type} does not fit: {error}"))
            }

            /// The subject on which other services send a type of queries.
            #[must_use]
            pub fn subject_of(query_type: &str) -> Option<&'static str> {
                match query_type {
                    $(stringify!($name) $(| $alias)? => Some($contract),)*
                    _ => None,
                }
            }

            /// The type of queries that other services send on a subject.
            #[must_use]
            pub fn type_of(subject: &str) -> Option<&'static str> {
                match subject {
                    $($contract => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        /// The answer to any query.
        #[derive(Clone, PartialEq, Debug)]
        #[expect(missing_docs, reason = "each is the name of its query, which is documented")]
        pub enum Answer {
            $($name(Box<$answer>),)*
        }

        impl Answer {
            /// The schemas of all answers, by the type of their queries.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$((stringify!($name), crate::schema::of::<$answer>()),)*]
            }

            /// The name of the type of the query that it answers.
            #[must_use]
            pub fn query_type(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// Its JSON, as other services expect it in `result`.
            ///
            /// Errors: a number that JSON cannot write, such as infinity.
            pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self { $(Self::$name(answer) => serde_json::to_value(answer),)* }
            }

            /// Reads the answer to a type of queries.
            ///
            /// Errors: the type is not known, or the answer does not have its shape.
            pub fn read(query_type: &str, result: &str) -> Result<Self, String> {
                let read = match query_type {
                    $(stringify!($name) $(| $alias)? => serde_json::from_str(result).map(Self::$name),)*
                    _ => return Err(format!("no query of the type `{}` is known", query_type.escape_debug())),
                };
                read.map_err(|error| format!("the answer to {query_type} does not fit: {error}"))
            }
        }
    };
}

queries! {
    /// Which flake is in a folder?
    GetFlake: Flake "get" contract "nix.query.flake.get" alias "FindFlake" gives FlakeView {
        /// Its id.
        id: Option<Uuid>,
        /// Its folder.
        path: Option<String>,
    }
    /// Which flakes are there?
    ListFlakes: Flake "list" contract "nix.query.flake.list" gives Page<FlakeView> {
        /// What the folder starts with.
        prefix: Option<String>,
        /// How many at most; 100 if left out, never more than 1,000.
        limit: Option<u32>,
        /// Where the list before this one ended.
        cursor: Option<String>,
    }
    /// Which inputs does a flake have, and what are they locked to?
    GetFlakeInputs: Flake "get_inputs" contract "nix.query.flake.get_inputs" gives FlakeInputsView {
        /// The id of the flake.
        id: Option<Uuid>,
        /// The folder of the flake.
        path: Option<String>,
    }
    /// Which package is it?
    GetPackage: Package "get" contract "nix.query.package.get" alias "FindPackage" gives PackageView {
        /// Its id.
        id: Option<Uuid>,
        /// The flake, or the file, that it is in.
        flake_ref: Option<String>,
        /// Its path in the flake.
        #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Path>"))]
        attribute: Option<AttributePath>,
        /// Its name.
        name: Option<String>,
        /// The system that it is for.
        system: Option<String>,
    }
    /// Which packages were built, or tried?
    ListPackages: Package "list" contract "nix.query.package.list" alias "SearchNixPackages" gives Page<PackageView> {
        /// The flake, or the file, that they are in.
        flake_ref: Option<String>,
        /// What the name starts with.
        prefix: Option<String>,
        /// What stands somewhere in the name or in the path, whatever its case.
        query: Option<String>,
        /// The system that they are for.
        system: Option<String>,
        /// How many at most; 100 if left out, never more than 1,000.
        limit: Option<u32>,
        /// Where the list before this one ended.
        cursor: Option<String>,
    }
    /// How did the builds of a package end?
    GetBuildStatus: Package "get_status" contract "nix.query.package.get_status" gives BuildStatus {
        /// Its id.
        id: Option<Uuid>,
        /// The flake, or the file, that it is in.
        flake_ref: Option<String>,
        /// Its path in the flake.
        #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Path>"))]
        attribute: Option<AttributePath>,
        /// Its name.
        name: Option<String>,
        /// The system that it is for.
        system: Option<String>,
        /// How many builds at most, the latest first; 100, which is all that are kept, if left out.
        limit: Option<u32>,
    }
    /// What is a module?
    GetModule: Module "get" contract "nix.query.module.get" gives ModuleView {
        /// Its id.
        id: Option<Uuid>,
        /// The project's folder.
        project: Option<String>,
        /// Its name.
        name: Option<String>,
    }
    /// Which modules are there?
    ListModules: Module "list" contract "nix.query.module.list" gives Page<ModuleView> {
        /// The project's folder.
        project: Option<String>,
        /// What the name starts with.
        prefix: Option<String>,
        /// An option that they declare.
        option: Option<String>,
        /// How many at most; 100 if left out, never more than 1,000.
        limit: Option<u32>,
        /// Where the list before this one ended.
        cursor: Option<String>,
    }
    /// What is an overlay?
    GetOverlay: Overlay "get" contract "nix.query.overlay.get" gives OverlayView {
        /// Its id.
        id: Option<Uuid>,
        /// The project's folder.
        project: Option<String>,
        /// Its name.
        name: Option<String>,
    }
    /// Which overlays are there?
    ListOverlays: Overlay "list" contract "nix.query.overlay.list" gives Page<OverlayView> {
        /// The project's folder.
        project: Option<String>,
        /// What the name starts with.
        prefix: Option<String>,
        /// A package that they change or add.
        package: Option<String>,
        /// How many at most; 100 if left out, never more than 1,000.
        limit: Option<u32>,
        /// Where the list before this one ended.
        cursor: Option<String>,
    }
    /// What is a configuration?
    GetConfiguration: Configuration "get" contract "nix.query.config.get" alias "FindConfiguration" gives ConfigurationView {
        /// Its id.
        id: Option<Uuid>,
        /// The project's folder.
        project: Option<String>,
        /// Its name.
        name: Option<String>,
    }
    /// Which configurations are there?
    ListConfigurations: Configuration "list" contract "nix.query.config.list" gives Page<ConfigurationView> {
        /// The project's folder.
        project: Option<String>,
        /// What the name starts with.
        prefix: Option<String>,
        /// Those of machines or those of homes.
        kind: Option<ConfigurationKind>,
        /// The system that they are for.
        system: Option<String>,
        /// How many at most; 100 if left out, never more than 1,000.
        limit: Option<u32>,
        /// Where the list before this one ended.
        cursor: Option<String>,
    }
    /// Which generation of a configuration is in force? Without a name, of the one that was last
    /// put into force.
    GetCurrentConfiguration: Configuration "get_current" contract "nix.query.config.get_current" gives CurrentConfiguration {
        /// Its id.
        id: Option<Uuid>,
        /// The project's folder.
        project: Option<String>,
        /// Its name.
        name: Option<String>,
    }
    /// What happened to a configuration? One that was removed has a history, too.
    GetConfigurationHistory: Configuration "get_history" contract "nix.query.config.get_history" gives ConfigurationHistory {
        /// Its id.
        id: Option<Uuid>,
        /// The project's folder.
        project: Option<String>,
        /// Its name.
        name: Option<String>,
        /// How many entries at most, the latest first; 100 if left out, never more than 1,000.
        limit: Option<u32>,
        /// Where the list before this one ended.
        cursor: Option<String>,
    }
}

/// A query with who issued it, as other services send it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QueryEnvelope<Q> {
    /// The id of the query.
    pub id: EntityId,
    /// The query.
    pub query: Q,
    /// Who issued it.
    pub issued_by: String,
    /// Which message it is, and who caused it.
    pub identity: MessageIdentity,
}

/// The answer to a query, as other services expect it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QueryResponse {
    /// The query.
    pub query_id: EntityId,
    /// The conversation.
    pub correlation_id: MessageId,
    /// The answer.
    pub result: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_follow_from_kind_and_action() {
        assert_eq!(Query::TYPES.len(), 14);
        for query_type in Query::TYPES {
            let query = Query::read(query_type, "{}").expect("every field may be left out");
            let subject = format!("nix.query.{}.{}", query.kind(), query.action());
            assert_eq!(Query::subject_of(query_type), Some(subject.as_str()));
            assert_eq!(Query::type_of(&subject), Some(query.query_type()));
            assert_eq!(query.to_json().expect("no numbers"), "{}");
        }
    }

    #[test]
    fn reads_what_other_services_ask() {
        let read = |query_type, body| Query::read(query_type, body).expect("one of theirs");
        let flake = GetFlake { path: Some("/p".into()), ..GetFlake::default() };
        assert_eq!(read("FindFlake", r#"{"path":"/p"}"#), flake.into());
        let package = GetPackage { name: Some("hello".into()), ..GetPackage::default() };
        assert_eq!(read("FindPackage", r#"{"name":"hello","system":null}"#), package.into());
        let search =
            ListPackages { query: Some("hel".into()), limit: Some(5), ..ListPackages::default() };
        assert_eq!(read("SearchNixPackages", r#"{"query":"hel","limit":5}"#), search.into());
        let configuration = read("FindConfiguration", r#"{"name":"web"}"#);
        assert_eq!(configuration.query_type(), "GetConfiguration");
    }

    #[test]
    fn says_what_does_not_fit() {
        let error = |query_type, body| Query::read(query_type, body).expect_err("does not fit");
        assert_eq!(error("GetFlok", "{}"), "no query of the type `GetFlok` is known");
        let text = error("GetFlake", r#"{"id":7}"#);
        assert!(text.starts_with("the body of GetFlake does not fit: invalid type"), "{text}");
    }

    #[test]
    fn envelopes_round_trip() {
        let json = r#"{"id":{"id":"0198f7a2-7c00-7000-8000-000000000001"},"query":{"path":"/p"},"issued_by":"ann","identity":{"message_id":"0198f7a2-7c00-7000-8000-000000000001","correlation_id":"0198f7a2-7c00-7000-8000-000000000001","causation_id":"0198f7a2-7c00-7000-8000-000000000001"}}"#;
        let envelope: QueryEnvelope<GetFlake> = serde_json::from_str(json).expect("fits");
        assert_eq!(envelope.query.path.as_deref(), Some("/p"));
        assert_eq!(serde_json::to_string(&envelope).expect("serialises"), json);
    }
}
