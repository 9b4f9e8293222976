//! The endpoints that Stripe posts to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::Url;

use super::client::Ask;
use super::{Error, StripeApi};
use crate::source::fields::is_id;

/// What a restricted key needs to look at endpoints.
pub const READ: &str = "Webhook Endpoints: Read";
/// What a restricted key needs to make and change endpoints; it may look at them, too.
pub const WRITE: &str = "Webhook Endpoints: Write";
/// In an endpoint's metadata: whose events it is for, `own` or `connect`; Stripe does not say it otherwise.
pub(super) const OF: &str = "ringup";
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
    /// When it was made, in unix seconds.
    #[serde(default)]
    pub created: i64,
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

#[derive(Serialize)]
struct Page {
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<String>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Endpoint>,
    #[serde(default)]
    has_more: bool,
}

impl StripeApi {
    /// All endpoints; `needs` is what the caller needs of a restricted key, this look included.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn endpoints(&self, needs: &'static str) -> Result<Vec<Endpoint>, Error> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        loop {
            let page = Page { limit: PAGE, starting_after: endpoints.last().map(|last| last.id.clone()) };
            let list: List = self.get(all(needs), &page).await?;
            let more = list.has_more && !list.data.is_empty();
            endpoints.extend(list.data);
            if !more {
                return Ok(endpoints);
            }
        }
    }

    /// Changes an endpoint.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn change(&self, id: &str, change: &Change) -> Result<Endpoint, Error> {
        self.post(one(id)?, change).await
    }

    /// Deletes an endpoint: Stripe posts there no more.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn delete_endpoint(&self, id: &str) -> Result<(), Error> {
        self.delete(one(id)?).await
    }
}

/// The list: to look at, or to add to.
pub(super) fn all(needs: &'static str) -> Ask<'static> {
    Ask { path: "/webhook_endpoints".to_owned(), needs, account: None }
}

/// One endpoint, to be changed. An empty id would name the list.
pub(super) fn one(id: &str) -> Result<Ask<'static>, Error> {
    if !is_id(id) || !id.starts_with("we_") {
        return Err(Error::Declined(format!(
            "{id:?} is no id of an endpoint (we_…); `ringup endpoint list` shows them"
        )));
    }
    Ok(Ask { path: format!("/webhook_endpoints/{id}"), needs: WRITE, account: None })
}
