//! The house's own rules: who may import whom, which names stay in which rooms, and a schema page that tells the truth.

use crate::support::postgres::TestDb;
use crate::support::server::{count, texts};
use diesel::connection::SimpleConnection;
use std::collections::BTreeMap;
use std::path::Path;

/// Rooms from the lowest up; a room imports rooms below it, none beside it.
const FLOORS: [&[&str]; 11] = [
    &["config", "mailbox", "metrics", "money", "tls", "db"],
    &["logging"],
    &["source"],
    &["notices"],
    &["inbox", "outbox", "stripe_api"],
    &["orders"],
    &["intake"],
    &["sync", "worker"],
    &["http"],
    &["dev"],
    &["cli"],
];

/// Names of others, and where alone they may stand.
const FENCES: [(&str, &[&str]); 14] = [
    ("rustls::crypto", &["src/tls.rs"]),
    // async-stripe, under each of its names; the configuration's own `stripe` is a file.
    ("use stripe::", &["src/stripe_api/", "src/config/mod.rs"]),
    ("stripe::Client", &["src/stripe_api/"]),
    ("stripe_client_core", &["src/stripe_api/"]),
    ("stripe_shared", &["src/stripe_api/"]),
    ("StripeError", &["src/stripe_api/"]),
    ("actix_web", &["src/http/"]),
    ("lettre", &["src/outbox/email/"]),
    ("reqwest", &["src/outbox/", "src/dev/probe.rs"]),
    ("std::env", &["src/config/"]),
    ("minijinja", &["src/outbox/"]),
    ("prometheus_client", &["src/metrics.rs"]),
    ("sql_query", &["/store.rs", "src/db/"]),
    ("prepared!", &["/store.rs", "src/db/"]),
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.join("src")]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(relative(root, &path), std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The room of a file: `src/orders/plan.rs` and `src/worker.rs` are in `orders` and `worker`.
fn room(file: &str) -> &str {
    file.trim_start_matches("src/").split(['/', '.']).next().unwrap()
}

#[test]
fn imports_go_down_only() {
    let import = regex::Regex::new(r"crate::(\w+)|crate::\{([^}]*)\}").unwrap();
    for (file, text) in sources() {
        let own = room(&file);
        if ["main", "lib"].contains(&own) {
            continue;
        }
        let floor_of_own = floor(own).unwrap_or_else(|| panic!("{file}: the room `{own}` has no floor"));
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for found in import.captures_iter(&code) {
            let names = found.get(1).or(found.get(2)).unwrap().as_str();
            for name in names.split(',').map(|name| name.trim().split(':').next().unwrap()) {
                let Some(imported) = floor(name) else { continue };
                assert!(name == own || imported < floor_of_own, "{file} imports `{name}`, which is not below it");
            }
        }
    }
}

#[test]
fn names_stay_behind_their_fences() {
    for (file, text) in sources().into_iter().filter(|(file, _)| !file.ends_with("tests.rs")) {
        let code =
            text.split("#[cfg(test)]").next().unwrap().lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        for (name, allowed) in FENCES {
            let stands = code.contains(name);
            assert!(
                !stands || allowed.iter().any(|place| file.contains(place)),
                "{file} names `{name}`, which stays in {allowed:?}"
            );
        }
    }
}

#[test]
fn the_schema_page_is_that_of_the_database() {
    let db = TestDb::new();
    let columns = texts(
        &mut db.conn(),
        "SELECT table_name || '.' || column_name || ' ' || CASE is_nullable WHEN 'YES' THEN 'Nullable ' ELSE '' END || udt_name AS text \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' ORDER BY table_name, ordinal_position",
    );
    let schema = &sources()["src/db/schema.rs"];
    let (mut table, mut renamed, mut listed) = ("", None, Vec::new());
    for line in schema.lines().map(str::trim).filter(|line| !line.starts_with("diesel::joinable")) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with('{')) {
            table = name;
        } else if let Some(name) = line.strip_prefix("#[sql_name = \"") {
            renamed = Some(name.trim_end_matches("\"]"));
        } else if let Some((name, kind)) = line.trim_end_matches(',').split_once(" -> ") {
            let (nullable, kind) =
                kind.strip_prefix("Nullable<").map_or(("", kind), |kind| ("Nullable ", kind.trim_end_matches('>')));
            let kind = match kind {
                "BigInt" => "int8",
                "Integer" => "int4",
                "Bool" => "bool",
                "Array<Text>" => "_text",
                other => &other.to_lowercase(),
            };
            listed.push(Some(format!("{table}.{} {nullable}{kind}", renamed.take().unwrap_or(name))));
        }
    }
    listed.sort_by_key(|line| line.as_ref().unwrap().split('.').next().unwrap().to_owned());
    assert_eq!(listed, columns);
}

#[test]
fn every_column_says_what_it_is_for() {
    let db = TestDb::new();
    let silent = texts(
        &mut db.conn(),
        "SELECT c.relname || '.' || a.attname AS text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE '\\_\\_%' \
           AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL",
    );
    assert_eq!(silent, []);
}

/// An index in a language's order costs nearly as much as all else of an insert, and is wrong after an update of that language's
/// rules: then it lets a key in twice.
#[test]
fn indexes_compare_text_as_bytes() {
    let db = TestDb::new();
    let by_language = texts(
        &mut db.conn(),
        "SELECT i.indexrelid::regclass || '.' || a.attname AS text FROM pg_index i \
         JOIN pg_attribute a ON a.attrelid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '\\_\\_%' \
           AND a.attcollation NOT IN (0, 'pg_catalog.\"C\"'::regcollation)",
    );
    assert_eq!(by_language, []);
}

#[test]
fn migrations_go_up_and_down_and_up_again() {
    let db = TestDb::empty();
    let applied = ringup::db::migrate(&db.url()).unwrap();
    assert_eq!(applied.len(), 15);
    ringup::db::revert_all(&mut db.conn()).unwrap();
    assert_eq!(ringup::db::migrate(&db.url()).unwrap(), applied);
    assert_eq!(ringup::db::migrate(&db.url()).unwrap(), Vec::<String>::new());
    ringup::db::check_schema(&mut db.conn()).unwrap();
}

/// Postgres does not know what stands in a column that was made anew: until somebody looks, it plans blindly.
#[test]
fn tables_are_analysed_after_an_update_but_not_while_they_are_new() {
    let db = TestDb::empty();
    ringup::db::migrate(&db.url()).unwrap();
    let analysed =
        || count(&mut db.conn(), "SELECT count(*) FROM pg_class WHERE relname = 'events' AND reltuples >= 0");
    assert_eq!(analysed(), 0);
    // The newest is taken back, as an older version had it.
    let newest = std::fs::read_dir("migrations").unwrap().map(|entry| entry.unwrap().path().join("down.sql"));
    let newest = newest.filter(|down| down.exists()).max().unwrap();
    let forget =
        "DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)";
    db.conn().batch_execute(&format!("{}; {forget}", std::fs::read_to_string(newest).unwrap())).unwrap();
    assert_eq!(ringup::db::migrate(&db.url()).unwrap().len(), 1);
    assert_eq!(analysed(), 1);
}

#[test]
fn four_processes_may_migrate_at_once() {
    let db = TestDb::empty();
    let migrate = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_ringup")).arg("migrate").env("DATABASE_URL", db.url()).output()
    };
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let processes: Vec<_> = (0..4).map(|_| scope.spawn(migrate)).collect();
        processes.into_iter().map(|process| process.join().unwrap().unwrap()).collect()
    });
    let worked = outputs.iter().filter(|output| String::from_utf8_lossy(&output.stdout).contains("applied")).count();
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    assert_eq!(worked, 1, "{outputs:?}");
}

#[test]
fn a_schema_that_is_behind_or_ahead_refuses_to_start() {
    let db = TestDb::empty();
    assert!(ringup::db::check_schema(&mut db.conn()).unwrap_err().to_string().contains("ringup migrate"));
    ringup::db::migrate(&db.url()).unwrap();
    diesel::RunQueryDsl::execute(
        diesel::sql_query("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')"),
        &mut db.conn(),
    )
    .unwrap();
    assert!(ringup::db::check_schema(&mut db.conn()).unwrap_err().to_string().contains("does not know"));
}
