//! The SQL of the shop's words.

use crate::orders::Scope;
use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_query};

/// The highest number of the words of this kind on the order of that name; 0 where there are none.
pub fn last_sequence(conn: &mut PgConnection, scope: &Scope, kind: &str, name: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        last: i64,
    }
    let row: Row = sql_query(
        "SELECT coalesce(max(substring(event_id FROM '[0-9]+$')::bigint), 0) AS last FROM events \
         WHERE object_id = $1 AND source = 'shop' AND type = $2 AND account = $3 AND livemode = $4",
    )
    .bind::<Text, _>(name)
    .bind::<Text, _>(kind)
    .bind::<Text, _>(&scope.account)
    .bind::<Bool, _>(scope.livemode)
    .get_result(conn)?;
    Ok(row.last)
}

/// Whether there is an order of real money.
pub fn has_live_orders(conn: &mut PgConnection) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        live: bool,
    }
    let row: Row = sql_query("SELECT EXISTS (SELECT FROM orders WHERE livemode) AS live").get_result(conn)?;
    Ok(row.live)
}
