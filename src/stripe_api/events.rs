//! Stripe's list of events: what it sent, or meant to send, in the last 30 days.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::{self, Ask};
use super::{Error, StripeApi};
use crate::source::stripe;

/// Stripe lists events no longer than this, in seconds.
pub const KEPT: i64 = 30 * 86_400;

/// What a restricted key needs.
const NEEDS: &str = "Events: Read";
/// The most that Stripe gives at once.
const PAGE: u32 = 100;

/// Which events are wanted.
#[derive(Clone, Debug)]
pub struct Window<'a> {
    /// Of this connected account; none is our own.
    pub account: Option<&'a str>,
    /// Created at or after, in unix seconds.
    pub from: i64,
    /// Created before, in unix seconds.
    pub until: i64,
    /// Only those that at least one endpoint did not take.
    pub only_failed: bool,
}

/// An event as Stripe lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `evt_…`
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// The object that it is about.
    pub object: Option<String>,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Its bytes, as Stripe wrote them.
    pub body: Vec<u8>,
}

/// A page of events, the newest first.
#[derive(Debug)]
pub struct Page {
    /// At most 100.
    pub events: Vec<Listed>,
    /// There are older ones.
    pub more: bool,
}

#[derive(Serialize)]
struct Query<'a> {
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Created>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_success: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

#[derive(Serialize)]
struct Created {
    gte: i64,
    lt: i64,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default)]
    has_more: bool,
}

impl StripeApi {
    /// One page of the events of `window`: those older than `after`, which the page before ended with.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn events(&self, window: &Window<'_>, after: Option<&str>) -> Result<Page, Error> {
        let query = Query {
            limit: PAGE,
            created: Some(Created { gte: window.from, lt: window.until }),
            delivery_success: window.only_failed.then_some(false),
            starting_after: after,
        };
        self.page(window.account, &query).await
    }

    /// When the newest of all events happened, in Stripe's unix seconds: so late it is at Stripe at least. None where there
    /// are no events.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn newest_event(&self, account: Option<&str>) -> Result<Option<i64>, Error> {
        let query = Query { limit: 1, created: None, delivery_success: None, starting_after: None };
        let page = self.page(account, &query).await?;
        let dated =
            |event: &Listed| event.created.ok_or_else(|| Error::Unreadable("an event without a date".to_owned()));
        page.events.first().map(dated).transpose()
    }

    async fn page(&self, account: Option<&str>, query: &Query<'_>) -> Result<Page, Error> {
        let ask = Ask { path: "/events".to_owned(), needs: NEEDS, account };
        let bytes = self.get_bytes(ask, query).await?;
        let list: List<'_> = client::read(&bytes)?;
        let events = list.data.into_iter().map(listed).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { more: list.has_more && !events.is_empty(), events })
    }
}

fn listed(raw: &RawValue) -> Result<Listed, Error> {
    let body = raw.get().as_bytes();
    let event = stripe::parse(body).map_err(|error| Error::Unreadable(format!("an event: {error}")))?;
    let (id, kind) = (event.id.clone().into_owned(), event.kind.clone().into_owned());
    let object = event.object_id().map(Cow::into_owned);
    Ok(Listed { id, kind, object, created: event.created, body: body.to_vec() })
}
