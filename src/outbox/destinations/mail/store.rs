//! The SQL of the destination `mail`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::{MailNews, MailTrouble, PATIENCE, QUIET, Turn, advice, kind_of};
use crate::db::prepared;
use crate::notices::{About, Kind};
use crate::outbox::queue::{MAIL, NewNotice, enqueue};

/// Most mails that are due at once when the trouble is over; the others follow when their time comes.
const MOST_WOKEN: i64 = 20_000;

#[derive(QueryableByName)]
struct Before {
    #[diesel(sql_type = Nullable<Text>)]
    trouble: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    failing_since: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Bool)]
    began: bool,
    #[diesel(sql_type = BigInt)]
    at: i64,
}

/// Writes down what attempts at mails showed, once they are settled. An accepted mail counts more than a failed one:
/// what takes some takes mail.
pub fn settle_mail(conn: &mut PgConnection, news: &MailNews) -> QueryResult<Option<Turn>> {
    if news.failed.is_empty() && (!news.works || !is_failing(conn)?) {
        return Ok(None);
    }
    conn.transaction(|conn| {
        discount(conn, &news.failed)?;
        match &news.trouble {
            _ if news.works => end(conn),
            Some(trouble) => begin(conn, trouble),
            None => Ok(None),
        }
    })
}

fn is_failing(conn: &mut PgConnection) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Failing {
        #[diesel(sql_type = Bool)]
        failing: bool,
    }
    let row =
        prepared!("SELECT failing_since IS NOT NULL AS failing FROM destinations WHERE id = $1").bind::<Text, _>(MAIL);
    Ok(row.get_result::<Failing>(conn).optional()?.is_some_and(|row| row.failing))
}

/// Attempts that failed for the shop's own trouble don't count towards a message's last one.
fn discount(conn: &mut PgConnection, failed: &[(Uuid, i32)]) -> QueryResult<usize> {
    if failed.is_empty() {
        return Ok(0);
    }
    let (ids, numbers): (Vec<Uuid>, Vec<i32>) = failed.iter().copied().unzip();
    sql_query(
        "WITH theirs AS MATERIALIZED ( \
             SELECT o.id FROM unnest($1, $2) AS f (id, number) \
             JOIN outbox o ON o.id = f.id AND o.attempts = f.number AND o.state = 'queued' AND o.lease IS NULL \
             ORDER BY o.id FOR NO KEY UPDATE OF o) \
         UPDATE outbox o SET given_up = o.given_up + 1 FROM theirs WHERE o.id = theirs.id AND o.given_up < o.attempts",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>(numbers)
    .execute(conn)
}

fn begin(conn: &mut PgConnection, trouble: &MailTrouble) -> QueryResult<Option<Turn>> {
    let now: Option<Now> = sql_query(
        "WITH before AS (SELECT id, trouble, failing_since FROM destinations WHERE id = $1 FOR NO KEY UPDATE) \
         UPDATE destinations d SET failing_since = COALESCE(before.failing_since, now()), \
                trouble = CASE WHEN before.trouble IS NOT NULL OR $3 OR before.failing_since <= now() - make_interval(secs => $4) \
                               THEN $2 END \
         FROM before WHERE d.id = before.id \
         RETURNING before.trouble IS NULL AND d.trouble IS NOT NULL AS began, extract(epoch FROM now())::bigint AS at",
    )
    .bind::<Text, _>(MAIL)
    .bind::<Text, _>(&trouble.answer)
    .bind::<Bool, _>(trouble.at_once)
    .bind::<Double, _>(PATIENCE)
    .get_result(conn)
    .optional()?;
    let Some(now) = now.filter(|now| now.began) else { return Ok(None) };
    let (answer, advice) = (trouble.answer.clone(), advice(&trouble.answer));
    let told: String = answer.chars().take(400).collect();
    let about = About { object: MAIL.to_owned(), reason: Some(format!("{told} – {advice}")), ..About::default() };
    let key = format!("{}:{}:{}", Kind::MailFailing.name(), kind_of(&answer), now.at / QUIET);
    enqueue(conn, &[NewNotice::new(Kind::MailFailing, key, &about)])?;
    Ok(Some(Turn::Began { answer, advice }))
}

fn end(conn: &mut PgConnection) -> QueryResult<Option<Turn>> {
    let before: Option<Before> = sql_query(
        "WITH before AS (SELECT id, trouble, failing_since FROM destinations \
                         WHERE id = $1 AND failing_since IS NOT NULL FOR NO KEY UPDATE) \
         UPDATE destinations d SET failing_since = NULL, trouble = NULL FROM before WHERE d.id = before.id \
         RETURNING before.trouble, before.failing_since",
    )
    .bind::<Text, _>(MAIL)
    .get_result(conn)
    .optional()?;
    let told = before.filter(|before| before.trouble.is_some());
    let Some(since) = told.and_then(|before| before.failing_since) else { return Ok(None) };
    // It waits for nobody's lock: whatever another transaction holds is in somebody's hands already.
    sql_query(
        "WITH theirs AS MATERIALIZED ( \
             SELECT id FROM outbox WHERE destination = $1 AND state = 'queued' AND NOT held AND NOT waiting AND lease IS NULL \
                AND given_up > 0 AND next_at > now() \
             ORDER BY next_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED) \
         UPDATE outbox o SET next_at = now() FROM theirs WHERE o.id = theirs.id",
    )
    .bind::<Text, _>(MAIL)
    .bind::<BigInt, _>(MOST_WOKEN)
    .execute(conn)?;
    Ok(Some(Turn::Over { since }))
}
