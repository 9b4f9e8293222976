//! The SQL of storing. Statements take whole batches, sorted by key, so that concurrent writers never deadlock.
//!
//! Arrays that are unnested side by side in a `SELECT` list cost a third of what `FROM unnest(a, b, …)` does, which keeps
//! each array's elements in a table of its own first.

use super::NewEvent;
use crate::db::{Part, Parts, Prepared, Values, prepared};
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

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

/// Which of some events are stored already.
#[derive(Debug, QueryableByName)]
pub struct Seen {
    /// Their places in what was asked for, from 1.
    #[diesel(sql_type = Array<BigInt>)]
    pub seen: Vec<i64>,
    /// Commits wait for a standby.
    #[diesel(sql_type = Bool)]
    pub is_replicated: bool,
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
    prepared!(
        "SELECT ARRAY(SELECT asked.n FROM (SELECT unnest($1) AS n, unnest($2) AS source, unnest($3) AS account, unnest($4) AS event_id) asked, \
                      LATERAL (SELECT FROM events e WHERE (e.source, e.account, e.event_id) = \
                               (asked.source, asked.account, asked.event_id) LIMIT 1) found) AS seen, \
                current_setting('synchronous_standby_names') <> '' AS is_replicated",
    )
    .column::<BigInt, _, _>((1_i64..).take(events.len()), |n| n)
    .column::<Text, _, _>(events, |e| e.source)
    .column::<Text, _, _>(events, |e| &e.account[..])
    .column::<Text, _, _>(events, |e| &e.event_id[..])
    .called("seen")
}

/// The condition that none of `events` is stored already. What the index finds by an id alone is compared whole.
pub fn unseen<'a>(events: &[&'a NewEvent]) -> Option<Part<impl Values + use<'a>>> {
    let key = |e: &&NewEvent| [&e.event_id[..], &e.account, e.source].join("\n");
    let unseen = prepared!(
        "NOT EXISTS (SELECT FROM events WHERE event_id = ANY ($1) AND concat_ws(E'\\n', event_id, account, source) = ANY ($2))",
    )
    .column::<Text, _, _>(events, |e| &e.event_id[..])
    .column::<Text, _, _>(events, key);
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
    let given = prepared!("SELECT ARRAY(SELECT nextval('events_id_seq') FROM generate_series(1, $1)) AS ids WHERE (SELECT holds FROM guard)")
        .bind::<BigInt, _>(i64::try_from(events.len()).unwrap_or(i64::MAX));
    let bodies = prepared!(
        "INSERT INTO payloads (event, body) SELECT unnest((SELECT given.ids FROM given)), unnest($1) WHERE (SELECT holds FROM guard) RETURNING true",
    )
    .column::<Binary, _, _>(events, |e| &e.body[..]);
    (
        Some(given.called("given")),
        (Some(described(prepared!(STORE), events).called("stored")), Some(bodies.called("bodies"))),
    )
}

/// What tells events apart and says what they are: the twelve values of `statement`.
fn described<'a>(statement: Prepared<()>, events: &[&'a NewEvent]) -> Prepared<impl Values + use<'a>> {
    statement
        .column::<Text, _, _>(events, |e| e.source)
        .column::<Text, _, _>(events, |e| &e.account[..])
        .column::<Text, _, _>(events, |e| &e.event_id[..])
        .column::<Bool, _, _>(events, |e| e.livemode)
        .column::<Text, _, _>(events, |e| &e.event_type[..])
        .column::<Nullable<Text>, _, _>(events, |e| e.api_version.as_deref())
        .column::<Nullable<BigInt>, _, _>(events, |e| e.created)
        .column::<Nullable<Text>, _, _>(events, |e| e.object_id.as_deref())
        .column::<BigInt, _, _>(events, |e| e.crc())
        .column::<Text, _, _>(events, |e| e.state.as_str())
        .column::<Nullable<Text>, _, _>(events, |e| e.reason.as_deref())
        .column::<Timestamptz, _, _>(events, |e| e.received_at)
}

/// Stores the events that are new, without their bytes.
pub(super) fn insert_events(conn: &mut PgConnection, events: &[&NewEvent]) -> QueryResult<Vec<Stored>> {
    const INSERT: &str = "INSERT INTO events (source, account, event_id, livemode, type, api_version, created, object_id, body_crc32, state, reason, received_at) \
         SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), unnest($11), unnest($12) \
         ON CONFLICT (source, account, event_id) DO NOTHING RETURNING id, source, account, event_id";
    described(prepared!(INSERT), events).load(conn)
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
    prepared!("UPDATE events SET snapshot_event = thin.snapshot FROM UNNEST($1, $2) AS thin (id, snapshot) WHERE events.id = thin.id")
        .column::<BigInt, _, _>(ids, |id| id)
        .column::<Text, _, _>(snapshots, |id| id)
        .execute(conn)
        .map(drop)
}

pub(super) fn insert_payloads<'a>(
    conn: &mut PgConnection,
    new: impl Iterator<Item = (i64, &'a [u8])>,
) -> QueryResult<()> {
    let (ids, bodies): (Vec<i64>, Vec<&[u8]>) = new.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    prepared!("INSERT INTO payloads (event, body) SELECT unnest($1), unnest($2)")
        .column::<BigInt, _, _>(ids, |id| id)
        .column::<Binary, _, _>(bodies, |body| body)
        .execute(conn)
        .map(drop)
}
