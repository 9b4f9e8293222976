//! Putting the receiver together, and taking it apart in the right sequence.

use super::connection::{self, Connection, ConnectionStream};
use super::{State, routes};
use crate::config::Config;
use crate::db;
use crate::intake::{Budget, Intake, Rules, Writer};
use crate::metrics::Metrics;
use crate::orders::Settings;
use crate::outbox::Outbox;
use crate::sync::{self, Fetcher};
use crate::worker::{self, Heartbeat};
use actix_http::error::DispatchError;
use actix_http::{ConnectionType, HttpService, Request};
use actix_rt::net::TcpStream;
use actix_server::ServerHandle;
use actix_service::{Service, apply_fn_factory, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, ServiceResponse};
use anyhow::Context;
use futures_util::future::OptionFuture;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Bodies in memory at once, unverified ones included, in bytes.
const IN_FLIGHT: usize = 64 << 20;
/// Of these, for bodies up to 64 KiB alone: some 2000 events of the usual size.
const SMALL_SHARE: usize = 8 << 20;
/// So long the rest of a body that was refused is read and dropped: closed at once, a client that is still sending would
/// not see its answer.
const LINGER: Duration = Duration::from_secs(1);
/// After SIGTERM the server goes on so long, telling each client to connect elsewhere: a client whose connection ended
/// without warning might just have sent a request.
const FAREWELL: Duration = Duration::from_secs(1);
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
            budget: Budget::new(IN_FLIGHT).with_share(SMALL_SHARE),
            metrics,
            mismatches: Arc::default(),
            malformed: Arc::default(),
            closing: CancellationToken::new(),
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
        let closing = self.state.closing.clone();
        // From now on a signal waits for its task; before, it would just end the process.
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let server = listen(self.listener, self.state, stopping.clone())?;
        let running = Running { address, server: server.handle(), stopping: stopping.clone() };
        let signals = actix_rt::spawn(stop_on_signal(signals, running.clone(), closing));
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

/// SIGTERM and SIGINT alike let requests in hand finish; actix-web's own handling of SIGINT would cut them off. A person
/// who presses Ctrl-C has nobody to say farewell to.
async fn stop_on_signal(
    (mut terminate, mut interrupt): (Signal, Signal),
    running: Running,
    closing: CancellationToken,
) {
    let is_terminated = tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => false,
    };
    log::info!("stopping: answering what is in hand");
    closing.cancel();
    if is_terminated {
        tokio::time::sleep(FAREWELL).await;
    }
    running.stop().await;
}

/// Threads that serve HTTP: half of the cores, rounded up. One thread takes in more than the writer can write; more of them
/// would only take cores from the writer, and from the Postgres and the shop that run beside.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).div_ceil(2)
}

fn listen(listener: TcpListener, state: State, stopping: CancellationToken) -> anyhow::Result<actix_server::Server> {
    let deadline = state.config.read_deadline;
    let service = move || {
        let (shared, closing) = (state.clone(), state.closing.clone());
        let app = App::new().configure(move |config| routes::table(config, shared));
        let app = apply_fn_factory(map_config(app, |()| AppConfig::default()), move |request, app| {
            answer(request, app, closing.clone())
        });
        let http = HttpService::build()
            .keep_alive(deadline)
            .client_request_timeout(deadline)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|stream: &ConnectionStream, data| drop(data.insert(stream.connection().clone())))
            .h1(app);
        let (stopping, state) = (stopping.clone(), state.clone());
        apply_fn_factory(http, move |socket: TcpStream, http| {
            let (stopping, state) = (stopping.clone(), state.clone());
            let prepared =
                prepare(socket).map(|(stream, peer)| (stream.connection().clone(), http.call((stream, peer))));
            async move {
                let (connection, serving) = prepared?;
                let done = connection::serve(serving, connection, deadline, stopping).await;
                if matches!(done, Err(DispatchError::Parse(_))) {
                    state.malformed();
                }
                done
            }
        })
    };
    let server = actix_server::Server::build().workers(threads()).disable_signals().shutdown_timeout(DRAIN_SECONDS);
    Ok(server.listen("ringup", listener, service)?.run())
}

fn prepare(socket: TcpStream) -> Result<(ConnectionStream, Option<SocketAddr>), DispatchError> {
    // Answers are small; waiting for more to send would only delay them.
    socket.set_nodelay(true).map_err(DispatchError::Io)?;
    let peer = socket.peer_addr().ok();
    Ok((ConnectionStream::new(socket, Connection::default()), peer))
}

/// Has a request answered. Its connection reads ahead no further meanwhile, and none is kept open when the server is
/// `closing`.
fn answer<S, B>(
    request: Request,
    app: &S,
    closing: CancellationToken,
) -> impl Future<Output = Result<S::Response, S::Error>> + use<S, B>
where
    S: Service<Request, Response = ServiceResponse<B>>,
{
    let handling = request.conn_data::<Connection>().map(Connection::handling);
    let answering = app.call(request);
    async move {
        let _handling = handling;
        let mut answer = answering.await?;
        if closing.is_cancelled() {
            answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(answer)
    }
}
