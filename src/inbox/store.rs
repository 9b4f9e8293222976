//! The SQL of the inbox. Statements take whole batches, sorted by key, so that concurrent writers never deadlock.

use super::State;
use crate::db::{Part, Parts, Values, prepared};
use chrono::{DateTime, Utc};
use diesel::pg::{Pg, PgConnection};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Array, BigInt, Binary, Bool, HasSqlType, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use std::collections::HashMap;
use std::io::Write;
use uuid::Uuid;

/// An event to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// `stripe`, `github`, `shop` or `stripe_api`.
    pub source: &'static str,
    /// Connected account; empty is our own.
    pub account: String,
    /// The sender's id.
    pub event_id: String,
    /// Real money or a test.
    pub livemode: bool,
    /// The sender's event type.
    pub event_type: String,
    /// The sender's rendering.
    pub api_version: Option<String>,
    /// Unix seconds, by the sender.
    pub created: Option<i64>,
    /// The object that it is about.
    pub object_id: Option<String>,
    /// Of a thin event: the snapshot event that tells the same, where it names one.
    pub snapshot_event: Option<String>,
    /// Where it stands once stored.
    pub state: State,
    /// Why, where it is ignored or quarantined.
    pub reason: Option<String>,
    /// When its last byte came.
    pub received_at: DateTime<Utc>,
    /// The bytes as signed.
    pub body: Vec<u8>,
    /// It only names an object, which is to be fetched before anything can be applied: it is pending until then.
    pub to_fetch: bool,
}

impl NewEvent {
    /// What tells duplicates apart.
    pub fn key(&self) -> (&str, &str, &str) {
        (self.source, &self.account, &self.event_id)
    }

    pub(super) fn crc(&self) -> i64 {
        i64::from(crc32fast::hash(&self.body))
    }
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    source: String,
    #[diesel(sql_type = Text)]
    account: String,
    #[diesel(sql_type = Text)]
    event_id: String,
}

/// Stores `events` (sorted by key, each key once) with their bytes; gives the row id of each that was new.
pub fn put(conn: &mut PgConnection, events: &[&NewEvent]) -> QueryResult<Vec<Option<i64>>> {
    let stored = insert_events(conn, events)?;
    let ids: HashMap<_, _> = stored.iter().map(|s| ((&s.source[..], &s.account[..], &s.event_id[..]), s.id)).collect();
    let ids: Vec<_> = events.iter().map(|event| ids.get(&event.key()).copied()).collect();
    name_snapshots(
        conn,
        events.iter().zip(&ids).filter_map(|(event, id)| Some(((*id)?, event.snapshot_event.as_deref()?))),
    )?;
    insert_payloads(conn, events.iter().zip(&ids).filter_map(|(event, id)| Some(((*id)?, &event.body[..]))))?;
    for left in [Left::ToApply, Left::ToFetch] {
        let is_left = |event: &NewEvent| event.state == State::Pending && event.to_fetch == (left == Left::ToFetch);
        let pending = events.iter().zip(&ids).filter(|(event, _)| is_left(event)).filter_map(|(_, id)| *id);
        insert_pending(conn, &pending.collect::<Vec<_>>(), left, "not yet tried")?;
    }
    Ok(ids)
}

fn column<'a, T>(events: &[&'a NewEvent], of: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
    events.iter().map(|event| of(event)).collect()
}

/// Which of some events are stored already.
#[derive(Debug, QueryableByName)]
pub struct Seen {
    /// Their places in what was asked for, from 1.
    #[diesel(sql_type = Array<BigInt>)]
    pub seen: Vec<i64>,
}

impl Seen {
    /// One flag for each of `count` events: whether it is new.
    pub fn news(&self, count: usize) -> Vec<bool> {
        let mut new = vec![true; count];
        for n in &self.seen {
            if let Some(new) = usize::try_from(n - 1).ok().and_then(|n| new.get_mut(n)) {
                *new = false;
            }
        }
        new
    }
}

/// Asks which of `events` are stored already: [`Seen`].
pub fn seen<'a>(events: &[&'a NewEvent]) -> Part<impl Values + use<'a>> {
    prepared(
        "SELECT ARRAY(SELECT asked.n FROM UNNEST($1, $2, $3) WITH ORDINALITY AS asked (source, account, event_id, n) \
                      JOIN events USING (source, account, event_id)) AS seen",
    )
    .bind::<Array<Text>, _>(column(events, |e| e.source))
    .bind::<Array<Text>, _>(column(events, |e| &e.account[..]))
    .bind::<Array<Text>, _>(column(events, |e| &e.event_id[..]))
    .called("seen")
}

/// Stores `events` (sorted by key, each key once) with their bytes; none of them is pending. Fails where one is stored
/// already.
pub fn insert<'a>(events: &[&'a NewEvent]) -> impl Parts + use<'a> {
    let given = prepared(
        "SELECT nextval('events_id_seq') AS id, given.* FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                AS given (source, account, event_id, livemode, type, api_version, created, object_id, crc, state, reason, received_at, body)",
    )
    .bind::<Array<Text>, _>(column(events, |e| e.source))
    .bind::<Array<Text>, _>(column(events, |e| &e.account[..]))
    .bind::<Array<Text>, _>(column(events, |e| &e.event_id[..]))
    .bind::<Array<Bool>, _>(column(events, |e| e.livemode))
    .bind::<Array<Text>, _>(column(events, |e| &e.event_type[..]))
    .bind::<Array<Nullable<Text>>, _>(column(events, |e| e.api_version.as_deref()))
    .bind::<Array<Nullable<BigInt>>, _>(column(events, |e| e.created))
    .bind::<Array<Nullable<Text>>, _>(column(events, |e| e.object_id.as_deref()))
    .bind::<Array<BigInt>, _>(column(events, NewEvent::crc))
    .bind::<Array<Text>, _>(column(events, |e| e.state.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(events, |e| e.reason.as_deref()))
    .bind::<Array<Timestamptz>, _>(column(events, |e| e.received_at))
    .bind::<Array<Binary>, _>(Bodies(column(events, |e| &e.body[..])));
    let stored = prepared(
        "INSERT INTO events (id, source, account, event_id, livemode, type, api_version, created, object_id, body_crc32, state, reason, received_at) \
         OVERRIDING SYSTEM VALUE \
         SELECT id, source, account, event_id, livemode, type, api_version, created, object_id, crc, state, reason, received_at FROM given \
         RETURNING true",
    );
    let bodies = prepared("INSERT INTO payloads (event, body) SELECT id, body FROM given RETURNING true");
    (Some(given.called("given")), (Some(stored.called("stored")), Some(bodies.called("bodies"))))
}

fn insert_events(conn: &mut PgConnection, events: &[&NewEvent]) -> QueryResult<Vec<Stored>> {
    prepared(
        "INSERT INTO events (source, account, event_id, livemode, type, api_version, created, object_id, body_crc32, state, reason, received_at) \
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (source, account, event_id) DO NOTHING RETURNING id, source, account, event_id",
    )
    .bind::<Array<Text>, _>(column(events, |e| e.source))
    .bind::<Array<Text>, _>(column(events, |e| &e.account))
    .bind::<Array<Text>, _>(column(events, |e| &e.event_id))
    .bind::<Array<Bool>, _>(column(events, |e| e.livemode))
    .bind::<Array<Text>, _>(column(events, |e| &e.event_type))
    .bind::<Array<Nullable<Text>>, _>(column(events, |e| e.api_version.as_deref()))
    .bind::<Array<Nullable<BigInt>>, _>(column(events, |e| e.created))
    .bind::<Array<Nullable<Text>>, _>(column(events, |e| e.object_id.as_deref()))
    .bind::<Array<BigInt>, _>(column(events, NewEvent::crc))
    .bind::<Array<Text>, _>(column(events, |e| e.state.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(events, |e| e.reason.as_deref()))
    .bind::<Array<Timestamptz>, _>(column(events, |e| e.received_at))
    .load(conn)
}

/// A statement of its own: the others, which are most, don't carry the column.
fn name_snapshots<'a>(conn: &mut PgConnection, thin: impl Iterator<Item = (i64, &'a str)>) -> QueryResult<()> {
    let (ids, snapshots): (Vec<i64>, Vec<&str>) = thin.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    prepared("UPDATE events SET snapshot_event = thin.snapshot FROM UNNEST($1, $2) AS thin (id, snapshot) WHERE events.id = thin.id")
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Array<Text>, _>(snapshots)
        .execute(conn)
        .map(drop)
}

/// Bodies as an array, each copied once: diesel's own arrays copy each value twice.
#[derive(Debug)]
struct Bodies<'a>(Vec<&'a [u8]>);

impl ToSql<Array<Binary>, Pg> for Bodies<'_> {
    /// As Postgres' `array_send` writes it: dimensions, whether there are nulls, the type; then the length and the first
    /// index; then each value after its length.
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let bytea = <Pg as HasSqlType<Binary>>::metadata(out.metadata_lookup()).oid()?;
        let dimensions = i32::from(!self.0.is_empty());
        for number in [dimensions, 0] {
            out.write_all(&number.to_be_bytes())?;
        }
        out.write_all(&bytea.to_be_bytes())?;
        if dimensions > 0 {
            out.write_all(&i32::try_from(self.0.len())?.to_be_bytes())?;
            out.write_all(&1_i32.to_be_bytes())?;
        }
        for body in &self.0 {
            out.write_all(&i32::try_from(body.len())?.to_be_bytes())?;
            out.write_all(body)?;
        }
        Ok(IsNull::No)
    }
}

fn insert_payloads<'a>(conn: &mut PgConnection, new: impl Iterator<Item = (i64, &'a [u8])>) -> QueryResult<()> {
    let (ids, bodies): (Vec<i64>, Vec<&[u8]>) = new.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    prepared("INSERT INTO payloads (event, body) SELECT * FROM UNNEST($1, $2)")
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Array<Binary>, _>(Bodies(bodies))
        .execute(conn)
        .map(drop)
}

fn insert_pending(conn: &mut PgConnection, ids: &[i64], left: Left, error: &str) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sql_query("INSERT INTO pending (event, last_error, to_fetch) SELECT id, $2, $3 FROM UNNEST($1) AS new (id) ON CONFLICT (event) DO NOTHING")
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Text, _>(error)
        .bind::<Bool, _>(left == Left::ToFetch)
        .execute(conn)
        .map(drop)
}

/// Leaves events that were just stored as processed to the workers.
pub fn mark_pending(conn: &mut PgConnection, ids: &[i64], why: &str) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sql_query("UPDATE events SET state = 'pending' WHERE id = ANY($1)").bind::<Array<BigInt>, _>(ids).execute(conn)?;
    insert_pending(conn, ids, Left::ToApply, why)
}

/// What a pending event waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// For its order to be written.
    ToApply,
    /// For the object that it names to be fetched.
    ToFetch,
}

/// A pending event in a worker's hands.
#[derive(Debug, QueryableByName)]
pub struct ClaimedEvent {
    /// Its row.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// `stripe`, `github`, `shop` or `stripe_api`.
    #[diesel(sql_type = Text)]
    pub source: String,
    /// Connected account; empty is our own.
    #[diesel(sql_type = Text)]
    pub account: String,
    /// Real money or a test.
    #[diesel(sql_type = Bool)]
    pub livemode: bool,
    /// The sender's id.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// When the request that brought it was complete, by our clock.
    #[diesel(sql_type = Timestamptz)]
    pub received_at: DateTime<Utc>,
    /// How often it was claimed before.
    #[diesel(sql_type = Integer)]
    pub tries: i32,
    /// The bytes as signed.
    #[diesel(sql_type = Binary)]
    pub body: Vec<u8>,
}

/// Claims the oldest due events for `lease_seconds` of the database's clock.
pub fn claim(
    conn: &mut PgConnection,
    left: Left,
    token: Uuid,
    limit: i32,
    lease_seconds: i32,
) -> QueryResult<Vec<ClaimedEvent>> {
    claim_of(conn, left, None, token, limit, lease_seconds)
}

/// The same of events that are to be fetched, of one mode: a key reaches no other.
pub fn claim_to_fetch(
    conn: &mut PgConnection,
    livemode: bool,
    token: Uuid,
    limit: i32,
    lease_seconds: i32,
) -> QueryResult<Vec<ClaimedEvent>> {
    claim_of(conn, Left::ToFetch, Some(livemode), token, limit, lease_seconds)
}

fn claim_of(
    conn: &mut PgConnection,
    left: Left,
    livemode: Option<bool>,
    token: Uuid,
    limit: i32,
    lease_seconds: i32,
) -> QueryResult<Vec<ClaimedEvent>> {
    sql_query(
        "WITH due AS (SELECT event FROM pending WHERE to_fetch = $4 AND next_at <= now() \
               AND ($5 IS NULL OR EXISTS (SELECT FROM events e WHERE e.id = pending.event AND e.livemode = $5)) ORDER BY next_at, event LIMIT $1 FOR UPDATE SKIP LOCKED), \
         claimed AS (UPDATE pending p SET lease = $2, tries = p.tries + 1, next_at = now() + make_interval(secs => $3) \
                     FROM due WHERE p.event = due.event RETURNING p.event, p.tries - 1 AS tries) \
         SELECT e.id, e.source, e.account, e.livemode, e.event_id, e.received_at, claimed.tries, payloads.body \
         FROM claimed JOIN events e ON e.id = claimed.event JOIN payloads ON payloads.event = e.id ORDER BY e.id",
    )
    .bind::<Integer, _>(limit)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(lease_seconds)
    .bind::<Bool, _>(left == Left::ToFetch)
    .bind::<Nullable<Bool>, _>(livemode)
    .load(conn)
}

/// Says of the events that are to be fetched, and are not of this mode, why they wait; gives how many there are.
pub fn explain_other_mode(conn: &mut PgConnection, livemode: bool, why: &str) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending p SET last_error = $2 FROM events e WHERE e.id = p.event AND p.to_fetch AND e.livemode <> $1",
    )
    .bind::<Bool, _>(livemode)
    .bind::<Text, _>(why)
    .execute(conn)
}

/// Has the object that a claimed event names fetched first, where `token` still holds it.
pub fn leave_to_fetch(conn: &mut PgConnection, token: Uuid, id: i64) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending SET to_fetch = true, lease = NULL, tries = 0, next_at = now(), last_error = 'not yet tried' \
         WHERE event = $1 AND lease = $2",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .execute(conn)
}

/// Ends the wait of claimed events, where `token` still holds them. `reason` says why they are ignored or quarantined.
pub fn settle(
    conn: &mut PgConnection,
    token: Uuid,
    ids: &[i64],
    state: State,
    reason: Option<&str>,
) -> QueryResult<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    prepared(
        "WITH done AS (DELETE FROM pending WHERE event = ANY($1) AND lease = $2 RETURNING event) \
         UPDATE events SET state = $3, reason = $4 FROM done WHERE events.id = done.event",
    )
    .bind::<Array<BigInt>, _>(ids)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Text, _>(state.as_str())
    .bind::<Nullable<Text>, _>(reason)
    .execute(conn)
}

/// Puts a claimed event off, where `token` still holds it.
pub fn postpone(conn: &mut PgConnection, token: Uuid, id: i64, seconds: i32, why: &str) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending SET lease = NULL, next_at = now() + make_interval(secs => $3), last_error = $4 WHERE event = $1 AND lease = $2",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(seconds)
    .bind::<Text, _>(why)
    .execute(conn)
}

/// Gives a claimed event back without counting the try, where `token` still holds it: someone else has its order.
pub fn put_back(conn: &mut PgConnection, token: Uuid, id: i64, seconds: i32, why: &str) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending SET lease = NULL, tries = tries - 1, next_at = now() + make_interval(secs => $3), last_error = $4 \
         WHERE event = $1 AND lease = $2 AND tries > 0",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(seconds)
    .bind::<Text, _>(why)
    .execute(conn)
}

/// What became of the wish to replay an event.
#[derive(Debug)]
pub enum Reopened {
    /// It is pending and in the caller's hands, as if claimed.
    Ours(Box<ClaimedEvent>),
    /// It is pending already: a worker sees to it.
    InFlight,
    /// There is no such row, or its bytes are kept no longer.
    Gone,
}

/// Makes a stored event pending again, held by `token` for `lease_seconds` of the database's clock.
pub fn reopen(conn: &mut PgConnection, token: Uuid, id: i64, lease_seconds: i32) -> QueryResult<Reopened> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(embed)]
        event: ClaimedEvent,
    }
    let row: Option<Row> = sql_query(
        "SELECT e.state, e.id, e.source, e.account, e.livemode, e.event_id, e.received_at, 0 AS tries, p.body \
         FROM events e JOIN payloads p ON p.event = e.id WHERE e.id = $1 FOR NO KEY UPDATE OF e",
    )
    .bind::<BigInt, _>(id)
    .get_result(conn)
    .optional()?;
    let Some(row) = row else { return Ok(Reopened::Gone) };
    if row.state == State::Pending.as_str() {
        return Ok(Reopened::InFlight);
    }
    sql_query("UPDATE events SET state = 'pending', reason = NULL WHERE id = $1")
        .bind::<BigInt, _>(id)
        .execute(conn)?;
    sql_query(
        "INSERT INTO pending (event, tries, lease, next_at, last_error) \
         VALUES ($1, 1, $2, now() + make_interval(secs => $3), 'replayed')",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(lease_seconds)
    .execute(conn)?;
    Ok(Reopened::Ours(Box::new(row.event)))
}
