//! Statements whose text never changes: each connection prepares them once.
//!
//! `diesel::sql_query` has a statement parsed, analysed and planned each time that it runs, and waits for that on the way:
//! on the path of every event that costs more than the work itself.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::serialize::ToSql;
use diesel::sql_types::HasSqlType;
use std::marker::PhantomData;

/// The places of `count` things, from 1: what tells the rows of an array apart.
pub fn places(count: usize) -> Vec<i64> {
    (1..).take(count).collect()
}

/// A statement in the making: [`Prepared::bind`] gives each of `$1`, `$2`, … its value. They stand in this sequence, and
/// each stands once.
pub fn prepared(sql: &'static str) -> Prepared<()> {
    Prepared { before: "", sql, values: () }
}

/// A statement with its values so far.
#[derive(Debug)]
pub struct Prepared<V> {
    /// Stands before it where it is no part of others.
    pub(super) before: &'static str,
    pub(super) sql: &'static str,
    pub(super) values: V,
}

/// A value after those before it.
#[derive(Debug)]
pub struct Bound<V, T, U> {
    before: V,
    value: U,
    kind: PhantomData<T>,
}

impl<V> Prepared<V> {
    /// The next placeholder's value, of the SQL type `T`.
    pub fn bind<T, U>(self, value: U) -> Prepared<Bound<V, T, U>> {
        let values = Bound { before: self.values, value, kind: PhantomData };
        Prepared { before: self.before, sql: self.sql, values }
    }
}

/// Values that stand between the pieces of a statement's text.
pub trait Values {
    /// Writes each value, the text before it first; returns the text after the last, and the number of values.
    fn write<'a, 'b: 'a>(
        &'b self,
        sql: &'static str,
        out: &mut AstPass<'a, 'b, Pg>,
    ) -> QueryResult<(&'static str, usize)>;
}

impl Values for () {
    fn write<'a, 'b: 'a>(
        &'b self,
        sql: &'static str,
        _: &mut AstPass<'a, 'b, Pg>,
    ) -> QueryResult<(&'static str, usize)> {
        Ok((sql, 0))
    }
}

impl<V, T, U> Values for Bound<V, T, U>
where
    V: Values,
    Pg: HasSqlType<T>,
    U: ToSql<T, Pg>,
{
    fn write<'a, 'b: 'a>(
        &'b self,
        sql: &'static str,
        out: &mut AstPass<'a, 'b, Pg>,
    ) -> QueryResult<(&'static str, usize)> {
        let (rest, before) = self.before.write(sql, out)?;
        let number = before + 1;
        let (text, after) = cut(rest, number)?;
        out.push_sql(text);
        out.push_bind_param::<T, U>(&self.value)?;
        Ok((after, number))
    }
}

/// The text before the placeholder of that number, which is the next one, and the text after it.
fn cut(sql: &'static str, number: usize) -> QueryResult<(&'static str, &'static str)> {
    let split = sql.split_once('$').and_then(|(text, rest)| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        (rest[..digits].parse() == Ok(number)).then(|| (text, &rest[digits..]))
    });
    split.ok_or_else(|| diesel::result::Error::QueryBuilderError(format!("${number} is not the next of: {sql}").into()))
}

impl<V: Values> Prepared<V> {
    /// Writes the statement with its values. Its placeholders are numbered anew, after those that stand before it.
    pub(super) fn write<'a, 'b: 'a>(&'b self, out: &mut AstPass<'a, 'b, Pg>) -> QueryResult<()> {
        let (rest, number) = self.values.write(self.sql, out)?;
        if rest.contains('$') {
            return Err(diesel::result::Error::QueryBuilderError(
                format!("more than {number} values in: {}", self.sql).into(),
            ));
        }
        out.push_sql(rest);
        Ok(())
    }
}

impl<V: Values> QueryFragment<Pg> for Prepared<V> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.before);
        self.write(&mut out)
    }
}

/// A query whose text tells it apart, and whose rows are read by their columns' names.
macro_rules! untyped_query {
    ($name:ident<$($part:ident),+>) => {
        impl<$($part),+> diesel::query_builder::QueryId for $name<$($part),+> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl<$($part),+> diesel::query_builder::Query for $name<$($part),+> {
            type SqlType = diesel::sql_types::Untyped;
        }

        impl<$($part,)+ Conn: diesel::Connection> diesel::RunQueryDsl<Conn> for $name<$($part),+> {}
    };
}
pub(super) use untyped_query;

untyped_query!(Prepared<V>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{cut, prepared};
    use diesel::debug_query;
    use diesel::pg::Pg;
    use diesel::sql_types::{Integer, Text};

    #[test]
    fn values_stand_in_their_places() {
        let query = prepared("SELECT $1 || x FROM y WHERE z = $2").bind::<Text, _>("a").bind::<Integer, _>(7);
        assert_eq!(
            debug_query::<Pg, _>(&query).to_string(),
            r#"SELECT $1 || x FROM y WHERE z = $2 -- binds: ["a", 7]"#
        );
    }

    #[test]
    fn a_placeholder_out_of_sequence_is_refused() {
        assert_eq!(cut("a = $1 AND b", 1).unwrap(), ("a = ", " AND b"));
        for odd in ["a = $2", "a = $11", "a", "a = $"] {
            assert!(cut(odd, 1).is_err(), "{odd}");
        }
    }
}
