//! The SQL of what an edition of the order law leaves queued when the next one takes over: messages get the keys that
//! the new edition knows, and what it owes no more is withdrawn.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::Renamed;
use crate::notices::Kind;

/// What is told of the moment, and may be over when it is told.
const OF_THE_MOMENT: [Kind; 3] = [Kind::OrderPaymentFailed, Kind::OrderAwaitingFunds, Kind::OrderCanceled];

/// Gives messages other keys, sent or not, one a key and destination. One whose destination has a message of the other
/// key stays as it is. Ids never change: they are what a receiver knows a message by.
pub fn rename(conn: &mut PgConnection, renamed: &[Renamed]) -> QueryResult<()> {
    // One key after the other: of several that stand for alike news each takes one message.
    renamed.chunk_by(|one, other| one.to == other.to).try_for_each(|renamed| rename_to_one(conn, renamed))
}

fn rename_to_one(conn: &mut PgConnection, renamed: &[Renamed]) -> QueryResult<()> {
    sql_query(
        "WITH renamed AS (SELECT * FROM unnest($1, $2, $3) AS r (old, new, about)), \
              theirs AS MATERIALIZED (SELECT o.id, o.destination, r.* FROM outbox o JOIN renamed r ON r.old = o.notice_key \
                                      ORDER BY o.id FOR UPDATE OF o), \
              one AS (SELECT DISTINCT ON (new, destination) * FROM theirs t \
                      WHERE NOT EXISTS (SELECT FROM outbox other WHERE other.notice_key = t.new AND other.destination = t.destination) \
                      ORDER BY new, destination, id) \
         UPDATE outbox o SET notice = split_part(one.new, ':', 1), notice_key = one.new, dedupe_key = one.new || substr(o.dedupe_key, length(one.old) + 1), \
                about = CASE WHEN o.state = 'queued' AND o.lease IS NULL THEN one.about ELSE o.about END \
         FROM one WHERE o.id = one.id",
    )
    .bind::<Array<Text>, _>(renamed.iter().map(|r| &r.from).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(renamed.iter().map(|r| &r.to).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(renamed.iter().map(|r| &r.about).collect::<Vec<_>>())
    .execute(conn)
    .map(drop)
}

/// Withdraws the mails of these notices that were never tried.
pub fn withdraw_mails(conn: &mut PgConnection, keys: &[String]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE notice_key = ANY($1) AND kind = 'email' AND state = 'queued' \
                                        AND lease IS NULL AND attempts = 0 ORDER BY id FOR UPDATE) \
         DELETE FROM outbox WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<Text>, _>(keys)
    .execute(conn)
}

/// Withdraws what waits of an order's messages and is not among the `owed` keys, and of the `unmailed` ones the mails.
/// What was tried stays on record as given up; what a worker is sending right now goes out. News of the moment stays:
/// that it is over by now is judged when it is sent.
pub fn withdraw_all_but(
    conn: &mut PgConnection,
    order: Uuid,
    owed: &[String],
    unmailed: &[String],
) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id, attempts FROM outbox \
                                      WHERE order_id = $1 AND state = 'queued' AND lease IS NULL AND notice LIKE 'order.%' AND notice <> ALL($4) \
                                        AND (notice_key <> ALL($2) OR (kind = 'email' AND notice_key = ANY($3))) \
                                      ORDER BY id FOR UPDATE), \
              untried AS (DELETE FROM outbox WHERE id IN (SELECT id FROM theirs WHERE attempts = 0)) \
         UPDATE outbox SET state = 'dead', settled_at = now(), last_error = 'the order was rebuilt, and owes this no more' \
         WHERE id IN (SELECT id FROM theirs WHERE attempts > 0)",
    )
    .bind::<SqlUuid, _>(order)
    .bind::<Array<Text>, _>(owed)
    .bind::<Array<Text>, _>(unmailed)
    .bind::<Array<Text>, _>(OF_THE_MOMENT.map(|kind| kind.name()).to_vec())
    .execute(conn)
}
