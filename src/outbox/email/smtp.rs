//! The conversation with the mail server, and what each of its endings means.
//!
//! | it ended | the message |
//! | --- | --- |
//! | refused for its recipient's sake | is refused for good |
//! | refused for the shop's sake, even with 5xx; connecting, encrypting, logging in, the sender | is tried again, however often: the shop is to see to it |
//! | 4xx, 421, a cut or silence, once the recipient was named | is tried again |
//! | a cut or silence after the final dot | is tried again, under the same Message-ID: it may have arrived |
//!
//! Which of them it was is `verdict`'s to say.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::Message;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use thiserror::Error;

use super::super::deliver::Outcome;
use super::verdict::{Concerns, concerns, without_addresses};
use crate::config::smtp::{Login, Security, SmtpServer};

/// How long an unused connection is kept. Servers hang up after minutes.
const IDLE: Duration = Duration::from_secs(30);

/// The connections to one server.
pub(super) struct Connections {
    server: SmtpServer,
    connect_timeout: Duration,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

/// How far a conversation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Encrypting,
    LoggingIn,
    Sender,
    Recipient,
    Data,
    /// All was handed over, the final dot included.
    Content,
}

impl Stage {
    /// The server knows whom the message is for: until then, nothing that fails is the recipient's fault.
    pub fn names_recipient(self) -> bool {
        matches!(self, Self::Recipient | Self::Data | Self::Content)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Encrypting => "STARTTLS",
            Self::LoggingIn => "logging in",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Content => "handing the message over",
        })
    }
}

/// Where a conversation stands; it outlives the conversation that a deadline cuts off.
pub(super) struct Progress(Mutex<Stage>);

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new(Stage::Connecting))
    }
}

impl Progress {
    fn reach(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn stage(&self) -> Stage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a conversation that the deadline cut off means.
    pub fn timed_out(&self, deadline: Duration) -> Outcome {
        let stage = self.stage();
        unanswered(stage, &format!("no end within {} s", deadline.as_secs_f32()))
    }
}

/// What it means that no answer came, or none that can be read.
fn unanswered(stage: Stage, text: &str) -> Outcome {
    if stage.names_recipient() {
        Outcome::again(with_doubt(stage, text))
    } else {
        Outcome::ShopTrouble { answer: format!("{stage}: {text}"), at_once: false }
    }
}

#[derive(Debug, Error)]
enum Trouble {
    #[error("{0}")]
    Server(#[from] lettre::transport::smtp::Error),
    #[error("the server offers no encryption, and the password is not sent without it (see SMTP_URL, tls=)")]
    PasswordWithheld,
    #[error("the server takes no address with other than ASCII letters before the @ (SMTPUTF8)")]
    NoUnicode,
}

impl Connections {
    pub fn new(server: SmtpServer, connect_timeout: Duration) -> Self {
        Self { server, connect_timeout, idle: Mutex::default() }
    }

    /// Hands one message over.
    pub async fn deliver(&self, message: &Message, progress: &Progress) -> Outcome {
        match self.converse(message, progress).await {
            Ok(response) => Outcome::Sent(self.masked(&shown(&response))),
            Err(trouble) => self.meaning(progress.stage(), &trouble),
        }
    }

    async fn converse(&self, message: &Message, progress: &Progress) -> Result<Response, Trouble> {
        let envelope = message.envelope();
        let mut connection = self.begin(envelope, progress).await?;
        progress.reach(Stage::Recipient);
        for to in envelope.to() {
            connection.command(Rcpt::new(to.clone(), Vec::new())).await?;
        }
        progress.reach(Stage::Data);
        connection.command(Data).await?;
        progress.reach(Stage::Content);
        let response = match String::from_utf8(message.formatted()) {
            Ok(text) => connection.command(whole(&text)).await?,
            Err(error) => connection.message(error.as_bytes()).await?,
        };
        self.keep(connection);
        Ok(response)
    }

    /// A connection on which `MAIL FROM` was accepted. A kept one may have died meanwhile: then the next is tried.
    async fn begin(&self, envelope: &Envelope, progress: &Progress) -> Result<AsyncSmtpConnection, Trouble> {
        progress.reach(Stage::Sender);
        while let Some(mut connection) = self.kept() {
            if mail_from(&mut connection, envelope).await.is_ok() {
                return Ok(connection);
            }
        }
        let mut connection = self.connect(progress).await?;
        progress.reach(Stage::Sender);
        mail_from(&mut connection, envelope).await?;
        Ok(connection)
    }

    async fn connect(&self, progress: &Progress) -> Result<AsyncSmtpConnection, Trouble> {
        let SmtpServer { host, port, security, login } = &self.server;
        let hello = ClientId::default();
        let tls = TlsParameters::new(host.clone())?;
        let implicit = (*security == Security::Implicit).then(|| tls.clone());
        progress.reach(Stage::Connecting);
        let address = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.connect_timeout), &hello, implicit, None).await?;
        progress.reach(Stage::Encrypting);
        let starttls = match security {
            Security::Implicit | Security::None => false,
            Security::Required => true,
            Security::Opportunistic => connection.can_starttls(),
        };
        if starttls {
            connection.starttls(tls, &hello).await?;
        }
        if let Some(Login { user, password }) = login {
            progress.reach(Stage::LoggingIn);
            if !self.server.may_send_password(connection.is_encrypted()) {
                return Err(Trouble::PasswordWithheld);
            }
            let credentials = Credentials::new(user.clone(), password.clone());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    fn kept(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    /// Only a connection whose conversation ended well is kept: its next answer belongs to its next command.
    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }

    fn meaning(&self, stage: Stage, trouble: &Trouble) -> Outcome {
        let text = self.masked(&trouble.to_string());
        let error = match trouble {
            Trouble::NoUnicode => return Outcome::Refused(format!("{stage}: {text}")),
            Trouble::PasswordWithheld => {
                return Outcome::ShopTrouble { answer: format!("{stage}: {text}"), at_once: true };
            }
            Trouble::Server(error) => error,
        };
        let Some(code) = error.status().map(u16::from) else { return unanswered(stage, &text) };
        let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        match concerns(stage, Some(code), &said) {
            Concerns::Recipient => Outcome::Refused(format!("{stage}: {text}")),
            Concerns::Shop => {
                let answer = format!("{stage}: {}", without_addresses(&text));
                Outcome::ShopTrouble { answer, at_once: error.is_permanent() }
            }
            Concerns::Moment => Outcome::again(format!("{stage}: {text}")),
        }
    }

    /// The text without the password, should a server echo what it was sent, as it is or in base64.
    fn masked(&self, text: &str) -> String {
        let Some(login) = &self.server.login else { return text.to_owned() };
        let plain = text.replace(&login.password, "…");
        let words = plain.split_inclusive(char::is_whitespace).map(|word| {
            let bare = word.trim_end();
            let encoded = bare.len() >= 8 && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
            let unlikely = bare.ends_with('=') || bare.len() >= 20;
            if encoded && unlikely { "… " } else { word }
        });
        words.collect::<String>()
    }
}

/// A message as it goes over the line, its final dot included. In one piece: lettre writes the dot apart, and then the
/// system keeps it back until the server has confirmed the text, which servers put off for 40 ms.
fn whole(text: &str) -> String {
    let mut whole = text.replace("\r\n.", "\r\n..");
    if whole.starts_with('.') {
        whole.insert(0, '.');
    }
    if !whole.ends_with("\r\n") {
        whole.push_str("\r\n");
    }
    whole.push_str(".\r\n");
    whole
}

async fn mail_from(connection: &mut AsyncSmtpConnection, envelope: &Envelope) -> Result<(), Trouble> {
    let mut parameters = Vec::new();
    let addresses = envelope.to().iter().chain(envelope.from());
    if addresses.into_iter().any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Trouble::NoUnicode);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    connection.command(Mail::new(envelope.from().cloned(), parameters)).await?;
    Ok(())
}

fn with_doubt(stage: Stage, text: &str) -> String {
    match stage {
        Stage::Content => format!("{stage}: {text}; it may have arrived, and goes again under the same Message-ID"),
        _ => format!("{stage}: {text}"),
    }
}

fn shown(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn only_the_last_line_is_a_lone_dot() {
        for (text, line) in [
            ("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
            (".\r\n.\r\n", "..\r\n..\r\n.\r\n"),
            ("a.\r\n..", "a.\r\n...\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            assert_eq!(whole(text), line);
        }
    }
}
