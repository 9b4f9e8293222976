//! `ringup worker`

use crate::intake::{Budget, Intake, Rules};
use crate::orders::Settings;
use crate::outbox::Outbox;
use crate::sync::{self, Fetcher};
use crate::worker::Heartbeat;
use crate::{db, worker};
use anyhow::Context;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

/// Connections for claiming and settling.
const POOL: u32 = 4;
/// Bodies of fetched events in memory at once, in bytes.
const IN_FLIGHT: usize = 64 << 20;

pub fn run() -> anyhow::Result<()> {
    let config = super::configuration()?;
    let url = config.database_url.expose();
    db::check_schema(&mut db::connect(url)?)?;
    let pool = db::pool(url, POOL);
    let outbox = Arc::new(Outbox::new(
        pool.clone(),
        &config.mail,
        &config.targets,
        Settings::new(&config.orders).read_details(),
    )?);
    outbox.announce()?;
    let rules = Arc::new(Rules::new(&config));
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let (intake, writer) = Intake::new(url, rules.settings.clone(), || ())?;
        let way_in = (intake, Budget::new(IN_FLIGHT));
        let sync = Fetcher::new(&config, pool.clone(), Arc::clone(&rules), way_in)?;
        if let Some(sync) = &sync {
            outbox.ask_for_line_items(Arc::new(sync.lines()));
        }
        let asking = sync.map(|sync| tokio::spawn(sync::run(sync)));
        let work =
            tokio::spawn(worker::run(Heartbeat::default(), pool, rules, outbox, Arc::new(Notify::new()), stopped));
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        log::info!("working");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if let Some(asking) = asking {
            asking.abort();
        }
        tokio::task::spawn_blocking(move || writer.stop()).await.context("the writer could not be stopped")?;
        stop.send_replace(true);
        work.await.context("a worker failed")
    })
}
