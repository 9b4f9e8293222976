//! What becomes of an event, before the database sees it: let in or not, and what it says of an order. Pure.
//!
//! Whatever brings events (the receiver, a worker, a replay) judges them by the same rules.

use crate::config::{Config, Mode};
use crate::inbox::{NewEvent, State};
use crate::orders::{self, Facts, Settings, Taken, UNDERSTOOD};
use crate::source::stripe::{self, Event, Payload, storable_id};
use crate::stripe_api::objects;
use chrono::{DateTime, Utc};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The reason of an event of the mode that is not ours.
pub const LIVEMODE_MISMATCH: &str = "livemode_mismatch";
/// The reason of an event of an account that is not ours.
pub const ACCOUNT_MISMATCH: &str = "account_mismatch";

/// Which events are ours to apply, and how.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How events become orders.
    pub settings: Settings,
    mode: Mode,
    /// Our own account's id: events that name it are our own.
    own_account: Option<String>,
    accounts: Option<BTreeSet<String>>,
    /// The mode whose objects can be fetched, where any can.
    fetches: Option<bool>,
}

impl From<Settings> for Rules {
    /// Both modes and all accounts are welcome.
    fn from(settings: Settings) -> Self {
        Self { settings, mode: Mode::Any, own_account: None, accounts: None, fetches: None }
    }
}

/// What became of an event.
#[derive(Debug)]
pub struct Verdict {
    /// Where it stands.
    pub state: State,
    /// Why, where it is ignored, quarantined or, after a panic, pending.
    pub reason: Option<String>,
    /// What it says of an order, where it is processed.
    pub facts: Option<Facts>,
    /// It is pending because it only names an object, which is to be fetched.
    pub to_fetch: bool,
}

impl Verdict {
    fn without_facts(state: State, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()), facts: None, to_fetch: false }
    }
}

impl From<Taken> for Verdict {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Facts(facts) => Self { state: State::Processed, reason: None, facts: Some(facts), to_fetch: false },
            Taken::Ignored(reason) => Self::without_facts(State::Ignored, reason),
            Taken::Quarantined(reason) => Self::without_facts(State::Quarantined, reason),
        }
    }
}

impl Rules {
    /// By the configuration.
    pub fn new(config: &Config) -> Self {
        let settings = Settings::new(&config.orders);
        let stripe = &config.stripe;
        let fetches = stripe.api.as_ref().map(|api| api.livemode);
        Self {
            settings,
            mode: stripe.mode,
            own_account: stripe.own_account.clone(),
            accounts: stripe.accounts.clone(),
            fetches,
        }
    }

    /// Where an event of Stripe's stands. A panic leaves it pending, with what the panic said.
    pub fn judge(&self, event: &Event<'_>) -> Verdict {
        if let Some(reason) = self.unwelcome(event) {
            return Verdict::without_facts(State::Ignored, reason);
        }
        let account_is_odd = self.account(event).is_some_and(|account| storable_id(account).is_err());
        if storable_id(&event.id).is_err() || account_is_odd {
            return Verdict::without_facts(State::Quarantined, "id: not a usable identifier");
        }
        if self.is_to_fetch(event) {
            return Verdict { to_fetch: true, ..Verdict::without_facts(State::Pending, "to be fetched") };
        }
        caught(|| {
            fail::fail_point!("intake.judge", event.id.contains("poison"), |_| Taken::Ignored("failpoint"));
            fail::fail_point!("orders.take", |_| Taken::Quarantined("field: the failpoint says so".to_owned()));
            orders::take(event, &self.settings.labelling)
        })
    }

    /// The same from an event's stored bytes, whoever sent it.
    pub fn judge_stored(&self, source: &str, body: &[u8]) -> Verdict {
        match source {
            "shop" => caught(|| orders::take_shop(body)),
            "stripe" | "stripe_api" => match stripe::parse(body) {
                Ok(event) => self.judge(&event),
                Err(error) => Verdict::without_facts(State::Quarantined, error.to_string()),
            },
            // It was told when it was stored; no order is concerned.
            _ => Verdict { state: State::Processed, reason: None, facts: None, to_fetch: false },
        }
    }

    /// The connected account that an event belongs to; `None` is our own.
    fn account<'e>(&self, event: &'e Event<'_>) -> Option<&'e str> {
        event.account.as_deref().filter(|account| self.own_account.as_deref() != Some(*account))
    }

    /// An event of Stripe's as it is stored, but for its bytes.
    pub fn stored(&self, event: &Event<'_>, verdict: &Verdict, received_at: DateTime<Utc>) -> NewEvent {
        let reason = verdict.reason.clone().filter(|_| verdict.state != State::Pending);
        NewEvent {
            source: "stripe",
            account: self.account(event).map(key).unwrap_or_default(),
            event_id: key(&event.id),
            livemode: event.livemode,
            event_type: event.kind.clone().into_owned(),
            api_version: event.api_version.as_deref().map(str::to_owned),
            created: event.created,
            object_id: event.object_id().map(Cow::into_owned),
            snapshot_event: event.snapshot_event().map(str::to_owned),
            state: verdict.state,
            reason,
            received_at,
            body: Vec::new(),
            to_fetch: verdict.to_fetch,
        }
    }

    /// The mode of the orders that are ours, where there is only one.
    pub fn livemode(&self) -> Option<bool> {
        match self.mode {
            Mode::Live => Some(true),
            Mode::Test => Some(false),
            Mode::Any => None,
        }
    }

    /// Whether it names an object that orders are made from, and we have a key to fetch it with.
    fn is_to_fetch(&self, event: &Event<'_>) -> bool {
        let Payload::Thin { related_id: Some(_), related_type: Some(object), .. } = &event.payload else {
            return false;
        };
        self.fetches == Some(event.livemode)
            && objects::is_known(object)
            && UNDERSTOOD.contains(&event.kind_of_snapshot())
    }

    fn unwelcome(&self, event: &Event<'_>) -> Option<&'static str> {
        if self.livemode().is_some_and(|ours| ours != event.livemode) {
            return Some(LIVEMODE_MISMATCH);
        }
        let account_fits = match (&self.accounts, self.account(event)) {
            (Some(accounts), Some(account)) => accounts.contains(account),
            _ => true,
        };
        (!account_fits).then_some(ACCOUNT_MISMATCH)
    }
}

fn caught(take: impl FnOnce() -> Taken) -> Verdict {
    match catch_unwind(AssertUnwindSafe(take)) {
        Ok(taken) => taken.into(),
        Err(panic) => Verdict::without_facts(State::Pending, orders::panic_text(&*panic)),
    }
}

fn key(id: &str) -> String {
    storable_id(id).map_or_else(|hash| hash, str::to_owned)
}
