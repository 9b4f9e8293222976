//! Mail: the only place that names lettre.
//!
//! [`compose`] makes a letter into a message whose headers nobody can inject into. [`smtp`] speaks with the server
//! and knows how far each conversation came. [`verdict`] says whom a failure concerns: a recipient refused for good is
//! this message's end; what concerns the shop (its login, its sender, a limit) is tried again until a person has seen to it.
//!
//! Connections are kept by ourselves. lettre's own pool takes a connection back when a send is cancelled by a
//! deadline, in the middle of its conversation, and the next message would read the answers meant for the last.

mod compose;
mod smtp;
mod verdict;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use lettre::message::Mailbox;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use super::deliver::Outcome;
use super::letter::Letter;
use crate::config::mail::Mail;
use crate::config::smtp::SmtpTarget;
use smtp::{Connections, Progress};

/// Hands letters over.
pub(super) struct Mailer {
    from: Mailbox,
    /// Where answers go.
    reply_to: Mailbox,
    way: Way,
    deadline: Duration,
}

enum Way {
    Server(Box<Connections>),
    Directory(PathBuf),
}

impl Mailer {
    /// Fails where `MAIL_FROM` or `SHOP_EMAIL` is no usable address: no mail could be made at all.
    pub fn new(mail: &Mail) -> anyhow::Result<Self> {
        let way = match &mail.target {
            SmtpTarget::Server(server) => Way::Server(Box::new(Connections::new(server.clone(), mail.deadline))),
            SmtpTarget::Directory(path) => Way::Directory(path.clone()),
        };
        let from = compose::sender(&mail.from, &mail.shop_name).context("MAIL_FROM is no usable address")?;
        let reply_to = match &mail.shop_email {
            Some(email) => compose::sender(email, &mail.shop_name).context("SHOP_EMAIL is no usable address")?,
            None => from.clone(),
        };
        Ok(Self { from, reply_to, way, deadline: mail.deadline })
    }

    /// Where the shop's own mails go, and answers to others: the address that is set, else the sender's.
    pub fn shop_address(&self) -> String {
        self.reply_to.email.to_string()
    }

    /// Hands `letter` over under the message's stable `id`, within the deadline.
    pub async fn send(&self, id: Uuid, letter: &Letter) -> Outcome {
        let message = match compose::message(&self.from, &self.reply_to, id, letter) {
            Ok(message) => message,
            Err(error) => return Outcome::Refused(format!("no mail can be made of it: {error}")),
        };
        match &self.way {
            Way::Server(connections) => {
                let progress = Progress::default();
                match timeout(self.deadline, connections.deliver(&message, &progress)).await {
                    Ok(outcome) => outcome,
                    Err(_) => progress.timed_out(self.deadline),
                }
            }
            Way::Directory(directory) => {
                let path = directory.join(format!("{id}@{}.eml", self.from.email.domain()));
                let bytes = message.formatted();
                let shown = path.display().to_string();
                match spawn_blocking(move || write_whole(&path, &bytes)).await {
                    Ok(Ok(())) => Outcome::Sent(format!("written to {shown}")),
                    Ok(Err(error)) => Outcome::again(format!("{shown}: {error}")),
                    Err(error) => Outcome::again(format!("{shown}: {error}")),
                }
            }
        }
    }
}

/// Writes the file at once or not at all: readers never see half a mail, and the same mail twice is one file.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let draft = path.with_extension(format!("{}.tmp", Uuid::now_v7()));
    let written = fs::File::create_new(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&draft, path));
    if done.is_err() {
        // What can't be removed is a stray draft; the first error is the one to tell.
        let _ = fs::remove_file(&draft);
    }
    done
}
