//! Arrays as parameters: a column of a batch's rows.
//!
//! diesel's own arrays grow by copying, value by value: for a batch of one event that is a fifth of what the writer does. Here
//! an array is put together in a buffer that is kept, and copied once.

use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Double, HasSqlType, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// 2000-01-01, from which Postgres counts, in microseconds after 1970.
const EPOCH: i64 = 946_684_800_000_000;
/// A larger buffer is not kept, in bytes: the bodies of a full batch of the writer's take half of it.
const LARGEST_KEPT: usize = 1 << 20;

thread_local! {
    /// Kept by each thread: one that is asked of the system for each batch costs a page fault for every four kilobytes.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A value of the SQL type `T` in Postgres' binary format, as its type's `…send` function writes it.
pub trait Field<T> {
    /// Appends it; false where it is null.
    fn append(&self, to: &mut Vec<u8>) -> bool;
}

/// One value for each row.
#[derive(Debug)]
pub struct Column<F>(Vec<F>);

impl<F> Column<F> {
    /// What `of` says of each of `rows`.
    pub fn of<R>(rows: impl IntoIterator<Item = R>, of: impl Fn(R) -> F) -> Self {
        Self(rows.into_iter().map(of).collect())
    }
}

impl<T, F> ToSql<Array<T>, Pg> for Column<F>
where
    Pg: HasSqlType<T>,
    F: Field<T> + std::fmt::Debug,
{
    /// As `array_send` writes it: one dimension, no flags, the type; how many there are, counted from 1; then each value after
    /// its length, which for a null is -1.
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let kind = <Pg as HasSqlType<T>>::metadata(out.metadata_lookup()).oid()?;
        let mut array = BUFFER.take();
        array.clear();
        for word in [1, 0, kind, u32::try_from(self.0.len())?, 1] {
            array.extend(word.to_be_bytes());
        }
        for field in &self.0 {
            let start = array.len();
            array.extend((-1_i32).to_be_bytes());
            if field.append(&mut array) {
                let length = i32::try_from(array.len() - start - 4)?;
                array[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        out.write_all(&array)?;
        if array.capacity() <= LARGEST_KEPT {
            BUFFER.set(array);
        }
        Ok(IsNull::No)
    }
}

impl<T, F: Field<T> + ?Sized> Field<T> for &F {
    fn append(&self, to: &mut Vec<u8>) -> bool {
        (**self).append(to)
    }
}

impl<T, F: Field<T>> Field<Nullable<T>> for Option<F> {
    fn append(&self, to: &mut Vec<u8>) -> bool {
        self.as_ref().is_some_and(|field| field.append(to))
    }
}

/// Types whose format is bytes that they have at hand.
macro_rules! fields {
    ($($rust:ty as $sql:ty: |$field:ident| $bytes:expr;)+) => {$(
        impl Field<$sql> for $rust {
            fn append(&self, to: &mut Vec<u8>) -> bool {
                let $field = self;
                to.extend_from_slice($bytes);
                true
            }
        }
    )+};
}

fields! {
    str as Text: |text| text.as_bytes();
    String as Text: |text| text.as_bytes();
    Cow<'_, str> as Text: |text| text.as_bytes();
    [u8] as Binary: |bytes| bytes;
    bool as Bool: |flag| &[u8::from(*flag)];
    i32 as Integer: |number| &number.to_be_bytes();
    i64 as BigInt: |number| &number.to_be_bytes();
    f64 as Double: |number| &number.to_be_bytes();
    Uuid as SqlUuid: |id| id.as_bytes();
    DateTime<Utc> as Timestamptz: |time| &(time.timestamp_micros() - EPOCH).to_be_bytes();
}
