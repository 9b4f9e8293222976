//! Arrays as Postgres reads them.

use crate::support::postgres::TestDb;
use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Bool, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryableByName, RunQueryDsl};
use ringup::db::{Prepared, Sql};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Same {
    #[diesel(sql_type = Bool)]
    same: bool,
}

macro_rules! same {
    ($conn:expr, $kind:ty, $values:expr, $array:literal) => {{
        let values: Vec<_> = $values.into();
        let query = const { &Sql::of(concat!("SELECT $1 IS NOT DISTINCT FROM ", $array, " AS same")) };
        let row: Same = Prepared::of(query).column::<$kind, _, _>(values, |it| it).get_result($conn).unwrap();
        assert!(row.same, "{}", $array);
    }};
}

#[test]
fn what_is_bound_as_a_column_is_the_array_of_its_values() {
    let db = TestDb::new();
    let conn = &mut db.conn();
    same!(conn, Text, ["a", "", "Zürich"], "ARRAY['a', '', 'Zürich']");
    same!(conn, Text, [std::borrow::Cow::Borrowed("a")], "ARRAY['a']");
    same!(conn, Nullable<BigInt>, [None::<i64>, None], "ARRAY[NULL, NULL]::bigint[]");
    same!(conn, Nullable<Text>, [None, Some("a".to_owned()), None], "ARRAY[NULL, 'a', NULL]");
    same!(conn, Binary, [&b"\x00\xff"[..], b""], r"ARRAY['\x00ff'::bytea, '\x']");
    same!(conn, Bool, [true, false], "ARRAY[true, false]");
    same!(conn, Integer, [i32::MIN, 0, i32::MAX], "ARRAY[-2147483648, 0, 2147483647]");
    same!(conn, BigInt, [i64::MIN, -1], "ARRAY[-9223372036854775808, -1]");
    same!(conn, Double, [0.1, -1e300], "ARRAY[0.1, -1e300]::double precision[]");
    same!(conn, SqlUuid, [Uuid::max()], "ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid]");
    let time = |micros| DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
    same!(
        conn,
        Timestamptz,
        [time(-1), time(1_790_000_000_000_001)],
        "ARRAY['1969-12-31 23:59:59.999999Z'::timestamptz, '2026-09-21 14:13:20.000001Z']"
    );
    same!(conn, Text, Vec::<&str>::new(), "ARRAY[]::text[]");
}
