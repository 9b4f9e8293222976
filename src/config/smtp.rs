//! `SMTP_URL`: where mail is handed over, and how it is protected on the way.
//!
//! | form | means |
//! | --- | --- |
//! | `smtps://user:pass@host[:465]` | TLS from the first byte |
//! | `smtp://user:pass@host[:587]` | STARTTLS is demanded, but for a loopback host, where nothing is encrypted |
//! | `…?tls=required`, `opportunistic`, `none` | says otherwise |
//! | `file://DIR` | each mail is a file `DIR/<message-id>.eml`; relative or absolute |
//!
//! User and password are percent-decoded. No error and no `Debug` output contains the value: it bears a password.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::{Host, Url};

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmtpTarget {
    /// A mail server.
    Server(SmtpServer),
    /// A directory of `.eml` files.
    Directory(PathBuf),
}

/// A mail server and how to speak with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpServer {
    /// Name or address, without brackets.
    pub host: String,
    /// 465, 587 or what was given.
    pub port: u16,
    /// When the connection is encrypted.
    pub security: Security,
    /// Sent only where the server may have it: see [`SmtpServer::may_send_password`].
    pub login: Option<Login>,
}

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// From the first byte.
    Implicit,
    /// By STARTTLS, or nothing is sent.
    Required,
    /// By STARTTLS where the server offers it. A login is withheld where it doesn't.
    Opportunistic,
    /// Never.
    None,
}

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login { .. }")
    }
}

/// What is wrong with `SMTP_URL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum SmtpUrlError {
    #[error("is no URL")]
    NotAUrl,
    #[error("has another scheme than smtp, smtps or file")]
    Scheme,
    #[error("names no host")]
    NoHost,
    #[error("names no directory")]
    NoDirectory,
    #[error("has a path or a fragment, which mean nothing here (is a character of the password not percent-encoded?)")]
    Path,
    #[error("has a query other than tls=required, tls=opportunistic or tls=none")]
    Query,
    #[error("has tls= beside smtps, which is always encrypted")]
    TlsTwice,
    #[error("has a user without a password, or a password without a user")]
    HalfALogin,
    #[error("has a user or password that is blank, is not UTF-8 or has control characters once decoded")]
    Login,
}

impl SmtpTarget {
    /// Reads the value of `SMTP_URL`.
    pub fn parse(value: &str) -> Result<Self, SmtpUrlError> {
        let value = value.trim();
        if let Some(directory) = value.strip_prefix("file://") {
            if directory.is_empty() {
                return Err(SmtpUrlError::NoDirectory);
            }
            return Ok(Self::Directory(PathBuf::from(directory)));
        }
        let url = Url::parse(value).map_err(|_| SmtpUrlError::NotAUrl)?;
        let implicit = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return Err(SmtpUrlError::Scheme),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpUrlError::Path);
        }
        let host = host_of(&url)?;
        Ok(Self::Server(SmtpServer {
            port: url.port().unwrap_or(if implicit { 465 } else { 587 }),
            security: security_of(&url, implicit, &host)?,
            login: login_of(&url)?,
            host,
        }))
    }
}

impl SmtpServer {
    /// Whether user and password may be sent over a connection that is `encrypted` or not: `tls=none` was the
    /// operator's own word, `opportunistic` must not let a man in the middle strip the encryption and read them.
    pub fn may_send_password(&self, encrypted: bool) -> bool {
        encrypted || self.security == Security::None || is_loopback(&self.host)
    }
}

fn host_of(url: &Url) -> Result<String, SmtpUrlError> {
    match url.host() {
        None | Some(Host::Domain("")) => Err(SmtpUrlError::NoHost),
        Some(Host::Domain(name)) => Ok(name.to_ascii_lowercase()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
    }
}

fn security_of(url: &Url, implicit: bool, host: &str) -> Result<Security, SmtpUrlError> {
    match (url.query(), implicit) {
        (None, true) => Ok(Security::Implicit),
        (None, false) if is_loopback(host) => Ok(Security::None),
        (None | Some("tls=required"), false) => Ok(Security::Required),
        (Some("tls=opportunistic"), false) => Ok(Security::Opportunistic),
        (Some("tls=none"), false) => Ok(Security::None),
        (Some(query), true) if query.starts_with("tls=") => Err(SmtpUrlError::TlsTwice),
        (Some(_), _) => Err(SmtpUrlError::Query),
    }
}

fn login_of(url: &Url) -> Result<Option<Login>, SmtpUrlError> {
    match (url.username(), url.password().unwrap_or_default()) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(SmtpUrlError::HalfALogin),
        (user, password) => Ok(Some(Login { user: decoded(user)?, password: decoded(password)? })),
    }
}

fn decoded(text: &str) -> Result<String, SmtpUrlError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| SmtpUrlError::Login)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(SmtpUrlError::Login);
    }
    Ok(text.into_owned())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn server(value: &str) -> SmtpServer {
        match SmtpTarget::parse(value).unwrap() {
            SmtpTarget::Server(server) => server,
            SmtpTarget::Directory(_) => unreachable!("not a server"),
        }
    }

    #[test]
    fn ports_and_encryption_follow_the_scheme_and_the_host() {
        for (value, host, port, security) in [
            ("smtps://mail.example.com", "mail.example.com", 465, Security::Implicit),
            ("smtps://mail.example.com:4650", "mail.example.com", 4650, Security::Implicit),
            ("smtp://mail.example.com", "mail.example.com", 587, Security::Required),
            ("smtp://MAIL.example.com:25?tls=required", "mail.example.com", 25, Security::Required),
            ("smtp://mail.example.com?tls=opportunistic", "mail.example.com", 587, Security::Opportunistic),
            ("smtp://mail.example.com?tls=none", "mail.example.com", 587, Security::None),
            ("smtp://localhost:1025", "localhost", 1025, Security::None),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, Security::None),
            ("smtp://[::1]:1025", "::1", 1025, Security::None),
            ("smtp://localhost:1025?tls=required", "localhost", 1025, Security::Required),
            ("smtp://10.0.0.1", "10.0.0.1", 587, Security::Required),
        ] {
            let read = server(value);
            assert_eq!((read.host.as_str(), read.port, read.security), (host, port, security), "{value}");
        }
    }

    #[test]
    fn the_login_is_percent_decoded_and_never_shown() {
        let read = server("smtps://shop%40example.com:p%40ss%2Fw%C3%B6rd@mail.example.com");
        let login = read.login.as_ref().unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("shop@example.com", "p@ss/wörd"));
        assert!(!format!("{read:?}").contains("p@ss"));
    }

    #[test]
    fn a_directory_may_be_relative() {
        for (value, path) in [("file://.ringup/mail", ".ringup/mail"), ("file:///var/mail/out", "/var/mail/out")] {
            assert_eq!(SmtpTarget::parse(value).unwrap(), SmtpTarget::Directory(PathBuf::from(path)));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        use SmtpUrlError as E;
        for (value, error) in [
            ("", E::NotAUrl),
            ("mail.example.com", E::NotAUrl),
            ("http://c4nary@mail.example.com", E::Scheme),
            ("smtp://", E::NoHost),
            ("file://", E::NoDirectory),
            ("smtp://user:c4nary@mail.example.com/path", E::Path),
            ("smtp://user:c4n/ary@mail.example.com", E::NotAUrl),
            ("smtp://user:c4nary@mail.example.com?tls=maybe", E::Query),
            ("smtp://user:c4nary@mail.example.com?tls=", E::Query),
            ("smtps://user:c4nary@mail.example.com?tls=none", E::TlsTwice),
            ("smtp://user@mail.example.com", E::HalfALogin),
            ("smtp://:c4nary@mail.example.com", E::HalfALogin),
            ("smtp://user:c4nary%0d%0aQUIT@mail.example.com", E::Login),
            ("smtp://user:c4nary%ff@mail.example.com", E::Login),
            ("smtp://c4nary:%20%20@mail.example.com", E::Login),
            ("smtp://%20:c4nary@mail.example.com", E::Login),
        ] {
            let found = SmtpTarget::parse(value).unwrap_err();
            assert_eq!(found, error, "{value}");
            assert!(!found.to_string().contains("c4n"));
        }
    }

    #[test]
    fn a_password_is_withheld_where_encryption_could_have_been_stripped() {
        assert!(!server("smtp://u:p@mail.example.com?tls=opportunistic").may_send_password(false));
        assert!(server("smtp://u:p@mail.example.com?tls=opportunistic").may_send_password(true));
        assert!(server("smtp://u:p@mail.example.com?tls=none").may_send_password(false));
        assert!(server("smtp://u:p@localhost").may_send_password(false));
    }
}
