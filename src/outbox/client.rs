//! The HTTP client that posts to Slack and to whoever subscribed.
//!
//! No redirects, no proxies, one deadline over the whole exchange, and only the answer's first bytes are read. The
//! guarded client connects to public addresses alone: it pins the address that was checked, so that a name can't mean
//! one address when it is checked and another when it is used.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::target::{self, Lookup, is_public};

/// So much of an answer is read, in bytes, and kept with the attempt.
const ANSWER: usize = 2048;
/// The longest pause that an answer can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// What the other side answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body's beginning.
    pub body: String,
    /// How long it asks us to wait.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// As the attempt records it.
    pub fn shown(&self) -> String {
        format!("{} {}", self.status, self.body.trim()).trim_end().to_owned()
    }
}

/// Posts bodies.
#[derive(Clone, Debug)]
pub(super) struct Client {
    guarded: reqwest::Client,
    open: reqwest::Client,
    allow_private: bool,
    deadline: Duration,
}

impl Client {
    /// A client whose every exchange ends by `deadline`.
    pub fn new(allow_private: bool, deadline: Duration, lookup: Arc<dyn Lookup>) -> anyhow::Result<Self> {
        crate::tls::use_ring();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("ringup/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .pool_idle_timeout(Duration::from_secs(20))
        };
        let guarded = builder().dns_resolver(Arc::new(PublicOnly(lookup))).build();
        Ok(Self {
            guarded: guarded.context("building the HTTP client")?,
            open: builder().build().context("building the HTTP client")?,
            allow_private,
            deadline,
        })
    }

    /// Posts to a subscriber's URL, which is checked.
    pub async fn post(&self, url: &str, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, String> {
        // Literal addresses never reach the resolver: the URL itself is checked once more.
        let url = target::parse(url, self.allow_private).map_err(|error| format!("not sent: {error}"))?;
        let client = if self.allow_private { &self.open } else { &self.guarded };
        self.exchange(client.post(url).headers(headers).body(body)).await
    }

    /// Posts to a URL of the operator's own, which is not checked.
    pub async fn post_to_own(&self, url: &str, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, String> {
        self.exchange(self.open.post(url).headers(headers).body(body)).await
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Answer, String> {
        match tokio::time::timeout(self.deadline, exchange(request)).await {
            Ok(answer) => answer.map_err(|error| describe(&error)),
            Err(_) => Err(format!("no whole answer within {} s", self.deadline.as_secs())),
        }
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let mut response = request.send().await?;
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER - body.len())]);
        if body.len() >= ANSWER {
            break;
        }
    }
    Ok(Answer { status: response.status().as_u16(), body: String::from_utf8_lossy(&body).into_owned(), retry_after })
}

/// `Retry-After` in seconds, or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
        (at.to_utc() - chrono::Utc::now()).to_std().unwrap_or_default()
    };
    Some(asked.min(LONGEST_PAUSE))
}

/// The error without its URL, which may be a secret, and with its causes, which say what happened.
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_connect() { "cannot connect".to_owned() } else { "the exchange failed".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Lets no private address through.
struct PublicOnly(Arc<dyn Lookup>);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.0.lookup(name.as_str().to_owned());
        Box::pin(async move {
            let found = lookup.await?;
            let public: Vec<SocketAddr> = found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the name has no public address").into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use futures_util::future::BoxFuture;

    /// A name that means another address each time.
    struct Rebinding(Mutex<VecDeque<&'static str>>);

    impl Lookup for Rebinding {
        fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let next = self.0.lock().unwrap().pop_front().unwrap();
            Box::pin(async move { Ok(next.split(' ').map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect()) })
        }
    }

    fn rebinding(answers: &[&'static str]) -> Arc<Rebinding> {
        Arc::new(Rebinding(Mutex::new(answers.iter().copied().collect())))
    }

    #[tokio::test]
    async fn a_name_that_turns_private_after_it_was_checked_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://hooks.example.com:{}/", listener.local_addr().unwrap().port());
        let lookup = rebinding(&["93.184.215.14", "127.0.0.1", "::1 127.0.0.1", "::ffff:127.0.0.1"]);
        assert!(!target::resolves_to_private(&url.parse().unwrap(), lookup.as_ref()).await);
        let client = Client::new(false, Duration::from_secs(5), lookup).unwrap();
        for _ in 0..3 {
            let error = client.post(&url, HeaderMap::new(), b"{}".to_vec()).await.unwrap_err();
            assert!(error.contains("no public address"), "{error}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody came");
    }

    #[tokio::test]
    async fn one_private_address_among_public_ones_is_enough_to_refuse_the_name() {
        let lookup = rebinding(&["93.184.215.14 10.0.0.1", "93.184.215.14"]);
        let url = "https://hooks.example.com/".parse().unwrap();
        assert!(target::resolves_to_private(&url, lookup.as_ref()).await);
        assert!(!target::resolves_to_private(&url, lookup.as_ref()).await);
    }

    #[tokio::test]
    async fn a_literal_private_address_is_not_connected_to() {
        let client = Client::new(false, Duration::from_secs(5), rebinding(&[])).unwrap();
        let error = client.post("http://127.0.0.1:9/", HeaderMap::new(), Vec::new()).await.unwrap_err();
        assert_eq!(error, "not sent: its host is not a public address");
    }

    #[test]
    fn the_pause_that_is_asked_for() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(asked("30"), Some(Duration::from_secs(30)));
        assert_eq!(asked("999999999"), Some(LONGEST_PAUSE));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!((asked("soon"), asked("-1"), retry_after(&HeaderMap::new())), (None, None, None));
    }
}
