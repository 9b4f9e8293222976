//! The outbox: messages that are owed, delivered at least once under a stable id.
//!
//! What becomes worth telling is handed over as a notice in the transaction that wrote its order ([`enqueue`]): there
//! it becomes one message for each destination that hears of it, so that a message is owed exactly if the order says
//! so. Delivery is another matter and another time: [`run`] and [`run_once`] claim what is due, render it from the
//! order as it is *then*, send it, and settle.
//!
//! ```text
//! notice ─► destinations ─► message:   queued ── claim: lease, attempts + 1 ──► (sending) ── accepted ──► sent
//!                                        ▲                                        │  │ refused for good, or failed
//!                                        │ failed for now: next_at by backoff     │  │ for the last time
//!                                        └────────────────────────────────────────┘  └──► dead ◄── superseded, discarded
//!                                          and by itself, when a lease runs out; untried, when its turn does not come
//! ```
//!
//! Invariants
//! - One message a notice and destination, for ever; its id never changes and is the mail's Message-ID and the webhook's
//!   `webhook-id`.
//! - A settle is guarded by the lease, so that a worker that comes late changes nothing.
//! - Leases and due times are the database's clock; ours is never compared with it.
//! - No connection is held while something is sent, and nothing is sent inside a transaction.
//! - A destination takes only its own room: one that is slow or dead delays nobody else. Mails are claimed ahead, as many
//!   as the server takes in about a second; those whose turn does not come go back untried.
//! - A message that is `held` (its order is in review) is not claimed. What the shop itself is told is never held.
//! - Every attempt that ended is a row in `attempts`, with the other side's answer.
//!
//! What it does not do: it doesn't decide what is owed (`orders` does), and it never writes an order. It reads
//! the tables `orders` and `payloads`, no more. A duplicate is possible only where the process dies between the other
//! side's acceptance and our mark; it carries the same id.

mod backoff;
mod client;
mod dates;
mod deliver;
pub mod destinations;
mod email;
pub mod history;
mod letter;
mod lines;
mod names;
mod queue;
mod sends;
mod slack;
mod store;
pub mod target;
pub mod templates;
mod webhook;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::config::mail::Mail;
use crate::config::{Secret, Targets};
use crate::db::DbPool as Pool;
use crate::metrics::Metrics;
use crate::notices::{Kind, OrderDetails};

pub use deliver::{run, run_once};
pub use destinations::{Listening, listening};
pub use lines::LineItems;
pub use queue::{
    Listeners, MAIL, Messages, NewNotice, Renamed, adopt, end_wait, ended, enqueue, hold, keep_one, rehome, release,
    rename, withdraw, withdraw_all_but, withdraw_mails,
};
pub use templates::{Audience, Templates, audience};

use client::Client;
use deliver::Outcome;
use email::Mailer;
use letter::Shop;
use store::Claimed;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A mail.
    Email,
    /// A message to Slack.
    Slack,
    /// A signed webhook.
    Webhook,
}

impl MessageKind {
    /// The stable name, as the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
        }
    }
}

/// Reads what an order's columns don't hold from its stored facts, which mean nothing here.
pub type ReadDetails = Arc<dyn Fn(&str) -> Result<OrderDetails, String> + Send + Sync>;

/// All that delivery needs. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pool: Pool,
    post: Arc<Post>,
    metrics: Metrics,
    /// How many mails are sent at the same time, each over a connection of its own.
    batch: i32,
    /// How many messages are on their way in all.
    total: usize,
    /// How long a claim keeps other workers away.
    lease: Duration,
    /// How long a stop waits for deliveries under way.
    drain: Duration,
}

impl Outbox {
    /// How many mails are sent at the same time. Mail servers take many mails over few connections gladly, and many
    /// connections of one client not at all.
    const MAILS: i32 = 8;
    /// How many mails more are claimed at most, so that no connection waits for the database between two mails.
    const AHEAD: i32 = 120;
    /// A mail for which no connection is free for so long goes back untried: its lease is to last for its delivery.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// How many messages are sent at the same time to one other destination.
    const PER_DESTINATION: i32 = 4;
    /// How many messages are on their way in all.
    const TOTAL: usize = 256;
    /// How long a stop waits for deliveries under way.
    const DRAIN: Duration = Duration::from_secs(10);
    /// What a lease has beyond the deadline of a delivery: time to claim, render and settle.
    const LEASE_MARGIN: Duration = Duration::from_secs(60);

    /// Checks the settings and renders every template once.
    pub fn new(pool: Pool, mail: &Mail, targets: &Targets, details: ReadDetails) -> anyhow::Result<Self> {
        Ok(Self {
            pool,
            post: Arc::new(Post::new(mail, targets, details)?),
            metrics: Metrics::default(),
            batch: Self::MAILS,
            total: Self::TOTAL,
            lease: mail.deadline + Self::LEASE_MARGIN,
            drain: Self::DRAIN,
        })
    }

    /// Another number of mails at the same time.
    #[must_use]
    pub fn with_batch(self, batch: i32) -> Self {
        Self { batch, ..self }
    }

    /// Another patience at a stop.
    #[must_use]
    pub fn with_drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// Counts there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Asks there what was bought, where the shop did not say.
    pub fn ask_for_line_items(&self, asked: Arc<dyn LineItems>) {
        self.post.lines.get_or_init(|| asked);
    }

    /// Tells the database which destinations the configuration gives. To be called once at the start.
    pub fn announce(&self) -> anyhow::Result<()> {
        let mut conn = self.pool.get().context("no database connection")?;
        destinations::announce_slack(&mut conn, self.post.slack.is_some()).context("registering SLACK_WEBHOOK_URL")?;
        Ok(())
    }
}

/// What turns a claimed message into a delivered one.
struct Post {
    templates: Templates,
    shop: Shop,
    mailer: Mailer,
    client: Client,
    /// `SLACK_WEBHOOK_URL`
    slack: Option<Secret>,
    /// `ADMIN_URL`
    admin: Option<String>,
    /// Who says what was bought.
    lines: OnceLock<Arc<dyn LineItems>>,
    details: ReadDetails,
}

impl Post {
    fn new(mail: &Mail, targets: &Targets, details: ReadDetails) -> anyhow::Result<Self> {
        let templates = Templates::load(mail.templates_dir.as_deref())?;
        let mailer = Mailer::new(mail)?;
        let shop = Shop::of(mail, mailer.shop_address(), &templates)?;
        let client = Client::new(targets.allow_private, mail.deadline, Arc::new(target::SystemLookup))?;
        let (slack, admin) = (targets.slack.clone(), targets.admin_url.clone());
        Ok(Self { templates, shop, mailer, client, slack, admin, lines: OnceLock::new(), details })
    }

    /// Renders the message and hands it over.
    ///
    /// # Errors
    /// Where it can't be rendered: nobody was asked anything.
    async fn send(&self, pool: &Pool, message: &Claimed) -> anyhow::Result<Outcome> {
        let kind = Kind::try_from(message.notice.clone())?;
        let order = message.order(&self.details).context("the order can't be read")?;
        if message.kind != MessageKind::Webhook.name() && is_over(&kind, order.as_ref().map(|order| &order.status[..]))
        {
            return Ok(Outcome::Over("superseded: the order has moved on".to_owned()));
        }
        match &message.kind[..] {
            "email" => {
                let order = lines::with_lines(self.lines.get(), pool, message, &kind, order).await;
                let letter = letter::compose(
                    &self.templates,
                    &self.shop,
                    &kind,
                    &message.about,
                    order.as_ref(),
                    message.created_at,
                )?;
                Ok(self.mailer.send(message.id, &letter).await)
            }
            "slack" => {
                let admin = self.admin.as_deref();
                let body = slack::message(&kind, &message.about, order.as_ref(), message.created_at, admin)?;
                self.send_to_slack(message, body.to_string()).await
            }
            _ => {
                let url = message.url.as_deref().context("the subscription has no url")?;
                let (headers, body) = self.webhook(pool, &kind, message, order.as_ref()).await?;
                Ok(webhook::outcome(self.client.post(url, headers, body).await))
            }
        }
    }

    async fn send_to_slack(&self, message: &Claimed, body: String) -> anyhow::Result<Outcome> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let answer = if let Some(url) = &message.url {
            self.client.post(url, headers, body.into_bytes()).await
        } else {
            let own = self.slack.as_ref().context("SLACK_WEBHOOK_URL is not set in this process")?;
            self.client.post_to_own(own.expose(), headers, body.into_bytes()).await
        };
        Ok(slack::outcome(answer))
    }

    /// The headers and the body of a webhook: GitHub's own where those are to be relayed.
    async fn webhook(
        &self,
        pool: &Pool,
        kind: &Kind,
        message: &Claimed,
        order: Option<&crate::notices::OrderView>,
    ) -> anyhow::Result<(HeaderMap, Vec<u8>)> {
        if let (true, Kind::GitHub(_), Some(event)) = (message.relay, kind, message.event) {
            let body = deliver::received(pool, event).await?.context("the event's bytes are gone")?;
            return Ok((webhook::relayed(&serde_json::from_str(&message.about)?)?, body));
        }
        let about = serde_json::from_str(&message.about)?;
        let body = webhook::body(&message.notice, message.created_at, about, order);
        let secrets: Vec<&str> =
            [&message.secret, &message.previous_secret].into_iter().flatten().map(|s| &s[..]).collect();
        anyhow::ensure!(!secrets.is_empty(), "the subscription has no secret");
        Ok((webhook::headers(message.id, Utc::now(), &body, &secrets)?, body.into_bytes()))
    }
}

/// What is told of a moment isn't worth a person's time once the order has moved on. Programs get it all the same.
fn is_over(kind: &Kind, status: Option<&str>) -> bool {
    let settled = ["paid", "partially_paid", "refunded", "partially_refunded", "disputed", "lost"];
    let ended = ["failed", "canceled", "expired"];
    match (kind, status) {
        (Kind::OrderReview, Some(status)) => status != "review",
        (Kind::OrderAwaitingFunds, Some(status)) => settled.contains(&status) || ended.contains(&status),
        (Kind::OrderPaymentFailed, Some(status)) => settled.contains(&status) || status == "awaiting_funds",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_moment_ends_with_it() {
        assert!(is_over(&Kind::OrderReview, Some("paid")) && !is_over(&Kind::OrderReview, Some("review")));
        assert!(
            is_over(&Kind::OrderAwaitingFunds, Some("paid")) && is_over(&Kind::OrderPaymentFailed, Some("refunded"))
        );
        assert!(!is_over(&Kind::OrderAwaitingFunds, Some("awaiting_funds")));
        assert!(is_over(&Kind::OrderAwaitingFunds, Some("failed")));
        assert!(is_over(&Kind::OrderPaymentFailed, Some("awaiting_funds")));
        assert!(!is_over(&Kind::OrderPaymentFailed, Some("failed")));
        assert!(!is_over(&Kind::OrderPaymentFailed, Some("canceled")), "nothing else would tell the customer");
        assert!(!is_over(&Kind::OrderPaid, Some("refunded")) && !is_over(&Kind::OrderReview, None));
    }
}
