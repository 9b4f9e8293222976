//! Where messages go, and who hears of what: subscriptions, and the two destinations that the configuration gives.
//!
//! ```text
//!           pause            5 days of failures, 410, a setting that Slack refuses
//!   paused ◄──────► active ────────────────────────────────────────────────► disabled
//!           resume    ▲  what was queued stays queued; nothing more is queued   │
//!                     └─────────────────────── resume ──────────────────────────┘
//! ```
//!
//! A paused destination goes on collecting messages. A deleted one's messages are given up.

mod mail;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::target::{self, TargetError};
use super::webhook::new_secret;
use super::{MAIL, MessageKind};
use crate::notices::Kind;

pub(super) use mail::{MailNews, MailTrouble, Turn, settle_mail};
pub use store::{Listening, Subscription, find, list, listening};
pub(super) use store::{Troubles, announce_slack, listeners, same, settle};

/// The destination that `SLACK_WEBHOOK_URL` is.
pub const SLACK: &str = "slack";
/// How long a secret goes on signing after it was replaced, in hours.
const ROTATION_HOURS: i64 = 24;
const MAIL_IS_CONFIGURED: Refused = Refused::Configured("see SMTP_URL and MAIL_FROM");
/// Most patterns of a subscription.
const MOST_EVENTS: usize = 64;

/// A destination, as far as it decides what it hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub id: String,
    pub kind: MessageKind,
    pub events: Vec<String>,
    pub repository: Option<String>,
    pub git_ref: Option<String>,
}

impl Listener {
    /// Whether a notice of this name, about this repository and ref if any, goes there.
    pub fn hears(&self, notice: &str, repository: Option<&str>, git_ref: Option<&str>) -> bool {
        // Small and capital letters of a repository are the same to GitHub; those of a ref are not.
        let same_repository = |wanted: &str| repository.is_some_and(|is| is.eq_ignore_ascii_case(wanted));
        let fits = self.repository.as_deref().is_none_or(same_repository)
            && self.git_ref.as_deref().is_none_or(|wanted| git_ref == Some(wanted));
        self.events.iter().any(|pattern| matches(pattern, notice)) && (fits || !notice.starts_with("github."))
    }
}

/// `*` is all, `order.*` a family, anything else one name.
fn matches(pattern: &str, notice: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(family) => notice.starts_with(family),
        None => notice == pattern,
    }
}

/// Whether `pattern` can ever match: a name that there is, a family, or all.
fn is_pattern(pattern: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    match pattern.split('.').collect::<Vec<_>>()[..] {
        ["*"] | ["order" | "github" | "subscription" | "message" | "events" | "mail", "*"] => true,
        ["github", event] => word(event),
        ["github", event, action] => word(event) && (action == "*" || word(action)),
        ["order" | "subscription" | "message" | "events" | "mail", _] => Kind::try_from(pattern.to_owned()).is_ok(),
        _ => false,
    }
}

/// Why a subscription can't be made, changed or used. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The URL.
    #[error("the url is refused: {0}")]
    Url(#[from] TargetError),
    /// The patterns.
    #[error("events: {0:?} is no notice; use names such as order.paid, families such as order.* or github.*, or *")]
    Events(String),
    /// No or too many patterns.
    #[error("events lists 1 to {MOST_EVENTS} notices")]
    HowMany,
    /// A relay is GitHub's body, which Slack does not read.
    #[error("relay is for webhooks")]
    Relay,
    /// A repository or ref of another form.
    #[error("repository is owner/name, ref is such as refs/heads/main, each of at most 255 characters")]
    Filter,
    /// The configuration's own.
    #[error("this destination is set by the configuration: {0}")]
    Configured(&'static str),
    /// Nothing of that name.
    #[error("there is no subscription of this id")]
    NotFound,
    /// The database's own error.
    #[error("the database: {0}")]
    Database(#[from] diesel::result::Error),
}

/// What is asked of a new subscription.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Where messages go.
    pub url: String,
    /// What is told there.
    pub events: Vec<String>,
    /// Signed webhooks where it isn't said.
    #[serde(default)]
    pub kind: Way,
    /// Of GitHub's events only this repository's.
    #[serde(default)]
    pub repository: Option<String>,
    /// Of GitHub's events only this ref's.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<String>,
    /// GitHub's events as GitHub sent them.
    #[serde(default)]
    pub relay: bool,
}

/// How a subscriber is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Standard Webhooks.
    #[default]
    Webhook,
    /// A Slack incoming webhook.
    Slack,
}

impl Way {
    fn kind(self) -> MessageKind {
        match self {
            Self::Webhook => MessageKind::Webhook,
            Self::Slack => MessageKind::Slack,
        }
    }
}

/// What is to be changed; what is not said stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Another URL.
    #[serde(default)]
    pub url: Option<String>,
    /// Other notices.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// `active` resumes, `paused` pauses.
    #[serde(default)]
    pub state: Option<Wish>,
    /// Another repository; empty is any.
    #[serde(default)]
    pub repository: Option<String>,
    /// Another ref; empty is any.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<String>,
    /// GitHub's events as GitHub sent them.
    #[serde(default)]
    pub relay: Option<bool>,
}

/// What a person can make of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Messages go there.
    Active,
    /// Messages are queued and wait.
    Paused,
}

impl Wish {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// Registers a subscription. Its URL must have been looked up by [`check_target`] first.
pub fn create(conn: &mut PgConnection, wanted: &Wanted, allow_private: bool) -> Result<Subscription, Refused> {
    let url = target::parse(&wanted.url, allow_private)?;
    check_events(&wanted.events)?;
    check_filter(wanted.repository.as_deref(), wanted.git_ref.as_deref())?;
    if wanted.relay && wanted.kind == Way::Slack {
        return Err(Refused::Relay);
    }
    let id = format!("sub_{}", Uuid::now_v7().simple());
    let secret = (wanted.kind == Way::Webhook).then(new_secret);
    store::insert(conn, &id, wanted.kind.kind(), url.as_str(), wanted, secret.as_deref())?;
    find(conn, &id)?.ok_or(Refused::NotFound)
}

/// Whether a URL may be subscribed: what it says, and what its name means right now.
pub async fn check_target(url: &str, allow_private: bool) -> Result<(), TargetError> {
    let url = target::parse(url, allow_private)?;
    if !allow_private && target::resolves_to_private(&url, &target::SystemLookup).await {
        return Err(TargetError::Private);
    }
    Ok(())
}

/// Changes a subscription. A new URL must have been looked up by [`check_target`] first.
pub fn update(
    conn: &mut PgConnection,
    id: &str,
    change: &Change,
    allow_private: bool,
) -> Result<Subscription, Refused> {
    let known = find(conn, id)?.ok_or(Refused::NotFound)?;
    if id == MAIL {
        return Err(MAIL_IS_CONFIGURED);
    }
    let url = change.url.as_deref().map(|url| target::parse(url, allow_private)).transpose()?;
    if url.is_some() && id == SLACK {
        return Err(Refused::Configured("change SLACK_WEBHOOK_URL"));
    }
    if change.relay == Some(true) && known.kind == "slack" {
        return Err(Refused::Relay);
    }
    change.events.as_deref().map_or(Ok(()), check_events)?;
    check_filter(change.repository.as_deref(), change.git_ref.as_deref())?;
    store::update(conn, id, url.as_ref().map(url::Url::as_str), change)?;
    find(conn, id)?.ok_or(Refused::NotFound)
}

/// Removes a subscription; what is queued for it is given up.
pub fn delete(conn: &mut PgConnection, id: &str) -> Result<(), Refused> {
    match id {
        SLACK => return Err(Refused::Configured("remove SLACK_WEBHOOK_URL")),
        MAIL => return Err(MAIL_IS_CONFIGURED),
        _ => {}
    }
    if store::delete(conn, id)? { Ok(()) } else { Err(Refused::NotFound) }
}

/// Gives a subscription a new secret. The one before signs beside it for a day.
pub fn rotate(conn: &mut PgConnection, id: &str) -> Result<Subscription, Refused> {
    store::rotate(conn, id, &new_secret(), ROTATION_HOURS)?;
    find(conn, id)?.filter(|known| known.kind == "webhook").ok_or(Refused::NotFound)
}

/// Queues a test message for one destination alone; returns its id.
pub fn test(conn: &mut PgConnection, id: &str) -> Result<Uuid, Refused> {
    let known = find(conn, id)?.ok_or(Refused::NotFound)?;
    if id == MAIL {
        return Err(MAIL_IS_CONFIGURED);
    }
    Ok(store::queue_test(conn, &known)?)
}

fn check_events(events: &[String]) -> Result<(), Refused> {
    if events.is_empty() || events.len() > MOST_EVENTS {
        return Err(Refused::HowMany);
    }
    events.iter().find(|pattern| !is_pattern(pattern)).map_or(Ok(()), |odd| Err(Refused::Events(odd.clone())))
}

fn check_filter(repository: Option<&str>, git_ref: Option<&str>) -> Result<(), Refused> {
    let plain = |text: &str| text.len() <= 255 && text.chars().all(|c| c.is_ascii_graphic());
    let repository = repository.is_none_or(|name| name.is_empty() || (plain(name) && name.split('/').count() == 2));
    let git_ref = git_ref.is_none_or(|name| name.is_empty() || (plain(name) && name.starts_with("refs/")));
    if repository && git_ref { Ok(()) } else { Err(Refused::Filter) }
}

/// Whether a destination that has failed since then has failed for too long.
fn is_hopeless(failing_since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - failing_since >= TimeDelta::days(5)
}

/// What the built-in Slack destination hears: all but what another message there says already.
fn slack_events() -> Vec<String> {
    let quiet = [Kind::OrderIdentified, Kind::OrderRenewed];
    let loud = Kind::OF_ORDERS.into_iter().filter(|kind| !quiet.contains(kind));
    let families = ["events.*", "github.*", "mail.*", "message.*", "subscription.*"];
    loud.map(|kind| kind.name().into_owned()).chain(families.map(str::to_owned)).collect()
}

/// The same as it was before there was `mail.failing`: a list that nobody has changed since grows with ours.
fn slack_events_before() -> Vec<String> {
    slack_events().into_iter().filter(|pattern| pattern != "mail.*").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for pattern in [
            "*",
            "order.*",
            "order.paid",
            "github.*",
            "github.push",
            "github.workflow_run.*",
            "github.workflow_run.completed",
            "subscription.disabled",
            "events.missed",
            "events.*",
            "message.*",
            "mail.failing",
            "mail.*",
        ] {
            assert!(is_pattern(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "**",
            "order",
            "order.",
            "order.pay",
            "order.pa*",
            "github",
            "github.",
            "GitHub.push",
            "a.b",
            "github.a.b.c",
            "github.*.x",
        ] {
            assert!(!is_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_listener_hears_what_it_asked_for() {
        let listener = Listener {
            id: "sub_1".to_owned(),
            kind: MessageKind::Webhook,
            events: vec!["order.refunded".to_owned(), "github.push".to_owned(), "github.workflow_run.*".to_owned()],
            repository: Some("o/r".to_owned()),
            git_ref: Some("refs/heads/main".to_owned()),
        };
        let hears = |notice, repository, git_ref| listener.hears(notice, repository, git_ref);
        assert!(hears("order.refunded", None, None), "filters are for GitHub's events");
        assert!(!hears("order.paid", None, None));
        assert!(hears("github.push", Some("o/r"), Some("refs/heads/main")));
        assert!(!hears("github.push", Some("o/r"), Some("refs/heads/x")));
        assert!(!hears("github.push", Some("o/other"), Some("refs/heads/main")));
        assert!(hears("github.push", Some("O/R"), Some("refs/heads/main")));
        assert!(!hears("github.push", Some("o/r"), Some("refs/heads/Main")));
        assert!(!hears("github.push", None, None));
        assert!(hears("github.workflow_run.completed", Some("o/r"), Some("refs/heads/main")));
        assert!(!hears("github.workflow_running", Some("o/r"), Some("refs/heads/main")));
    }

    #[test]
    fn five_days_are_too_long() {
        let since = DateTime::UNIX_EPOCH;
        assert!(!is_hopeless(since, since + TimeDelta::days(5) - TimeDelta::seconds(1)));
        assert!(is_hopeless(since, since + TimeDelta::days(5)));
    }

    #[test]
    fn the_teams_channel_hears_each_thing_once() {
        let events = slack_events();
        assert!(events.iter().all(|pattern| is_pattern(pattern)));
        assert!(events.contains(&"order.paid".to_owned()) && !events.contains(&"order.renewed".to_owned()));
        assert!(!events.contains(&"order.identified".to_owned()));
    }
}
