//! Real databases. One cluster serves the whole run and stays for the next one; each test has a copy of a migrated
//! template, so that no test sees another's rows. Tests that hurt the server have a cluster of their own.

#![allow(dead_code, reason = "not every test binary's build uses all of it")]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use ringup::dev::postgres::{Cluster, Options};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sha2::{Digest, Sha256};

/// A database of one test, migrated; dropped with the value.
pub struct TestDb {
    name: String,
}

impl TestDb {
    /// A copy of the template.
    pub fn new() -> Self {
        Self::copy_of(&shared().template)
    }

    /// A database without any table, for tests of the migrations themselves.
    pub fn empty() -> Self {
        Self::copy_of("template0")
    }

    fn copy_of(template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut conn = connect(&shared().cluster.url("postgres"));
        execute(&mut conn, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        execute(&mut conn, &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Self { name }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        shared().cluster.url(&self.name)
    }

    /// A connection to it.
    pub fn conn(&self) -> PgConnection {
        connect(&self.url())
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // What can't be dropped now is dropped by a later process, as a leftover.
        if let Ok(mut conn) = PgConnection::establish(&shared().cluster.url("postgres")) {
            let _ = diesel::sql_query(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).execute(&mut conn);
        }
    }
}

/// A cluster of one test, durable as in production, to be killed and frozen.
pub struct PrivateCluster {
    home: PathBuf,
    options: Options,
    cluster: Option<Cluster>,
}

impl PrivateCluster {
    /// A running cluster with a migrated database `ringup`.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// The same, started with these options.
    pub fn start_with(options: Options) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = tmp().join(format!("private-postgres-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        make_home(&home);
        let cluster = Cluster::open(&home, &options).unwrap();
        cluster.create_database("ringup").unwrap();
        migrate(&cluster.url("ringup"));
        Self { home, options, cluster: Some(cluster) }
    }

    /// The URL of its database; the same after `restart`.
    pub fn url(&self) -> String {
        self.cluster().url("ringup")
    }

    /// A connection to it.
    pub fn conn(&self) -> PgConnection {
        connect(&self.url())
    }

    /// The cluster itself.
    pub fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }

    /// kill -9 of the server and all of its backends.
    pub fn kill(&self) {
        self.signal_all(Signal::KILL);
    }

    /// Stops every process of the server in its tracks: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Undoes `freeze`.
    pub fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Starts the server after `kill`, on the same port.
    pub fn restart(&mut self) {
        let before = self.cluster().port();
        let killed = self.cluster.replace(Cluster::open(&self.home, &self.options).unwrap());
        std::mem::forget(killed);
        assert_eq!(self.cluster().port(), before, "another process took the port meanwhile");
    }

    fn signal_all(&self, signal: Signal) {
        let Some(postmaster) = self.cluster().pid() else { return };
        for pid in family(postmaster) {
            // A backend may end by itself meanwhile.
            let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
        }
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        self.thaw();
        let data = self.cluster().data_dir().to_owned();
        self.cluster = None;
        let _ = fs::remove_dir_all(data);
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// The run's cluster and the name of its migrated template.
struct Shared {
    cluster: Cluster,
    template: String,
}

/// Opened once a process. Each test may be a process of its own, so a file's lock makes one of them start the
/// server and build the template while the others wait.
fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let home = tmp().join("test-postgres");
        make_home(&home);
        let lock = OpenOptions::new().create(true).append(true).open(home.join("lock")).unwrap();
        File::lock(&lock).unwrap();
        let options = Options { durable: false, max_connections: 300, stop_on_drop: false, ..Options::default() };
        let cluster = Cluster::open(&home, &options).unwrap();
        let mut conn = connect(&cluster.url("postgres"));
        let names = databases(&mut conn);
        let template = format!("template_{}", digest_of_migrations());
        if !names.contains(&template) {
            build_template(&mut conn, &cluster, &template, &names);
        }
        drop_leftovers(&mut conn, &names);
        Shared { cluster, template }
    })
}

/// Built under another name: a killed test leaves no half-migrated template.
fn build_template(conn: &mut PgConnection, cluster: &Cluster, template: &str, names: &[String]) {
    for stale in names.iter().filter(|name| name.starts_with("template_")) {
        execute(conn, &format!("DROP DATABASE {stale} WITH (FORCE)"));
    }
    execute(conn, "CREATE DATABASE template_unfinished TEMPLATE template0");
    migrate(&cluster.url("template_unfinished"));
    execute(conn, &format!("ALTER DATABASE template_unfinished RENAME TO {template}"));
}

/// Databases of tests whose process was killed.
fn drop_leftovers(conn: &mut PgConnection, names: &[String]) {
    for name in names.iter().filter(|name| name.starts_with("test_")) {
        let pid = name.split('_').nth(1).and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        if pid.is_none_or(|pid| test_kill_process(pid).is_err()) {
            execute(conn, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn databases(conn: &mut PgConnection) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let rows: Vec<Row> = diesel::sql_query("SELECT datname::text AS name FROM pg_database").load(conn).unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

fn migrations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")
}

/// From the files, not the embedded copy: a template is never older than the sources beside it.
fn migrate(url: &str) {
    let source = FileBasedMigrations::from_path(migrations()).unwrap();
    connect(url).run_pending_migrations(source).unwrap();
}

fn digest_of_migrations() -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(migrations())
        .unwrap()
        .map(|entry| entry.unwrap().path().join("up.sql"))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update(fs::read(file).unwrap());
    }
    hex::encode(digest.finalize())[..16].to_owned()
}

/// Under root the server runs as another user, who must be able to pass through.
pub fn make_home(home: &Path) {
    fs::create_dir_all(home).unwrap();
    fs::set_permissions(home, fs::Permissions::from_mode(0o711)).unwrap();
}

/// Where tests may write: below the build directory.
pub fn tmp() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A process and its children.
fn family(parent: i32) -> Vec<i32> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let children = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<i32>().unwrap());
        let (pid, its_parent) = (words.next()?, words.next()?);
        (its_parent == parent).then_some(pid)
    });
    // The parent first: it must not notice what happens to its children.
    std::iter::once(parent).chain(children).collect()
}

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap()
}

fn execute(conn: &mut PgConnection, sql: &str) {
    diesel::sql_query(sql).execute(conn).unwrap();
}
