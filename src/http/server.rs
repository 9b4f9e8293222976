//! Putting the receiver together, and taking it apart in the right sequence.

use super::deadline::DeadlineStream;
use super::{State, routes};
use crate::config::Config;
use crate::db;
use crate::intake::{Budget, Intake, Rules, Writer};
use crate::metrics::Metrics;
use crate::orders::Settings;
use crate::outbox::Outbox;
use crate::sync::{self, Fetcher};
use crate::worker::{self, Heartbeat};
use actix_http::HttpService;
use actix_rt::net::TcpStream;
use actix_server::ServerHandle;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use anyhow::Context;
use futures_util::future::OptionFuture;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Bodies in memory at once, unverified ones included, in bytes.
const IN_FLIGHT: usize = 64 << 20;
/// Requests in hand get this long to finish when the server stops, in seconds.
const DRAIN_SECONDS: u64 = 20;
/// Connections for the API and the workers.
const POOL: u32 = 8;

/// A receiver that is ready to run.
pub struct Server {
    listener: TcpListener,
    state: State,
    writer: Writer,
    outbox: Arc<Outbox>,
    wake: Arc<Notify>,
    workers: bool,
    sync: Option<Fetcher>,
}

/// Stops a running receiver from anywhere.
#[derive(Clone)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    server: ServerHandle,
    stopping: CancellationToken,
}

impl Running {
    /// Ends [`Server::run`]: requests in hand are answered first, idle connections end at once.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.server.stop(true).await;
    }
}

impl Server {
    /// Checks the schema, renders the templates, binds the port and starts the writer. `workers` says whether this
    /// process also works on what is left over.
    pub fn build(config: Config, workers: bool) -> anyhow::Result<Self> {
        let url = config.database_url.expose();
        db::check_schema(&mut db::connect(url)?)?;
        let (pool, metrics) = (db::pool(url, POOL), Metrics::default());
        let outbox = Arc::new(
            Outbox::new(pool.clone(), &config.mail, &config.targets, Settings::new(&config.orders).read_details())?
                .with_metrics(metrics.clone()),
        );
        outbox.announce()?;
        let address = (&config.host[..], config.port);
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {}:{}", config.host, config.port))?;
        let (rules, wake) = (Arc::new(Rules::new(&config)), Arc::new(Notify::new()));
        let waker = Arc::clone(&wake);
        let (intake, writer) = Intake::new(url, rules.settings.clone(), move || waker.notify_waiters())?;
        let state = State {
            config: Arc::new(config),
            rules,
            pool,
            intake,
            budget: Budget::new(IN_FLIGHT),
            metrics,
            mismatches: Arc::default(),
            heartbeat: workers.then(Heartbeat::default),
        };
        let sync = if workers { asking(&state)? } else { None };
        if let Some(sync) = &sync {
            outbox.ask_for_line_items(Arc::new(sync.lines()));
        }
        Ok(Self { listener, state, writer, outbox, wake, workers, sync })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is stopped through the handle that `started` is given, or by SIGTERM or SIGINT; then answers
    /// what is in hand, writes what was submitted, ends the workers' steps, and returns.
    pub async fn run(self, started: impl FnOnce(Running)) -> anyhow::Result<()> {
        let address = self.address()?;
        let (stop, stopped) = watch::channel(false);
        let heartbeat = self.state.heartbeat.clone().unwrap_or_default();
        let work = worker::run(
            heartbeat,
            self.state.pool.clone(),
            Arc::clone(&self.state.rules),
            self.outbox,
            self.wake,
            stopped,
        );
        let work = self.workers.then(|| actix_rt::spawn(work));
        let stopping = CancellationToken::new();
        let asking = self.sync.map(|sync| actix_rt::spawn(stopping.clone().run_until_cancelled_owned(sync::run(sync))));
        let server = listen(self.listener, self.state, stopping.clone())?;
        let running = Running { address, server: server.handle(), stopping: stopping.clone() };
        let signals = actix_rt::spawn(stop_on_signal(running.clone()));
        started(running);
        let outcome = server.await.context("the HTTP server failed");
        signals.abort();
        stopping.cancel();
        // Whatever became of it, what was accepted is written.
        if let Some(Err(error)) = OptionFuture::from(asking).await {
            log::error!(error:% = error; "asking Stripe failed");
        }
        let writer = self.writer;
        tokio::task::spawn_blocking(move || writer.stop()).await.context("the writer could not be stopped")?;
        stop.send_replace(true);
        if let Some(work) = work {
            work.await.context("a worker failed")?;
        }
        outcome
    }
}

/// Whoever asks Stripe, where there is a key.
fn asking(state: &State) -> anyhow::Result<Option<Fetcher>> {
    let way_in = (state.intake.clone(), state.budget.clone());
    Fetcher::new(&state.config, state.pool.clone(), Arc::clone(&state.rules), way_in)
}

/// SIGTERM and SIGINT alike let requests in hand finish; actix-web's own handling of SIGINT would cut them off.
async fn stop_on_signal(running: Running) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    log::info!("stopping: answering what is in hand");
    running.stop().await;
    Ok(())
}

/// Threads that serve HTTP: half of the cores, rounded up. One thread takes in more than the writer can write; more of them
/// would only take cores from the writer, and from the Postgres and the shop that run beside.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).div_ceil(2)
}

fn listen(listener: TcpListener, state: State, stopping: CancellationToken) -> anyhow::Result<actix_server::Server> {
    let deadline = state.config.read_deadline;
    let service = move || {
        let state = state.clone();
        let app = App::new().configure(move |config| routes::table(config, state));
        let http = HttpService::build()
            .keep_alive(deadline)
            .client_request_timeout(deadline)
            .h1(map_config(app, |()| AppConfig::default()));
        let stopping = stopping.clone();
        fn_service(move |stream: TcpStream| {
            let stopping = stopping.clone();
            async move {
                // Answers are small; waiting for more to send would only delay them.
                stream.set_nodelay(true).map_err(actix_http::error::DispatchError::Io)?;
                let peer = stream.peer_addr().ok();
                Ok((DeadlineStream::new(stream, deadline, stopping), peer))
            }
        })
        .and_then(http)
    };
    let server = actix_server::Server::build().workers(threads()).disable_signals().shutdown_timeout(DRAIN_SECONDS);
    Ok(server.listen("ringup", listener, service)?.run())
}
