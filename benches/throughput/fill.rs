//! Millions of events in the tables: a few thousand that the product has really received, copied in SQL under ids of
//! their own, which sort before those of the events to come.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use crate::Bench;
use crate::load::closed;
use crate::postgres;
use crate::product::{self, Mail};
use crate::runs::{all_applied, lane};
use crate::traffic::{Tape, Traffic};

/// The filled database.
pub const DATABASE: &str = "filled";
/// Events that are really received, and then copied.
const SEEDS: usize = 8_000;
/// Four events a checkout.
const A_CHECKOUT: u64 = 4;

/// Each seed's rows under the letters of its purchase; `copies` has the letters of each copy. Foreign keys and triggers
/// are off: what they check holds by construction.
const PREPARE: &str = r"
SET synchronous_commit = off; SET session_replication_role = replica; SET work_mem = '512MB'; SET statement_timeout = 0;
CREATE FUNCTION pg_temp.letters(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', (n / (62 ^ k)::bigint % 62)::int + 1, 1), '' ORDER BY k DESC)
    FROM generate_series(0, 5) AS k $$;
CREATE FUNCTION pg_temp.renamed(name text, was text, becomes text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN name LIKE 'cs\_%' THEN overlay(name PLACING md5(n::text) FROM 11 FOR 32)
                WHEN name LIKE 'CS-%' THEN 'CS-1' || lpad(n::text, 9, '0')
                ELSE replace(name, was, becomes) END $$;
CREATE FUNCTION pg_temp.numbered(n bigint, salt text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(n), 12, '0') || substr(md5(salt || n::text), 1, 20))::uuid $$;
CREATE TEMP TABLE seed_events AS
    SELECT e.*, p.body, substr(e.event_id, 6, 6) AS letters, row_number() OVER (PARTITION BY substr(e.event_id, 6, 6) ORDER BY e.id) - 1 AS part
    FROM events e JOIN payloads p ON p.event = e.id;
CREATE TEMP TABLE seeds AS
    SELECT letters, row_number() OVER (ORDER BY letters) - 1 AS n, count(*) OVER () AS seeds FROM seed_events GROUP BY letters HAVING count(*) = 4;
CREATE TEMP TABLE seed_orders AS
    SELECT s.letters, r.order_id FROM seeds s
    JOIN seed_events e ON e.letters = s.letters AND e.part = 0 JOIN order_references r ON r.value = e.object_id;
";

const COPY: &str = r"
INSERT INTO events (id, source, account, event_id, livemode, type, api_version, created, object_id, body_crc32, state, reason, received_at)
    OVERRIDING SYSTEM VALUE
    SELECT 1000000 + c.n * 4 + e.part, e.source, e.account, replace(e.event_id, c.was, c.becomes), e.livemode, e.type, e.api_version, e.created,
           pg_temp.renamed(e.object_id, c.was, c.becomes, c.n), e.body_crc32, e.state, e.reason, e.received_at
    FROM copies c JOIN seed_events e ON e.letters = c.was ORDER BY 1;
INSERT INTO payloads (event, body)
    SELECT 1000000 + c.n * 4 + e.part, e.body FROM copies c JOIN seed_events e ON e.letters = c.was ORDER BY 1;
INSERT INTO orders (id, source, account, livemode, reference, status, money_status, review_reasons, currency, amount_expected, amount_paid,
                    customer_email, customer_name, locale, facts, version)
    SELECT pg_temp.numbered(c.n, 'o'), o.source, o.account, o.livemode, pg_temp.renamed(o.reference, c.was, c.becomes, c.n), o.status, o.money_status,
           o.review_reasons, o.currency, o.amount_expected, o.amount_paid, o.customer_email, o.customer_name, o.locale,
           replace(o.facts, c.was, c.becomes), o.version
    FROM copies c JOIN seed_orders s ON s.letters = c.was JOIN orders o ON o.id = s.order_id ORDER BY c.n;
INSERT INTO order_references (source, account, livemode, kind, value, order_id)
    SELECT r.source, r.account, r.livemode, r.kind, pg_temp.renamed(r.value, c.was, c.becomes, c.n), pg_temp.numbered(c.n, 'o')
    FROM copies c JOIN seed_orders s ON s.letters = c.was JOIN order_references r ON r.order_id = s.order_id ORDER BY c.n;
INSERT INTO outbox (id, kind, notice, notice_key, dedupe_key, order_id, about, state, attempts, settled_at)
    SELECT pg_temp.numbered(c.n, 'm'), m.kind, m.notice, replace(m.notice_key, c.was, c.becomes), replace(m.dedupe_key, c.was, c.becomes), pg_temp.numbered(c.n, 'o'), m.about, 'sent', 1, now()
    FROM copies c JOIN seed_orders s ON s.letters = c.was JOIN outbox m ON m.order_id = s.order_id ORDER BY c.n;
SELECT setval(pg_get_serial_sequence('events', 'id'), (SELECT max(id) FROM events));
VACUUM (FREEZE, ANALYZE) events; VACUUM (FREEZE, ANALYZE) payloads; VACUUM (FREEZE, ANALYZE) orders;
VACUUM (FREEZE, ANALYZE) order_references; VACUUM (FREEZE, ANALYZE) outbox; CHECKPOINT;
";

/// Fills the database with about `events` events and all that follows from them. Says how.
pub fn fill(bench: &Bench, events: u64) -> Result<String> {
    let start = Instant::now();
    bench.postgres.drop(DATABASE)?;
    bench.postgres.copy_of_template(DATABASE)?;
    let database = bench.postgres.url(DATABASE);
    let server = product::start(bench, &database, &Mail::Queued)?;
    let tape = std::rc::Rc::new(Tape::make(Traffic::Checkouts, bench.numbers(SEEDS), SEEDS)?);
    let load = closed(server.address, &[lane(&tape, 16)], Duration::from_secs(60))?.remove(0);
    drop(server);
    all_applied(&database, load.counts.stored())?;
    let mut conn = PgConnection::establish(&database)?;
    conn.batch_execute(PREPARE)?;
    conn.batch_execute(&format!(
        "CREATE TEMP TABLE copies AS SELECT k * seeds + n AS n, letters AS was, pg_temp.letters(10 * (62 ^ 5)::bigint + k * seeds + n) AS becomes \
         FROM seeds, generate_series(0, {} / seeds - 1) AS k; ANALYZE copies; ANALYZE seed_events; ANALYZE seed_orders",
        events / A_CHECKOUT
    ))?;
    for statement in COPY.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        conn.batch_execute(statement)?;
    }
    let there = postgres::count(&database, "SELECT count(*) AS number FROM events")?;
    ensure!(there >= i64::try_from(events)? * 99 / 100, "only {there} events were made");
    let bytes = postgres::count(&database, "SELECT pg_database_size(current_database()) AS number")?;
    Ok(format!(
        "Events stored: {SEEDS} were received by ringup and then copied by INSERT … SELECT with their payloads, orders, references and messages, each under \
         ids of its own, to {there} events ({} GiB with indexes), vacuumed; it took {} s. The new events' ids sort after the stored ones', as Stripe's do; \
         session ids and the shop's references are scattered among them.",
        bytes >> 30,
        start.elapsed().as_secs()
    ))
}
