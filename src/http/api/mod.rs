//! What programs ask, in JSON, behind `API_TOKEN`.

pub mod events;
pub mod orders;
mod page;
pub mod timeline;
pub mod words;

use super::State;
use super::error::HttpError;
use actix_web::web;
use diesel::pg::PgConnection;
use serde::de::DeserializeOwned;

/// Runs `work` on a connection of the pool, off the async threads and within the answer's deadline.
async fn on_database<T: Send + 'static>(
    state: &State,
    work: impl FnOnce(&mut PgConnection) -> anyhow::Result<T> + Send + 'static,
) -> Result<T, HttpError> {
    let pool = state.pool.clone();
    let working = web::block(move || {
        let mut conn = pool.get()?;
        work(&mut conn)
    });
    match tokio::time::timeout(state.config.answer_deadline, working).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => {
            log::error!(error = format!("{error:#}"); "an API request could not be answered");
            Err(HttpError::unavailable())
        }
        Ok(Err(_)) | Err(_) => Err(HttpError::unavailable()),
    }
}

/// Reads the query; unknown parameters are refused, `expected` says which there are.
fn query<T: DeserializeOwned>(text: &str, expected: &'static str) -> Result<T, HttpError> {
    let read = web::Query::<T>::from_query(text).map(web::Query::into_inner);
    read.map_err(|_| HttpError::bad_request("invalid_query", expected))
}
