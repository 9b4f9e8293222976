//! `POST /webhooks/github`: read, verify, take what is worth telling, hand over, answer after the commit.

use super::error::HttpError;
use super::webhooks::{Accepted, submit};
use super::{State, body};
use crate::inbox::{self, NewEvent};
use crate::intake::Submission;
use crate::metrics::Received;
use crate::notices::{GitHubEvent, Kind};
use crate::outbox::NewNotice;
use crate::source::github;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use std::time::Instant;

/// Largest body that GitHub sends, in bytes.
const LIMIT: usize = 25 << 20;

/// The receiver of GitHub's events; there is none without a secret.
pub async fn github(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    if state.config.github.is_empty() {
        return Err(HttpError::not_found("GitHub's receiver is off: GITHUB_WEBHOOK_SECRET is not set"));
    }
    let answer = receive(&request, payload, &state).await;
    let label = match &answer {
        Ok(accepted) => accepted.status,
        Err(error) => error.code,
    };
    state.metrics.received.get_or_create(&Received { source: "github", answer: label }).inc();
    answer.map(Accepted::response)
}

async fn receive(request: &HttpRequest, payload: web::Payload, state: &State) -> Result<Accepted, HttpError> {
    let (body, permit) = body::read(request, payload, LIMIT, state.config.read_deadline, &state.budget).await?;
    let complete = Instant::now();
    let signature = verify(request, &body, state)?;
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = header(CONTENT_TYPE.as_str()).to_owned();
    let read = github::json(&content_type, &body)
        .and_then(|json| github::parse(header("x-github-event"), header("x-github-delivery"), &json));
    let told = read.map_err(|why| {
        log::warn!(why:% = why; "a rightly signed delivery of GitHub's is refused");
        HttpError::bad_request("invalid_payload", "the delivery is not an event with a name, an id and a JSON object")
    })?;
    let told = GitHubEvent { content_type, signature: Some(signature), ..told };
    let event = stored(&told, body);
    let notices = if told.event == "ping" { Vec::new() } else { vec![notice(told)] };
    submit(Submission { notices, ..Submission::new(event, None, permit) }, complete, state).await
}

/// The signature that is believed.
fn verify(request: &HttpRequest, body: &[u8], state: &State) -> Result<String, HttpError> {
    const MISSING: HttpError = HttpError::bad_request("missing_signature", "the X-Hub-Signature-256 header is missing");
    const INVALID: HttpError =
        HttpError::bad_request("invalid_signature", "the signature does not match the body and any configured secret");
    let mut headers = request.headers().get_all("x-hub-signature-256");
    let header = headers.next().ok_or(MISSING)?;
    if body.is_empty() {
        return Err(HttpError::bad_request("missing_payload", "the body is empty"));
    }
    if headers.next().is_some() || !github::verify(header.as_bytes(), body, &state.config.github) {
        return Err(INVALID);
    }
    header.to_str().map(str::to_owned).map_err(|_| INVALID)
}

fn stored(told: &GitHubEvent, body: Vec<u8>) -> NewEvent {
    let is_ping = told.event == "ping";
    NewEvent {
        source: "github",
        account: String::new(),
        event_id: told.delivery.clone(),
        livemode: true,
        event_type: told.kind(),
        api_version: None,
        created: None,
        object_id: told.repository.clone().filter(|name| name.len() <= 255 && !name.contains(char::is_control)),
        snapshot_event: None,
        state: if is_ping { inbox::State::Ignored } else { inbox::State::Processed },
        reason: is_ping.then(|| "ping".to_owned()),
        received_at: Utc::now(),
        body,
        to_fetch: false,
    }
}

fn notice(told: GitHubEvent) -> NewNotice {
    let kind = Kind::GitHub(told.kind().into());
    let key = format!("{}:{}", kind.name(), told.delivery);
    let notice = NewNotice::new(kind, key, &told);
    NewNotice { repository: told.repository, git_ref: told.git_ref, ..notice }
}
