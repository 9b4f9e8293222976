//! A private Postgres cluster: made, started, taken over after a crash, and stopped.
//!
//! It listens on 127.0.0.1 alone, under a random password (any local user can reach a port, so trust would be
//! wrong; a socket's path may be too long). The server leads a session of its own, as `pg_ctl` starts it, so that
//! Ctrl-C in the terminal reaches us and not it. When we are killed it goes on running; the next start reuses it.

mod account;
mod binaries;
mod store;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use self::account::Account;
use self::binaries::Binaries;

/// The cluster's superuser.
const USER: &str = "ringup";
/// How long backends of a killed server may take to notice, before a new one can start.
const ORPHANS_LEAVE_WITHIN: Duration = Duration::from_secs(20);

/// What a cluster is for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A commit survives a power cut. Off in tests alone.
    pub durable: bool,
    /// Connections at once.
    pub max_connections: u16,
    /// Stops the server when the `Cluster` is dropped.
    pub stop_on_drop: bool,
    /// More of the server's command line, such as `-c jit=on`; it wins over what is set otherwise.
    pub more: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: true, max_connections: 100, stop_on_drop: true, more: "" }
    }
}

/// A running private cluster.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    password: String,
    port: u16,
    stop_on_drop: bool,
}

impl Cluster {
    /// Makes the cluster of `home` where there is none, and starts it where it does not run. Who calls this holds
    /// a lock on `home`.
    pub fn open(home: &Path, options: &Options) -> Result<Self> {
        let home = fs::canonicalize(home).with_context(|| format!("finding {}", home.display()))?;
        let account = Account::choose()?;
        let place = account.place(&home)?;
        let data = place.join("postgres");
        if place != home {
            // Who tidies up the home finds the rest by this.
            write_private(&home.join("postgres.data"), &format!("{}\n", data.display()))?;
        }
        let binaries = Binaries::find(version(&data))?;
        let server = Server { binaries, account, data };
        let password_file = home.join("postgres.password");
        if version(&server.data).is_none() {
            server.init(&password_file)?;
        }
        let password = fs::read_to_string(&password_file).with_context(|| {
            let (file, data) = (password_file.display(), server.data.display());
            format!("reading {file}, the password of {data}; removing both starts afresh")
        })?;
        let port = server.reuse(&password).map_or_else(|| server.start(*options), Ok)?;
        Ok(Self { server, password, port, stop_on_drop: options.stop_on_drop })
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        url(&self.password, self.port, database)
    }

    /// Creates a database where it is missing.
    pub fn create_database(&self, name: &str) -> Result<()> {
        store::create_database(&self.url("postgres"), name)
    }

    /// Where its files are: below the home, or under `/var/tmp` where the server's account can't enter the home.
    pub fn data_dir(&self) -> &Path {
        &self.server.data
    }

    /// The server's log.
    pub fn log_file(&self) -> PathBuf {
        self.server.log_file()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of a program of the same installation, such as `pgbench`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.server.binaries.program(name)
    }

    /// The server's first process, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.server.running().map(|running| running.pid)
    }

    /// Stops the server and waits until it is gone; open connections are cut.
    pub fn stop(mut self) -> Result<()> {
        self.stop_on_drop = false;
        self.server.stop("fast")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.stop_on_drop
            && let Err(error) = self.server.stop("fast")
        {
            log::warn!("stopping Postgres: {error:#}");
        }
    }
}

/// An installed server and one data directory.
#[derive(Debug)]
struct Server {
    binaries: Binaries,
    account: Account,
    data: PathBuf,
}

/// What `postmaster.pid` says, where that process really is this directory's server.
struct Running {
    pid: i32,
    port: Option<u16>,
}

impl Server {
    /// Makes the data directory beside its final name: a killed `initdb` leaves nothing that looks whole.
    fn init(&self, password_file: &Path) -> Result<()> {
        let password = hex::encode(rand::random::<[u8; 16]>());
        write_private(password_file, &password)?;
        let fresh = self.data.with_extension("new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).with_context(|| format!("removing {}", fresh.display()))?;
        }
        self.account.private_dir(&fresh)?;
        // initdb reads the password as the server's account, which may not read ours; it wants an empty directory.
        let handed = self.data.with_extension("handed");
        write_private(&handed, &password)?;
        self.account.give(&handed)?;
        let mut initdb = self.account.command(&self.binaries.program("initdb"));
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", USER]);
        initdb.arg("--pwfile").arg(&handed).arg("--pgdata").arg(&fresh);
        let made = run(&mut initdb);
        fs::remove_file(&handed).with_context(|| format!("removing {}", handed.display()))?;
        made?;
        fs::rename(&fresh, &self.data).with_context(|| format!("naming {}", self.data.display()))
    }

    /// The port of a server that already runs here, left by a `dev` that was killed. One that does not answer is
    /// stopped.
    fn reuse(&self, password: &str) -> Option<u16> {
        let running = self.running()?;
        let port = running.port.filter(|port| store::answers(&url(password, *port, "postgres")));
        if port.is_none() {
            log::warn!(
                "a Postgres that does not answer runs in {} (pid {}): stopping it",
                self.data.display(),
                running.pid
            );
            if let Err(error) = self.stop("immediate") {
                log::warn!("{error:#}");
            }
        }
        port
    }

    /// Starts the server on a free port. A port may be taken between choosing and starting, and processes of a
    /// killed server may still hold its shared memory: so it is tried for a while.
    fn start(&self, options: Options) -> Result<u16> {
        let deadline = Instant::now() + ORPHANS_LEAVE_WITHIN;
        loop {
            self.forget_stale_pid();
            let port = free_port(last_port(&self.data))?;
            // The server outlives whoever called us. It must not hold on to what they opened: a lock that a caller
            // took with flock(1) would stay taken, and a pipe would never end. Our own files close by themselves.
            let mut pg_ctl = self.account.command(Path::new("/bin/sh"));
            pg_ctl.args(["-c", r#"exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec "$@""#, "sh"]);
            pg_ctl.arg(self.binaries.program("pg_ctl")).arg("start").arg("--pgdata").arg(&self.data);
            pg_ctl.args(["--wait", "--timeout=60", "--log"]).arg(self.log_file());
            pg_ctl.arg("--options").arg(settings(port, options));
            match run(&mut pg_ctl) {
                Ok(()) => return Ok(port),
                Err(error) if Instant::now() < deadline && self.worth_another_try() => {
                    log::info!("Postgres did not start, trying again: {error:#}");
                    std::thread::sleep(Duration::from_millis(250));
                }
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("starting Postgres; its log is {}", self.log_file().display()));
                }
            }
        }
    }

    fn worth_another_try(&self) -> bool {
        let log = fs::read_to_string(self.log_file()).unwrap_or_default();
        let start = log.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
        ["is still in use", "could not bind", "Address already in use"].iter().any(|sign| log[start..].contains(sign))
    }

    fn stop(&self, mode: &str) -> Result<()> {
        let Some(running) = self.running() else { return Ok(()) };
        // A frozen server can't heed a request to stop.
        if let Some(pid) = Pid::from_raw(running.pid) {
            let _ = kill_process(pid, Signal::CONT);
        }
        let stop = |mode: &str| {
            let mut pg_ctl = self.account.command(&self.binaries.program("pg_ctl"));
            pg_ctl.args(["stop", "--wait", "--timeout=30", "--mode", mode, "--pgdata"]).arg(&self.data);
            run(&mut pg_ctl)
        };
        stop(mode).or_else(|_| stop("immediate")).context("stopping Postgres")
    }

    fn log_file(&self) -> PathBuf {
        self.data.join("server.log")
    }

    /// Process ids are given again, soonest in containers: the process must also be a server of this directory.
    fn running(&self) -> Option<Running> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid: i32 = lines.next()?.trim().parse().ok()?;
        let command_line = command_line(pid)?;
        let ours = command_line.contains("postgres") && command_line.contains(&format!("-D {} ", self.data.to_str()?));
        ours.then(|| Running { pid, port: lines.nth(2).and_then(|port| port.trim().parse().ok()) })
    }

    /// Postgres refuses to start while any process of its account bears the pid in a leftover file.
    fn forget_stale_pid(&self) {
        if self.running().is_none() {
            let _ = fs::remove_file(self.data.join("postmaster.pid"));
        }
    }
}

/// Small, and quiet where a development cluster need not be safe against what can't happen to it.
fn settings(port: u16, options: Options) -> String {
    let mut settings = format!(
        "-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections={} \
         -c shared_buffers=64MB -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=512MB -c jit=off \
         -c log_checkpoints=off",
        options.max_connections
    );
    if !options.durable {
        settings.push_str(" -c fsync=off -c synchronous_commit=off -c full_page_writes=off");
    }
    settings.push(' ');
    settings.push_str(options.more);
    settings
}

fn url(password: &str, port: u16, database: &str) -> String {
    format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}")
}

/// The version that wrote a data directory; `None` where there is none.
fn version(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// The port of the last start, so that bookmarks in other tools go on working.
fn last_port(data: &Path) -> Option<u16> {
    let words = fs::read_to_string(data.join("postmaster.opts")).ok()?;
    let (_, rest) = words.split_once("port=")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn free_port(wish: Option<u16>) -> Result<u16> {
    let listener = wish
        .and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok)
        .context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

fn command_line(pid: i32) -> Option<String> {
    if let Ok(words) = fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&words).replace('\0', " "));
    }
    let ps = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().ok()?;
    ps.status.success().then(|| String::from_utf8_lossy(&ps.stdout).into_owned())
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let written = fs::remove_file(path).or_else(|e| if path.exists() { Err(e) } else { Ok(()) }).and_then(|()| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    });
    written.with_context(|| format!("writing {}", path.display()))
}

/// Runs a program that says what went wrong on its output.
fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", command.get_program().to_string_lossy()))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{}: {}", command.get_program().to_string_lossy(), String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}
