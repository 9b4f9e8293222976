//! The SQL of orders and their references. Every statement takes a whole batch in one order of locking: references
//! sorted by value, then orders by id.

use super::facts::{Facts, Reference};
use super::order::Order;
use crate::db::prepared;
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_query};
use std::collections::HashMap;
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scoped {
    /// First, so that batches sort as the index does.
    pub reference: Reference,
    /// Where it means something.
    pub scope: Scope,
}

#[derive(QueryableByName)]
struct ReferenceRow {
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    order_id: Uuid,
}

/// The columns of references: value, kind, account, livemode, source.
type Columns = (Vec<String>, Vec<&'static str>, Vec<String>, Vec<bool>, Vec<&'static str>);

fn unzip(references: &[&Scoped]) -> Columns {
    let values = references.iter().map(|r| r.reference.value.clone()).collect();
    let kinds = references.iter().map(|r| r.reference.kind.as_str()).collect();
    let accounts = references.iter().map(|r| r.scope.account.clone()).collect();
    let livemodes = references.iter().map(|r| r.scope.livemode).collect();
    (values, kinds, accounts, livemodes, references.iter().map(|r| r.scope.source).collect())
}

/// The orders that `references` name now.
pub fn resolve(conn: &mut PgConnection, references: &[&Scoped]) -> QueryResult<HashMap<Scoped, Uuid>> {
    let (values, kinds, accounts, livemodes, sources) = unzip(references);
    let rows: Vec<ReferenceRow> = prepared(
        "SELECT asked.n, r.order_id FROM UNNEST($1, $2, $3, $4, $5) WITH ORDINALITY AS asked (value, kind, account, livemode, source, n) \
         JOIN order_references r USING (value, kind, account, livemode, source)",
    )
    .bind::<Array<Text>, _>(values)
    .bind::<Array<Text>, _>(kinds)
    .bind::<Array<Text>, _>(accounts)
    .bind::<Array<Bool>, _>(livemodes)
    .bind::<Array<Text>, _>(sources)
    .load(conn)?;
    let at = |n: i64| usize::try_from(n - 1).ok().and_then(|n| references.get(n));
    Ok(rows.iter().filter_map(|row| Some(((**at(row.n)?).clone(), row.order_id))).collect())
}

/// Names `order_id` by each reference (sorted) that names no order yet; returns how many did not. Waits for another
/// writer's uncommitted ones.
pub fn refer(conn: &mut PgConnection, references: &[(&Scoped, Uuid)]) -> QueryResult<usize> {
    let (values, kinds, accounts, livemodes, sources) = unzip(&references.iter().map(|(r, _)| *r).collect::<Vec<_>>());
    prepared(
        "INSERT INTO order_references (value, kind, account, livemode, source, order_id) \
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<Text>, _>(values)
    .bind::<Array<Text>, _>(kinds)
    .bind::<Array<Text>, _>(accounts)
    .bind::<Array<Bool>, _>(livemodes)
    .bind::<Array<Text>, _>(sources)
    .bind::<Array<diesel::sql_types::Uuid>, _>(references.iter().map(|(_, id)| *id).collect::<Vec<_>>())
    .execute(conn)
}

/// Takes back the references that this transaction gave to orders which it does not write.
pub fn forget(conn: &mut PgConnection, orders: &[Uuid]) -> QueryResult<()> {
    sql_query("DELETE FROM order_references WHERE order_id = ANY($1)")
        .bind::<Array<diesel::sql_types::Uuid>, _>(orders)
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
    let (values, kinds, accounts, livemodes, sources) = unzip(&moves.iter().map(|m| &m.reference).collect::<Vec<_>>());
    sql_query(
        "UPDATE order_references r SET order_id = new.heir FROM UNNEST($1, $2, $3, $4, $5, $6, $7) AS new (value, kind, account, livemode, source, left_id, heir) \
         WHERE (r.value, r.kind, r.account, r.livemode, r.source) = (new.value, new.kind, new.account, new.livemode, new.source) AND r.order_id = new.left_id",
    )
    .bind::<Array<Text>, _>(values)
    .bind::<Array<Text>, _>(kinds)
    .bind::<Array<Text>, _>(accounts)
    .bind::<Array<Bool>, _>(livemodes)
    .bind::<Array<Text>, _>(sources)
    .bind::<Array<diesel::sql_types::Uuid>, _>(moves.iter().map(|m| m.from).collect::<Vec<_>>())
    .bind::<Array<diesel::sql_types::Uuid>, _>(moves.iter().map(|m| m.to).collect::<Vec<_>>())
    .execute(conn)?;
    sql_query("UPDATE orders SET moved = true WHERE id = ANY($1) AND NOT moved")
        .bind::<Array<diesel::sql_types::Uuid>, _>(moves.iter().map(|m| m.from).collect::<Vec<_>>())
        .execute(conn)
        .map(drop)
}

/// Lets what still names a merged order name its heir.
pub fn follow_heirs(conn: &mut PgConnection, merged: &[Uuid]) -> QueryResult<usize> {
    sql_query("UPDATE order_references r SET order_id = o.merged_into FROM orders o WHERE o.id = ANY($1) AND r.order_id = o.id AND o.merged_into IS NOT NULL")
        .bind::<Array<diesel::sql_types::Uuid>, _>(merged)
        .execute(conn)
}

#[derive(QueryableByName)]
struct LockedRow {
    #[diesel(sql_type = diesel::sql_types::Uuid)]
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

/// An order whose row this transaction has locked.
#[derive(Clone, Debug)]
pub struct Locked {
    /// Its row.
    pub id: Uuid,
    /// Its name so far.
    pub reference: String,
    /// All that is known of it; an error where the stored text cannot be read.
    pub facts: Result<Facts, String>,
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
    let rows: Vec<LockedRow> = prepared(
        "SELECT id, reference, CASE WHEN octet_length(facts) > given.largest THEN '{}' ELSE facts END AS facts, version, moved, \
                merged_into IS NOT NULL AS merged, octet_length(facts) > given.largest AS large \
         FROM orders, (SELECT $1 AS largest) given WHERE id = ANY($2) ORDER BY id FOR NO KEY UPDATE OF orders SKIP LOCKED",
    )
    .bind::<Integer, _>(largest.unwrap_or(i32::MAX))
    .bind::<Array<diesel::sql_types::Uuid>, _>(ids)
    .load(conn)?;
    let locked = |row: LockedRow| Locked {
        id: row.id,
        reference: row.reference,
        facts: serde_json::from_str(&row.facts)
            .map_err(|error| format!("the order's stored facts cannot be read: {error}")),
        version: row.version,
        moved: row.moved,
        merged: row.merged,
        large: row.large,
    };
    Ok(rows.into_iter().map(locked).collect())
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    id: Uuid,
}

/// Which of `ids` have a row (locked by someone else, where [`lock`] skipped them).
pub fn existing(conn: &mut PgConnection, ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<IdRow> = prepared("SELECT id FROM orders WHERE id = ANY($1)")
        .bind::<Array<diesel::sql_types::Uuid>, _>(ids)
        .load(conn)?;
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
    /// What that is derived from.
    pub facts: Facts,
}

impl Written {
    fn lines_json(&self) -> Option<String> {
        let lines = &self.order.line_items;
        (!lines.is_empty()).then(|| serde_json::json!(lines).to_string())
    }

    fn facts_json(&self) -> String {
        serde_json::to_string(&self.facts).expect("facts have string keys and no foreign types")
    }
}

/// Writes orders (sorted by id), new or locked. Every write raises the version.
///
/// # Errors
/// [`diesel::result::Error::RollbackTransaction`] where someone else has written one of them since it was read: that
/// can only be a row that was not there yet, which nobody could lock.
pub fn write(conn: &mut PgConnection, orders: &[Written]) -> QueryResult<()> {
    if upsert(conn, orders)? == orders.len() { Ok(()) } else { Err(diesel::result::Error::RollbackTransaction) }
}

fn upsert(conn: &mut PgConnection, orders: &[Written]) -> QueryResult<usize> {
    fn column<'a, T>(orders: &'a [Written], of: impl Fn(&'a Written) -> T) -> Vec<T> {
        orders.iter().map(of).collect()
    }
    prepared(
        "INSERT INTO orders (id, source, account, livemode, reference, status, money_status, review_reasons, currency, amount_expected, \
                             amount_paid, amount_refunded, amount_lost, customer_email, customer_name, locale, facts, version, subscription, renewal, line_items) \
         SELECT id, source, account, livemode, reference, status, money_status, string_to_array(reasons, ' '), currency, expected, \
                paid, refunded, lost, email, name, locale, facts, read + 1, subscription, renewal, lines::json \
         FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
              AS new (id, source, account, livemode, reference, status, money_status, reasons, currency, expected, \
                      paid, refunded, lost, email, name, locale, facts, read, subscription, renewal, lines) \
         ON CONFLICT (id) DO UPDATE SET reference = EXCLUDED.reference, status = EXCLUDED.status, money_status = EXCLUDED.money_status, \
             review_reasons = EXCLUDED.review_reasons, currency = EXCLUDED.currency, amount_expected = EXCLUDED.amount_expected, \
             amount_paid = EXCLUDED.amount_paid, amount_refunded = EXCLUDED.amount_refunded, amount_lost = EXCLUDED.amount_lost, \
             customer_email = EXCLUDED.customer_email, customer_name = EXCLUDED.customer_name, locale = EXCLUDED.locale, \
             facts = EXCLUDED.facts, version = EXCLUDED.version, subscription = EXCLUDED.subscription, renewal = EXCLUDED.renewal, \
             line_items = EXCLUDED.line_items, merged_into = NULL, updated_at = now() \
         WHERE orders.version = EXCLUDED.version - 1",
    )
    .bind::<Array<diesel::sql_types::Uuid>, _>(column(orders, |o| o.id))
    .bind::<Array<Text>, _>(column(orders, |o| o.scope.source))
    .bind::<Array<Text>, _>(column(orders, |o| &o.scope.account))
    .bind::<Array<Bool>, _>(column(orders, |o| o.scope.livemode))
    .bind::<Array<Text>, _>(column(orders, |o| &o.order.reference))
    .bind::<Array<Text>, _>(column(orders, |o| o.order.status.as_str()))
    .bind::<Array<Text>, _>(column(orders, |o| o.order.money_status.as_str()))
    .bind::<Array<Text>, _>(column(orders, |o| o.order.review_reasons.join(" ")))
    .bind::<Array<Nullable<Text>>, _>(column(orders, |o| o.order.currency.as_deref()))
    .bind::<Array<Nullable<BigInt>>, _>(column(orders, |o| o.order.amount_expected))
    .bind::<Array<BigInt>, _>(column(orders, |o| o.order.amount_paid))
    .bind::<Array<BigInt>, _>(column(orders, |o| o.order.amount_refunded))
    .bind::<Array<BigInt>, _>(column(orders, |o| o.order.amount_lost))
    .bind::<Array<Nullable<Text>>, _>(column(orders, |o| o.order.customer_email.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(orders, |o| o.order.customer_name.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(orders, |o| o.order.locale.as_deref()))
    .bind::<Array<Text>, _>(column(orders, Written::facts_json))
    .bind::<Array<BigInt>, _>(column(orders, |o| o.version))
    .bind::<Array<Nullable<Text>>, _>(column(orders, |o| o.order.subscription.as_deref()))
    .bind::<Array<Bool>, _>(column(orders, |o| o.order.renewal))
    .bind::<Array<Nullable<Text>>, _>(column(orders, Written::lines_json))
    .execute(conn)
}

/// Marks orders that others took over, before those are written: the names must be free.
pub fn retire(conn: &mut PgConnection, taken_over: &[(Uuid, Uuid)]) -> QueryResult<usize> {
    sql_query(
        "UPDATE orders SET merged_into = new.heir, moved = true, facts = '{}', version = version + 1, updated_at = now() \
         FROM UNNEST($1, $2) AS new (id, heir) WHERE orders.id = new.id",
    )
    .bind::<Array<diesel::sql_types::Uuid>, _>(taken_over.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<diesel::sql_types::Uuid>, _>(taken_over.iter().map(|(_, heir)| *heir).collect::<Vec<_>>())
    .execute(conn)
}
