//! The outbox: messages that are owed, delivered at least once under a stable id.
//!
//! A message is queued in the transaction that wrote its order ([`enqueue`]), so that it is owed exactly if the
//! order says so. Delivery is another matter and another time: [`run_once`] claims what is due, renders it from the
//! order as it is *then*, sends it, and settles.
//!
//! ```text
//!             claim: lease, attempts + 1         accepted
//!   queued ────────────────────────────► (sending) ────► sent
//!     ▲                                     │  │ refused for good, or failed for the last time
//!     │ failed for now: next_at by backoff  │  └────────► dead ◄──── superseded while queued
//!     └─────────────────────────────────────┘
//!       and by itself, when a lease runs out
//! ```
//!
//! Invariants
//! - One message a `dedupe_key`, for ever; its id never changes and is the mail's Message-ID.
//! - `sent` and `dead` are final here: a settle is guarded by the lease, so that a worker that comes late changes nothing.
//! - Leases and due times are the database's clock; ours is never compared with it.
//! - No connection is held while something is sent, and nothing is sent inside a transaction.
//! - A message that is `held` (its order is in review) is not claimed. What the shop itself is told is never held.
//! - Every attempt that ended is a row in `attempts`, with the other side's answer.
//!
//! What it does not do: it doesn't decide what is owed (`orders` does), and it never writes an order. It reads
//! the table `orders`, no more. A duplicate is possible only where the process dies between the other side's
//! acceptance and our mark; it carries the same Message-ID.

mod backoff;
mod deliver;
mod email;
pub mod history;
mod letter;
mod store;
pub mod templates;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use uuid::Uuid;

use crate::config::mail::Mail;
use crate::db::DbPool as Pool;
use crate::notices;

pub use deliver::run_once;
pub use store::{adopt, end_wait, enqueue, hold, keep_one, rehome, release, supersede};
pub use templates::{Audience, Templates, audience};

use email::Mailer;
use letter::Shop;

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

/// A message to queue.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Which way it goes.
    pub kind: MessageKind,
    /// What it tells.
    pub notice: notices::Kind,
    /// One message a key, for ever.
    pub dedupe_key: String,
    /// Other names of the same message: if one was ever queued under any of them, this one is not.
    pub also: Vec<String>,
    /// The order that it is rendered from.
    pub order_id: Option<Uuid>,
    /// The notice's own data.
    pub about: notices::About,
    /// Not before so many seconds from now.
    pub delay_seconds: i32,
    /// The delay is a grace period, which [`end_wait`] ends.
    pub waiting: bool,
    /// Its order is in review.
    pub held: bool,
}

/// All that delivery needs. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pool: Pool,
    post: Arc<Post>,
    /// How many messages one claim takes at most; they are sent at the same time.
    batch: i32,
    /// How long a claim keeps other workers away.
    lease: Duration,
}

/// What turns a claimed message into a delivered one.
struct Post {
    templates: Templates,
    shop: Shop,
    mailer: Mailer,
}

impl Outbox {
    /// How many messages are sent at the same time.
    const BATCH: i32 = 8;
    /// What a lease has beyond the deadline of a delivery: time to claim, render and settle.
    const LEASE_MARGIN: Duration = Duration::from_secs(60);

    /// Checks the settings and renders every template once.
    pub fn new(pool: Pool, mail: &Mail) -> anyhow::Result<Self> {
        let templates = Templates::load(mail.templates_dir.as_deref())?;
        let mailer = Mailer::new(mail).context("MAIL_FROM is no usable address")?;
        let email = mailer.shop_address(mail.shop_email.as_deref());
        let shop = Shop { name: mail.shop_name.clone(), url: mail.shop_url.clone(), email };
        Ok(Self {
            pool,
            post: Arc::new(Post { templates, shop, mailer }),
            batch: Self::BATCH,
            lease: mail.deadline + Self::LEASE_MARGIN,
        })
    }

    /// Another size of a claim.
    #[must_use]
    pub fn with_batch(self, batch: i32) -> Self {
        Self { batch, ..self }
    }
}
