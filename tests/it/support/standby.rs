//! A synchronous standby of a private cluster, started and stopped at will.

use super::postgres::PrivateCluster;
use super::server::count;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::{Connection, RunQueryDsl, sql_query};
use ringup::dev::postgres::Options;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, DirBuilder, File};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a server needs that a standby may follow.
pub const FOLLOWED: Options = Options {
    durable: true,
    max_connections: 100,
    stop_on_drop: true,
    more: "-c wal_level=replica -c max_wal_senders=4",
};

/// Longest wait for a server to do as it is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// A copy of a cluster that follows it. Commits of the cluster wait for it, also while it is stopped.
pub struct Standby {
    data: PathBuf,
    program: PathBuf,
    url: String,
    port: u16,
    server: Option<Child>,
}

impl Standby {
    /// Copies `primary`, follows it, and has its commits wait from now on.
    pub fn of(primary: &PrivateCluster) -> Self {
        let cluster = primary.cluster();
        let data = cluster.data_dir().with_extension("standby");
        let _ = fs::remove_dir_all(&data);
        let owner = fs::metadata(cluster.data_dir()).unwrap();
        DirBuilder::new().mode(0o700).create(&data).unwrap();
        chown(&data, Some(owner.uid()), Some(owner.gid())).unwrap();
        let mut copy = as_owner(&cluster.program("pg_basebackup"), &data);
        copy.arg("-D").arg(&data).args([
            "-d",
            &cluster.url("postgres"),
            "-X",
            "stream",
            "-R",
            "-c",
            "fast",
            "--no-sync",
        ]);
        let copied = copy.output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = primary.url().replace(&format!(":{}/", cluster.port()), &format!(":{port}/"));
        let mut standby = Self { data, program: cluster.program("postgres"), url, port, server: None };
        standby.start();
        let mut conn = primary.conn();
        conn.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").unwrap();
        conn.batch_execute("SELECT pg_reload_conf()").unwrap();
        until("the standby is synchronous", || {
            count(&mut conn, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1
        });
        standby
    }

    /// Follows the primary again.
    pub fn start(&mut self) {
        let log = File::create(self.data.join("server.log")).unwrap();
        let mut server = as_owner(&self.program, &self.data);
        server.arg("-D").arg(&self.data).args(["-c", &format!("port={}", self.port)]);
        self.server = Some(server.stderr(log).stdout(Stdio::null()).spawn().unwrap());
        until("the standby answers", || PgConnection::establish(&self.url).is_ok());
    }

    /// Ends the server: it follows no more.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        server.wait().unwrap();
    }

    /// Waits until it has replayed what makes `query` count to `wanted`.
    pub fn until_count(&self, query: &str, wanted: i64) {
        let mut conn = PgConnection::establish(&self.url).unwrap();
        until(query, || count(&mut conn, query) == wanted);
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// Waits until a commit of `primary` waits for a standby: its processes hear of a new setting one by one.
pub fn until_commits_wait(primary: &PrivateCluster) {
    const WAITING: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'probe'";
    let (url, mut conn) = (primary.url(), primary.conn());
    until("a commit waits for a standby", || {
        let url = url.clone();
        let commit = std::thread::spawn(move || {
            let mut conn = PgConnection::establish(&format!("{url}?application_name=probe")).unwrap();
            sql_query("SELECT pg_logical_emit_message(true, 'probe', '')").execute(&mut conn)
        });
        until("a commit waits or is done", || commit.is_finished() || count(&mut conn, WAITING) == 1);
        let waited = count(&mut conn, WAITING) == 1;
        end_waiting_sessions(&mut conn);
        let _ = commit.join().unwrap();
        waited
    });
}

/// Ends every session that waits for a standby. What it has committed is visible then.
pub fn end_waiting_sessions(conn: &mut PgConnection) {
    conn.batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").unwrap();
}

/// Waits for something that is to happen by itself.
pub fn until(what: &str, mut happens: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happens() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// A command of the account that owns the files in `data`.
fn as_owner(program: &std::path::Path, data: &std::path::Path) -> Command {
    let (mut command, owner) = (Command::new(program), fs::metadata(data).unwrap());
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
    command
}
