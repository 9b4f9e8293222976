//! The lines of a checkout session, for its confirmation: asked for within a deadline, and not at all for a while after
//! Stripe could not say. One session that Stripe does not know says nothing of the others.

use super::asked;
use crate::notices::{LineView, OrderView};
use crate::outbox::LineItems;
use crate::stripe_api::objects::Line;
use crate::stripe_api::{Error, StripeApi};
use futures_util::future::BoxFuture;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// The mail goes without lines after this, its turn to ask included.
const DEADLINE: Duration = Duration::from_secs(3);
/// After a failure nobody is asked for so long: a crowd of mails would wait for each deadline.
const REST: Duration = Duration::from_secs(60);
/// Asked side by side, far below what Stripe allows.
const AT_ONCE: usize = 4;

/// Asks Stripe what was bought.
pub struct Lines {
    api: StripeApi,
    livemode: bool,
    room: Semaphore,
    failed_at: Mutex<Option<Instant>>,
}

impl Lines {
    /// With the key of `api`, which reaches the orders of that mode alone.
    pub fn new(api: StripeApi, livemode: bool) -> Self {
        Self { api, livemode, room: Semaphore::new(AT_ONCE), failed_at: Mutex::default() }
    }

    fn rests(&self) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| at.elapsed() < REST)
    }

    async fn ask(&self, session: &str, order: &OrderView) -> Option<Vec<LineView>> {
        let deadline = Instant::now() + DEADLINE;
        // Having to wait for the others is no failure.
        let _room = timeout_at(deadline, self.room.acquire()).await.ok()?.ok()?;
        if self.rests() {
            return None;
        }
        let why = match timeout_at(deadline, self.api.line_items(session, asked(&order.account))).await {
            Ok(Ok(lines)) => return shown(lines?, order),
            Ok(Err(error @ Error::NotFound(_))) => {
                log::warn!(session = session, why:% = error; "what was bought cannot be asked of Stripe; its confirmation goes without it");
                return None;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", DEADLINE.as_secs()),
        };
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        log::warn!(session = session, why = why; "what was bought cannot be asked of Stripe; confirmations go without it for a minute");
        None
    }
}

/// All of them in the order's currency, or none: a part of what was bought would mislead.
fn shown(lines: Vec<Line>, order: &OrderView) -> Option<Vec<LineView>> {
    let same = |line: &Line| line.currency.is_none() || line.currency == order.currency;
    lines.iter().all(same).then(|| {
        let view = |line: Line| LineView {
            description: line.description.unwrap_or_default(),
            quantity: line.quantity.unwrap_or(1),
            amount: line.amount_total,
        };
        lines.into_iter().map(view).collect()
    })
}

impl LineItems for Lines {
    fn of_session<'a>(&'a self, session: &'a str, order: &'a OrderView) -> BoxFuture<'a, Option<Vec<LineView>>> {
        Box::pin(async move {
            if order.livemode != self.livemode || self.rests() {
                return None;
            }
            self.ask(session, order).await.filter(|lines| !lines.is_empty())
        })
    }
}
