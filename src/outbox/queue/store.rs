//! The SQL of queueing, and of what later facts change about queued messages.
//!
//! Rows are locked in the order of their ids wherever a statement takes several and waits for them, so no two of
//! these statements can block each other in a circle.

use crate::db::{Part, Prepared, Values, prepared};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::{CONFIRMATIONS, Message, NewNotice};
use crate::notices::{Kind, Only};
use crate::outbox::MessageKind;
use crate::outbox::templates::told_to_the_shop;

/// Inserts the messages that are new, under any of their notice's names. A shop is told that an order was identified
/// only where it was told before, under Stripe's id, that it was paid.
pub(super) fn queueing<'a>(messages: &'a [(&'a NewNotice, Message<'a>)]) -> Prepared<impl Values + use<'a>> {
    // Sorted by key, since an insert waits for another transaction's uncommitted twin.
    prepared!(
        "INSERT INTO outbox (id, kind, destination, notice, notice_key, dedupe_key, order_id, event, about, next_at, waiting, held) \
         SELECT m.id, m.kind, m.destination, m.notice, m.notice_key, m.dedupe_key, m.order_id, m.event, m.about, \
                now() + make_interval(secs => m.delay), m.waiting, m.held \
         FROM (SELECT unnest($1) AS id, unnest($2) AS kind, unnest($3) AS destination, unnest($4) AS notice, unnest($5) AS notice_key, \
                      unnest($6) AS dedupe_key, unnest($7) AS order_id, unnest($8) AS event, unnest($9) AS about, unnest($10) AS delay, \
                      unnest($11) AS waiting, unnest($12) AS held, unnest($13) AS also, unnest($14) AS told) m \
         WHERE (SELECT holds FROM guard) \
           AND (m.also IS NULL OR NOT EXISTS ( \
                    SELECT FROM outbox o WHERE o.notice_key = ANY (string_to_array(m.also, E'\\n')) AND o.destination = m.destination)) \
           AND (m.told IS NULL OR EXISTS ( \
                    SELECT FROM outbox o WHERE o.notice_key = ANY (string_to_array(m.told, E'\\n')) AND o.destination = m.destination \
                                           AND o.waiting AND (o.state = 'sent' OR o.lease IS NOT NULL))) \
         ORDER BY m.notice_key COLLATE \"C\", m.destination COLLATE \"C\" \
         ON CONFLICT (notice_key, destination) DO NOTHING RETURNING true",
    )
    .column::<SqlUuid, _, _>(messages, |_| Uuid::now_v7())
    .column::<Text, _, _>(messages, |(_, message)| message.kind.name())
    .column::<Text, _, _>(messages, |(_, message)| message.destination)
    .column::<Text, _, _>(messages, |(notice, _)| notice.kind.name())
    .column::<Text, _, _>(messages, |(notice, _)| &notice.key[..])
    .column::<Text, _, _>(messages, |(_, message)| &message.dedupe_key[..])
    .column::<Nullable<SqlUuid>, _, _>(messages, |(notice, _)| notice.order_id)
    .column::<Nullable<BigInt>, _, _>(messages, |(notice, _)| notice.event)
    .column::<Text, _, _>(messages, |(notice, _)| &notice.about[..])
    .column::<Integer, _, _>(messages, |(notice, _)| notice.delay_seconds)
    .column::<Bool, _, _>(messages, |(notice, _)| notice.waiting)
    .column::<Bool, _, _>(messages, |(_, message)| message.held)
    .column::<Nullable<Text>, _, _>(messages, |(notice, _)| also(notice))
    .column::<Nullable<Text>, _, _>(messages, |(notice, _)| told(notice))
}

/// Other names of the notice, a line each.
fn also(notice: &NewNotice) -> Option<String> {
    (!notice.also.is_empty()).then(|| notice.also.join("\n"))
}

/// The names of another notice, a line each, after which alone it is worth telling.
fn told(notice: &NewNotice) -> Option<String> {
    let names = std::iter::once(&notice.key).chain(&notice.also);
    let paid = || names.map(|name| name.replacen("order.identified:", "order.paid:", 1)).collect::<Vec<_>>();
    (notice.kind == Kind::OrderIdentified).then(|| paid().join("\n"))
}

/// Inserts one message if as many alike are there as its notice says: fewer than so many, or, of a mail that takes news
/// back, more.
pub(super) fn queue_counted(conn: &mut PgConnection, notice: &NewNotice, message: &Message<'_>) -> QueryResult<usize> {
    const NONE: &[String] = &[];
    let (most, least, keys, without) = match &notice.only {
        Some(Only::FewerThan { count, keys }) => (as_i64(*count), -1, &keys[..], NONE),
        Some(Only::MoreThan { count, keys, without }) if message.kind == MessageKind::Email => {
            (i64::MAX, as_i64(*count), &keys[..], &without[..])
        }
        Some(Only::MoreThan { .. }) | None => (i64::MAX, -1, NONE, NONE),
    };
    sql_query(
        "INSERT INTO outbox (id, kind, destination, notice, notice_key, dedupe_key, order_id, about, next_at, waiting, held) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9), $10, $11 \
         FROM (SELECT count(*) FILTER (WHERE o.notice_key = ANY ($12)) - count(*) FILTER (WHERE o.notice_key = ANY ($13)) AS alike \
               FROM outbox o WHERE o.notice_key = ANY ($12 || $13) AND o.destination = $3 \
                               AND o.about::json ->> 'amount' = $8::json ->> 'amount') there \
         WHERE there.alike < $14 AND there.alike > $15 \
         ON CONFLICT (notice_key, destination) DO NOTHING",
    )
    .bind::<SqlUuid, _>(Uuid::now_v7())
    .bind::<Text, _>(message.kind.name())
    .bind::<Text, _>(message.destination)
    .bind::<Text, _>(&*notice.kind.name())
    .bind::<Text, _>(&notice.key)
    .bind::<Text, _>(&*message.dedupe_key)
    .bind::<Nullable<SqlUuid>, _>(notice.order_id)
    .bind::<Text, _>(&notice.about)
    .bind::<Integer, _>(notice.delay_seconds)
    .bind::<Bool, _>(notice.waiting)
    .bind::<Bool, _>(message.held)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<Text>, _>(without)
    .bind::<BigInt, _>(most)
    .bind::<BigInt, _>(least)
    .execute(conn)
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Removes the messages of these notices that nobody was told and no worker holds: their matter is told otherwise, or
/// has settled itself. They leave nothing behind, so that the notice can be queued again.
pub fn withdraw(conn: &mut PgConnection, keys: &[String]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE notice_key = ANY($1) AND state = 'queued' AND lease IS NULL AND attempts = 0 \
                                      ORDER BY id FOR UPDATE) \
         DELETE FROM outbox WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<Text>, _>(keys)
    .execute(conn)
}

/// Keeps the orders' queued confirmations and mails to customers from being sent. What a worker is sending right now
/// goes out.
pub fn hold(conn: &mut PgConnection, order_ids: &[Uuid]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE order_id = ANY($1) AND state = 'queued' AND NOT held \
                                        AND (notice = ANY($2) OR (kind = 'email' AND notice <> ALL($3))) \
                                      ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox SET held = true WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<SqlUuid>, _>(order_ids)
    .bind::<Array<Text>, _>(CONFIRMATIONS.map(|kind| kind.name()).to_vec())
    .bind::<Array<Text>, _>(told_to_the_shop())
    .execute(conn)
}

/// Lets the orders' held messages go: they are due now, unless they still wait for the order's reference.
pub fn release(conn: &mut PgConnection, order_ids: &[Uuid]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE order_id = ANY($1) AND state = 'queued' AND held \
                                      ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox SET held = false, \
                next_at = CASE WHEN waiting OR lease IS NOT NULL THEN next_at ELSE now() END \
         WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<SqlUuid>, _>(order_ids)
    .execute(conn)
}

/// Ends the grace period of these notices' messages: what they waited for has come, and each is about what is given
/// with its key. One that a worker is sending right now goes out without it, and stays marked.
pub fn end_wait(conn: &mut PgConnection, notices: &[(String, String)]) -> QueryResult<usize> {
    ending_wait(notices).unconditional().execute(conn)
}

/// The same as part of a change.
pub fn ended(notices: &[(String, String)]) -> Option<Part<impl Values + use<'_>>> {
    (!notices.is_empty()).then(|| ending_wait(notices).called("ended"))
}

fn ending_wait(notices: &[(String, String)]) -> Prepared<impl Values + use<'_>> {
    // Sorted as text, lest the whole index of ids be read for its order.
    prepared!(
        "UPDATE outbox o SET waiting = false, next_at = now(), about = told.abouts[array_position(told.keys, o.notice_key)] \
         FROM (SELECT $1 AS keys, $2 AS abouts) told \
         WHERE o.id = ANY (ARRAY(SELECT theirs.id FROM outbox theirs \
                                 WHERE (SELECT holds FROM guard) AND theirs.notice_key = ANY (told.keys) \
                                   AND theirs.state = 'queued' AND theirs.waiting AND theirs.lease IS NULL \
                                 ORDER BY theirs.id::text COLLATE \"C\" FOR NO KEY UPDATE)) \
         RETURNING true",
    )
    .column::<Text, _, _>(notices, |(key, _)| &key[..])
    .column::<Text, _, _>(notices, |(_, about)| &about[..])
}

/// Of the messages queued for one destination under several names of one payment, only one goes out: the one that was
/// sent or is being sent, else the oldest.
pub fn keep_one(conn: &mut PgConnection, keys: &[String]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id, state, lease, destination, dedupe_key FROM outbox WHERE notice_key = ANY($1) \
                                      ORDER BY id FOR NO KEY UPDATE), \
              kept AS (SELECT DISTINCT ON (destination) id, destination, dedupe_key FROM theirs \
                       ORDER BY destination, state = 'sent' DESC, lease IS NOT NULL DESC, id) \
         UPDATE outbox SET state = 'dead', lease = NULL, settled_at = now(), last_error = 'superseded by ' || kept.dedupe_key \
         FROM kept WHERE outbox.id IN (SELECT id FROM theirs) AND outbox.destination = kept.destination \
                     AND outbox.id <> kept.id AND outbox.state = 'queued'",
    )
    .bind::<Array<Text>, _>(keys)
    .execute(conn)
}

/// Messages of notices whose facts are in another order now are rendered from that one.
pub fn rehome(conn: &mut PgConnection, homes: &[(String, Uuid)]) -> QueryResult<usize> {
    sql_query(
        "WITH homes AS (SELECT * FROM unnest($1, $2) AS h (notice_key, order_id)), \
              theirs AS MATERIALIZED (SELECT o.id, h.order_id FROM outbox o JOIN homes h USING (notice_key) ORDER BY o.id FOR NO KEY UPDATE OF o) \
         UPDATE outbox o SET order_id = theirs.order_id FROM theirs WHERE o.id = theirs.id AND o.order_id IS DISTINCT FROM theirs.order_id",
    )
    .bind::<Array<Text>, _>(homes.iter().map(|(key, _)| key).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(homes.iter().map(|(_, id)| *id).collect::<Vec<_>>())
    .execute(conn)
}

/// Messages of the order `from[i]` now belong to `to[i]`, into which it was merged.
pub fn adopt(conn: &mut PgConnection, from: &[Uuid], to: &[Uuid]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE order_id = ANY($1) ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox o SET order_id = merged.into_id \
         FROM unnest($1, $2) AS merged (from_id, into_id) \
         WHERE o.order_id = merged.from_id AND o.id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<SqlUuid>, _>(from)
    .bind::<Array<SqlUuid>, _>(to)
    .execute(conn)
}
