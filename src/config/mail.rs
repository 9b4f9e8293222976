//! How mail looks and where it goes.

use std::path::PathBuf;
use std::time::Duration;

use super::smtp::SmtpTarget;

/// The mail settings.
#[derive(Clone, Debug)]
pub struct Mail {
    /// `SMTP_URL`.
    pub target: SmtpTarget,
    /// `MAIL_FROM`: an address, or `Name <address>`.
    pub from: String,
    /// `SHOP_NAME`.
    pub shop_name: String,
    /// `SHOP_URL`.
    pub shop_url: Option<String>,
    /// `SHOP_EMAIL`: where the shop's own mails go; the sender's address where it is not set.
    pub shop_email: Option<String>,
    /// `SHOP_LOCALE`: the language of the shop's own mails.
    pub shop_locale: String,
    /// `SHOP_LOGO_URL`: the only thing that a mail fetches.
    pub shop_logo: Option<String>,
    /// `TEMPLATES_DIR`: single files that replace the built-in ones.
    pub templates_dir: Option<PathBuf>,
    /// Over one whole delivery, from connecting to the server's last answer.
    pub deadline: Duration,
}

impl Mail {
    /// How long one delivery may take where nothing else is set.
    pub const DEADLINE: Duration = Duration::from_secs(30);
    /// The language of the shop's own mails where none is set.
    pub const SHOP_LOCALE: &str = "en";
}
