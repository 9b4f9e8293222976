//! The SQL of looking at orders. Only [`load`] locks, and only where it is asked to.

use super::{Filter, Named};
use crate::db::prepared;
use crate::orders::Labelling;
use crate::orders::facts::label::normalized;
use crate::orders::facts::{Facts, Reference, ReferenceKind};
use crate::orders::order::Order;
use crate::orders::present::shown;
use crate::orders::store::{Scope, Scoped, read_facts, read_row, resolve};
use crate::orders::timeline::{Change, changes};
use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Bool, Json, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use serde::Serialize;
use std::collections::BTreeSet;
use uuid::Uuid;

/// An order as the API and the command line show it.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName, Serialize)]
pub struct OrderRow {
    /// Our own id.
    #[serde(skip)]
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The shop's reference, else Stripe's id.
    #[diesel(sql_type = Text)]
    pub reference: String,
    /// Connected account; empty is our own.
    #[diesel(sql_type = Text)]
    pub account: String,
    /// Real money or a test.
    #[diesel(sql_type = Bool)]
    pub livemode: bool,
    /// As in the order law.
    #[diesel(sql_type = Text)]
    pub status: String,
    /// The same without `review`.
    #[diesel(sql_type = Text)]
    pub money_status: String,
    /// Why a person must look.
    #[diesel(sql_type = Array<Text>)]
    pub review_reasons: Vec<String>,
    /// Lower-case ISO code.
    #[diesel(sql_type = Nullable<Text>)]
    pub currency: Option<String>,
    /// Minor unit.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub amount_expected: Option<i64>,
    /// Minor unit.
    #[diesel(sql_type = BigInt)]
    pub amount_paid: i64,
    /// Minor unit.
    #[diesel(sql_type = BigInt)]
    pub amount_refunded: i64,
    /// Minor unit.
    #[diesel(sql_type = BigInt)]
    pub amount_lost: i64,
    /// Where the customer's mails go.
    #[diesel(sql_type = Nullable<Text>)]
    pub customer_email: Option<String>,
    /// As given.
    #[diesel(sql_type = Nullable<Text>)]
    pub customer_name: Option<String>,
    /// The checkout's language.
    #[diesel(sql_type = Nullable<Text>)]
    pub locale: Option<String>,
    /// The subscription whose invoice it is.
    #[diesel(sql_type = Nullable<Text>)]
    pub subscription: Option<String>,
    /// A subscription's renewal.
    #[diesel(sql_type = Bool)]
    pub renewal: bool,
    /// What was bought, where the shop registered it.
    #[diesel(sql_type = Nullable<Json>)]
    pub line_items: Option<serde_json::Value>,
    /// The stored facts.
    #[serde(skip)]
    #[diesel(sql_type = Text)]
    pub facts: String,
    /// Grows with each write.
    #[diesel(sql_type = BigInt)]
    pub version: i64,
    /// When the row was first written.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    /// When the row was last written.
    #[diesel(sql_type = Timestamptz)]
    pub updated_at: DateTime<Utc>,
}

impl OrderRow {
    /// The fields in which `derived` is another order than the row.
    pub fn differences(&self, derived: &Order, labelling: &Labelling) -> Vec<Change> {
        changes(&shown(self, labelling), derived)
    }

    /// Whether it is known by `name` now. What led there once may have become another order's.
    fn answers_to(&self, name: &str) -> bool {
        self.reference == name || read_facts(&self.facts).is_ok_and(|facts| facts.answers_to(name))
    }
}

/// Finds an order by its reference or an alias. Without `livemode`, live orders come before test orders.
pub fn find(conn: &mut PgConnection, named: &Named) -> QueryResult<Option<OrderRow>> {
    let name = normalized(&named.reference);
    let found: Vec<OrderRow> = sql_query(
        "WITH RECURSIVE named (id, livemode, kind) AS ( \
             SELECT order_id, livemode, kind FROM order_references \
             WHERE value = $1 AND account = $2 AND source = 'stripe' AND ($3 IS NULL OR livemode = $3) \
             UNION SELECT o.merged_into, named.livemode, named.kind FROM orders o JOIN named USING (id) WHERE o.merged_into IS NOT NULL) \
         SELECT o.* FROM named JOIN orders o USING (id) WHERE o.merged_into IS NULL \
         ORDER BY o.livemode DESC, named.kind = 'label' DESC LIMIT 4",
    )
    .bind::<Text, _>(&*name)
    .bind::<Text, _>(&named.account)
    .bind::<Nullable<Bool>, _>(named.livemode)
    .load(conn)?;
    Ok(found.into_iter().find(|order| order.answers_to(&name)))
}

/// Orders whose row is older than `before`, the newest first.
pub fn list(conn: &mut PgConnection, filter: &Filter, before: Option<Uuid>, limit: i64) -> QueryResult<Vec<OrderRow>> {
    // Orders in review have an index; it is found by its own condition.
    let in_review = if filter.status.as_deref() == Some("review") { "AND review_reasons <> '{}'" } else { "" };
    sql_query(format!(
        "SELECT * FROM orders WHERE merged_into IS NULL {in_review} AND ($1 IS NULL OR status = $1) \
           AND ($2 IS NULL OR account = $2) AND ($3 IS NULL OR livemode = $3) \
           AND id < coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY id DESC LIMIT $5"
    ))
    .bind::<Nullable<Text>, _>(filter.status.as_deref())
    .bind::<Nullable<Text>, _>(filter.account.as_deref())
    .bind::<Nullable<Bool>, _>(filter.livemode)
    .bind::<Nullable<SqlUuid>, _>(before)
    .bind::<BigInt, _>(limit)
    .load(conn)
}

/// The orders whose rows come after `after`, in the order of ids.
pub fn next(conn: &mut PgConnection, after: Uuid, limit: i64) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let rows: Vec<Row> = sql_query("SELECT id FROM orders WHERE merged_into IS NULL AND id > $1 ORDER BY id LIMIT $2")
        .bind::<SqlUuid, _>(after)
        .bind::<BigInt, _>(limit)
        .load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// How many orders there are.
pub fn count(conn: &mut PgConnection) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let row: Row = sql_query("SELECT count(*) FROM orders WHERE merged_into IS NULL").get_result(conn)?;
    Ok(row.count)
}

/// An order with what it is derived from.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The columns.
    pub row: OrderRow,
    /// Where its references mean something.
    pub scope: Scope,
    /// The stored facts; an error where the text cannot be read.
    pub facts: Result<Facts, String>,
    /// They were stored by the first edition of the order law.
    pub first_edition: bool,
}

/// Reads an order with its facts; `lock` keeps others from writing it until the transaction ends.
pub fn load(conn: &mut PgConnection, id: Uuid, lock: bool) -> QueryResult<Option<Stored>> {
    // Columns by name: a prepared statement outlives a migration.
    macro_rules! ask {
        ($lock:literal) => {
            prepared!(concat!(
                "SELECT id, reference, account, livemode, status, money_status, review_reasons, currency, amount_expected, \
                        amount_paid, amount_refunded, amount_lost, customer_email, customer_name, locale, subscription, renewal, \
                        line_items, facts, version, created_at, updated_at \
                 FROM orders WHERE id = $1 AND merged_into IS NULL",
                $lock
            ))
            .bind::<SqlUuid, _>(id)
            .get_result(conn)
            .optional()?
        };
    }
    let row: Option<OrderRow> = if lock { ask!(" FOR NO KEY UPDATE") } else { ask!("") };
    Ok(row.map(|row| {
        let (read, scope) = (read_row(&row.facts), Scope::new(&row.account, row.livemode));
        let first_edition = read.as_ref().is_ok_and(|read| read.first_edition);
        Stored { scope, facts: read.map(|read| read.facts), first_edition, row }
    }))
}

/// Every name that an order answers to: ids of Stripe's, and the shop's references.
pub fn names(conn: &mut PgConnection, id: Uuid) -> QueryResult<(Vec<String>, Vec<String>)> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = Text)]
        value: String,
    }
    let rows: Vec<Row> = prepared!("SELECT kind, value FROM order_references WHERE order_id = $1 ORDER BY value")
        .bind::<SqlUuid, _>(id)
        .load(conn)?;
    let (objects, labels): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.kind == ReferenceKind::Object.as_str());
    let values = |rows: Vec<Row>| rows.into_iter().map(|row| row.value).collect();
    Ok((values(objects), values(labels)))
}

/// The orders that these references name now, by name.
pub fn naming(conn: &mut PgConnection, scope: &Scope, references: &BTreeSet<Reference>) -> QueryResult<Vec<OrderRow>> {
    let scoped: Vec<Scoped> =
        references.iter().map(|reference| Scoped { reference: reference.clone(), scope: scope.clone() }).collect();
    let named = resolve(conn, &scoped.iter().collect::<Vec<_>>())?;
    let ids: BTreeSet<Uuid> = named.into_iter().flatten().collect();
    sql_query("SELECT * FROM orders WHERE id = ANY($1) AND merged_into IS NULL ORDER BY reference")
        .bind::<Array<SqlUuid>, _>(ids.into_iter().collect::<Vec<_>>())
        .load(conn)
}
