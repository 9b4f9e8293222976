//! `POST /webhooks/stripe`: read, verify, take the facts, hand over, answer after the commit.

use super::error::HttpError;
use super::{State, body};
use crate::inbox::{self, NewEvent};
use crate::intake::rules::{ACCOUNT_MISMATCH, LIVEMODE_MISMATCH};
use crate::intake::{Answer, Permit, Submission, Verdict};
use crate::metrics::{Received, SecretUsed};
use crate::source::signature::{self, Rejection};
use crate::source::stripe::{self, Event};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use serde::Serialize;
use std::time::Instant;

/// Largest body that Stripe's events may have, in bytes.
const STRIPE_LIMIT: usize = 1 << 20;
const SIGNATURE: &str = "stripe-signature";

/// The receiver of Stripe's events.
pub async fn stripe(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let answer = receive(&request, payload, &state).await;
    let label = match &answer {
        Ok(accepted) => accepted.status,
        Err(error) => error.code,
    };
    state.metrics.received.get_or_create(&Received { source: "stripe", answer: label }).inc();
    answer.map(Accepted::response)
}

/// What a sender is told of an event that was taken.
#[derive(Serialize)]
pub(super) struct Accepted {
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Accepted {
    pub fn response(self) -> HttpResponse {
        HttpResponse::Ok().json(self)
    }
}

async fn receive(request: &HttpRequest, payload: web::Payload, state: &State) -> Result<Accepted, HttpError> {
    let deadline = state.config.read_deadline;
    let (body, permit) = body::read(request, payload, STRIPE_LIMIT, deadline, &state.budget).await?;
    let complete = Instant::now();
    let secret = verify(request, &body, state)?;
    let submission = admit(body, permit, secret, state)?;
    submit(submission, complete, state).await
}

/// Hands over, and waits for the commit. The request was `complete` then.
pub(super) async fn submit(submission: Submission, complete: Instant, state: &State) -> Result<Accepted, HttpError> {
    let ignored = (submission.event.state == inbox::State::Ignored).then(|| submission.event.reason.clone()).flatten();
    let answer = state.intake.submit(submission).map_err(|_| HttpError::unavailable())?;
    let answer = tokio::time::timeout(state.config.answer_deadline, answer).await;
    state.metrics.answer_seconds.observe(complete.elapsed().as_secs_f64());
    match (answer, ignored) {
        (Ok(Ok(Answer::Accepted)), Some(reason)) => Ok(Accepted { status: "ignored", reason: Some(reason) }),
        (Ok(Ok(Answer::Accepted)), None) => Ok(Accepted { status: "accepted", reason: None }),
        (Ok(Ok(Answer::Duplicate)), _) => Ok(Accepted { status: "duplicate", reason: None }),
        (Ok(Ok(Answer::Unavailable) | Err(_)) | Err(_), _) => Err(HttpError::unavailable()),
    }
}

/// Which of the secrets signed the body.
fn verify(request: &HttpRequest, body: &[u8], state: &State) -> Result<usize, HttpError> {
    let mut headers = request.headers().get_all(SIGNATURE);
    let header =
        headers.next().ok_or(HttpError::bad_request("missing_signature", "the Stripe-Signature header is missing"))?;
    if body.is_empty() {
        return Err(HttpError::bad_request("missing_payload", "the body is empty"));
    }
    let stripe = &state.config.stripe;
    let invalid =
        HttpError::bad_request("invalid_signature", "the signature does not match the body and any configured secret");
    if headers.next().is_some() {
        return Err(invalid);
    }
    let now = Utc::now().timestamp();
    match signature::verify(Some(header.as_bytes()), body, &stripe.secrets, now, Some(stripe.tolerance)) {
        Ok(verified) => Ok(verified.secret),
        Err(Rejection::OutOfTolerance) => {
            log::warn!(
                "a rightly signed event is refused: its timestamp is too far from this server's clock; check the clock"
            );
            Err(HttpError::bad_request(
                "timestamp_out_of_tolerance",
                "the signature's timestamp is too far from this server's clock",
            ))
        }
        Err(Rejection::Missing | Rejection::Invalid) => Err(invalid),
    }
}

/// What is to be stored of a body that this secret verified, and merged into its order.
fn admit(body: Vec<u8>, permit: Permit, secret: usize, state: &State) -> Result<Submission, HttpError> {
    let event = stripe::parse(&body).map_err(|why| {
        log::warn!(why:% = why; "a rightly signed body is no event; it is refused");
        HttpError::bad_request("invalid_payload", "the body is not one JSON event with an id")
    })?;
    // The doctor signs with every secret: that tells nothing of which one Stripe uses.
    if event.kind != stripe::PROBE {
        let used = SecretUsed { position: u32::try_from(secret).unwrap_or(u32::MAX) };
        state.metrics.secrets.get_or_create(&used).inc();
        state.metrics.secrets_last_used.get_or_create(&used).set(Utc::now().timestamp());
    }
    let verdict = state.rules.judge(&event);
    report(&event, &verdict, state);
    let stored = state.rules.stored(&event, &verdict, Utc::now());
    Ok(Submission::new(NewEvent { body, ..stored }, verdict.facts, permit))
}

fn report(event: &Event<'_>, verdict: &Verdict, state: &State) {
    let reason = verdict.reason.as_deref().unwrap_or_default();
    if reason != LIVEMODE_MISMATCH && reason != ACCOUNT_MISMATCH {
        state.mismatches.welcome();
    } else if state.mismatches.mismatch(Utc::now().timestamp()) {
        log::error!(reason = reason; "for 10 minutes all events were of another mode or account; check STRIPE_MODE, STRIPE_ACCOUNTS and the endpoint");
    }
    match verdict.state {
        inbox::State::Quarantined => {
            log::warn!(event = event.id, reason = reason; "quarantined: the event is kept and changes no order");
        }
        inbox::State::Pending if verdict.to_fetch => {}
        inbox::State::Pending => {
            log::error!(event = event.id, reason = reason; "reading the event panicked; it is stored as pending");
        }
        inbox::State::Processed | inbox::State::Ignored => {}
    }
}
