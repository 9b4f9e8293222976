//! `ringup serve`, and the receiver within `ringup dev`.

use crate::config::Config;
use crate::db;
use crate::dev::DevSettings;
use crate::http::Server;
use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {
    /// Receives only; `ringup worker` runs elsewhere
    #[arg(long)]
    no_workers: bool,
}

pub fn run(args: &Args) -> Result<()> {
    serve(super::configuration()?, !args.no_workers, &mut || Ok(()))
}

/// Migrates and serves with what dev has set up.
pub fn run_dev(settings: &DevSettings, ready: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let config = Config::from_vars(settings.0.clone())?;
    db::migrate(config.database_url.expose())?;
    serve(config, true, ready)
}

fn serve(config: Config, workers: bool, ready: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    actix_rt::System::new().block_on(async {
        let server = Server::build(config, workers)?;
        log::info!("listening on http://{}; Stripe's endpoint is /webhooks/stripe", server.address()?);
        ready()?;
        server.run(|_| ()).await?;
        log::info!("stopped: everything that was accepted is stored");
        Ok(())
    })
}
