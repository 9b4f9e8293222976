//! `ringup config check`

use crate::db;
use crate::orders::Settings;
use crate::outbox::Outbox;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Checks every variable and every mail template, without touching the database.
    Check,
}

pub fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Check => {
            let config = super::configuration()?;
            // The pool opens no connection by itself.
            let pool = db::pool(config.database_url.expose(), 1);
            Outbox::new(pool, &config.mail, &config.targets, Settings::new(&config.orders).read_details())?;
            println!("the configuration is usable");
            if config.api_token.is_none() {
                println!("note: API_TOKEN is not set, so the API answers 401 to everyone");
            }
            Ok(())
        }
    }
}
