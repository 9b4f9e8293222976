//! One request and its answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use stripe::{AccountId, ApiErrors, IdempotencyKey, RequestStrategy, StripeError};
use stripe_client_core::{CustomizedStripeRequest, RequestBuilder, StripeClient, StripeMethod};

use super::reach;
use crate::config::Api;

/// Attempts at one request; between them 1, 2 and 4 s. Stripe's Retry-After is not heeded: async-stripe hands out no header
/// of an answer, of a refusal neither.
const ATTEMPTS: u32 = 4;
/// One attempt may take this long.
const ATTEMPT: Duration = Duration::from_secs(20);
/// One request with all of its attempts may take this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why Stripe's API could not be asked, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401
    #[error("Stripe does not accept STRIPE_SECRET_KEY: {0}")]
    Key(String),
    /// 403; a restricted key lacks the permission that is named.
    #[error("STRIPE_SECRET_KEY lacks a permission: give the restricted key {needs} in Stripe's dashboard ({message})")]
    Permission {
        /// Such as `Webhook Endpoints: Write`.
        needs: String,
        /// Stripe's words.
        message: String,
    },
    /// 403; the connected account is not, or no more, connected.
    #[error(
        "STRIPE_SECRET_KEY cannot act for {account}: is that account in STRIPE_ACCOUNTS by mistake, or no longer connected? ({message})"
    )]
    Account {
        /// `acct_…`
        account: String,
        /// Stripe's words.
        message: String,
    },
    /// 403; no permission of a restricted key's would help.
    #[error("Stripe forbids this to STRIPE_SECRET_KEY: {0}")]
    Forbidden(String),
    /// 404
    #[error("Stripe knows no such object: {0}")]
    NotFound(String),
    /// Another answer that is not a success.
    #[error("Stripe refuses ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stripe's words.
        message: String,
    },
    /// What Stripe was not asked, because it cannot be.
    #[error("{0}")]
    Declined(String),
    /// No answer at all, or none that is Stripe's.
    #[error("cannot ask Stripe's API at {base}: {why}")]
    Unreachable {
        /// Where it was sought.
        base: String,
        /// What happened.
        why: String,
    },
    /// An answer of another shape.
    #[error("Stripe's answer cannot be read: {0}")]
    Unreadable(String),
}

/// Stripe's API, with one key.
#[derive(Clone, Debug)]
pub struct StripeApi {
    client: stripe::Client,
    base: String,
    /// The key is a restricted one.
    is_restricted: bool,
}

/// One request: what, with which parameters, and what a restricted key needs for it.
pub(super) struct Ask<'a> {
    /// Below `/v1`, such as `/events`.
    pub path: String,
    /// The permission's name in Stripe's dashboard.
    pub needs: &'static str,
    /// The connected account to act for.
    pub account: Option<&'a str>,
}

impl StripeApi {
    /// Whoever `api` says.
    ///
    /// # Errors
    /// [`Error::Unreachable`] where the base is no URL.
    pub fn new(api: &Api) -> Result<Self, Error> {
        crate::tls::use_ring();
        let base = api.base.clone().unwrap_or_else(|| "https://api.stripe.com".to_owned());
        let built = stripe::ClientBuilder::new(api.key.expose())
            .url(format!("{base}/"))
            .app_info("ringup", Some(env!("CARGO_PKG_VERSION").to_owned()), None)
            .request_strategy(RequestStrategy::ExponentialBackoff(ATTEMPTS))
            .timeout(ATTEMPT)
            .build();
        let client =
            built.map_err(|error| Error::Unreachable { base: base.clone(), why: explain(&error).to_owned() })?;
        Ok(Self { client, base, is_restricted: api.key.expose().starts_with("rk_") })
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, ask: Ask<'_>, query: &impl Serialize) -> Result<T, Error> {
        read(&self.get_bytes(ask, query).await?)
    }

    /// The answer as Stripe wrote it.
    pub(super) async fn get_bytes(&self, ask: Ask<'_>, query: &impl Serialize) -> Result<Bytes, Error> {
        let request = RequestBuilder::new(StripeMethod::Get, &ask.path[..]).query(query);
        self.call(request, &ask, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, ask: Ask<'_>, form: &impl Serialize) -> Result<T, Error> {
        let request = RequestBuilder::new(StripeMethod::Post, &ask.path[..]).form(form);
        read(&self.call(request, &ask, None).await?)
    }

    /// The same under a key that others use as well: Stripe does it once, and answers each of them alike. async-stripe tries
    /// again only under keys of its own.
    pub(super) async fn post_once<T: DeserializeOwned>(
        &self,
        ask: Ask<'_>,
        form: &impl Serialize,
        key: &str,
    ) -> Result<T, Error> {
        let key = IdempotencyKey::new(key).map_err(|error| Error::Declined(error.to_string()))?;
        for pause in [1, 2, 4] {
            let request = RequestBuilder::new(StripeMethod::Post, &ask.path[..]).form(form);
            match self.call(request, &ask, Some(RequestStrategy::Idempotent(key.clone()))).await {
                // 409: another request under this key is under way.
                Err(Error::Refused { status: 409 | 424 | 429 | 500.., .. } | Error::Unreachable { .. }) => {}
                done => return read(&done?),
            }
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        let request = RequestBuilder::new(StripeMethod::Post, &ask.path[..]).form(form);
        read(&self.call(request, &ask, Some(RequestStrategy::Idempotent(key))).await?)
    }

    pub(super) async fn delete(&self, ask: Ask<'_>) -> Result<(), Error> {
        let request = RequestBuilder::new(StripeMethod::Delete, &ask.path[..]);
        read::<IgnoredAny>(&self.call(request, &ask, None).await?).map(drop)
    }

    async fn call(
        &self,
        request: RequestBuilder,
        ask: &Ask<'_>,
        strategy: Option<RequestStrategy>,
    ) -> Result<Bytes, Error> {
        let mut request = request.customize::<()>();
        if let Some(account) = ask.account {
            request = request.account_id(AccountId::from(account.to_owned()));
        }
        if let Some(strategy) = strategy {
            request = request.request_strategy(strategy);
        }
        let keeping = Keeping { client: &self.client, bytes: Mutex::default() };
        match tokio::time::timeout(DEADLINE, request.send(&keeping)).await {
            Ok(Ok(())) => {}
            Ok(Err(StripeError::Stripe(told, status))) => return Err(self.understand(&told, status, ask)),
            Ok(Err(error)) => return Err(self.unreachable(&error).await),
            Err(_) => {
                let why = format!("no answer within {} s", DEADLINE.as_secs());
                return Err(Error::Unreachable { base: self.base.clone(), why });
            }
        }
        Ok(keeping.bytes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn understand(&self, told: &ApiErrors, status: u16, ask: &Ask<'_>) -> Error {
        let code = told.code.as_ref().map(|code| code.as_str().to_owned());
        let no_account = code.as_deref() == Some("account_invalid") || !self.is_restricted;
        let message = told.message.clone().or(code).unwrap_or_else(|| "without a word why".to_owned());
        match (status, ask.account) {
            (401, _) => Error::Key(message),
            (403, Some(account)) if no_account => Error::Account { account: account.to_owned(), message },
            (403, _) if !self.is_restricted => Error::Forbidden(message),
            (403, None) => Error::Permission { needs: ask.needs.to_owned(), message },
            (403, Some(_)) => Error::Permission { needs: format!("{} for connected accounts", ask.needs), message },
            (404, _) => Error::NotFound(message),
            (status, _) => Error::Refused { status, message },
        }
    }

    async fn unreachable(&self, error: &StripeError) -> Error {
        let mut why = explain(error).to_owned();
        if matches!(error, StripeError::ClientError(told) if told.contains("Connect")) {
            why = reach::why(&self.base, &why).await;
        }
        Error::Unreachable { base: self.base.clone(), why }
    }
}

/// Reads an answer.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Unreadable(error.to_string()))
}

/// What happened, without the crate's own preamble.
fn explain(error: &StripeError) -> &str {
    match error {
        StripeError::ClientError(why) | StripeError::ConfigError(why) => why,
        // Its status would tell more; async-stripe drops it where it can't read the body.
        StripeError::JSONDeserialize(_) => "it answers an error that is not Stripe's: is a proxy between?",
        StripeError::Timeout => "it did not answer in time",
        StripeError::Stripe(..) => "it refuses",
    }
}

/// Keeps the answer's bytes: the crate only hands out what it read from them.
struct Keeping<'a> {
    client: &'a stripe::Client,
    bytes: Mutex<Bytes>,
}

impl StripeClient for Keeping<'_> {
    type Err = StripeError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, StripeError> {
        let bytes = self.client.execute(request).await?;
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(Bytes::from_static(b"null"))
    }
}
