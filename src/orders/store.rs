//! The SQL of orders and their references. Every statement takes a whole batch in one order of locking: references
//! sorted by value, then orders by id.

use super::facts::first_edition::{self, Read};
use super::facts::{Facts, Reference};
use super::order::Order;
use crate::db::{Part, Prepared, Values, prepared};
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_query};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use uuid::Uuid;

/// What keeps orders apart: a reference means something only within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Whose ids they are: `stripe`.
    pub source: &'static str,
    /// Connected account; empty is our own.
    pub account: String,
    /// Real money or a test.
    pub livemode: bool,
}

impl Scope {
    /// Of an account and mode. What the shop says and what is fetched concern orders that Stripe's ids name, too.
    pub fn new(account: &str, livemode: bool) -> Self {
        Self { source: "stripe", account: account.to_owned(), livemode }
    }
}

/// A reference in its scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scoped {
    /// First, so that batches sort as the index does.
    pub reference: Reference,
    /// Where it means something.
    pub scope: Scope,
}

/// By the name alone: few share it, and of a batch all else is mostly the same.
impl Hash for Scoped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.reference.value.hash(state);
    }
}

#[derive(QueryableByName)]
struct ReferenceRow {
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = SqlUuid)]
    order_id: Uuid,
}

/// Binds the columns of `references` as the next five values: value, kind, account, livemode, source.
fn with_references<'a, V: Values>(
    statement: Prepared<V>,
    references: &[&'a Scoped],
) -> Prepared<impl Values + use<'a, V>> {
    statement
        .column::<Text, _, _>(references, |r| &r.reference.value[..])
        .column::<Text, _, _>(references, |r| r.reference.kind.as_str())
        .column::<Text, _, _>(references, |r| &r.scope.account[..])
        .column::<Bool, _, _>(references, |r| r.scope.livemode)
        .column::<Text, _, _>(references, |r| r.scope.source)
}

/// The orders that references name now, by their places: six values, the places first.
macro_rules! named {
    () => {
        "SELECT asked.n, r.order_id FROM (SELECT unnest($1) AS n, unnest($2) AS value, unnest($3) AS kind, unnest($4) AS account, \
                                                unnest($5) AS livemode, unnest($6) AS source) asked, \
         LATERAL (SELECT order_id FROM order_references r WHERE (r.value, r.kind, r.account, r.livemode, r.source) = \
                  (asked.value, asked.kind, asked.account, asked.livemode, asked.source) LIMIT 1) r"
    };
}

fn naming<'a>(statement: Prepared<()>, references: &[&'a Scoped]) -> Prepared<impl Values + use<'a>> {
    with_references(statement.column::<BigInt, _, _>((1_i64..).take(references.len()), |n| n), references)
}

/// The orders that `references` name now, one each.
pub fn resolve(conn: &mut PgConnection, references: &[&Scoped]) -> QueryResult<Vec<Option<Uuid>>> {
    let rows: Vec<ReferenceRow> = naming(prepared!(named!()), references).load(conn)?;
    Ok(placed(references.len(), rows.iter().map(|row| (row.n, row.order_id))))
}

/// One place for each of `count`.
fn placed(count: usize, rows: impl Iterator<Item = (i64, Uuid)>) -> Vec<Option<Uuid>> {
    let mut named = vec![None; count];
    for (n, order) in rows {
        if let Some(place) = usize::try_from(n - 1).ok().and_then(|n| named.get_mut(n)) {
            *place = Some(order);
        }
    }
    named
}

/// Names `order_id` by each reference (sorted) that names no order yet; returns how many did not. Waits for another
/// writer's uncommitted ones.
pub fn refer(conn: &mut PgConnection, references: &[(&Scoped, Uuid)]) -> QueryResult<usize> {
    const REFER: &str = "INSERT INTO order_references (value, kind, account, livemode, source, order_id) \
                         SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6) ON CONFLICT DO NOTHING";
    referring(prepared!(REFER), references).execute(conn)
}

/// The same as part of a change, which fails where one of them names an order already.
pub fn refer_new<'a>(references: &[(&'a Scoped, Uuid)]) -> Option<Part<impl Values + use<'a>>> {
    const REFER: &str = "INSERT INTO order_references (value, kind, account, livemode, source, order_id) \
                         SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6) WHERE (SELECT holds FROM guard) RETURNING true";
    (!references.is_empty()).then(|| referring(prepared!(REFER), references).called("referred"))
}

/// The condition that none of `references` names an order. What the index finds by a value alone is compared whole.
pub fn unknown<'a>(references: &[&'a Scoped]) -> Option<Part<impl Values + use<'a>>> {
    let key = |r: &&Scoped| {
        let livemode = if r.scope.livemode { "true" } else { "false" };
        [&r.reference.value[..], r.reference.kind.as_str(), &r.scope.account, livemode, r.scope.source].join("\n")
    };
    let unknown = prepared!(
        "NOT EXISTS (SELECT FROM order_references WHERE value = ANY ($1) \
                     AND concat_ws(E'\\n', value, kind, account, livemode::text, source) = ANY ($2))",
    )
    .column::<Text, _, _>(references, |r| &r.reference.value[..])
    .column::<Text, _, _>(references, key);
    (!references.is_empty()).then(|| unknown.called("unknown"))
}

/// The condition that these orders are still of these versions, and that nothing has left them.
pub fn unchanged(orders: &[(Uuid, i64)]) -> Option<Part<impl Values + use<>>> {
    let unchanged = prepared!(
        "NOT EXISTS (SELECT FROM (SELECT unnest($1) AS id, unnest($2) AS version) read \
                     WHERE (SELECT o.version FROM orders o WHERE o.id = read.id AND NOT o.moved AND o.merged_into IS NULL) \
                           IS DISTINCT FROM read.version)",
    )
    .column::<SqlUuid, _, _>(orders, |(id, _)| *id)
    .column::<BigInt, _, _>(orders, |(_, version)| *version);
    (!orders.is_empty()).then(|| unchanged.called("unchanged"))
}

fn referring<'a>(statement: Prepared<()>, references: &[(&'a Scoped, Uuid)]) -> Prepared<impl Values + use<'a>> {
    let scoped: Vec<&Scoped> = references.iter().map(|(scoped, _)| *scoped).collect();
    with_references(statement, &scoped).column::<SqlUuid, _, _>(references, |(_, id)| *id)
}

/// Takes back the references that this transaction gave to orders which it does not write.
pub fn forget(conn: &mut PgConnection, orders: &[Uuid]) -> QueryResult<()> {
    sql_query("DELETE FROM order_references WHERE order_id = ANY($1)")
        .bind::<Array<SqlUuid>, _>(orders)
        .execute(conn)
        .map(drop)
}

/// A reference that leaves one order for another; the rows of both are locked.
#[derive(Clone, Debug)]
pub struct Move {
    /// What moves.
    pub reference: Scoped,
    /// The order that it leaves; a reference that names some other order stays.
    pub from: Uuid,
    /// The order that it names from now on.
    pub to: Uuid,
}

/// Moves references, and remembers that they left.
pub fn move_references(conn: &mut PgConnection, moves: &[Move]) -> QueryResult<()> {
    const MOVE: &str = "UPDATE order_references r SET order_id = new.heir FROM UNNEST($1, $2, $3, $4, $5, $6, $7) AS new (value, kind, account, livemode, source, left_id, heir) \
         WHERE (r.value, r.kind, r.account, r.livemode, r.source) = (new.value, new.kind, new.account, new.livemode, new.source) AND r.order_id = new.left_id";
    with_references(prepared!(MOVE), &moves.iter().map(|m| &m.reference).collect::<Vec<_>>())
        .column::<SqlUuid, _, _>(moves, |m| m.from)
        .column::<SqlUuid, _, _>(moves, |m| m.to)
        .execute(conn)?;
    // The version, too: whoever has looked at the order without a lock must not write what this reference led to.
    sql_query("UPDATE orders SET moved = true, version = version + 1 WHERE id = ANY($1) AND NOT moved")
        .bind::<Array<SqlUuid>, _>(moves.iter().map(|m| m.from).collect::<Vec<_>>())
        .execute(conn)
        .map(drop)
}

/// Lets what still names a merged order name its heir.
pub fn follow_heirs(conn: &mut PgConnection, merged: &[Uuid]) -> QueryResult<usize> {
    sql_query("UPDATE order_references r SET order_id = o.merged_into FROM orders o WHERE o.id = ANY($1) AND r.order_id = o.id AND o.merged_into IS NOT NULL")
        .bind::<Array<SqlUuid>, _>(merged)
        .execute(conn)
}

#[derive(QueryableByName)]
struct LockedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    reference: String,
    #[diesel(sql_type = Text)]
    facts: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Bool)]
    moved: bool,
    #[diesel(sql_type = Bool)]
    merged: bool,
    #[diesel(sql_type = Bool)]
    large: bool,
}

/// An order as its row is: locked by this transaction, looked at, or remembered.
#[derive(Clone, Debug)]
pub struct Locked {
    /// Its row.
    pub id: Uuid,
    /// Its name so far.
    pub reference: String,
    /// All that is known of it; an error where the stored text cannot be read.
    pub facts: Result<Read, String>,
    /// Grows with each write.
    pub version: i64,
    /// References may have left it since they were resolved.
    pub moved: bool,
    /// Another order took it over.
    pub merged: bool,
    /// Its facts are larger than asked for, and were not read.
    pub large: bool,
}

/// Locks the orders among `ids` that nobody else holds, in the order of their ids. Facts of more than `largest` bytes are
/// not read: their length is known without that.
pub fn lock(conn: &mut PgConnection, ids: &[Uuid], largest: Option<i32>) -> QueryResult<Vec<Locked>> {
    let rows: Vec<LockedRow> = prepared!(
        "SELECT id, reference, CASE WHEN octet_length(facts) > given.largest THEN '{}' ELSE facts END AS facts, version, moved, \
                merged_into IS NOT NULL AS merged, octet_length(facts) > given.largest AS large \
         FROM orders, (SELECT $1 AS largest) given WHERE id = ANY($2) ORDER BY id FOR NO KEY UPDATE OF orders SKIP LOCKED",
    )
    .bind::<Integer, _>(largest.unwrap_or(i32::MAX))
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)?;
    let locked = |row: LockedRow| Locked {
        id: row.id,
        reference: row.reference,
        facts: read_row(&row.facts),
        version: row.version,
        moved: row.moved,
        merged: row.merged,
        large: row.large,
    };
    Ok(rows.into_iter().map(locked).collect())
}

/// What is known of the orders that references name: one row for the lot.
#[derive(Debug, QueryableByName)]
pub struct Looked {
    #[diesel(sql_type = Array<BigInt>)]
    named: Vec<i64>,
    #[diesel(sql_type = Array<SqlUuid>)]
    named_orders: Vec<Uuid>,
    #[diesel(sql_type = Array<SqlUuid>)]
    orders: Vec<Uuid>,
    #[diesel(sql_type = Array<Text>)]
    order_names: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    order_facts: Vec<String>,
    #[diesel(sql_type = Array<BigInt>)]
    order_versions: Vec<i64>,
    /// Large, moved or merged: not to be written without a lock.
    #[diesel(sql_type = Array<Bool>)]
    order_is_odd: Vec<bool>,
}

/// Asks for [`Looked`], without a lock. Facts of more than `largest` bytes are not read.
pub fn look<'a>(references: &[&'a Scoped], largest: Option<i32>) -> Part<impl Values + use<'a>> {
    const LOOK: &str = concat!(
        "WITH named AS MATERIALIZED (",
        named!(),
        "), \
         found AS MATERIALIZED ( \
             SELECT o.id, o.reference, o.version, o.moved OR o.merged_into IS NOT NULL OR octet_length(o.facts) > given.largest AS odd, \
                    CASE WHEN octet_length(o.facts) > given.largest THEN '{}' ELSE o.facts END AS facts \
             FROM orders o, (SELECT $7 AS largest) given WHERE o.id = ANY (ARRAY(SELECT order_id FROM named))) \
         SELECT ARRAY(SELECT n FROM named) AS named, ARRAY(SELECT order_id FROM named) AS named_orders, \
                ARRAY(SELECT id FROM found) AS orders, ARRAY(SELECT reference FROM found) AS order_names, \
                ARRAY(SELECT facts FROM found) AS order_facts, ARRAY(SELECT version FROM found) AS order_versions, \
                ARRAY(SELECT odd FROM found) AS order_is_odd"
    );
    naming(prepared!(LOOK), references).bind::<Integer, _>(largest.unwrap_or(i32::MAX)).called("looked")
}

impl Looked {
    /// The orders that `count` references name, and what is known of those orders; none where one of them is not to be
    /// written without a lock.
    pub fn read(self, count: usize) -> Option<Known> {
        if self.order_is_odd.contains(&true) {
            return None;
        }
        let named = placed(count, self.named.into_iter().zip(self.named_orders));
        let rows = self.orders.into_iter().zip(self.order_names).zip(self.order_facts).zip(self.order_versions);
        let known = rows.map(|(((id, reference), facts), version)| {
            let facts = read_row(&facts);
            (id, Locked { id, reference, facts, version, moved: false, merged: false, large: false })
        });
        Some(Known { named, orders: known.collect() })
    }
}

/// What is known of orders, from a look or by heart.
#[derive(Debug)]
pub struct Known {
    /// The order that each reference names.
    pub named: Vec<Option<Uuid>>,
    /// Those orders.
    pub orders: HashMap<Uuid, Locked>,
}

/// Reads a row's facts, of either edition of the order law.
pub(super) fn read_row(json: &str) -> Result<Read, String> {
    first_edition::read(json).map_err(|error| format!("the order's stored facts cannot be read: {error}"))
}

/// The same without their edition.
pub(super) fn read_facts(json: &str) -> Result<Facts, String> {
    read_row(json).map(|read| read.facts)
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Which of `ids` have a row (locked by someone else, where [`lock`] skipped them).
pub fn existing(conn: &mut PgConnection, ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<IdRow> =
        prepared!("SELECT id FROM orders WHERE id = ANY($1)").bind::<Array<SqlUuid>, _>(ids).load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// An order to be written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its row, new or locked.
    pub id: Uuid,
    /// The version that was read; 0 where there is no row yet.
    pub version: i64,
    /// Its scope.
    pub scope: Scope,
    /// What it is.
    pub order: Order,
    /// What that is derived from, as JSON.
    pub facts: String,
}

impl Written {
    fn lines_json(&self) -> Option<String> {
        let lines = &self.order.line_items;
        (!lines.is_empty()).then(|| serde_json::json!(lines).to_string())
    }
}

/// Writes orders (sorted by id), new or locked. Every write raises the version.
///
/// # Errors
/// Where someone else has written one of them since it was read: of locked orders that can only be one that was not
/// there yet, which nobody could lock.
pub fn write(conn: &mut PgConnection, orders: &[Written]) -> QueryResult<()> {
    writing(orders).unconditional().execute(conn).map(drop)
}

/// The same as part of a change.
pub fn write_unchanged(orders: &[Written]) -> Option<Part<impl Values + use<'_>>> {
    (!orders.is_empty()).then(|| writing(orders).called("written"))
}

/// No order's version may be null: so it fails where that is not the one that was read.
fn writing(orders: &[Written]) -> Prepared<impl Values + use<'_>> {
    prepared!(
        "INSERT INTO orders (id, source, account, livemode, reference, status, money_status, review_reasons, currency, amount_expected, \
                             amount_paid, amount_refunded, amount_lost, customer_email, customer_name, locale, facts, version, subscription, renewal, line_items) \
         SELECT id, source, account, livemode, reference, status, money_status, string_to_array(reasons, ' '), currency, expected, \
                paid, refunded, lost, email, name, locale, facts, read + 1, subscription, renewal, lines::json \
         FROM (SELECT unnest($1) AS id, unnest($2) AS source, unnest($3) AS account, unnest($4) AS livemode, unnest($5) AS reference, unnest($6) AS status, \
                      unnest($7) AS money_status, unnest($8) AS reasons, unnest($9) AS currency, unnest($10) AS expected, unnest($11) AS paid, unnest($12) AS refunded, \
                      unnest($13) AS lost, unnest($14) AS email, unnest($15) AS name, unnest($16) AS locale, unnest($17) AS facts, unnest($18) AS read, \
                      unnest($19) AS subscription, unnest($20) AS renewal, unnest($21) AS lines WHERE (SELECT holds FROM guard)) new \
         ON CONFLICT (id) DO UPDATE SET reference = EXCLUDED.reference, status = EXCLUDED.status, money_status = EXCLUDED.money_status, \
             review_reasons = EXCLUDED.review_reasons, currency = EXCLUDED.currency, amount_expected = EXCLUDED.amount_expected, \
             amount_paid = EXCLUDED.amount_paid, amount_refunded = EXCLUDED.amount_refunded, amount_lost = EXCLUDED.amount_lost, \
             customer_email = EXCLUDED.customer_email, customer_name = EXCLUDED.customer_name, locale = EXCLUDED.locale, \
             facts = EXCLUDED.facts, subscription = EXCLUDED.subscription, renewal = EXCLUDED.renewal, \
             line_items = EXCLUDED.line_items, merged_into = NULL, updated_at = now(), \
             version = CASE WHEN orders.version = EXCLUDED.version - 1 THEN EXCLUDED.version END \
         RETURNING true",
    )
    .column::<SqlUuid, _, _>(orders, |o| o.id)
    .column::<Text, _, _>(orders, |o| o.scope.source)
    .column::<Text, _, _>(orders, |o| &o.scope.account)
    .column::<Bool, _, _>(orders, |o| o.scope.livemode)
    .column::<Text, _, _>(orders, |o| &o.order.reference)
    .column::<Text, _, _>(orders, |o| o.order.status.as_str())
    .column::<Text, _, _>(orders, |o| o.order.money_status.as_str())
    .column::<Text, _, _>(orders, |o| o.order.review_reasons.join(" "))
    .column::<Nullable<Text>, _, _>(orders, |o| o.order.currency.as_deref())
    .column::<Nullable<BigInt>, _, _>(orders, |o| o.order.amount_expected)
    .column::<BigInt, _, _>(orders, |o| o.order.amount_paid)
    .column::<BigInt, _, _>(orders, |o| o.order.amount_refunded)
    .column::<BigInt, _, _>(orders, |o| o.order.amount_lost)
    .column::<Nullable<Text>, _, _>(orders, |o| o.order.customer_email.as_deref())
    .column::<Nullable<Text>, _, _>(orders, |o| o.order.customer_name.as_deref())
    .column::<Nullable<Text>, _, _>(orders, |o| o.order.locale.as_deref())
    .column::<Text, _, _>(orders, |o| &o.facts[..])
    .column::<BigInt, _, _>(orders, |o| o.version)
    .column::<Nullable<Text>, _, _>(orders, |o| o.order.subscription.as_deref())
    .column::<Bool, _, _>(orders, |o| o.order.renewal)
    .column::<Nullable<Text>, _, _>(orders, Written::lines_json)
}

/// Marks orders that others took over, before those are written: the names must be free.
pub fn retire(conn: &mut PgConnection, taken_over: &[(Uuid, Uuid)]) -> QueryResult<usize> {
    sql_query(
        "UPDATE orders SET merged_into = new.heir, moved = true, facts = '{}', version = version + 1, updated_at = now() \
         FROM UNNEST($1, $2) AS new (id, heir) WHERE orders.id = new.id",
    )
    .bind::<Array<SqlUuid>, _>(taken_over.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(taken_over.iter().map(|(_, heir)| *heir).collect::<Vec<_>>())
    .execute(conn)
}
