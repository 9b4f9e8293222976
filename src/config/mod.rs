//! Everything that is set from outside, read once and checked at the start.
//!
//! Invariants: only this room touches the process environment; a mistake names its key, never its value; what
//! starts with a [`Config`] in hand needs no further check. It knows no other room.

pub mod mail;
mod secret;
pub mod smtp;
mod stripe;
mod vars;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use mail::Mail;
pub use secret::{Form, Secret};
pub use smtp::SmtpTarget;
pub use stripe::{Api, Mode, Stripe, mode_name, signing_secrets};
pub use vars::{Mistakes, Vars};

/// Every variable, in the order of `.env.example`.
pub const KNOWN: [&str; 31] = [
    "DATABASE_URL",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_SECRET_KEY",
    "STRIPE_API_BASE",
    "STRIPE_MODE",
    "STRIPE_ACCOUNT",
    "STRIPE_ACCOUNTS",
    "STRIPE_TOLERANCE",
    "ORDER_METADATA_KEY",
    "ORDER_REFERENCE_FROM",
    "CONFIRM_GRACE",
    "GITHUB_WEBHOOK_SECRET",
    "SMTP_URL",
    "MAIL_FROM",
    "SHOP_NAME",
    "SHOP_URL",
    "SHOP_EMAIL",
    "SHOP_LOCALE",
    "SHOP_LOGO_URL",
    "SLACK_WEBHOOK_URL",
    "API_TOKEN",
    "ADMIN_TOKEN",
    "ADMIN_URL",
    "HOST",
    "PORT",
    "ALLOW_PRIVATE_TARGETS",
    "TEMPLATES_DIR",
    "RUST_LOG",
    "LOG_FORMAT",
    "READ_DEADLINE",
    "SEND_DEADLINE",
];

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// A libpq connection string.
    pub database_url: Secret,
    /// What concerns Stripe's events.
    pub stripe: Stripe,
    /// How orders get their references, and how long a confirmation waits for one.
    pub orders: Orders,
    /// Outgoing mail.
    pub mail: Mail,
    /// Where messages may go beside the mail server.
    pub targets: Targets,
    /// What concerns GitHub's events; its receiver is on where there is a secret.
    pub github: Vec<Secret>,
    /// Bearer token of `/api`; without it the API answers 401 to everyone.
    pub api_token: Option<Secret>,
    /// Where to listen.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
    /// A request must be complete this long after its first byte, or its connection is closed.
    pub read_deadline: Duration,
    /// An event must be answered this long after it was read, or the answer is 503.
    pub answer_deadline: Duration,
}

/// Where messages may go beside the mail server.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// `SLACK_WEBHOOK_URL`: the team's own Slack, which is not filtered.
    pub slack: Option<Secret>,
    /// `ALLOW_PRIVATE_TARGETS`: subscriptions may point at private addresses.
    pub allow_private: bool,
    /// `ADMIN_URL`: where people reach this receiver, for links in messages.
    pub admin_url: Option<String>,
}

/// Where an order's reference is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceFrom {
    /// `metadata[ORDER_METADATA_KEY]`
    Metadata,
    /// `client_reference_id`
    ClientReferenceId,
}

/// How orders get their references.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The metadata key that holds the shop's reference.
    pub metadata_key: String,
    /// Places to look, the first wins.
    pub reference_from: Vec<ReferenceFrom>,
    /// How long a confirmation waits for its order's reference.
    pub confirm_grace: Duration,
}

/// How logs are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// As `RUST_LOG`.
    pub filter: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}

impl Config {
    /// Reads `.env` and the environment (which wins).
    pub fn from_env() -> Result<Self, Mistakes> {
        Self::from_vars(environment()?)
    }

    /// Checks `values`, all of them before it complains.
    pub fn from_vars(values: BTreeMap<String, String>) -> Result<Self, Mistakes> {
        let vars = Vars::new(values);
        vars.refuse_unknown(&KNOWN);
        let config = Self {
            database_url: database_url(&vars),
            stripe: Stripe::read(&vars, stripe::Secrets::Required),
            orders: orders(&vars),
            mail: mail(&vars),
            targets: targets(&vars),
            github: github(&vars),
            api_token: vars.secret("API_TOKEN", Form::TOKEN),
            host: vars.get("HOST").unwrap_or_else(|| "127.0.0.1".into()),
            port: vars.parse("PORT", 8080, "a port number"),
            read_deadline: seconds(&vars, "READ_DEADLINE", 10, 1..=60),
            answer_deadline: Duration::from_secs(2),
        };
        vars.secret("ADMIN_TOKEN", Form::TOKEN);
        Logging::check(&vars);
        vars.finish()?;
        Ok(config)
    }
}

impl Logging {
    /// Read apart from the rest, so that mistakes in the rest can be logged. Never fails: [`Config`] complains.
    pub fn from_env() -> Self {
        let vars = Vars::new(environment().unwrap_or_default());
        let filter = vars.get("RUST_LOG").unwrap_or_else(|| "info".into());
        Self { filter, json: vars.get("LOG_FORMAT").is_some_and(|format| format == "json") }
    }

    fn check(vars: &Vars) {
        if vars.get("LOG_FORMAT").is_some_and(|format| format != "json" && format != "text") {
            vars.mistake("LOG_FORMAT", "is neither text nor json");
        }
    }
}

/// `.env` of the working directory under the process environment.
pub fn environment() -> Result<BTreeMap<String, String>, Mistakes> {
    let mut values = BTreeMap::new();
    match dotenvy::from_filename_iter(".env") {
        Ok(entries) => {
            for entry in entries {
                // The error of dotenvy quotes the line, which may hold a secret.
                values.extend([entry.map_err(|_| Mistakes(vec![".env: a line is not NAME=value".into()]))?]);
            }
        }
        Err(error) if error.not_found() => {}
        Err(_) => return Err(Mistakes(vec![".env: cannot be read".into()])),
    }
    values.extend(
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))),
    );
    Ok(values)
}

/// How this program was called.
pub fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "ringup".into())
}

fn database_url(vars: &Vars) -> Secret {
    let url = vars.require("DATABASE_URL", "for example postgres://ringup@localhost/ringup");
    let scheme = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    if !url.is_empty() && !scheme && !url.contains('=') {
        vars.mistake("DATABASE_URL", "is neither postgres://… nor a libpq string such as host=… dbname=…");
    }
    Secret::new(url).unwrap_or_else(Secret::missing)
}

fn orders(vars: &Vars) -> Orders {
    let reference_from = match vars.get("ORDER_REFERENCE_FROM") {
        None => vec![ReferenceFrom::Metadata, ReferenceFrom::ClientReferenceId],
        Some(_) => vars.list("ORDER_REFERENCE_FROM").iter().filter_map(|name| reference_from(vars, name)).collect(),
    };
    Orders {
        metadata_key: vars.get("ORDER_METADATA_KEY").unwrap_or_else(|| "order_id".into()),
        reference_from,
        confirm_grace: seconds(vars, "CONFIRM_GRACE", 60, 0..=3600),
    }
}

fn reference_from(vars: &Vars, name: &str) -> Option<ReferenceFrom> {
    match name {
        "metadata" => Some(ReferenceFrom::Metadata),
        "client_reference_id" => Some(ReferenceFrom::ClientReferenceId),
        _ => {
            vars.mistake("ORDER_REFERENCE_FROM", "has an entry that is neither metadata nor client_reference_id");
            None
        }
    }
}

fn mail(vars: &Vars) -> Mail {
    let url = vars.require("SMTP_URL", "smtp://host:587, smtps://host or file://DIR");
    let target = SmtpTarget::parse(&url).unwrap_or_else(|error| {
        if !url.is_empty() {
            vars.mistake("SMTP_URL", error);
        }
        SmtpTarget::Directory(PathBuf::new())
    });
    Mail {
        target,
        from: vars.require("MAIL_FROM", "the sender of mails, such as Shop <orders@example.com>"),
        shop_name: vars.get("SHOP_NAME").unwrap_or_else(|| "Your shop".into()),
        shop_url: vars.get("SHOP_URL"),
        shop_email: shop_email(vars),
        shop_locale: shop_locale(vars),
        shop_logo: shop_logo(vars),
        templates_dir: vars.get("TEMPLATES_DIR").map(PathBuf::from),
        deadline: seconds(vars, "SEND_DEADLINE", 30, 1..=600),
    }
}

fn targets(vars: &Vars) -> Targets {
    let is_http = |url: &str| ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    let slack = vars.secret("SLACK_WEBHOOK_URL", Form::URL);
    let admin_url = vars.get("ADMIN_URL").map(|url| url.trim().to_owned());
    if admin_url.as_ref().is_some_and(|url| !is_http(url)) {
        vars.mistake("ADMIN_URL", "is not a URL such as https://ringup.example.com");
    }
    Targets { slack, allow_private: vars.parse("ALLOW_PRIVATE_TARGETS", false, "true or false"), admin_url }
}

fn github(vars: &Vars) -> Vec<Secret> {
    const KEY: &str = "GITHUB_WEBHOOK_SECRET";
    vars.refuse_blank(KEY);
    vars.secrets(KEY, Form::PHRASE)
}

fn shop_email(vars: &Vars) -> Option<String> {
    let given = vars.get("SHOP_EMAIL").map(|email| email.trim().to_owned())?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || ",;<>\"".contains(c);
    let parts = given.rsplit_once('@');
    if given.contains(odd) || parts.is_none_or(|(user, domain)| user.is_empty() || domain.is_empty()) {
        vars.mistake("SHOP_EMAIL", "is not one address such as desk@example.com");
    }
    Some(given)
}

/// Whether there are mails in that language is known where the templates are.
fn shop_locale(vars: &Vars) -> String {
    let given = vars.get("SHOP_LOCALE").map(|tag| tag.trim().to_owned());
    let locale = given.unwrap_or_else(|| Mail::SHOP_LOCALE.to_owned());
    if !locale.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        vars.mistake("SHOP_LOCALE", "is not a language such as en, de or pt-BR");
    }
    locale
}

fn shop_logo(vars: &Vars) -> Option<String> {
    let url = vars.get("SHOP_LOGO_URL").map(|url| url.trim().to_owned())?;
    if !url.starts_with("https://") || !url.chars().all(|c| c.is_ascii_graphic() && !"\"'<>".contains(c)) {
        vars.mistake("SHOP_LOGO_URL", "is not https://… in plain characters");
    }
    Some(url)
}

fn seconds(vars: &Vars, key: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> Duration {
    let value = vars.parse(key, default, "a number of seconds");
    if !range.contains(&value) {
        vars.mistake(key, format!("is outside {} to {} seconds", range.start(), range.end()));
    }
    Duration::from_secs(value)
}
