//! Signed webhooks, as Standard Webhooks has them.
//!
//! `{"type", "timestamp", "data"}` under `webhook-id`, which stays the same over all attempts, `webhook-timestamp`, and
//! `webhook-signature`. While a secret is rotated, both secrets sign. GitHub's events can be relayed instead: the
//! bytes and headers as GitHub sent them.
//! Source: the Standard Webhooks specification.

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use uuid::Uuid;

use super::client::Answer;
use super::deliver::Outcome;
use crate::notices::{GitHubEvent, OrderView};

/// The body of a webhook: the order as it is now, with what the notice is about; or what GitHub told.
pub(super) fn body(notice: &str, told_at: DateTime<Utc>, about: Value, order: Option<&OrderView>) -> String {
    let data = match order {
        Some(order) => {
            let mut data = json!(order);
            data["notice"] = about;
            data
        }
        None => about,
    };
    json!({ "type": notice, "timestamp": told_at.to_rfc3339_opts(SecondsFormat::Millis, true), "data": data })
        .to_string()
}

/// The headers that make `body` believed, signed with each of `secrets`.
///
/// # Errors
/// Where a secret is not `whsec_` and base64.
pub(super) fn headers(id: Uuid, now: DateTime<Utc>, body: &str, secrets: &[&str]) -> anyhow::Result<HeaderMap> {
    let (id, timestamp) = (id.to_string(), now.timestamp());
    let sign = |secret: &&str| Webhook::new(secret)?.sign(&id, timestamp, body.as_bytes());
    let signatures: Vec<String> = secrets.iter().map(sign).collect::<Result<_, _>>().context("signing")?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(standardwebhooks::HEADER_WEBHOOK_ID, id.parse()?);
    headers.insert(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, timestamp.into());
    headers.insert(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signatures.join(" ").parse()?);
    Ok(headers)
}

/// The headers under which GitHub sent an event.
///
/// # Errors
/// Where one of them can't be a header.
pub(super) fn relayed(event: &GitHubEvent) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", Some(&event.content_type)),
        ("x-github-event", Some(&event.event)),
        ("x-github-delivery", Some(&event.delivery)),
        ("x-hub-signature-256", event.signature.as_ref()),
    ] {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value.parse().context("a header of GitHub's")?);
        }
    }
    Ok(headers)
}

/// What an answer means: any 2xx is accepted; 410 means that nobody listens there any more; all else is tried again.
pub(super) fn outcome(answer: Result<Answer, String>) -> Outcome {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => Outcome::Sent(answer.shown()),
        Ok(answer) if answer.status == 410 => Outcome::Stopped(answer.shown()),
        Ok(answer) => Outcome::Retry { pause: answer.retry_after, answer: answer.shown() },
        Err(why) => Outcome::Retry { answer: why, pause: None },
    }
}

/// A new signing secret: 24 random bytes, as the specification recommends.
pub(super) fn new_secret() -> String {
    use base64::Engine;
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 24]>()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    #[test]
    fn it_is_signed_as_the_published_vector_is() {
        let signed = Webhook::new(SECRET).unwrap().sign(
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            br#"{"email":"test@example.com","username":"test_user"}"#,
        );
        assert_eq!(signed.unwrap(), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn each_secret_signs() {
        let (one, other) = (new_secret(), new_secret());
        let now = Utc::now();
        let headers = headers(Uuid::nil(), now, "{}", &[&one, &other]).unwrap();
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text("webhook-id"), "00000000-0000-0000-0000-000000000000");
        assert_eq!(text("webhook-timestamp"), now.timestamp().to_string());
        let expected =
            |secret: &str| Webhook::new(secret).unwrap().sign(&text("webhook-id"), now.timestamp(), b"{}").unwrap();
        assert_eq!(text("webhook-signature"), format!("{} {}", expected(&one), expected(&other)));
        assert_ne!(one, other);
    }

    #[test]
    fn the_order_is_the_data_and_the_notice_stands_in_it() {
        let order = OrderView { reference: "R-7".to_owned(), version: 3, ..OrderView::default() };
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let body: Value =
            serde_json::from_str(&body("order.paid", at, json!({ "object": "pi_1" }), Some(&order))).unwrap();
        assert_eq!((&body["type"], &body["timestamp"]), (&json!("order.paid"), &json!("2023-11-14T22:13:20.000Z")));
        assert_eq!((&body["data"]["reference"], &body["data"]["version"]), (&json!("R-7"), &json!(3)));
        assert_eq!(body["data"]["notice"]["object"], "pi_1");
    }

    #[test]
    fn what_an_answer_means() {
        let answered = |status: u16| outcome(Ok(Answer { status, body: "x".to_owned(), retry_after: None }));
        assert_eq!(answered(204), Outcome::Sent("204 x".to_owned()));
        assert_eq!(answered(410), Outcome::Stopped("410 x".to_owned()));
        for status in [199, 301, 400, 404, 429, 500] {
            assert_eq!(answered(status), Outcome::Retry { answer: format!("{status} x"), pause: None });
        }
    }
}
