//! What the shop says of an order: `PUT /api/orders/{reference}` what it expects, `POST …/release` that a person has
//! looked. Both are events of the inbox, so that the set of events explains the order whole.

use super::orders::named;
use super::{json_if_any, on_database};
use crate::http::error::HttpError;
use crate::http::{State, auth};
use crate::inbox::NewEvent;
use crate::inbox::browse::{EventName, find as find_event};
use crate::inbox::wait_for_standby;
use crate::intake::{Answer, Rules, Submission};
use crate::orders::browse::{Named, find, load};
use crate::orders::present::shown;
use crate::orders::words::{Addressed, Expected, Released, likely_livemode};
use crate::orders::{OrderRow, Scope};
use actix_web::{HttpRequest, HttpResponse, web};
use diesel::pg::PgConnection;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::Arc;

/// So often the next number is taken where another writer was faster.
const TRIES: usize = 16;

/// What is said.
enum Word {
    Expected(Expected),
    Released(Released),
}

/// What the shop expects of the order, the whole of it each time.
pub async fn expect(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let named = named(&request, path.into_inner())?;
    let expected: Expected = read(&request, payload, &state).await?;
    if let Some(problem) = expected.problem() {
        return Err(HttpError::bad_request("invalid_expectation", problem));
    }
    say(&state, named, Word::Expected(expected)).await
}

/// A person has looked: everything under review may go on.
pub async fn release(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    auth::api(&request, &state)?;
    let named = named(&request, path.into_inner())?;
    let released = read(&request, payload, &state).await?;
    say(&state, named, Word::Released(released)).await
}

async fn read<T: DeserializeOwned + Default>(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
) -> Result<T, HttpError> {
    let told = "the body is one JSON object of known fields; amounts are whole numbers in the currency's minor unit";
    Ok(json_if_any(request, payload, state, told).await?.unwrap_or_default())
}

/// What a word comes to, by what is known of its order.
enum Prepared {
    /// There is no such order to release.
    NotFound,
    /// The order is no longer the one that the person looked at.
    Changed,
    /// Nothing is to be said that was not said before.
    Same(Box<OrderRow>),
    /// To be stored; and whether the order is new.
    Event { event: Box<NewEvent>, scope: Scope, is_new: bool },
}

/// Stores `word` on the order, and answers with the order as it is then. Where another writer took the word's number,
/// it takes the next.
async fn say(state: &State, named: Named, word: Word) -> Result<HttpResponse, HttpError> {
    let word = Arc::new(word);
    for _ in 0..TRIES {
        let (word, of, rules) = (Arc::clone(&word), named.clone(), Arc::clone(&state.rules));
        let (event, scope, is_new) = match on_database(state, move |conn| prepare(conn, &rules, &of, &word)).await? {
            Prepared::NotFound => return Err(HttpError::not_found("no order answers to this reference")),
            Prepared::Changed => {
                return Err(HttpError::conflict("order_changed", "the order has another version; look at it again"));
            }
            Prepared::Same(order) => return Ok(HttpResponse::Ok().json(shown(&order, &state.rules.settings.labelling))),
            Prepared::Event { event, scope, is_new } => (event, scope, is_new),
        };
        let id = event.event_id.clone();
        match store(state, *event).await? {
            Answer::Accepted => {
                let named = Named { livemode: Some(scope.livemode), ..named };
                return written(state, named, id, is_new).await;
            }
            Answer::Duplicate => {}
            Answer::Unavailable => return Err(HttpError::unavailable()),
        }
    }
    Err(HttpError::unavailable())
}

fn prepare(conn: &mut PgConnection, rules: &Rules, named: &Named, word: &Word) -> anyhow::Result<Prepared> {
    let row = find(conn, named)?;
    let stored = row.map(|row| load(conn, row.id, false)).transpose()?.flatten();
    let row = stored.as_ref().map(|stored| stored.row.clone());
    let addressed = match stored {
        Some(stored) => Addressed::known(stored)?,
        None => Addressed::unknown(scope(conn, rules, named)?, &named.reference),
    };
    let (addressed, row) = match (word, addressed.bearing(&named.reference)) {
        (Word::Expected(_), Some(bearing)) => (bearing, None),
        _ => (addressed, row),
    };
    let event = match (word, &row) {
        (Word::Released(_), None) => return Ok(Prepared::NotFound),
        (Word::Released(released), Some(row)) if released.version.is_some_and(|seen| seen != row.version) => {
            return Ok(Prepared::Changed);
        }
        (Word::Released(released), Some(_)) => addressed.release(conn, released.note.as_deref())?,
        (Word::Expected(expected), _) => addressed.expect(conn, expected)?,
    };
    Ok(match (event, row) {
        (Some(event), row) => Prepared::Event { event: Box::new(event), scope: addressed.scope, is_new: row.is_none() },
        (None, Some(row)) => {
            // It is answered from what was found: no answer rests on what no standby has.
            wait_for_standby(conn)?;
            Prepared::Same(Box::new(row))
        }
        (None, None) => Prepared::NotFound,
    })
}

/// Where an order is to be that nobody has heard of yet.
fn scope(conn: &mut PgConnection, rules: &Rules, named: &Named) -> anyhow::Result<Scope> {
    let livemode = match named.livemode.or(rules.livemode()) {
        Some(livemode) => livemode,
        None => likely_livemode(conn)?,
    };
    Ok(Scope::new(&named.account, livemode))
}

async fn store(state: &State, event: NewEvent) -> Result<Answer, HttpError> {
    let permit = state.budget.reserve(event.body.len()).ok_or(HttpError::unavailable())?;
    let facts = state.rules.judge_stored(event.source, &event.body).facts;
    let answer = state.intake.submit(Submission::new(event, facts, permit)).map_err(|_| HttpError::unavailable())?;
    match tokio::time::timeout(state.config.answer_deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(HttpError::unavailable()),
    }
}

/// The order with the word in it; 202 where someone else holds it, so that a worker will write it.
async fn written(state: &State, named: Named, event: String, is_new: bool) -> Result<HttpResponse, HttpError> {
    let read = on_database(state, move |conn| {
        let event = find_event(conn, &EventName::Sent(event))?;
        Ok((find(conn, &named)?, event.is_some_and(|event| event.state == "processed")))
    });
    let (order, is_processed) = read.await?;
    let order = order.map(|order| shown(&order, &state.rules.settings.labelling));
    Ok(match (order, is_processed) {
        (Some(order), true) if is_new => HttpResponse::Created().json(order),
        (Some(order), true) => HttpResponse::Ok().json(order),
        (order, _) => HttpResponse::Accepted().json(json!({ "status": "pending", "order": order })),
    })
}
