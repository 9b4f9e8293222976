//! Registering an endpoint: once, however often and by how many at once it is asked for.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use super::endpoints::{Change, Endpoint, OF, WRITE, all, one};
use super::{API_VERSION, Error, StripeApi};
use crate::config::Secret;

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

    fn is_met_by(&self, endpoint: &Endpoint) -> bool {
        endpoint.is_at(&self.url) && endpoint.is_connect() == self.connect
    }

    /// The same for whoever wants the same: Stripe then makes one endpoint of two requests. It tells live and test apart
    /// by itself, and refuses a key that comes with another request, so all that is asked for goes into it.
    fn key(&self) -> String {
        let kind = if self.connect { "connect" } else { "own" };
        let parts =
            [&self.url[..], kind, &self.api_version].into_iter().chain(self.events.iter().map(|kind| &kind[..]));
        let hash = parts.fold(Sha256::new(), |hash, part| hash.chain_update(part).chain_update([0]));
        format!("ringup-endpoint-{}", hex::encode(&hash.finalize()[..16]))
    }
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

#[derive(Deserialize)]
struct Made {
    #[serde(flatten)]
    endpoint: Endpoint,
    secret: Option<String>,
}

impl StripeApi {
    /// Registers an endpoint; where there is one for that URL, it is changed to what is wanted.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Declined`] where the one that is there has another API version, which Stripe never changes.
    pub async fn register(&self, wanted: &Wanted) -> Result<Registered, Error> {
        let known = self.endpoints(WRITE).await?;
        if let Some(known) = known.iter().find(|endpoint| wanted.is_met_by(endpoint)) {
            return self.adjust(known, wanted).await.map(Registered::Updated);
        }
        let mut made = self.create(wanted, &wanted.key()).await?;
        // For a day Stripe repeats what it answered to a key, also where that endpoint has been deleted since.
        if let Err(Error::NotFound(_)) = self.endpoint(&made.endpoint.id).await {
            made = self.create(wanted, &uuid::Uuid::now_v7().to_string()).await?;
        }
        self.settle_twins(made, wanted).await
    }

    async fn create(&self, wanted: &Wanted, key: &str) -> Result<Made, Error> {
        let new = New {
            url: &wanted.url,
            enabled_events: &wanted.events,
            api_version: &wanted.api_version,
            connect: wanted.connect,
            description: "ringup",
            metadata: [(OF, if wanted.connect { "connect" } else { "own" })].into(),
        };
        self.post_once(all(WRITE), &new, key).await
    }

    /// Somebody who wanted other events may have registered the same URL meanwhile. The older one stays; each run removes
    /// only what it has made itself.
    async fn settle_twins(&self, made: Made, wanted: &Wanted) -> Result<Registered, Error> {
        let mut here = self.endpoints(WRITE).await?;
        here.retain(|endpoint| wanted.is_met_by(endpoint));
        here.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        if let Some(older) = here.first().filter(|first| first.id != made.endpoint.id) {
            log::warn!("{} was registered for the same URL at the same time; it stays, and is changed", older.id);
            self.delete_endpoint(&made.endpoint.id).await?;
            return self.adjust(older, wanted).await.map(Registered::Updated);
        }
        if here.len() > 1 {
            log::warn!(
                "another endpoint was registered for the same URL at the same time: `ringup endpoint doctor` tells whether it stays"
            );
        }
        let secret = made.secret.and_then(Secret::new);
        let secret = secret.ok_or_else(|| Error::Unreadable("the new endpoint has no secret".to_owned()))?;
        Ok(Registered::Created(made.endpoint, secret))
    }

    async fn adjust(&self, known: &Endpoint, wanted: &Wanted) -> Result<Endpoint, Error> {
        if known.api_version.as_deref() != Some(&wanted.api_version[..]) {
            let anew = format!("delete it with `ringup endpoint delete {}` and create it anew", known.id);
            let advice = match &known.api_version {
                Some(has) => format!("has API version {has}: keep that with --api-version {has}, or {anew}"),
                None => format!("has no API version of its own: {anew}"),
            };
            let why = format!("{} is for this URL and {advice}; an endpoint's version never changes", known.id);
            return Err(Error::Declined(why));
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

    /// One endpoint as it is now.
    async fn endpoint(&self, id: &str) -> Result<Endpoint, Error> {
        self.get(one(id)?, &()).await
    }
}

fn same(one: &[String], other: &[String]) -> bool {
    let sorted = |events: &[String]| events.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    sorted(one) == sorted(other)
}
