//! The product: the real binary, `ringup serve`, with nothing but its environment.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::Bench;
use crate::process::{Receiver, free_address};
use crate::traffic::SECRET;

/// Where mail goes.
#[derive(Clone, Debug)]
pub enum Mail {
    /// Nowhere: it is queued, and no worker runs.
    Queued,
    /// To files.
    Files,
    /// To a server at that URL.
    Smtp(String),
}

/// Starts it on `database` and waits until it listens.
pub fn start(bench: &Bench, database: &str, mail: &Mail) -> Result<Receiver> {
    let address = free_address()?;
    let files = bench.home.join("mail");
    if files.exists() {
        fs::remove_dir_all(&files)?;
    }
    fs::create_dir_all(&files)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringup"));
    command.arg("serve").env_clear().current_dir(&bench.home);
    if matches!(mail, Mail::Queued) {
        command.arg("--no-workers");
    }
    let smtp = match mail {
        Mail::Smtp(url) => url.clone(),
        Mail::Queued | Mail::Files => format!("file://{}", files.display()),
    };
    let options = bench.session.iter().map(|setting| format!("-c%20{}", setting.replace('=', "%3D")));
    let options = options.collect::<Vec<_>>().join("%20");
    command.envs([
        ("DATABASE_URL", &format!("{database}?options={options}")[..]),
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("STRIPE_TOLERANCE", "3600"),
        ("SMTP_URL", &smtp[..]),
        ("MAIL_FROM", "Corner Shop <orders@example.com>"),
        ("SHOP_NAME", "Corner Shop"),
        ("HOST", "127.0.0.1"),
        ("PORT", &address.port().to_string()),
    ]);
    Receiver::start(command, address, &bench.home.join("ringup.log"))
}
