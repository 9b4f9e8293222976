//! `ringup worker`

use crate::intake::Rules;
use crate::outbox::Outbox;
use crate::worker::Heartbeat;
use crate::{db, worker};
use anyhow::Context;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

/// Connections for claiming and settling.
const POOL: u32 = 4;

pub fn run() -> anyhow::Result<()> {
    let config = super::configuration()?;
    let url = config.database_url.expose();
    db::check_schema(&mut db::connect(url)?)?;
    let pool = db::pool(url, POOL);
    let outbox = Arc::new(Outbox::new(pool.clone(), &config.mail, &config.targets)?);
    outbox.announce()?;
    let rules = Arc::new(Rules::new(&config));
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let work =
            tokio::spawn(worker::run(Heartbeat::default(), pool, rules, outbox, Arc::new(Notify::new()), stopped));
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        log::info!("working");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        work.await.context("a worker failed")
    })
}
