//! `ringup serve`

use crate::http::Server;

#[derive(clap::Args)]
pub struct Args {
    /// Receives only; `ringup worker` runs elsewhere.
    #[arg(long)]
    no_workers: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = super::configuration()?;
    actix_rt::System::new().block_on(async {
        let server = Server::build(config, !args.no_workers)?;
        log::info!("listening on http://{}; Stripe's endpoint is /webhooks/stripe", server.address()?);
        server.run(|_| ()).await?;
        log::info!("stopped: everything that was accepted is stored");
        Ok(())
    })
}
