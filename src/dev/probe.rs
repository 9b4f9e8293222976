//! Posts events as Stripe does: signed, over HTTP, from outside the receiver.

use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::source::signature;

/// What a webhook's sender calls itself.
const USER_AGENT: &str = "Stripe/1.0 (+https://stripe.com/docs/webhooks)";
/// An answer is shown, not kept: its beginning is enough.
const ANSWER_SHOWN: usize = 4096;

/// What the receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
}

impl Answer {
    /// Whether the sender would take the event as delivered.
    pub fn accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The sender's side of a webhook.
#[derive(Clone, Debug)]
pub struct Probe {
    client: reqwest::Client,
    url: String,
    secret: String,
}

impl Probe {
    /// A probe of one endpoint.
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // An error means that the process has one already, which does as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("building the HTTP client")?;
        Ok(Self { client, url: url.into(), secret: secret.into() })
    }

    /// The endpoint's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Signs a body with the time `now` (Unix seconds) and posts it.
    pub async fn post(&self, body: &[u8], now: i64) -> Result<Answer> {
        let mut response = self
            .client
            .post(&self.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature::sign(&self.secret, now, body))
            .body(body.to_vec())
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        let status = response.status().as_u16();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.explain(&error))? {
            answer.extend_from_slice(&chunk);
            if answer.len() > ANSWER_SHOWN {
                answer.truncate(ANSWER_SHOWN);
                break;
            }
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&answer).trim().to_owned() })
    }

    /// One line for what reqwest says in a chain of five.
    fn explain(&self, error: &reqwest::Error) -> anyhow::Error {
        let what = match error {
            e if e.is_builder() => "is not a URL that can be posted to",
            e if e.is_timeout() => "did not answer in time",
            e if e.is_connect() => "refuses the connection",
            _ => "broke the connection",
        };
        let cause = std::iter::successors(std::error::Error::source(error), |e| e.source()).last();
        let cause = cause.map_or(String::new(), |cause| format!(" ({cause})"));
        anyhow::anyhow!("{} {what}{cause}", self.url)
    }
}
