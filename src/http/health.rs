//! Is it alive, can it work, what has it done.

use super::State;
use crate::config::mode_name;
use crate::db;
use crate::inbox::browse::pending;
use crate::metrics::{InState, SecretHeld, WaitsFor, Watched};
use crate::outbox::history::waiting;
use crate::source::signature::fingerprint;
use crate::sync::standing;
use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use serde_json::json;
use std::time::Duration;

/// A worker's round takes a second, or as long as a delivery and the database may; after this beside them it is stuck.
const WORKERS_LIMIT: Duration = Duration::from_secs(30);

/// The process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Database, schema, writer and workers are ready for events; 503 with what is not.
pub async fn readyz(state: web::Data<State>) -> HttpResponse {
    let pool = state.pool.clone();
    let check = web::block(move || {
        let mut conn = pool.get().map_err(|_| "database")?;
        match db::is_writable(&mut conn) {
            Ok(true) => db::check_migrated(&mut conn).map_err(|_| "schema"),
            Ok(false) | Err(_) => Err("database"),
        }
    });
    let limit = WORKERS_LIMIT + state.config.mail.deadline;
    let workers = state.heartbeat.as_ref().is_none_or(|heartbeat| heartbeat.is_alive(limit));
    let failing = match tokio::time::timeout(Duration::from_secs(2), check).await {
        Ok(Ok(Ok(()))) if state.intake.is_stuck() => Some("writer"),
        Ok(Ok(Ok(()))) if !workers => Some("workers"),
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(what))) => Some(what),
        Ok(Err(_)) | Err(_) => Some("database"),
    };
    match failing {
        None => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Some(what) => HttpResponse::ServiceUnavailable().json(json!({ "status": "not_ready", "failing": what })),
    }
}

/// What the database counts. Without an answer of its in time the last numbers stand.
async fn count(state: &State) {
    let pool = state.pool.clone();
    let count = web::block(move || {
        let mut conn = pool.get().ok()?;
        Some((waiting(&mut conn).ok()?, pending(&mut conn).ok()?, standing(&mut conn).ok()?))
    });
    let Ok(Ok(Some((messages, events, watched)))) = tokio::time::timeout(Duration::from_secs(2), count).await else {
        return;
    };
    for (state_of, number) in [("queued", messages.queued), ("held", messages.held), ("dead", messages.dead)] {
        state.metrics.messages.get_or_create(&InState { state: state_of }).set(number);
    }
    for (waits_for, number) in [("order", events.to_apply), ("object", events.to_fetch)] {
        state.metrics.events_pending.get_or_create(&WaitsFor { waits_for }).set(number);
    }
    for of in watched {
        let label = Watched { account: of.account, mode: mode_name(of.livemode) };
        state.metrics.watch(&label, of.compared, of.missed, of.failures);
    }
}

/// By these `roll-secret --check` sees whether a receiver runs with the secrets that a file has.
fn name_secrets(state: &State) {
    for (position, secret) in (0..).zip(&state.config.stripe.secrets) {
        let held = SecretHeld { position, fingerprint: fingerprint(secret.expose()) };
        state.metrics.secrets_held.get_or_create(&held).set(1);
    }
}

/// For Prometheus.
pub async fn metrics(state: web::Data<State>) -> HttpResponse {
    let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    state.metrics.queue_depth.set(gauge(state.intake.depth()));
    state.metrics.bytes_in_flight.set(gauge(state.budget.used()));
    state.metrics.writers_abandoned.set(gauge(state.intake.abandoned()));
    name_secrets(&state);
    count(&state).await;
    match state.metrics.render() {
        Ok(text) => HttpResponse::Ok().content_type(ContentType::plaintext()).body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
