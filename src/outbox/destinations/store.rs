//! The SQL of destinations.

use crate::db::{Part, Values, prepared};
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Double, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Change, Listener, SLACK, Wanted, is_hopeless, slack_events, slack_events_before};
use crate::notices::{About, Kind};
use crate::outbox::MessageKind;
use crate::outbox::queue::{NewNotice, enqueue};

/// A subscription, as the API shows it. `slack` and `mail`, the mail server, are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName, Serialize)]
pub struct Subscription {
    /// `mail`, `slack`, or `sub_` and a UUID.
    #[diesel(sql_type = Text)]
    pub id: String,
    /// `webhook`, `slack` or `email`.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// Where to; none where the configuration says it. Of Slack only the host: the rest is a secret.
    #[diesel(sql_type = Nullable<Text>)]
    pub url: Option<String>,
    /// What it hears of.
    #[diesel(sql_type = Array<Text>)]
    pub events: Vec<String>,
    /// Of GitHub's events only this repository's.
    #[diesel(sql_type = Nullable<Text>)]
    pub repository: Option<String>,
    /// Of GitHub's events only this ref's.
    #[serde(rename = "ref")]
    #[diesel(sql_type = Nullable<Text>)]
    pub git_ref: Option<String>,
    /// GitHub's events go there as GitHub sent them.
    #[diesel(sql_type = Bool)]
    pub relay: bool,
    /// Signs what goes there. Shown when it is made, and never again.
    #[serde(skip)]
    #[diesel(sql_type = Nullable<Text>)]
    pub secret: Option<String>,
    /// `active`, `paused` or `disabled`.
    #[diesel(sql_type = Text)]
    pub state: String,
    /// Why it was disabled.
    #[diesel(sql_type = Nullable<Text>)]
    pub reason: Option<String>,
    /// Of the mail server: what it answers while it takes no mail of the shop's.
    #[diesel(sql_type = Nullable<Text>)]
    pub trouble: Option<String>,
    /// The first failure after the last success.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub failing_since: Option<DateTime<Utc>>,
    /// How many messages wait for it, those not counted that are held while their order is in review.
    #[diesel(sql_type = BigInt)]
    pub queued: i64,
    /// When it was registered.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
}

const SHOWN: &str = "SELECT id, kind, CASE kind WHEN 'slack' THEN substring(url FROM '^https?://[^/]*') || '/…' ELSE url END AS url, \
                            events, repository, ref AS git_ref, relay, secret, state, reason, trouble, failing_since, created_at, \
                            (SELECT count(*) FROM outbox o WHERE o.destination = d.id AND o.state = 'queued' AND NOT o.held) AS queued \
                     FROM destinations d WHERE state <> 'deleted'";

/// The subscription of this id, unless it was deleted.
pub fn find(conn: &mut PgConnection, id: &str) -> QueryResult<Option<Subscription>> {
    sql_query(format!("{SHOWN} AND id = $1")).bind::<Text, _>(id).get_result(conn).optional()
}

/// Subscriptions after `after`, by their ids: the oldest first.
pub fn list(conn: &mut PgConnection, after: Option<&str>, limit: i64) -> QueryResult<Vec<Subscription>> {
    sql_query(format!("{SHOWN} AND ($1 IS NULL OR id > $1) ORDER BY id LIMIT $2"))
        .bind::<Nullable<Text>, _>(after)
        .bind::<BigInt, _>(limit)
        .load(conn)
}

#[derive(Deserialize)]
struct ListenerRow {
    id: String,
    kind: String,
    events: Vec<String>,
    repository: Option<String>,
    git_ref: Option<String>,
}

/// Whoever hears of notices right now: one row for the lot.
#[derive(Debug, QueryableByName)]
pub struct Listening {
    #[diesel(sql_type = Text)]
    pub(in crate::outbox) listeners: String,
}

macro_rules! listening {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "SELECT COALESCE(json_agg(json_build_object('id', id, 'kind', kind, 'events', events, 'repository', repository, 'git_ref', ref) \
                                      ORDER BY id), '[]')::text AS listeners \
             FROM destinations WHERE kind <> 'email' AND state IN ('active', 'paused')",
            $after
        )
    };
}

/// Asks for [`Listening`].
pub fn listening() -> Part<()> {
    prepared!(listening!("", "")).called("listening")
}

/// The condition that those hear of notices who were read.
pub(in crate::outbox) fn same(listeners: &str) -> Part<impl Values + use<'_>> {
    prepared!(listening!("(", ") = $1")).bind::<Text, _>(listeners).called("same")
}

/// Whoever hears of notices right now.
pub(in crate::outbox) fn listeners(conn: &mut PgConnection) -> QueryResult<Vec<Listener>> {
    prepared!(listening!("", "")).get_result::<Listening>(conn)?.read()
}

impl Listening {
    /// Each of them.
    pub(in crate::outbox) fn read(&self) -> QueryResult<Vec<Listener>> {
        let rows: Vec<ListenerRow> = serde_json::from_str(&self.listeners)
            .map_err(|error| diesel::result::Error::DeserializationError(error.into()))?;
        let listener = |row: ListenerRow| Listener {
            kind: if row.kind == MessageKind::Slack.name() { MessageKind::Slack } else { MessageKind::Webhook },
            id: row.id,
            events: row.events,
            repository: row.repository,
            git_ref: row.git_ref,
        };
        Ok(rows.into_iter().map(listener).collect())
    }
}

pub(super) fn insert(
    conn: &mut PgConnection,
    id: &str,
    kind: MessageKind,
    url: &str,
    wanted: &Wanted,
    secret: Option<&str>,
) -> QueryResult<usize> {
    sql_query(
        "INSERT INTO destinations (id, kind, url, events, repository, ref, relay, secret) \
         VALUES ($1, $2, $3, $4, NULLIF($5, ''), NULLIF($6, ''), $7, $8)",
    )
    .bind::<Text, _>(id)
    .bind::<Text, _>(kind.name())
    .bind::<Text, _>(url)
    .bind::<Array<Text>, _>(&wanted.events)
    .bind::<Nullable<Text>, _>(wanted.repository.as_deref())
    .bind::<Nullable<Text>, _>(wanted.git_ref.as_deref())
    .bind::<Bool, _>(wanted.relay)
    .bind::<Nullable<Text>, _>(secret)
    .execute(conn)
}

pub(super) fn update(conn: &mut PgConnection, id: &str, url: Option<&str>, change: &Change) -> QueryResult<usize> {
    sql_query(
        "UPDATE destinations SET url = COALESCE($2, url), events = COALESCE($3, events), \
                repository = CASE WHEN $4 IS NULL THEN repository ELSE NULLIF($4, '') END, \
                ref = CASE WHEN $5 IS NULL THEN ref ELSE NULLIF($5, '') END, \
                relay = COALESCE($6, relay), state = COALESCE($7, state), \
                reason = CASE WHEN $7 IS NULL THEN reason END, \
                failing_since = CASE WHEN $7 = 'active' OR $2 IS NOT NULL THEN NULL ELSE failing_since END, \
                next_at = CASE WHEN $7 = 'active' THEN now() ELSE next_at END, updated_at = now() \
         WHERE id = $1 AND state <> 'deleted'",
    )
    .bind::<Text, _>(id)
    .bind::<Nullable<Text>, _>(url)
    .bind::<Nullable<Array<Text>>, _>(change.events.as_ref())
    .bind::<Nullable<Text>, _>(change.repository.as_deref())
    .bind::<Nullable<Text>, _>(change.git_ref.as_deref())
    .bind::<Nullable<Bool>, _>(change.relay)
    .bind::<Nullable<Text>, _>(change.state.map(super::Wish::as_str))
    .execute(conn)
}

/// Says whether there was one.
pub(super) fn delete(conn: &mut PgConnection, id: &str) -> QueryResult<bool> {
    conn.transaction(|conn| {
        let deleted = sql_query(
            "UPDATE destinations SET state = 'deleted', secret = NULL, previous_secret = NULL, previous_until = NULL, \
                    reason = NULL, updated_at = now() \
             WHERE id = $1 AND kind <> 'email' AND state <> 'deleted'",
        )
        .bind::<Text, _>(id)
        .execute(conn)?;
        sql_query(
            "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE destination = $1 AND state = 'queued' \
                                          ORDER BY id FOR NO KEY UPDATE) \
             UPDATE outbox SET state = 'dead', lease = NULL, settled_at = now(), last_error = 'its subscription was deleted' \
             WHERE id IN (SELECT id FROM theirs)",
        )
        .bind::<Text, _>(id)
        .execute(conn)?;
        Ok(deleted > 0)
    })
}

pub(super) fn rotate(conn: &mut PgConnection, id: &str, secret: &str, hours: i64) -> QueryResult<usize> {
    sql_query(
        "UPDATE destinations SET previous_secret = secret, previous_until = now() + make_interval(secs => $3 * 3600.0), \
                secret = $2, updated_at = now() \
         WHERE id = $1 AND kind = 'webhook' AND state <> 'deleted'",
    )
    .bind::<Text, _>(id)
    .bind::<Text, _>(secret)
    .bind::<BigInt, _>(hours)
    .execute(conn)
}

pub(super) fn queue_test(conn: &mut PgConnection, to: &Subscription) -> QueryResult<Uuid> {
    let (id, notice) = (Uuid::now_v7(), Kind::SubscriptionTest.name());
    let key = format!("{notice}:{id}");
    sql_query("INSERT INTO outbox (id, kind, destination, notice, notice_key, dedupe_key, about) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(&to.kind)
        .bind::<Text, _>(&to.id)
        .bind::<Text, _>(&*notice)
        .bind::<Text, _>(&key)
        .bind::<Text, _>(format!("{key}@{}", to.id))
        .bind::<Text, _>(serde_json::json!({ "object": to.id }).to_string())
        .execute(conn)?;
    Ok(id)
}

/// The row of `SLACK_WEBHOOK_URL`: there while that is set. A restart gives a disabled one another chance.
pub fn announce_slack(conn: &mut PgConnection, is_set: bool) -> QueryResult<usize> {
    if !is_set {
        return sql_query(
            "UPDATE destinations SET state = 'deleted', reason = NULL WHERE id = $1 AND state <> 'deleted'",
        )
        .bind::<Text, _>(SLACK)
        .execute(conn);
    }
    sql_query(
        "INSERT INTO destinations (id, kind, events) VALUES ($1, 'slack', $2) \
         ON CONFLICT (id) DO UPDATE SET state = CASE WHEN destinations.state = 'paused' THEN 'paused' ELSE 'active' END, \
             reason = NULL, failing_since = CASE WHEN destinations.state IN ('disabled', 'deleted') THEN NULL ELSE destinations.failing_since END, \
             events = CASE WHEN destinations.events = $3 THEN $2 ELSE destinations.events END \
         WHERE destinations.state IN ('disabled', 'deleted') OR destinations.events = $3",
    )
    .bind::<Text, _>(SLACK)
    .bind::<Array<Text>, _>(slack_events())
    .bind::<Array<Text>, _>(slack_events_before())
    .execute(conn)
}

/// What attempts showed about their destinations.
#[derive(Debug, Default)]
pub struct Troubles {
    /// Something arrived.
    pub working: Vec<String>,
    /// Something failed for now; nothing is to go there before that time has passed.
    pub failing: BTreeMap<String, Duration>,
    /// Nothing can arrive there, and why.
    pub stopped: BTreeMap<String, String>,
}

impl Troubles {
    fn is_empty(&self) -> bool {
        self.working.is_empty() && self.failing.is_empty() && self.stopped.is_empty()
    }
}

#[derive(QueryableByName)]
struct Failing {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Timestamptz)]
    since: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

/// Writes it down, and disables what failed for too long. Returns those that were disabled, each with its reason.
pub fn settle(conn: &mut PgConnection, mut troubles: Troubles) -> QueryResult<Vec<(String, String)>> {
    if troubles.is_empty() || lock(conn, &troubles)? == 0 {
        return Ok(Vec::new());
    }
    if !troubles.failing.is_empty() {
        troubles.stopped.extend(fail(conn, &troubles.failing)?);
    }
    sql_query("UPDATE destinations SET failing_since = NULL WHERE id = ANY($1) AND failing_since IS NOT NULL")
        .bind::<Array<Text>, _>(&troubles.working)
        .execute(conn)?;
    let mut disabled = Vec::new();
    for (id, why) in troubles.stopped {
        if disable(conn, &id, &why)? > 0 {
            disabled.push((id, why));
        }
    }
    Ok(disabled)
}

/// Locks the rows that change, all at once and in the order of their ids; says how many. What works and worked before
/// needs no change.
fn lock(conn: &mut PgConnection, troubles: &Troubles) -> QueryResult<usize> {
    let failing: Vec<&String> = troubles.failing.keys().chain(troubles.stopped.keys()).collect();
    prepared!(
        "SELECT id FROM destinations WHERE id = ANY($1) OR (id = ANY($2) AND failing_since IS NOT NULL) \
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind::<Array<Text>, _>(failing)
    .bind::<Array<Text>, _>(&troubles.working)
    .execute(conn)
}

/// Those that have failed for too long, with a reason. The mail server is no subscription: it is never given up.
fn fail(conn: &mut PgConnection, failing: &BTreeMap<String, Duration>) -> QueryResult<Vec<(String, String)>> {
    let rows: Vec<Failing> = sql_query(
        "UPDATE destinations d SET failing_since = COALESCE(d.failing_since, now()), \
                next_at = GREATEST(d.next_at, now() + make_interval(secs => f.pause)) \
         FROM unnest($1, $2) AS f (id, pause) WHERE d.id = f.id \
         RETURNING d.id, d.failing_since AS since, now() AS now",
    )
    .bind::<Array<Text>, _>(failing.keys().collect::<Vec<_>>())
    .bind::<Array<Double>, _>(failing.values().map(Duration::as_secs_f64).collect::<Vec<_>>())
    .load(conn)?;
    let hopeless = rows.into_iter().filter(|row| is_hopeless(row.since, row.now));
    Ok(hopeless.map(|row| (row.id, "it has failed for 5 days".to_owned())).collect())
}

fn disable(conn: &mut PgConnection, id: &str, why: &str) -> QueryResult<usize> {
    let disabled = sql_query(
        "UPDATE destinations SET state = 'disabled', reason = $2, updated_at = now() \
         WHERE id = $1 AND kind <> 'email' AND state IN ('active', 'paused')",
    )
    .bind::<Text, _>(id)
    .bind::<Text, _>(why)
    .execute(conn)?;
    if disabled > 0 {
        let at = Utc::now().timestamp();
        let about = About { object: id.to_owned(), reason: Some(why.to_owned()), ..About::default() };
        let key = format!("{}:{id}:{at}", Kind::SubscriptionDisabled.name());
        let notice = NewNotice { by_mail: true, ..NewNotice::new(Kind::SubscriptionDisabled, key, &about) };
        enqueue(conn, &[notice])?;
    }
    Ok(disabled)
}
