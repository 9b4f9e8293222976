//! `GET /api/orders` and `GET /api/orders/{reference}`

use super::{on_database, one_of, page, query};
use crate::http::State;
use crate::http::auth;
use crate::http::error::HttpError;
use crate::orders::browse::{Filter, Named, find, list as list_orders};
use crate::orders::present::shown;
use crate::orders::words::is_reference;
use crate::orders::{OrderRow, Status};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use uuid::Uuid;

/// Every status that an order can have.
const STATUSES: [Status; 14] = [
    Status::Review,
    Status::Disputed,
    Status::Lost,
    Status::Refunded,
    Status::PartiallyRefunded,
    Status::Paid,
    Status::PartiallyPaid,
    Status::Authorized,
    Status::AwaitingFunds,
    Status::RequiresAction,
    Status::Failed,
    Status::Canceled,
    Status::Expired,
    Status::Pending,
];

/// Which of the orders of that name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    account: Option<String>,
    livemode: Option<bool>,
}

/// Which orders, and which page of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    status: Option<String>,
    account: Option<String>,
    livemode: Option<bool>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The order that path and query name.
pub fn named(request: &HttpRequest, reference: String) -> Result<Named, HttpError> {
    let scope: Scope = query(request.query_string(), "the query may have account=acct_… and livemode=true|false")?;
    named_by(reference, scope.account, scope.livemode)
}

/// The order of that reference.
pub fn named_by(reference: String, within: Option<String>, livemode: Option<bool>) -> Result<Named, HttpError> {
    if !is_reference(&reference) {
        return Err(HttpError::bad_request(
            "invalid_reference",
            "a reference has 1 to 255 bytes and no control characters",
        ));
    }
    Ok(Named { reference, account: account(within)?.unwrap_or_default(), livemode })
}

/// An account as a query names it.
fn account(given: Option<String>) -> Result<Option<String>, HttpError> {
    let usable = |account: &String| account.len() <= 255 && !account.chars().any(char::is_control);
    let fits = given.as_ref().is_none_or(usable);
    if fits { Ok(given) } else { Err(HttpError::bad_request("invalid_account", "an account is acct_…")) }
}

/// One order, by reference or alias.
pub async fn get(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let named = named(&request, path.into_inner())?;
    match on_database(&state, move |conn| Ok(find(conn, &named)?)).await? {
        Some(order) => Ok(HttpResponse::Ok().json(shown(&order, &state.rules.settings.labelling))),
        None => Err(HttpError::not_found("no order answers to this reference")),
    }
}

/// Orders, the newest first.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let asked: Listed =
        query(request.query_string(), "the query may have status, account, livemode, limit and cursor")?;
    let (limit, before) = (page::limit(asked.limit)?, page::cursor::<Uuid>(asked.cursor.as_deref())?);
    let status = asked.status.filter(|status| !status.is_empty());
    let expected = "status is review, disputed, lost, refunded, partially_refunded, paid, partially_paid, authorized, \
                    awaiting_funds, requires_action, failed, canceled, expired or pending";
    one_of(status.as_deref(), &STATUSES.map(Status::as_str), expected)?;
    let filter = Filter { status, account: account(asked.account)?, livemode: asked.livemode };
    let orders = on_database(&state, move |conn| Ok(list_orders(conn, &filter, before, limit + 1)?)).await?;
    let shown = |order: &OrderRow| shown(order, &state.rules.settings.labelling);
    Ok(HttpResponse::Ok().json(page::body(orders, limit, |order| order.id.to_string(), shown)))
}
