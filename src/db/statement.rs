//! Statements whose text never changes: each connection prepares them once.
//!
//! `diesel::sql_query` has a statement parsed, analysed and planned each time that it runs, and waits for that on the way:
//! on the path of every event that costs more than the work itself.

use super::column::Column;
use super::sql::Sql;
use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::result::Error;
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, HasSqlType};
use std::marker::PhantomData;

/// A statement in the making: [`Prepared::bind`] gives each of `$1`, `$2`, … its value. They stand in this sequence, and
/// each stands once, or it does not compile.
macro_rules! prepared {
    ($sql:expr $(,)?) => {
        $crate::db::Prepared::of(const { &$crate::db::Sql::of($sql) })
    };
}
pub(crate) use prepared;

/// A statement with its values so far.
#[derive(Debug)]
pub struct Prepared<V> {
    /// Stands before it where it is no part of others.
    pub(super) before: &'static str,
    pub(super) sql: &'static Sql,
    pub(super) values: V,
}

/// A value after those before it.
#[derive(Debug)]
pub struct Bound<V, T, U> {
    before: V,
    value: U,
    kind: PhantomData<T>,
}

impl Prepared<()> {
    /// A statement of this text.
    pub fn of(sql: &'static Sql) -> Self {
        Self { before: "", sql, values: () }
    }
}

impl<V> Prepared<V> {
    /// The next placeholder's value, of the SQL type `T`.
    pub fn bind<T, U>(self, value: U) -> Prepared<Bound<V, T, U>> {
        let values = Bound { before: self.values, value, kind: PhantomData };
        Prepared { before: self.before, sql: self.sql, values }
    }

    /// The same, for an array: what `of` says of each of `rows`, of the SQL type `T`.
    pub fn column<T, R, F>(
        self,
        rows: impl IntoIterator<Item = R>,
        of: impl Fn(R) -> F,
    ) -> Prepared<Bound<V, Array<T>, Column<F>>> {
        self.bind(Column::of(rows, of))
    }
}

/// Values that stand between the pieces of a statement's text.
pub trait Values {
    /// Writes each value, the piece before it first; returns their number.
    fn write<'a, 'b: 'a>(&'b self, sql: &'static Sql, out: &mut AstPass<'a, 'b, Pg>) -> QueryResult<usize>;
}

impl Values for () {
    fn write<'a, 'b: 'a>(&'b self, _: &'static Sql, _: &mut AstPass<'a, 'b, Pg>) -> QueryResult<usize> {
        Ok(0)
    }
}

impl<V, T, U> Values for Bound<V, T, U>
where
    V: Values,
    Pg: HasSqlType<T>,
    U: ToSql<T, Pg>,
{
    fn write<'a, 'b: 'a>(&'b self, sql: &'static Sql, out: &mut AstPass<'a, 'b, Pg>) -> QueryResult<usize> {
        let number = self.before.write(sql, out)?;
        out.push_sql(sql.before(number).ok_or_else(|| miscounted(sql))?);
        out.push_bind_param::<T, U>(&self.value)?;
        Ok(number + 1)
    }
}

fn miscounted(sql: &Sql) -> Error {
    Error::QueryBuilderError(format!("more or fewer than {} values for: {}", sql.count(), sql.text()).into())
}

impl<V: Values> Prepared<V> {
    /// Writes the statement with its values. Its placeholders are numbered anew, after those that stand before it.
    pub(super) fn write<'a, 'b: 'a>(&'b self, out: &mut AstPass<'a, 'b, Pg>) -> QueryResult<()> {
        if self.values.write(self.sql, out)? != self.sql.count() {
            return Err(miscounted(self.sql));
        }
        out.push_sql(self.sql.rest());
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
    use diesel::debug_query;
    use diesel::pg::{Pg, PgQueryBuilder};
    use diesel::query_builder::QueryFragment;
    use diesel::sql_types::{Integer, Text};

    #[test]
    fn values_stand_in_their_places() {
        let query = prepared!("SELECT $1 || x FROM y WHERE z = $2").bind::<Text, _>("a").bind::<Integer, _>(7);
        assert_eq!(
            debug_query::<Pg, _>(&query).to_string(),
            r#"SELECT $1 || x FROM y WHERE z = $2 -- binds: ["a", 7]"#
        );
    }

    #[test]
    fn a_value_too_many_or_too_few_is_refused() {
        let written = |query: &dyn QueryFragment<Pg>| query.to_sql(&mut PgQueryBuilder::default(), &Pg);
        let (none, one) = (prepared!("SELECT 1"), prepared!("SELECT $1"));
        assert!(written(&none).is_ok() && written(&one).is_err());
        assert!(written(&one.bind::<Integer, _>(7)).is_ok() && written(&none.bind::<Integer, _>(7)).is_err());
    }
}
