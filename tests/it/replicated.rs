//! A database with a synchronous standby: nothing is answered 2xx that the standby does not have.

use crate::support::postgres::PrivateCluster;
use crate::support::server::{Receiver, count, now, texts};
use crate::support::standby::{FOLLOWED, Standby, end_waiting_sessions, until, until_commits_wait};
use crate::support::thin::thin;
use diesel::pg::PgConnection;
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use ringup::inbox::known::wait_for_standby;
use std::time::{Duration, Instant};

fn checkout(seed: u64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap()
}

/// Has `body` committed by a session that is ended while it waits for the standby.
async fn commit_here_alone(primary: &PrivateCluster, receiver: &Receiver, body: &[u8]) {
    let mut conn = primary.conn();
    let before = count(&mut conn, "SELECT count(*) FROM events");
    assert_eq!(receiver.deliver(body).await.status, 503, "no standby has it");
    until("the event is stored", || {
        end_waiting_sessions(&mut conn);
        count(&mut conn, "SELECT count(*) FROM events") == before + 1
    });
}

/// Delivers `body`, which is stored already, until it is answered 2xx; says how.
async fn until_answered(receiver: &Receiver, body: &[u8]) -> String {
    let begun = Instant::now();
    loop {
        let answer = receiver.deliver(body).await;
        if answer.status == 200 {
            return answer.code().to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the receiver does not come back");
    }
}

/// Of an event that goes the quick way: it is plain, and nothing was in its way before.
#[actix_rt::test]
async fn a_duplicate_that_no_standby_has_is_answered_once_one_has_it() {
    let primary = PrivateCluster::start_with(FOLLOWED);
    let receiver = Receiver::start_with(&primary.url(), &[]).without_keep_alive();
    let stream = checkout(1);
    assert_eq!(receiver.deliver(stream.events[0].body.as_bytes()).await.code(), "accepted");
    let mut standby = Standby::of(&primary);
    standby.stop();
    until_commits_wait(&primary);
    let body = stream.events[1].body.as_bytes();
    commit_here_alone(&primary, &receiver, body).await;
    for _ in 0..3 {
        assert_eq!(receiver.deliver(body).await.status, 503, "it is stored, and no standby has it");
    }
    standby.start();
    assert_eq!(until_answered(&receiver, body).await, "duplicate");
    standby.until_count("SELECT count(*) FROM events", 2);
}

/// A thin event always goes the careful way.
#[actix_rt::test]
async fn a_duplicate_of_the_careful_way_waits_for_the_standby() {
    let primary = PrivateCluster::start_with(FOLLOWED);
    let receiver = Receiver::start_with(&primary.url(), &[]).without_keep_alive();
    let mut standby = Standby::of(&primary);
    standby.stop();
    until_commits_wait(&primary);
    let body = thin(&checkout(2).events[1].body).to_string();
    commit_here_alone(&primary, &receiver, body.as_bytes()).await;
    for _ in 0..3 {
        assert_eq!(receiver.deliver(body.as_bytes()).await.status, 503, "it is stored, and no standby has it");
    }
    standby.start();
    assert_eq!(until_answered(&receiver, body.as_bytes()).await, "duplicate");
    standby.until_count("SELECT count(*) FROM events", 1);
}

/// The number that the next transaction gets which writes anything.
fn next_transaction(conn: &mut PgConnection) -> i64 {
    count(conn, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS count")
}

fn wal(conn: &mut PgConnection) -> i64 {
    count(conn, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS count")
}

#[actix_rt::test]
async fn without_a_standby_a_duplicate_writes_nothing() {
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = diesel::sql_types::Text)]
        query: String,
    }
    let cluster = PrivateCluster::start();
    let receiver = Receiver::start_with(&cluster.url(), &[]);
    let body = checkout(3).events[1].body.clone();
    assert_eq!(receiver.deliver(body.as_bytes()).await.code(), "accepted");
    let mut conn = cluster.conn();
    let before = (next_transaction(&mut conn), wal(&mut conn));
    for _ in 0..5 {
        assert_eq!(receiver.deliver(body.as_bytes()).await.code(), "duplicate");
    }
    assert_eq!((next_transaction(&mut conn), wal(&mut conn)), before);
    let others =
        "SELECT query FROM pg_stat_activity WHERE query LIKE '%pg_logical_emit_message%' AND pid <> pg_backend_pid()";
    let asked: Vec<Last> = sql_query(others).load(&mut conn).unwrap();
    assert_eq!(asked.iter().map(|last| &last.query[..]).collect::<Vec<_>>(), [] as [&str; 0], "not even a statement");
}

/// What `sync` and the careful way call: it writes where a standby is waited for, and only there.
#[test]
fn a_commit_record_is_written_where_a_standby_is_waited_for() {
    let primary = PrivateCluster::start_with(FOLLOWED);
    let mut conn = primary.conn();
    let before = next_transaction(&mut conn);
    wait_for_standby(&mut conn).unwrap();
    assert_eq!(next_transaction(&mut conn), before);
    let _standby = Standby::of(&primary);
    until("the session hears of the standby", || {
        texts(&mut conn, "SELECT current_setting('synchronous_standby_names') AS text") == [Some("*".to_owned())]
    });
    let before = next_transaction(&mut conn);
    wait_for_standby(&mut conn).unwrap();
    assert_eq!(next_transaction(&mut conn), before + 1);
}
