//! `GET /api/events[/{id}]` and `POST /api/events/{id}/replay`

use super::{on_database, one_of, page, query};
use crate::http::error::HttpError;
use crate::http::{State, auth};
use crate::inbox;
use crate::inbox::browse::{self, EventName, Filter};
use crate::worker::{self, Replay};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Which events, and which page of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    state: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    source: Option<String>,
    object: Option<String>,
    since: Option<DateTime<Utc>>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// How to replay.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    #[serde(default)]
    dry_run: bool,
}

/// Events, the newest first.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let asked: Listed =
        query(request.query_string(), "the query may have state, type, source, object, since, limit and cursor")?;
    let (limit, before) = (page::limit(asked.limit)?, page::cursor::<i64>(asked.cursor.as_deref())?);
    one_of(asked.source.as_deref(), &inbox::SOURCES, "source is stripe, stripe_api, github or shop")?;
    let words = [&asked.kind, &asked.object];
    if words.into_iter().flatten().any(|word| word.len() > 255 || word.chars().any(char::is_control)) {
        return Err(HttpError::bad_request(
            "invalid_query",
            "a filter has at most 255 bytes and no control characters",
        ));
    }
    let wanted = asked.state.as_deref().map(|word| {
        inbox::State::parse(word)
            .ok_or(HttpError::bad_request("invalid_state", "state is pending, processed, ignored or quarantined"))
    });
    let filter = Filter {
        state: wanted.transpose()?,
        kind: asked.kind,
        source: asked.source,
        object: asked.object,
        since: asked.since,
    };
    let events = on_database(&state, move |conn| Ok(browse::list(conn, &filter, before, limit + 1)?)).await?;
    Ok(HttpResponse::Ok().json(page::body(events, limit, |event| event.id.to_string(), |event| json!(event))))
}

/// One event with its body, by the sender's id or its row.
pub async fn get(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let name = name(&path)?;
    let found = on_database(&state, move |conn| {
        let Some(event) = browse::find(conn, &name)? else { return Ok(None) };
        let (body, waiting) = (browse::body(conn, event.id)?, browse::waiting(conn, event.id)?);
        let mut shown = json!(event);
        shown["body"] = body.map_or(Value::Null, |body| json!(String::from_utf8_lossy(&body)));
        shown["pending"] = json!(waiting);
        Ok(Some(shown))
    });
    found.await?.map(|event| HttpResponse::Ok().json(event)).ok_or(NOT_FOUND)
}

/// Judges and applies an event anew.
pub async fn replay(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let (name, how): (_, How) = (name(&path)?, query(request.query_string(), "the query may have dry_run=true")?);
    let rules = Arc::clone(&state.rules);
    match on_database(&state, move |conn| worker::replay(conn, &rules, &name, how.dry_run)).await? {
        Replay::Done(report) => Ok(HttpResponse::Ok().json(report)),
        Replay::NotFound => Err(NOT_FOUND),
        Replay::InFlight => Err(HttpError::conflict("in_flight", "the event is pending: a worker sees to it")),
    }
}

const NOT_FOUND: HttpError = HttpError::not_found("there is no event of this id");

fn name(path: &str) -> Result<EventName, HttpError> {
    EventName::parse(path)
        .ok_or(HttpError::bad_request("invalid_id", "an id has 1 to 512 bytes and no control characters"))
}
