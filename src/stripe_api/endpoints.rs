//! The endpoints that Stripe posts to.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

use super::client::Ask;
use super::{API_VERSION, Error, StripeApi};
use crate::config::Secret;
use crate::source::fields::is_id;

/// What a restricted key needs to look at endpoints.
pub const READ: &str = "Webhook Endpoints: Read";
/// What a restricted key needs to make and change endpoints; it may look at them, too.
pub const WRITE: &str = "Webhook Endpoints: Write";
/// In an endpoint's metadata: whose events it is for, `own` or `connect`; Stripe does not say it otherwise.
const OF: &str = "ringup";
/// Stripe's greatest page.
const PAGE: u32 = 100;

/// An endpoint as Stripe has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Endpoint {
    /// `we_…`
    pub id: String,
    /// Where Stripe posts.
    #[serde(default)]
    pub url: String,
    /// `enabled` or `disabled`
    #[serde(default)]
    pub status: String,
    /// Event types, or `*` alone.
    #[serde(default)]
    pub enabled_events: Vec<String>,
    /// How events are rendered; none is the account's default, which may change.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Real money.
    #[serde(default)]
    pub livemode: bool,
    /// The Connect application that it belongs to.
    #[serde(default)]
    pub application: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl Endpoint {
    /// Whether it hears of connected accounts' events rather than of our own.
    pub fn is_connect(&self) -> bool {
        self.application.is_some() || self.metadata.get(OF).is_some_and(|of| of == "connect")
    }

    /// Whether Stripe posts to this URL by it.
    pub fn is_at(&self, url: &str) -> bool {
        let parse = |text: &str| Url::parse(text.trim()).ok();
        self.url == url || parse(&self.url).is_some_and(|ours| parse(url) == Some(ours))
    }
}

/// An endpoint to be registered.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where Stripe is to post.
    pub url: String,
    /// Event types, or `*` alone.
    pub events: Vec<String>,
    /// How events are rendered.
    pub api_version: String,
    /// Of connected accounts rather than of our own.
    pub connect: bool,
}

impl Wanted {
    /// With the version that this build speaks.
    pub fn new(url: impl Into<String>, events: Vec<String>) -> Self {
        Self { url: url.into(), events, api_version: API_VERSION.to_owned(), connect: false }
    }
}

/// What is to be changed; what is none stays.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Change {
    /// Another URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Other event types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_events: Option<Vec<String>>,
    /// Whether it rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// What became of the wish for an endpoint.
#[derive(Debug)]
pub enum Registered {
    /// It is new; Stripe tells its signing secret this once.
    Created(Endpoint, Secret),
    /// There was one for the URL, and it is now as wanted; its secret stays and is not told.
    Updated(Endpoint),
}

#[derive(Serialize)]
struct New<'a> {
    url: &'a str,
    enabled_events: &'a [String],
    api_version: &'a str,
    connect: bool,
    description: &'static str,
    metadata: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Page {
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<String>,
}

impl StripeApi {
    /// All endpoints.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        loop {
            let page = Page { limit: PAGE, starting_after: endpoints.last().map(|last| last.id.clone()) };
            let mut answer = self.get(all(READ), &page).await?;
            let found: Vec<Endpoint> = read(answer["data"].take())?;
            let more = answer["has_more"] == true && !found.is_empty();
            endpoints.extend(found);
            if !more {
                return Ok(endpoints);
            }
        }
    }

    /// Registers an endpoint; where there is one for that URL, it is changed to what is wanted.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Refused`] also where the one that is there has another API version, which Stripe never changes.
    pub async fn register(&self, wanted: &Wanted) -> Result<Registered, Error> {
        let known = self.endpoints().await?;
        if let Some(known) = known.iter().find(|e| e.is_at(&wanted.url) && e.is_connect() == wanted.connect) {
            return self.adjust(known, wanted).await.map(Registered::Updated);
        }
        let new = New {
            url: &wanted.url,
            enabled_events: &wanted.events,
            api_version: &wanted.api_version,
            connect: wanted.connect,
            description: "ringup",
            metadata: [(OF, if wanted.connect { "connect" } else { "own" })].into(),
        };
        let answer = self.post(all(WRITE), &new).await?;
        let secret = answer["secret"].as_str().map(Secret::new);
        let secret = secret.ok_or_else(|| Error::Unreadable("the new endpoint has no secret".to_owned()))?;
        Ok(Registered::Created(read(answer)?, secret))
    }

    async fn adjust(&self, known: &Endpoint, wanted: &Wanted) -> Result<Endpoint, Error> {
        if known.api_version.as_deref() != Some(&wanted.api_version[..]) {
            let anew = format!("delete it with `ringup endpoint delete {}` and create it anew", known.id);
            let advice = match &known.api_version {
                Some(has) => format!("has API version {has}: keep that with --api-version {has}, or {anew}"),
                None => format!("has no API version of its own: {anew}"),
            };
            let message = format!("{} is for this URL and {advice}; an endpoint's version never changes", known.id);
            return Err(Error::Refused { status: 409, message });
        }
        let mut change = Change::default();
        if !same(&known.enabled_events, &wanted.events) {
            change.enabled_events = Some(wanted.events.clone());
        }
        if known.status == "disabled" {
            change.disabled = Some(false);
        }
        self.change(&known.id, &change).await
    }

    /// Changes an endpoint.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn change(&self, id: &str, change: &Change) -> Result<Endpoint, Error> {
        read(self.post(one(id)?, change).await?)
    }

    /// Deletes an endpoint: Stripe posts there no more.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn delete_endpoint(&self, id: &str) -> Result<(), Error> {
        self.delete(one(id)?).await.map(drop)
    }
}

/// The list: to look at, or to add to.
fn all(needs: &'static str) -> Ask<'static> {
    Ask { path: "/webhook_endpoints".to_owned(), needs, account: None }
}

/// One endpoint, to be changed. An empty id would name the list.
fn one(id: &str) -> Result<Ask<'static>, Error> {
    if !is_id(id) || !id.starts_with("we_") {
        return Err(Error::NotFound(format!("{id:?} is no id of an endpoint (we_…)")));
    }
    Ok(Ask { path: format!("/webhook_endpoints/{id}"), needs: WRITE, account: None })
}

fn read<T: for<'a> Deserialize<'a>>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|error| Error::Unreadable(error.to_string()))
}

fn same(one: &[String], other: &[String]) -> bool {
    let sorted = |events: &[String]| events.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    sorted(one) == sorted(other)
}
