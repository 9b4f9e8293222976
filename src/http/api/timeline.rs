//! `GET /api/orders/{reference}/timeline`: which event did what to an order and why, and what was told of it.

use super::orders::named_by;
use super::{on_database, page, query};
use crate::http::error::HttpError;
use crate::http::{State, auth};
use crate::orders::browse::{Named, find, load};
use crate::orders::present::shown;
use crate::orders::{Settings, explain};
use crate::outbox::history::of_order;
use actix_web::{HttpRequest, HttpResponse, web};
use diesel::pg::PgConnection;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Steps of a page, where the client does not say.
const USUAL: i64 = 500;
/// Most steps of a page.
const MOST: i64 = 1000;

/// Which order, and which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    account: Option<String>,
    livemode: Option<bool>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The order, its events in the sequence of storing, and its messages with their attempts.
pub async fn get(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let asked: Asked = query(request.query_string(), "the query may have account, livemode, limit and cursor")?;
    let named = named_by(path.into_inner(), asked.account, asked.livemode)?;
    let limit = page::limit_within(asked.limit, USUAL, MOST)?;
    let after = page::cursor::<i64>(asked.cursor.as_deref())?.unwrap_or(0);
    let rules = Arc::clone(&state.rules);
    let told = on_database(&state, move |conn| told(conn, &rules.settings, &named, after, limit));
    match told.await? {
        Some(body) => Ok(HttpResponse::Ok().json(body)),
        None => Err(HttpError::not_found("no order answers to this reference")),
    }
}

fn told(
    conn: &mut PgConnection,
    settings: &Settings,
    named: &Named,
    after: i64,
    limit: i64,
) -> anyhow::Result<Option<Value>> {
    let Some(row) = find(conn, named)? else { return Ok(None) };
    let Some(order) = load(conn, row.id, false)? else { return Ok(None) };
    let (steps, more) = explain::timeline(conn, settings, &order, after, usize::try_from(limit)?)?;
    let next = steps.last().filter(|_| more).map(|step| step.event.id.to_string());
    let messages = of_order(conn, order.row.id)?;
    let order = shown(&order.row, &settings.labelling);
    Ok(Some(json!({ "order": order, "events": steps, "messages": messages, "next_cursor": next })))
}
