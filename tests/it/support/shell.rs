//! The real command line.

use super::stripe::{FakeStripe, KEY};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Somebody who types a subcommand of the real program, in a directory of their own.
pub struct Shell {
    subcommand: &'static str,
    pub dir: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

impl Shell {
    pub fn new(subcommand: &'static str, vars: &[(&str, &str)]) -> Self {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { subcommand, dir: tempfile::tempdir().unwrap(), vars }
    }

    pub fn of(subcommand: &'static str, stripe: &FakeStripe) -> Self {
        Self::new(subcommand, &[("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base())])
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    pub async fn run(&self, args: &[&str]) -> Said {
        self.type_in(args, "").await
    }

    pub async fn type_in(&self, args: &[&str], input: &str) -> Said {
        self.call(self.subcommand, args, input).await
    }

    /// Another subcommand, in the same place.
    pub async fn run_other(&self, subcommand: &str, args: &[&str]) -> Said {
        self.call(subcommand, args, "").await
    }

    async fn call(&self, subcommand: &str, args: &[&str], input: &str) -> Said {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ringup"));
        command.arg(subcommand).args(args).env_clear().envs(self.vars.clone()).current_dir(self.dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}
