//! How an attempt stands apart from money that came in.

use crate::orders::facts::Component;
use crate::orders::facts::charge::{self, Charge};
use crate::orders::facts::invoice::{self, Invoice, Tried};
use crate::orders::facts::payment_intent::Status as Intent;
use crate::orders::facts::session::{self, Session};
use crate::orders::order::Status;

/// `authorized` or one below it: the first that holds.
pub fn state(component: &Component<'_>) -> Status {
    let intents: Vec<Intent> = component.payment_intents.iter().map(|(_, intent)| intent.now.is.status).collect();
    let intent = |status: Intent| intents.contains(&status);
    let charge = |test: fn(&Charge) -> bool| component.charges.iter().any(|(_, charge)| test(charge));
    let session = |test: fn(&Session) -> bool| component.sessions.iter().any(|(_, session)| test(session));
    let invoice = |test: fn(&Invoice) -> bool| component.invoices.iter().any(|(_, invoice)| test(invoice));
    // A payment intent knows more of its charges and its session than they do.
    let decided = intents.iter().any(|status| *status >= Intent::Canceled);
    let given_up =
        !intents.is_empty() && intents.iter().all(|status| matches!(status, Intent::Failed | Intent::Canceled));
    if intent(Intent::RequiresCapture) || (!decided && charge(Charge::authorized)) {
        return Status::Authorized;
    }
    let under_way = intents.is_empty() && charge(|charge| charge.now.is.status == charge::Status::Pending);
    // Money that waits for the customer's word on micro-deposits is not on its way.
    let to_verify = component.payment_intents.iter().any(|(_, intent)| intent.now.is.to_verify);
    if intent(Intent::Processing) || under_way || (!given_up && !to_verify && session(Session::awaits_funds)) {
        return Status::AwaitingFunds;
    }
    if intent(Intent::RequiresAction) || invoice(|invoice| invoice.stuck_at(Tried::ActionRequired)) {
        return Status::RequiresAction;
    }
    let declined = intents.is_empty() && charge(|charge| charge.now.is.status == charge::Status::Failed);
    let given_up_by_shop = invoice(|invoice| invoice.now.is.status == invoice::Status::Uncollectible);
    let tried_in_vain = invoice(|invoice| invoice.stuck_at(Tried::Failed));
    if intent(Intent::Failed)
        || (!decided && session(|session| session.async_failed))
        || declined
        || tried_in_vain
        || given_up_by_shop
    {
        return Status::Failed;
    }
    let void = invoice(|invoice| invoice.now.is.status == invoice::Status::Void);
    if intent(Intent::Canceled) || void || charge(|charge| charge.released) {
        return Status::Canceled;
    }
    if session(|session| session.now.is.status == session::Status::Expired) {
        return Status::Expired;
    }
    Status::Pending
}
