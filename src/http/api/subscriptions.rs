//! `/api/subscriptions`: who is told what, and where.

use super::{json_body, on_database, page, query};
use crate::http::error::HttpError;
use crate::http::{State, auth};
use crate::outbox::destinations::{self, Change, Refused, Subscription, Wanted};
use actix_web::{HttpRequest, HttpResponse, web};
use diesel::pg::PgConnection;
use serde::Deserialize;
use serde_json::{Value, json};

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Subscriptions, the oldest first.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let asked: Listed = query(request.query_string(), "the query may have limit and cursor")?;
    let (limit, after) = (page::limit(asked.limit)?, asked.cursor.map(cursor).transpose()?);
    let found = on_database(&state, move |conn| Ok(destinations::list(conn, after.as_deref(), limit + 1)?)).await?;
    Ok(HttpResponse::Ok().json(page::body(found, limit, |one| one.id.clone(), |one| json!(one))))
}

/// Registers one; the answer bears its secret, this once.
pub async fn create(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let wanted: Wanted = json_body(&request, payload, &state, CREATED).await?;
    let allow_private = state.config.targets.allow_private;
    destinations::check_target(&wanted.url, allow_private).await.map_err(|error| refusal(&error.into()))?;
    let made = changed(&state, move |conn| destinations::create(conn, &wanted, allow_private)).await?;
    Ok(HttpResponse::Created().json(with_secret(&made)))
}

/// One of them.
pub async fn get(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let id = id(path.into_inner())?;
    let found = on_database(&state, move |conn| Ok(destinations::find(conn, &id)?)).await?;
    found.map(|one| HttpResponse::Ok().json(one)).ok_or(NOT_FOUND)
}

/// Changes, pauses or resumes one.
pub async fn update(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let id = id(path.into_inner())?;
    let change: Change = json_body(&request, payload, &state, CHANGED).await?;
    let allow_private = state.config.targets.allow_private;
    if let Some(url) = &change.url {
        destinations::check_target(url, allow_private).await.map_err(|error| refusal(&error.into()))?;
    }
    let made = changed(&state, move |conn| destinations::update(conn, &id, &change, allow_private)).await?;
    Ok(HttpResponse::Ok().json(made))
}

/// Removes one.
pub async fn delete(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let id = id(path.into_inner())?;
    changed(&state, move |conn| destinations::delete(conn, &id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Gives one a new secret; the one before signs beside it for a day.
pub async fn rotate(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let id = id(path.into_inner())?;
    let made = changed(&state, move |conn| destinations::rotate(conn, &id)).await?;
    Ok(HttpResponse::Ok().json(with_secret(&made)))
}

/// Queues a test message for one.
pub async fn test(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let id = id(path.into_inner())?;
    let message = changed(&state, move |conn| destinations::test(conn, &id)).await?;
    Ok(HttpResponse::Accepted().json(json!({ "message": message })))
}

const NOT_FOUND: HttpError = HttpError::not_found("there is no subscription of this id");
const CREATED: &str = "the body is one JSON object: url, events, and perhaps kind, repository, ref, relay";
const CHANGED: &str = "the body is one JSON object of url, events, state, repository, ref, relay, or some of them";

fn with_secret(subscription: &Subscription) -> Value {
    let mut shown = json!(subscription);
    if let Some(secret) = &subscription.secret {
        shown["secret"] = json!(secret);
    }
    shown
}

async fn changed<T: Send + 'static>(
    state: &State,
    change: impl FnOnce(&mut PgConnection) -> Result<T, Refused> + Send + 'static,
) -> Result<T, HttpError> {
    let done = on_database(state, move |conn| match change(conn) {
        Err(Refused::Database(error)) => Err(error.into()),
        done => Ok(done),
    });
    done.await?.map_err(|refused| refusal(&refused))
}

fn refusal(refused: &Refused) -> HttpError {
    let code = match refused {
        Refused::NotFound => return NOT_FOUND,
        Refused::Url(_) => "invalid_url",
        Refused::Events(_) | Refused::HowMany => "invalid_events",
        Refused::Relay => "invalid_relay",
        Refused::Filter => "invalid_filter",
        Refused::Configured(_) => "configured",
        Refused::Database(_) => return HttpError::unavailable(),
    };
    HttpError::unprocessable(code, refused.to_string())
}

/// The id at which a page ended.
fn cursor(text: String) -> Result<String, HttpError> {
    let invalid = HttpError::bad_request("invalid_cursor", "cursor is the next_cursor of an earlier page");
    let is_known = text.starts_with("sub_") || ["mail", "slack"].contains(&&text[..]);
    if is_known { id(text).map_err(|_| invalid) } else { Err(invalid) }
}

fn id(path: String) -> Result<String, HttpError> {
    let fits = !path.is_empty() && path.len() <= 64 && path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(path) } else { Err(HttpError::bad_request("invalid_id", "a subscription's id is sub_… or slack")) }
}
