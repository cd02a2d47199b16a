//! The way of a query to its answer.

use super::{QueryError, configurations, flakes, modules, overlays, packages};
use crate::{Answer, EventStore, Query};

/// Answers a query from the read models of a store, after they have taken in all events.
///
/// Errors: [`QueryError`] says what is not there, with what is called alike, or what else is wrong.
pub fn ask(store: &dyn EventStore, query: &Query) -> Result<Answer, QueryError> {
    Ok(match query {
        Query::GetFlake(query) => Answer::GetFlake(flakes::get(store, query)?.into()),
        Query::ListFlakes(query) => Answer::ListFlakes(flakes::list(store, query)?.into()),
        Query::GetFlakeInputs(query) => {
            Answer::GetFlakeInputs(flakes::inputs(store, query)?.into())
        }
        Query::GetPackage(query) => Answer::GetPackage(packages::get(store, query)?.into()),
        Query::ListPackages(query) => Answer::ListPackages(packages::list(store, query)?.into()),
        Query::GetBuildStatus(query) => {
            Answer::GetBuildStatus(packages::status(store, query)?.into())
        }
        Query::GetConfiguration(query) => {
            Answer::GetConfiguration(configurations::get(store, query)?.into())
        }
        Query::ListConfigurations(query) => {
            Answer::ListConfigurations(configurations::list(store, query)?.into())
        }
        Query::GetCurrentConfiguration(query) => {
            Answer::GetCurrentConfiguration(configurations::current(store, query)?.into())
        }
        Query::GetConfigurationHistory(query) => {
            Answer::GetConfigurationHistory(configurations::history(store, query)?.into())
        }
        Query::GetModule(query) => Answer::GetModule(modules::get(store, query)?.into()),
        Query::ListModules(query) => Answer::ListModules(modules::list(store, query)?.into()),
        Query::GetOverlay(query) => Answer::GetOverlay(overlays::get(store, query)?.into()),
        Query::ListOverlays(query) => Answer::ListOverlays(overlays::list(store, query)?.into()),
    })
}
