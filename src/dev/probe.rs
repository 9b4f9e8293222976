//! Posts events as Stripe does: signed, over HTTP, from outside the receiver; and looks at who answers there.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::config::Secret;
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
    /// The other side's clock, in unix seconds.
    pub date: Option<i64>,
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
    secret: Secret,
}

impl Probe {
    /// A probe of one endpoint.
    pub fn new(url: impl Into<String>, secret: Secret) -> Result<Self> {
        Ok(Self { client: client()?, url: url.into(), secret })
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
            .header("stripe-signature", signature::sign(self.secret.expose(), now, body))
            .body(body.to_vec())
            .send()
            .await
            .map_err(|error| explain(&self.url, &error))?;
        let (status, date) = (response.status().as_u16(), date(&response));
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| explain(&self.url, &error))? {
            answer.extend_from_slice(&chunk);
            if answer.len() > ANSWER_SHOWN {
                answer.truncate(ANSWER_SHOWN);
                break;
            }
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&answer).trim().to_owned(), date })
    }
}

fn client() -> Result<reqwest::Client> {
    crate::tls::use_ring();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("building the HTTP client")
}

fn date(response: &reqwest::Response) -> Option<i64> {
    let text = response.headers().get("date")?.to_str().ok()?;
    Some(chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp())
}

/// The clock of whoever answers at `url`, in unix seconds, whatever it answers.
pub async fn clock_of(url: &str) -> Result<i64> {
    let response = client()?.get(url).send().await.map_err(|error| explain(url, &error))?;
    date(&response).context("it tells no date")
}

/// The page at `url`.
pub async fn fetch(url: &str) -> Result<String> {
    let response = client()?.get(url).send().await.map_err(|error| explain(url, &error))?;
    if !response.status().is_success() {
        anyhow::bail!("{url} answers {}", response.status());
    }
    response.text().await.map_err(|error| explain(url, &error))
}

/// One line for what reqwest says in a chain of five.
fn explain(url: &str, error: &reqwest::Error) -> anyhow::Error {
    let what = match error {
        e if e.is_builder() => "is not a URL that can be asked",
        e if e.is_timeout() => "did not answer in time",
        e if e.is_connect() => "refuses the connection",
        _ => "broke the connection",
    };
    let cause = std::iter::successors(std::error::Error::source(error), |e| e.source()).last();
    let cause = cause.map_or(String::new(), |cause| format!(" ({cause})"));
    anyhow::anyhow!("{url} {what}{cause}")
}
