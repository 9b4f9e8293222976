//! Arrays as parameters: a column of a batch's rows.
//!
//! diesel's own arrays grow by copying, value by value: of what a batch of one event costs the writer, a seventh. Here an array
//! is put together in a buffer that is kept, and copied once. Statements that no event runs through may use diesel's.

use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Double, HasSqlType, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write;
use std::num::TryFromIntError;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// 2000-01-01, from which Postgres counts, in microseconds after 1970.
const EPOCH: i64 = 946_684_800_000_000;
/// A larger buffer is not kept, in bytes: the bodies of a full batch of the writer's mostly take half of it.
const LARGEST_KEPT: usize = 1 << 20;

thread_local! {
    /// Kept by each thread: one that is asked of the system for each batch costs a page fault for every four kilobytes.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A value of the SQL type `T` in Postgres' binary format, as its type's `…send` function writes it.
pub trait Field<T> {
    /// Has its bytes read; none where it is null.
    fn read<R>(&self, by: impl FnOnce(Option<&[u8]>) -> R) -> R;
}

/// One value for each row.
#[derive(Debug)]
pub struct Column<F>(Vec<F>);

impl<F> Column<F> {
    /// What `of` says of each of `rows`.
    pub(super) fn of<R>(rows: impl IntoIterator<Item = R>, of: impl Fn(R) -> F) -> Self {
        Self(rows.into_iter().map(of).collect())
    }
}

impl<T, F> ToSql<Array<T>, Pg> for Column<F>
where
    Pg: HasSqlType<T>,
    F: Field<T> + std::fmt::Debug,
{
    /// As diesel writes it and Postgres' `array_recv` reads it: one dimension, no flags, the type; how many there are, counted
    /// from 1; then each value after its length in bytes, which for a null is -1.
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let kind = <Pg as HasSqlType<T>>::metadata(out.metadata_lookup()).oid()?;
        let mut array = BUFFER.take();
        array.clear();
        let sizes = self.0.iter().map(|field| 4 + field.read(|bytes| bytes.map_or(0, <[u8]>::len)));
        array.reserve_exact(20 + sizes.sum::<usize>());
        array.extend([1_i32.to_be_bytes(), 0_i32.to_be_bytes(), kind.to_be_bytes()].as_flattened());
        array.extend([i32::try_from(self.0.len())?.to_be_bytes(), 1_i32.to_be_bytes()].as_flattened());
        for field in &self.0 {
            field.read(|bytes| append(&mut array, bytes))?;
        }
        out.write_all(&array)?;
        if array.capacity() <= LARGEST_KEPT {
            BUFFER.set(array);
        }
        Ok(IsNull::No)
    }
}

fn append(array: &mut Vec<u8>, bytes: Option<&[u8]>) -> Result<(), TryFromIntError> {
    let length = bytes.map_or(Ok(-1), |bytes| i32::try_from(bytes.len()))?;
    array.extend(length.to_be_bytes());
    array.extend_from_slice(bytes.unwrap_or_default());
    Ok(())
}

impl<T, F: Field<T> + ?Sized> Field<T> for &F {
    fn read<R>(&self, by: impl FnOnce(Option<&[u8]>) -> R) -> R {
        (**self).read(by)
    }
}

impl<T, F: Field<T>> Field<Nullable<T>> for Option<F> {
    fn read<R>(&self, by: impl FnOnce(Option<&[u8]>) -> R) -> R {
        match self {
            Some(field) => field.read(by),
            None => by(None),
        }
    }
}

/// What each type's bytes are.
macro_rules! fields {
    ($($rust:ty as $sql:ty: |$field:ident| $bytes:expr;)+) => {$(
        impl Field<$sql> for $rust {
            fn read<R>(&self, by: impl FnOnce(Option<&[u8]>) -> R) -> R {
                let $field = self;
                by(Some($bytes))
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
