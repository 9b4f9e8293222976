//! `GET /api/orders/{reference}`

use crate::http::State;
use crate::http::auth;
use crate::http::error::HttpError;
use crate::orders::{self, OrderRow};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest reference that is looked up, in bytes.
const MAX_REFERENCE: usize = 255;

/// Which of the orders of that name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    account: Option<String>,
    livemode: Option<bool>,
}

/// One order, by reference or alias.
pub async fn get(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let scope = web::Query::<Scope>::from_query(request.query_string())
        .map_err(|_| {
            HttpError::bad_request("invalid_query", "the query may have account=acct_… and livemode=true|false")
        })?
        .into_inner();
    let reference = path.into_inner();
    if reference.is_empty() || reference.len() > MAX_REFERENCE || reference.chars().any(char::is_control) {
        return Err(HttpError::bad_request(
            "invalid_reference",
            "a reference has 1 to 255 bytes and no control characters",
        ));
    }
    let pool = state.pool.clone();
    let found = web::block(move || {
        let mut conn = pool.get().map_err(|error| error.to_string())?;
        let account = scope.account.unwrap_or_default();
        orders::find(&mut conn, &reference, &account, scope.livemode).map_err(|error| error.to_string())
    });
    match tokio::time::timeout(state.config.answer_deadline, found).await {
        Ok(Ok(Ok(Some(order)))) => Ok(HttpResponse::Ok().json(body(&order))),
        Ok(Ok(Ok(None))) => Err(HttpError::not_found("no order answers to this reference")),
        Ok(Ok(Err(error))) => {
            log::error!(error = error; "an order could not be read");
            Err(HttpError::unavailable())
        }
        Ok(Err(_)) | Err(_) => Err(HttpError::unavailable()),
    }
}

fn body(order: &OrderRow) -> Value {
    json!({
        "reference": order.reference,
        "account": order.account,
        "livemode": order.livemode,
        "status": order.status,
        "money_status": order.money_status,
        "review_reasons": order.review_reasons,
        "currency": order.currency,
        "amount_expected": order.amount_expected,
        "amount_paid": order.amount_paid,
        "amount_refunded": order.amount_refunded,
        "amount_lost": order.amount_lost,
        "customer_email": order.customer_email,
        "customer_name": order.customer_name,
        "version": order.version,
        "updated_at": order.updated_at,
    })
}
