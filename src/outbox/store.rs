//! The SQL of delivering: claims, and how they end.
//!
//! Rows are locked in the order of their ids wherever a statement takes several and waits for them; a claim waits
//! for none. So no two of these statements can block each other in a circle.

use crate::db::prepared;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::ReadDetails;
use super::deliver::Outcome;
use super::destinations::{self, Troubles};
use super::queue::{NewNotice, enqueue};
use super::templates::told_to_the_shop;
use crate::notices::OrderView;
use serde::Deserialize;

/// A message that this worker alone may send until its lease ends.
#[derive(Clone, Debug, QueryableByName)]
pub(super) struct Claimed {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub dedupe_key: String,
    #[diesel(sql_type = Text)]
    pub destination: String,
    /// `email`, `slack` or `webhook`.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// Which attempt this is, from 1.
    #[diesel(sql_type = Integer)]
    pub number: i32,
    /// The attempts that don't count any more.
    #[diesel(sql_type = Integer)]
    pub given_up: i32,
    #[diesel(sql_type = Text)]
    pub notice: String,
    /// The notice's own data, as JSON.
    #[diesel(sql_type = Text)]
    pub about: String,
    /// The received event that it passes on.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub event: Option<i64>,
    /// The order as it is now, as JSON; none where the message has none, or its row is gone.
    #[diesel(sql_type = Nullable<Text>)]
    pub order: Option<String>,
    /// When the message was queued.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    /// Since when it was due.
    #[diesel(sql_type = Timestamptz)]
    pub due_at: DateTime<Utc>,
    /// When it was claimed, by the database's clock.
    #[diesel(sql_type = Timestamptz)]
    pub since: DateTime<Utc>,
    /// Where to; none where the configuration says it.
    #[diesel(sql_type = Nullable<Text>)]
    pub url: Option<String>,
    #[diesel(sql_type = Bool)]
    pub relay: bool,
    /// Signs it.
    #[diesel(sql_type = Nullable<Text>)]
    pub secret: Option<String>,
    /// Signs it, too, for a day after a rotation.
    #[diesel(sql_type = Nullable<Text>)]
    pub previous_secret: Option<String>,
}

impl Claimed {
    /// The order as it is now, if there is one, with what `details` reads from its facts.
    ///
    /// # Errors
    /// Fails if the row or its facts cannot be read.
    pub fn order(&self, details: &ReadDetails) -> anyhow::Result<Option<OrderView>> {
        #[derive(Deserialize)]
        struct Stored {
            facts: String,
        }
        let Some(row) = self.order.as_deref() else { return Ok(None) };
        let view: OrderView = serde_json::from_str(row)?;
        let Stored { facts } = serde_json::from_str(row)?;
        Ok(Some(view.with(details(&facts).map_err(anyhow::Error::msg)?)))
    }
}

/// How much is claimed.
#[derive(Debug)]
pub(super) struct Room<'a> {
    /// Messages that this process is sending already, by their destination.
    pub busy: &'a [(String, i32)],
    /// How many it sends at the same time to the mail server, and to each other destination.
    pub mails: i32,
    pub others: i32,
    /// How many more it takes in all.
    pub total: i32,
}

/// Statements that only look rows up by their keys. They are planned once a connection, and a plan that was made while
/// the tables were small must not read the whole of them when they are large.
fn by_keys<T>(conn: &mut PgConnection, work: impl FnOnce(&mut PgConnection) -> QueryResult<T>) -> QueryResult<T> {
    conn.transaction(|conn| {
        conn.batch_execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off",
        )?;
        work(conn)
    })
}

/// Whether the order `r` is a subscription's first payment after a trial: an invoice of zero came before, and no payment.
macro_rules! follows_trial {
    () => {
        "EXISTS (SELECT FROM orders t WHERE t.subscription = r.subscription AND t.account = r.account AND t.livemode = r.livemode \
                   AND t.id < r.id AND t.amount_expected = 0 AND t.merged_into IS NULL) \
         AND NOT EXISTS (SELECT FROM orders p WHERE p.subscription = r.subscription AND p.account = r.account AND p.livemode = r.livemode \
                   AND p.id < r.id AND p.amount_paid > 0 AND p.merged_into IS NULL)"
    };
}

/// Takes messages that are due, the longest due first, and keeps other workers away for `lease`. A destination that
/// hangs keeps no more than its own room. Slack gets one message a second from all workers together.
///
/// It reads what it takes and no more, however many wait: the index `outbox_due` has their sequence, and what depends on
/// an order is asked of one order at a time (a subselect in place of `EXISTS` is never turned into a read of them all).
///
/// Held messages stay. So do mails to the customer of an order in review, whatever `held` says: the flag is written
/// with the order, this line is for the day when it isn't.
pub(super) fn claim(
    conn: &mut PgConnection,
    token: Uuid,
    room: &Room<'_>,
    lease: Duration,
) -> QueryResult<Vec<Claimed>> {
    const CLAIM: &str = concat!(
        "WITH turn AS MATERIALIZED ( \
             SELECT d.id FROM destinations d WHERE d.kind = 'slack' AND d.state = 'active' AND d.next_at <= now() \
               AND EXISTS (SELECT FROM outbox m WHERE m.destination = d.id AND m.state = 'queued' AND NOT m.held AND m.next_at <= now()) \
             FOR NO KEY UPDATE SKIP LOCKED), \
         taken AS ( \
             UPDATE destinations d SET next_at = clock_timestamp() + interval '1 second' FROM turn WHERE d.id = turn.id \
             RETURNING d.id), \
         open AS (SELECT id, 1 AS room FROM taken \
             UNION ALL SELECT d.id, CASE d.kind WHEN 'email' THEN $1 ELSE $2 END - COALESCE(b.count, 0) \
             FROM destinations d LEFT JOIN unnest($3, $4) AS b (id, count) USING (id) \
             WHERE d.kind <> 'slack' AND d.state = 'active' AND d.next_at <= now()), \
         due AS MATERIALIZED ( \
             SELECT m.id, m.next_at FROM open CROSS JOIN LATERAL ( \
                 SELECT o.id, o.next_at FROM outbox o \
                 WHERE o.destination = open.id AND o.state = 'queued' AND NOT o.held AND o.next_at <= now() \
                   AND NOT (o.kind = 'email' AND o.notice <> ALL($5) \
                            AND COALESCE((SELECT r.status = 'review' FROM orders r WHERE r.id = o.order_id), false)) \
                 ORDER BY o.next_at, o.id LIMIT GREATEST(open.room, 0) FOR NO KEY UPDATE SKIP LOCKED) m \
             ORDER BY m.next_at, m.id LIMIT $6) \
         UPDATE outbox m SET lease = $7, attempts = m.attempts + 1, next_at = clock_timestamp() + make_interval(secs => $8) \
         FROM due, destinations d WHERE m.id = due.id AND d.id = m.destination \
         RETURNING m.id, m.dedupe_key, m.destination, m.kind, m.attempts AS number, m.given_up, m.notice, m.about, m.event, \
                   (SELECT row_to_json(v)::text FROM ( \
                        SELECT r.reference, r.account, r.livemode, r.status, r.money_status, r.review_reasons, r.currency, \
                               r.amount_expected, r.amount_paid, r.amount_refunded, r.amount_lost, r.customer_email, \
                               r.customer_name, r.locale, r.subscription, r.renewal, r.line_items, r.version, r.created_at, r.updated_at, r.facts, \
                               r.renewal AND ",
        follows_trial!(),
        " AS follows_trial \
                        FROM orders r WHERE r.merged_into IS NULL AND r.id = ( \
                            WITH RECURSIVE survivor AS ( \
                                SELECT id, merged_into FROM orders WHERE id = m.order_id \
                                UNION SELECT n.id, n.merged_into FROM orders n JOIN survivor s ON n.id = s.merged_into) \
                            SELECT id FROM survivor WHERE merged_into IS NULL)) v) AS \"order\", \
                   m.created_at, due.next_at AS due_at, clock_timestamp() AS since, d.url, d.relay, d.secret, \
                   CASE WHEN d.previous_until > now() THEN d.previous_secret END AS previous_secret"
    );
    let (busy, counts): (Vec<&str>, Vec<i32>) = room.busy.iter().map(|(id, count)| (id.as_str(), *count)).unzip();
    let due = prepared!(CLAIM)
        .bind::<Integer, _>(room.mails)
        .bind::<Integer, _>(room.others)
        .bind::<Array<Text>, _>(busy)
        .bind::<Array<Integer>, _>(counts)
        .bind::<Array<Text>, _>(told_to_the_shop())
        .bind::<Integer, _>(room.total)
        .bind::<SqlUuid, _>(token)
        .bind::<Double, _>(lease.as_secs_f64());
    by_keys(conn, |conn| due.load(conn))
}

/// The checkout session of a message's order, where it has exactly one.
pub(super) fn session_of(conn: &mut PgConnection, message: Uuid) -> QueryResult<Option<String>> {
    #[derive(QueryableByName)]
    struct Session {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let mut sessions: Vec<Session> = prepared!(
        "SELECT r.value FROM outbox o JOIN order_references r ON r.order_id = o.order_id \
         WHERE o.id = $1 AND r.kind = 'object' AND r.value LIKE 'cs\\_%' LIMIT 2",
    )
    .bind::<SqlUuid, _>(message)
    .load(conn)?;
    let only = sessions.pop().filter(|_| sessions.is_empty());
    Ok(only.map(|session| session.value))
}

/// The bytes of a received event, as they came.
pub(super) fn received(conn: &mut PgConnection, event: i64) -> QueryResult<Option<Vec<u8>>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        body: Vec<u8>,
    }
    let row = sql_query("SELECT body FROM payloads WHERE event = $1").bind::<BigInt, _>(event);
    Ok(row.get_result::<Row>(conn).optional()?.map(|row| row.body))
}

/// How an attempt ended, ready to be written.
#[derive(Debug)]
pub(super) struct Attempt {
    pub message_id: Uuid,
    /// The message's dedupe key.
    pub key: String,
    /// The claim that it belongs to.
    pub token: Uuid,
    pub destination: String,
    pub kind: String,
    pub number: i32,
    pub started_at: DateTime<Utc>,
    pub duration_ms: i32,
    /// As `attempts.outcome` has it: sent, retry or refused.
    pub outcome: &'static str,
    pub answer: String,
    pub then: Then,
    /// Since when the message was due.
    pub due_at: DateTime<Utc>,
    /// What it says about the destination.
    pub ended: Outcome,
}

/// What becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Then {
    Sent,
    Dead,
    Again {
        after: Duration,
    },
    /// It was not tried: all is as before the claim, its place among the others included.
    Back,
}

/// What a settle came to.
#[derive(Debug)]
pub(super) struct Settled {
    /// How many messages were still held by their claims.
    pub messages: usize,
    /// The destinations that were disabled, each with the reason.
    pub disabled: Vec<(String, String)>,
}

/// Records attempts, settles their messages where their claims still hold them, tells their destinations, and queues
/// the news of what was given up.
pub(super) fn settle(
    conn: &mut PgConnection,
    attempts: &[Attempt],
    troubles: Troubles,
    obituaries: &[NewNotice],
) -> QueryResult<Settled> {
    by_keys(conn, |conn| {
        let tried: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.then != Then::Back).collect();
        record(conn, &tried)?;
        let messages = settle_messages(conn, attempts)?;
        let disabled = destinations::settle(conn, troubles)?;
        enqueue(conn, obituaries)?;
        Ok(Settled { messages, disabled })
    })
}

/// The attempt took place, whoever holds the message now. A claim that was settled twice leaves one row.
fn record(conn: &mut PgConnection, attempts: &[&Attempt]) -> QueryResult<usize> {
    prepared!(
        "INSERT INTO attempts (message_id, number, started_at, duration_ms, outcome, answer) \
         SELECT a.message_id, a.number, a.started_at, a.duration_ms, a.outcome, a.answer \
         FROM unnest($1, $2, $3, $4, $5, $6) AS a (message_id, number, started_at, duration_ms, outcome, answer) \
         JOIN outbox ON outbox.id = a.message_id \
         ORDER BY a.message_id \
         ON CONFLICT (message_id, number) DO NOTHING",
    )
    .column::<SqlUuid, _, _>(attempts, |a| a.message_id)
    .column::<Integer, _, _>(attempts, |a| a.number)
    .column::<Timestamptz, _, _>(attempts, |a| a.started_at)
    .column::<Integer, _, _>(attempts, |a| a.duration_ms)
    .column::<Text, _, _>(attempts, |a| a.outcome)
    .column::<Text, _, _>(attempts, |a| storable(&a.answer))
    .execute(conn)
}

fn settle_messages(conn: &mut PgConnection, attempts: &[Attempt]) -> QueryResult<usize> {
    prepared!(
        "WITH mine AS MATERIALIZED ( \
             SELECT a.* FROM unnest($1, $2, $3, $4, $5, $6, $7) AS a (id, token, state, delay, answer, untried, due_at) \
             JOIN outbox o ON o.id = a.id AND o.lease = a.token AND o.state = 'queued' ORDER BY o.id FOR NO KEY UPDATE OF o) \
         UPDATE outbox o SET state = mine.state, lease = NULL, attempts = o.attempts - mine.untried::int, \
                next_at = CASE WHEN mine.untried THEN mine.due_at \
                               WHEN mine.state = 'queued' THEN now() + make_interval(secs => mine.delay) ELSE o.next_at END, \
                last_error = CASE WHEN mine.untried THEN o.last_error WHEN mine.state <> 'sent' THEN mine.answer END, \
                settled_at = CASE WHEN mine.state = 'queued' THEN NULL ELSE now() END \
         FROM mine WHERE o.id = mine.id",
    )
    .column::<SqlUuid, _, _>(attempts, |a| a.message_id)
    .column::<SqlUuid, _, _>(attempts, |a| a.token)
    .column::<Text, _, _>(attempts, |a| match a.then {
        Then::Sent => "sent",
        Then::Dead => "dead",
        Then::Again { .. } | Then::Back => "queued",
    })
    .column::<Double, _, _>(attempts, |a| match a.then {
        Then::Again { after } => after.as_secs_f64(),
        Then::Sent | Then::Dead | Then::Back => 0.0,
    })
    .column::<Text, _, _>(attempts, |a| storable(&a.answer))
    .column::<Bool, _, _>(attempts, |a| a.then == Then::Back)
    .column::<Timestamptz, _, _>(attempts, |a| a.due_at)
    .execute(conn)
}

/// What the column takes: at most 2 KiB, cut between characters, and without NULs, which Postgres refuses.
pub(super) fn storable(text: &str) -> String {
    const LIMIT: usize = 2048;
    let text = text.replace('\0', "");
    let end = (0..=LIMIT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::storable;

    #[test]
    fn an_answer_is_cut_between_characters_and_has_no_nul() {
        assert_eq!(storable("a\0b"), "ab");
        assert_eq!(storable(&"é".repeat(1024)).len(), 2048);
        assert_eq!(storable(&format!("a{}", "é".repeat(2000))).len(), 2047);
    }
}
