//! What programs ask, in JSON, behind `API_TOKEN`.

pub mod events;
pub mod messages;
pub mod orders;
mod page;
pub mod subscriptions;
pub mod timeline;
pub mod words;

use super::error::HttpError;
use super::{State, body};
use actix_web::{HttpRequest, web};
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

/// Largest body, in bytes.
const LIMIT: usize = 64 << 10;

/// Reads the body, one JSON object; `expected` says what it has.
async fn json_body<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    expected: &'static str,
) -> Result<T, HttpError> {
    json_if_any(request, payload, state, expected)
        .await?
        .ok_or(HttpError::bad_request("missing_payload", "the body is empty"))
}

/// The same, where there may be no body at all.
async fn json_if_any<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    expected: &'static str,
) -> Result<Option<T>, HttpError> {
    let (bytes, _room) = body::read(request, payload, LIMIT, state.config.read_deadline, &state.budget).await?;
    if bytes.is_empty() { Ok(None) } else { read_object(&bytes, expected).map(Some) }
}

fn read_object<T: DeserializeOwned>(bytes: &[u8], expected: &'static str) -> Result<T, HttpError> {
    // An array would be read as a struct's fields in their sequence.
    let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes);
    let read = object.and_then(|object| T::deserialize(serde_json::Value::Object(object)));
    read.map_err(|_| HttpError::bad_request("invalid_body", expected))
}

/// Reads the query; unknown parameters are refused, `expected` says which there are.
fn query<T: DeserializeOwned>(text: &str, expected: &'static str) -> Result<T, HttpError> {
    let read = web::Query::<T>::from_query(text).map(web::Query::into_inner);
    read.map_err(|_| HttpError::bad_request("invalid_query", expected))
}

/// Refuses a filter's word that is none of those that there are; `expected` names them.
fn one_of(word: Option<&str>, known: &[&str], expected: &'static str) -> Result<(), HttpError> {
    if word.is_none_or(|word| known.contains(&word)) {
        Ok(())
    } else {
        Err(HttpError::bad_request("invalid_query", expected))
    }
}
