//! From a notice to the messages that tell it: one to each destination that hears of it, each once.

mod rekey;
mod store;

use std::borrow::Cow;
use std::collections::HashSet;

use diesel::{PgConnection, QueryResult, RunQueryDsl};
use uuid::Uuid;

use super::MessageKind;
use super::destinations::{self, Listener, Listening};
use super::templates::{Audience, audience};
use crate::db::{Part, Values};
use crate::notices::{Kind, Only};

pub use rekey::{Renamed, rename, withdraw_all_but, withdraw_mails};
pub use store::{adopt, end_wait, ended, hold, keep_one, rehome, release, withdraw};

/// The destination of every mail.
pub const MAIL: &str = "mail";

/// A notice that became due.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a column of the message, or says whom it is for")]
pub struct NewNotice {
    /// What it tells.
    pub kind: Kind,
    /// Its name and the sender's object: each destination hears of it once.
    pub key: String,
    /// Other names of the same notice: where it was ever queued under any of them, it is not queued again.
    pub also: Vec<String>,
    /// It depends on how many alike were queued.
    pub only: Option<Only>,
    /// The notice's own data, as JSON.
    pub about: String,
    /// The order that it is rendered from.
    pub order_id: Option<Uuid>,
    /// The received event that it passes on, where it is about no order.
    pub event: Option<i64>,
    /// Of GitHub's notices: `owner/name`.
    pub repository: Option<String>,
    /// Of GitHub's notices: such as `refs/heads/main`.
    pub git_ref: Option<String>,
    /// Not before so many seconds from now.
    pub delay_seconds: i32,
    /// The delay is a grace period, which [`end_wait`] ends.
    pub waiting: bool,
    /// Its order is in review.
    pub in_review: bool,
    /// A mail is owed.
    pub by_mail: bool,
    /// Whoever subscribed is to be told.
    pub to_listeners: bool,
}

impl NewNotice {
    /// A notice to be told at once to whoever subscribed; `about` is its own data.
    pub fn new(kind: Kind, key: String, about: &impl serde::Serialize) -> Self {
        Self {
            kind,
            key,
            also: Vec::new(),
            only: None,
            about: serde_json::to_string(about).expect("plain data with names for keys"),
            order_id: None,
            event: None,
            repository: None,
            git_ref: None,
            delay_seconds: 0,
            waiting: false,
            in_review: false,
            by_mail: false,
            to_listeners: true,
        }
    }
}

/// A message to queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message<'a> {
    kind: MessageKind,
    destination: &'a str,
    dedupe_key: Cow<'a, str>,
    held: bool,
}

impl<'a> Message<'a> {
    fn mail(notice: &'a NewNotice) -> Self {
        let held = notice.in_review && is_held(MessageKind::Email, &notice.kind);
        Self { kind: MessageKind::Email, destination: MAIL, dedupe_key: Cow::Borrowed(&notice.key), held }
    }

    fn to(listener: &'a Listener, notice: &'a NewNotice) -> Self {
        let held = notice.in_review && is_held(listener.kind, &notice.kind);
        let dedupe_key = Cow::Owned(format!("{}@{}", notice.key, listener.id));
        Self { kind: listener.kind, destination: &listener.id, dedupe_key, held }
    }
}

/// Whether a message waits while its order is in review: what a customer gets, and what confirms a payment.
fn is_held(way: MessageKind, notice: &Kind) -> bool {
    CONFIRMATIONS.contains(notice) || (way == MessageKind::Email && audience(notice) == Some(Audience::Customer))
}

/// Nobody ships on these while a person has yet to look.
const CONFIRMATIONS: [Kind; 3] = [Kind::OrderPaid, Kind::OrderIdentified, Kind::OrderRenewed];

/// Queues what tells `notices`, each message once for ever. Returns how many are new.
pub fn enqueue(conn: &mut PgConnection, notices: &[NewNotice]) -> QueryResult<usize> {
    let listeners =
        if notices.iter().any(|notice| notice.to_listeners) { destinations::listeners(conn)? } else { Vec::new() };
    let messages = fan_out(notices, &listeners);
    queue_all(conn, messages)
}

/// Queues what never was. Messages that are counted go one by one: each counts those before it.
fn queue_all(conn: &mut PgConnection, messages: Vec<(&NewNotice, Message<'_>)>) -> QueryResult<usize> {
    let (mut counted, plain): (Vec<_>, Vec<_>) = messages.into_iter().partition(|(notice, _)| notice.only.is_some());
    // What takes news back counts the news of the same call, too.
    counted.sort_by_key(|(notice, _)| matches!(notice.only, Some(Only::MoreThan { .. })));
    let mut queued = if plain.is_empty() { 0 } else { store::queueing(&plain).unconditional().execute(conn)? };
    for (notice, message) in &counted {
        queued += store::queue_counted(conn, notice, message)?;
    }
    Ok(queued)
}

/// The messages that tell some notices.
pub struct Messages<'a>(Vec<(&'a NewNotice, Message<'a>)>);

/// Whoever may hear of a notice, as they were read.
#[derive(Default)]
pub struct Listeners {
    each: Vec<Listener>,
    read: String,
}

impl Listeners {
    /// # Errors
    /// Where the row cannot be read.
    pub fn of(listening: Listening) -> QueryResult<Self> {
        Ok(Self { each: listening.read()?, read: listening.listeners })
    }

    /// The condition that they are still the same; none where none of `notices` is for them.
    pub fn same(&self, notices: &[NewNotice]) -> Option<Part<impl Values + use<'_>>> {
        notices.iter().any(|notice| notice.to_listeners).then(|| destinations::same(&self.read))
    }
}

impl<'a> Messages<'a> {
    /// One for each destination that hears of one of `notices`.
    pub fn of(notices: &'a [NewNotice], listeners: &'a Listeners) -> Self {
        Self(fan_out(notices, &listeners.each))
    }

    /// Queues those that were never queued, in the caller's transaction.
    ///
    /// # Errors
    /// The database's.
    pub fn queue(self, conn: &mut PgConnection) -> QueryResult<usize> {
        queue_all(conn, self.0)
    }

    /// Queues those that were never queued, as part of a change.
    pub fn part(&'a self) -> Option<Part<impl Values + use<'a>>> {
        (!self.0.is_empty()).then(|| store::queueing(&self.0).called("queued"))
    }
}

/// Which destination hears of which notice.
fn fan_out<'a>(notices: &'a [NewNotice], listeners: &'a [Listener]) -> Vec<(&'a NewNotice, Message<'a>)> {
    let mut messages = Vec::new();
    for Told { notice, by_mail, to_listeners } in without_twins(notices) {
        if by_mail && audience(&notice.kind).is_some() {
            messages.push((notice, Message::mail(notice)));
        }
        let hears = |listener: &&Listener| {
            to_listeners && listener.hears(&notice.kind.name(), notice.repository.as_deref(), notice.git_ref.as_deref())
        };
        messages.extend(listeners.iter().filter(hears).map(|listener| (notice, Message::to(listener, notice))));
    }
    messages
}

/// A notice, and which ways it goes.
struct Told<'a> {
    notice: &'a NewNotice,
    by_mail: bool,
    to_listeners: bool,
}

/// The notices, each way without those that another of the same call already stands for, under any of their names.
fn without_twins(notices: &[NewNotice]) -> Vec<Told<'_>> {
    let (mut mailed, mut heard) = (HashSet::new(), HashSet::new());
    let mut told = Vec::with_capacity(notices.len());
    for notice in notices {
        let goes = |wanted: bool, taken: &HashSet<&str>| {
            let mut names = std::iter::once(&notice.key).chain(&notice.also);
            wanted && !names.any(|name| taken.contains(&name[..]))
        };
        let (by_mail, to_listeners) = (goes(notice.by_mail, &mailed), goes(notice.to_listeners, &heard));
        if by_mail {
            mailed.insert(&notice.key[..]);
        }
        if to_listeners {
            heard.insert(&notice.key[..]);
        }
        told.push(Told { notice, by_mail, to_listeners });
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: Kind, key: &str) -> NewNotice {
        NewNotice { by_mail: true, ..NewNotice::new(kind, key.to_owned(), &()) }
    }

    fn listener(id: &str, kind: MessageKind, events: &[&str]) -> Listener {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        Listener { id: id.to_owned(), kind, events, repository: None, git_ref: None }
    }

    fn keys(notices: &[NewNotice], listeners: &[Listener]) -> Vec<String> {
        fan_out(notices, listeners).into_iter().map(|(_, message)| message.dedupe_key.into_owned()).collect()
    }

    #[test]
    fn each_destination_that_hears_of_it_gets_a_message_of_its_own() {
        let listeners = [
            listener("slack", MessageKind::Slack, &["order.review"]),
            listener("sub_1", MessageKind::Webhook, &["order.*"]),
            listener("sub_2", MessageKind::Webhook, &["github.*"]),
        ];
        let paid = notice(Kind::OrderPaid, "order.paid:pi_1");
        assert_eq!(keys(std::slice::from_ref(&paid), &listeners), ["order.paid:pi_1", "order.paid:pi_1@sub_1"]);
        let unmailed = NewNotice { by_mail: false, ..paid.clone() };
        assert_eq!(keys(&[unmailed], &listeners), ["order.paid:pi_1@sub_1"]);
        let mailed = NewNotice { to_listeners: false, ..paid };
        assert_eq!(keys(&[mailed], &listeners), ["order.paid:pi_1"]);
        let identified = notice(Kind::OrderIdentified, "order.identified:pi_1");
        assert_eq!(keys(&[identified], &listeners), ["order.identified:pi_1@sub_1"], "nobody gets a mail about it");
    }

    #[test]
    fn a_notice_under_another_of_its_names_is_the_same_notice() {
        let first = notice(Kind::OrderPaid, "order.paid:pi_1");
        let again =
            NewNotice { also: vec!["order.paid:pi_1".to_owned()], ..notice(Kind::OrderPaid, "order.paid:cs_1") };
        assert_eq!(keys(&[first, again], &[]), ["order.paid:pi_1"]);
    }

    #[test]
    fn each_way_hears_of_a_notice_once_whatever_it_is_called() {
        let subscribed = [listener("sub_1", MessageKind::Webhook, &["*"])];
        let unmailed = NewNotice { by_mail: false, ..notice(Kind::OrderPaid, "order.paid:in_1") };
        let also = vec!["order.paid:in_1".to_owned()];
        let renamed = NewNotice { also, ..notice(Kind::OrderPaid, "order.paid:pi_1") };
        let told = ["order.paid:in_1@sub_1", "order.paid:pi_1"];
        assert_eq!(keys(&[unmailed.clone(), renamed.clone()], &subscribed), told);
        let mailed = NewNotice { to_listeners: false, ..notice(Kind::OrderPaid, "order.paid:in_1") };
        assert_eq!(keys(&[unmailed, mailed, renamed], &subscribed), ["order.paid:in_1@sub_1", "order.paid:in_1"]);
    }

    #[test]
    fn review_holds_confirmations_everywhere_and_the_customers_mails() {
        for (way, kind, held) in [
            (MessageKind::Email, Kind::OrderPaid, true),
            (MessageKind::Email, Kind::OrderRefunded, true),
            (MessageKind::Email, Kind::OrderReview, false),
            (MessageKind::Webhook, Kind::OrderPaid, true),
            (MessageKind::Webhook, Kind::OrderIdentified, true),
            (MessageKind::Slack, Kind::OrderRenewed, true),
            (MessageKind::Webhook, Kind::OrderRefunded, false),
            (MessageKind::Slack, Kind::OrderReview, false),
        ] {
            assert_eq!(is_held(way, &kind), held, "{way:?} {kind:?}");
        }
    }
}
