//! `GET /api/messages[/{id}]`, `POST /api/messages/{id}/retry` and `…/discard`

use super::{on_database, one_of, page, query};
use crate::http::error::HttpError;
use crate::http::{State, auth};
use crate::outbox::history::{self, Filter, MessageRow};
use actix_web::{HttpRequest, HttpResponse, web};
use diesel::QueryResult;
use diesel::pg::PgConnection;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Which messages, and which page of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    state: Option<String>,
    kind: Option<String>,
    destination: Option<String>,
    notice: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Messages, the newest first.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let asked: Listed =
        query(request.query_string(), "the query may have state, kind, destination, notice, limit and cursor")?;
    let (limit, before) = (page::limit(asked.limit)?, page::cursor::<Uuid>(asked.cursor.as_deref())?);
    one_of(asked.state.as_deref(), &["queued", "sent", "dead"], "state is queued, sent or dead")?;
    one_of(asked.kind.as_deref(), &["email", "slack", "webhook"], "kind is email, slack or webhook")?;
    let words = [&asked.destination, &asked.notice];
    if words.into_iter().flatten().any(|word| word.len() > 255 || word.chars().any(char::is_control)) {
        return Err(HttpError::bad_request(
            "invalid_query",
            "a filter has at most 255 bytes and no control characters",
        ));
    }
    let filter = Filter { state: asked.state, kind: asked.kind, destination: asked.destination, notice: asked.notice };
    let messages = on_database(&state, move |conn| Ok(history::list(conn, &filter, before, limit + 1)?)).await?;
    Ok(HttpResponse::Ok().json(page::body(messages, limit, |message| message.id.to_string(), |message| json!(message))))
}

/// One message with its attempts.
pub async fn get(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let id = id(&path)?;
    let found = on_database(&state, move |conn| Ok(history::find(conn, id)?)).await?;
    found.map(|message| HttpResponse::Ok().json(message)).ok_or(NOT_FOUND)
}

/// Has a message tried anew.
pub async fn retry(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let refusal = HttpError::conflict("not_retriable", "the message was sent, or is being sent right now");
    change(&request, &path, &state, history::retry, refusal).await
}

/// Gives a message up.
pub async fn discard(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let refusal = HttpError::conflict("not_queued", "the message is settled, or is being sent right now");
    change(&request, &path, &state, history::discard, refusal).await
}

async fn change(
    request: &HttpRequest,
    path: &str,
    state: &State,
    change: fn(&mut PgConnection, Uuid) -> QueryResult<Option<MessageRow>>,
    refusal: HttpError,
) -> Result<HttpResponse, HttpError> {
    auth::api(request, state)?;
    let id = id(path)?;
    let (changed, known) = on_database(state, move |conn| {
        let changed = change(conn, id)?;
        Ok((changed, history::find(conn, id)?.is_some()))
    })
    .await?;
    match changed {
        Some(message) => Ok(HttpResponse::Ok().json(message)),
        None if known => Err(refusal),
        None => Err(NOT_FOUND),
    }
}

const NOT_FOUND: HttpError = HttpError::not_found("there is no message of this id");

fn id(path: &str) -> Result<Uuid, HttpError> {
    path.parse().map_err(|_| HttpError::bad_request("invalid_id", "a message's id is a UUID"))
}
