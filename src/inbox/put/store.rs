//! The SQL of storing. Statements take whole batches, sorted by key, so that concurrent writers never deadlock.
//!
//! Arrays that are unnested side by side in a `SELECT` list cost a third of what `FROM unnest(a, b, …)` does, which keeps
//! each array's elements in a table of its own first.

use super::NewEvent;
use crate::db::{Part, Parts, Prepared, Values, places, prepared};
use diesel::pg::{Pg, PgConnection};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Array, BigInt, Binary, Bool, HasSqlType, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, RunQueryDsl};
use std::cell::Cell;
use std::io::Write;

#[derive(QueryableByName)]
pub(super) struct Stored {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Text)]
    pub source: String,
    #[diesel(sql_type = Text)]
    pub account: String,
    #[diesel(sql_type = Text)]
    pub event_id: String,
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
        "SELECT ARRAY(SELECT asked.n FROM (SELECT unnest($1) AS n, unnest($2) AS source, unnest($3) AS account, unnest($4) AS event_id) asked, \
                      LATERAL (SELECT FROM events e WHERE (e.source, e.account, e.event_id) = \
                               (asked.source, asked.account, asked.event_id) LIMIT 1) found) AS seen",
    )
    .bind::<Array<BigInt>, _>(places(events.len()))
    .bind::<Array<Text>, _>(column(events, |e| e.source))
    .bind::<Array<Text>, _>(column(events, |e| &e.account[..]))
    .bind::<Array<Text>, _>(column(events, |e| &e.event_id[..]))
    .called("seen")
}

/// The condition that none of `events` is stored already. What the index finds by an id alone is compared whole.
pub fn unseen<'a>(events: &[&'a NewEvent]) -> Option<Part<impl Values + use<'a>>> {
    let key = |e: &'a NewEvent| [&e.event_id[..], &e.account, e.source].join("\n");
    let unseen = prepared(
        "NOT EXISTS (SELECT FROM events WHERE event_id = ANY ($1) AND concat_ws(E'\\n', event_id, account, source) = ANY ($2))",
    )
    .bind::<Array<Text>, _>(column(events, |e| &e.event_id[..]))
    .bind::<Array<Text>, _>(column(events, key));
    (!events.is_empty()).then(|| unseen.called("unseen"))
}

/// Stores `events` (sorted by key, each key once) with their bytes; none of them is pending. Fails where one is stored
/// already.
pub fn insert<'a>(events: &[&'a NewEvent]) -> impl Parts + use<'a> {
    const STORE: &str = "INSERT INTO events (id, source, account, event_id, livemode, type, api_version, created, object_id, body_crc32, state, reason, received_at) \
         OVERRIDING SYSTEM VALUE \
         SELECT unnest((SELECT given.ids FROM given)), unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), \
                unnest($8), unnest($9), unnest($10), unnest($11), unnest($12) WHERE (SELECT holds FROM guard) \
         RETURNING true";
    let given = prepared("SELECT ARRAY(SELECT nextval('events_id_seq') FROM generate_series(1, $1)) AS ids WHERE (SELECT holds FROM guard)")
        .bind::<BigInt, _>(i64::try_from(events.len()).unwrap_or(i64::MAX));
    let bodies = prepared(
        "INSERT INTO payloads (event, body) SELECT unnest((SELECT given.ids FROM given)), unnest($1) WHERE (SELECT holds FROM guard) RETURNING true",
    )
    .bind::<Array<Binary>, _>(Bodies(column(events, |e| &e.body[..])));
    (Some(given.called("given")), (Some(described(STORE, events).called("stored")), Some(bodies.called("bodies"))))
}

/// What tells events apart and says what they are: the twelve values of `sql`.
fn described<'a>(sql: &'static str, events: &[&'a NewEvent]) -> Prepared<impl Values + use<'a>> {
    prepared(sql)
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
}

/// Stores the events that are new, without their bytes.
pub(super) fn insert_events(conn: &mut PgConnection, events: &[&NewEvent]) -> QueryResult<Vec<Stored>> {
    const INSERT: &str = "INSERT INTO events (source, account, event_id, livemode, type, api_version, created, object_id, body_crc32, state, reason, received_at) \
         SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), unnest($11), unnest($12) \
         ON CONFLICT (source, account, event_id) DO NOTHING RETURNING id, source, account, event_id";
    described(INSERT, events).load(conn)
}

/// A statement of its own: the others, which are most, don't carry the column.
pub(super) fn name_snapshots<'a>(
    conn: &mut PgConnection,
    thin: impl Iterator<Item = (i64, &'a str)>,
) -> QueryResult<()> {
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

/// Bodies as an array. They are put together in a buffer of their size: diesel's own arrays copy each value twice, into
/// buffers that grow by copying.
#[derive(Debug)]
struct Bodies<'a>(Vec<&'a [u8]>);

/// A larger buffer is not kept, in bytes: a full batch of the writer's takes half of it.
const LARGEST_KEPT: usize = 1 << 20;

thread_local! {
    /// That buffer, kept by each thread that writes: one that is asked of the system for each batch costs a page fault for every
    /// four kilobytes.
    static ARRAY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl ToSql<Array<Binary>, Pg> for Bodies<'_> {
    /// As Postgres' `array_send` writes it: dimensions, whether there are nulls, the type; then the length and the first
    /// index; then each value after its length.
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let bytea = <Pg as HasSqlType<Binary>>::metadata(out.metadata_lookup()).oid()?;
        let dimensions = i32::from(!self.0.is_empty());
        let mut array = ARRAY.take();
        array.clear();
        array.reserve_exact(20 + self.0.iter().map(|body| 4 + body.len()).sum::<usize>());
        for number in [dimensions, 0] {
            array.extend(number.to_be_bytes());
        }
        array.extend(bytea.to_be_bytes());
        if dimensions > 0 {
            array.extend(i32::try_from(self.0.len())?.to_be_bytes());
            array.extend(1_i32.to_be_bytes());
        }
        for body in &self.0 {
            array.extend(i32::try_from(body.len())?.to_be_bytes());
            array.extend_from_slice(body);
        }
        out.write_all(&array)?;
        if array.capacity() <= LARGEST_KEPT {
            ARRAY.set(array);
        }
        Ok(IsNull::No)
    }
}

pub(super) fn insert_payloads<'a>(
    conn: &mut PgConnection,
    new: impl Iterator<Item = (i64, &'a [u8])>,
) -> QueryResult<()> {
    let (ids, bodies): (Vec<i64>, Vec<&[u8]>) = new.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    prepared("INSERT INTO payloads (event, body) SELECT unnest($1), unnest($2)")
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Array<Binary>, _>(Bodies(bodies))
        .execute(conn)
        .map(drop)
}
