//! What was bought, where the shop did not say so and somebody can be asked: it adorns a confirmation, no more.

use super::Pool;
use super::deliver::session_of;
use super::store::Claimed;
use crate::notices::{Kind, LineView, OrderView};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Who can say what was bought.
pub trait LineItems: Send + Sync {
    /// The lines of a checkout session, in the order's currency; none where that cannot be told soon. `account` is empty
    /// for our own.
    fn of_session<'a>(&'a self, session: &'a str, order: &'a OrderView) -> BoxFuture<'a, Option<Vec<LineView>>>;
}

/// The order with its lines, where the mail shows them and they can be told.
pub(super) async fn with_lines(
    asked: Option<&Arc<dyn LineItems>>,
    pool: &Pool,
    message: &Claimed,
    kind: &Kind,
    order: Option<OrderView>,
) -> Option<OrderView> {
    let mut order = order?;
    if let Some(asked) = asked.filter(|_| *kind == Kind::OrderPaid && order.line_items.is_none()) {
        match session_of(pool, message.id).await {
            Ok(Some(session)) => order.line_items = asked.of_session(&session, &order).await,
            Ok(None) => {}
            Err(error) => {
                log::warn!(error = format!("{error:#}"); "cannot look an order's session up; its mail goes without lines");
            }
        }
    }
    Some(order)
}
