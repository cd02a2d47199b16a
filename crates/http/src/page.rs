//! The operations page.
use crate::problem::Problem;
use axum::response::Response;

pub(crate) async fn overview() -> Result<Response, Problem> {
    Err(Problem::no_route())
}

pub(crate) async fn event() -> Result<Response, Problem> {
    Err(Problem::no_route())
}
