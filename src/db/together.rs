//! Statements of several rooms that go to the server together, in one round trip: each room writes its own part.

use super::statement::{Prepared, Values};
use diesel::connection::Connection;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Untyped;
use diesel::{QueryResult, RunQueryDsl};

/// Questions that are answered by one row, which has the columns of all of them: each part gives exactly one row, under
/// names that no other part has.
pub fn ask<A: Parts>(parts: A) -> Ask<A> {
    Ask { parts }
}

/// Changes that are made by one statement, hence all of them or none: each part is an `INSERT`, `UPDATE` or `DELETE` that
/// ends in `RETURNING`, or a `SELECT` that others read by its name. They are made in the sequence in which they stand, none
/// sees in a table what another has done there, and none waits for a lock longer than 100 ms.
pub fn change<A: Parts>(parts: A) -> Change<A> {
    Change { parts }
}

/// So long a change waits for what another transaction holds.
const PATIENCE: &str = "100ms";

/// See [`ask`].
#[derive(Debug)]
pub struct Ask<A> {
    parts: A,
}

/// See [`change`].
#[derive(Debug)]
pub struct Change<A> {
    parts: A,
}

/// A statement under the name by which the others of its company know it.
#[derive(Debug)]
pub struct Part<V> {
    name: &'static str,
    statement: Prepared<V>,
}

impl<V> Prepared<V> {
    /// As a part of what goes together.
    pub fn called(self, name: &'static str) -> Part<V> {
        Part { name, statement: self }
    }
}

/// What stands together: parts, and tuples of them, to any depth. A part that is `None` is left out.
pub trait Parts {
    /// Writes the parts that are there, as `frame` says, and adds their names to `names`.
    fn each<'a, 'b: 'a>(
        &'b self,
        out: &mut AstPass<'a, 'b, Pg>,
        frame: Frame,
        names: &mut Vec<&'static str>,
    ) -> QueryResult<()>;
}

/// What stands around each part.
#[derive(Clone, Copy, Debug)]
pub enum Frame {
    /// `(…) AS name`
    Row,
    /// `name AS (…)`
    With,
}

impl<V: Values> Parts for Option<Part<V>> {
    fn each<'a, 'b: 'a>(
        &'b self,
        out: &mut AstPass<'a, 'b, Pg>,
        frame: Frame,
        names: &mut Vec<&'static str>,
    ) -> QueryResult<()> {
        let Some(Part { name, statement }) = self else { return Ok(()) };
        if !names.is_empty() {
            out.push_sql(", ");
        }
        names.push(name);
        if matches!(frame, Frame::With) {
            out.push_sql(name);
            out.push_sql(" AS ");
        }
        out.push_sql("(");
        statement.write(out)?;
        out.push_sql(")");
        if matches!(frame, Frame::Row) {
            out.push_sql(" AS ");
            out.push_sql(name);
        }
        Ok(())
    }
}

impl<A: Parts, B: Parts> Parts for (A, B) {
    fn each<'a, 'b: 'a>(
        &'b self,
        out: &mut AstPass<'a, 'b, Pg>,
        frame: Frame,
        names: &mut Vec<&'static str>,
    ) -> QueryResult<()> {
        self.0.each(out, frame, names)?;
        self.1.each(out, frame, names)
    }
}

impl<A: Parts> QueryFragment<Pg> for Ask<A> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT * FROM ");
        self.parts.each(&mut out, Frame::Row, &mut Vec::new())
    }
}

impl<A: Parts> QueryFragment<Pg> for Change<A> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH ");
        let mut names = Vec::new();
        self.parts.each(&mut out, Frame::With, &mut names)?;
        // Left to right: first the patience, then each part to its end.
        out.push_sql(&format!(" SELECT length(set_config('lock_timeout', '{PATIENCE}', true))"));
        for name in names {
            out.push_sql(&format!(" + (SELECT count(*) FROM {name})"));
        }
        Ok(())
    }
}

macro_rules! a_query {
    ($($name:ident),*) => {$(
        impl<A> QueryId for $name<A> {
            type QueryId = ();
            // The text tells them apart.
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl<A> Query for $name<A> {
            type SqlType = Untyped;
        }

        impl<A, C: Connection> RunQueryDsl<C> for $name<A> {}
    )*};
}
a_query!(Ask, Change);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{ask, change};
    use crate::db::prepared;
    use diesel::debug_query;
    use diesel::pg::Pg;
    use diesel::sql_types::Integer;

    #[test]
    fn questions_are_answered_side_by_side() {
        let one = prepared("SELECT $1 AS a").bind::<Integer, _>(7).called("one");
        let two = prepared("SELECT $1 AS b").bind::<Integer, _>(8).called("two");
        assert_eq!(
            debug_query::<Pg, _>(&ask((Some(one), Some(two)))).to_string(),
            "SELECT * FROM (SELECT $1 AS a) AS one, (SELECT $2 AS b) AS two -- binds: [7, 8]"
        );
    }

    #[test]
    fn changes_are_made_in_their_sequence_and_what_is_not_there_is_left_out() {
        let one = prepared("DELETE FROM x WHERE a = $1 RETURNING true").bind::<Integer, _>(7).called("one");
        let two = prepared("DELETE FROM y WHERE b = $1 RETURNING true").bind::<Integer, _>(8).called("two");
        let none = Some(prepared("DELETE FROM z RETURNING true").called("none")).filter(|_| false);
        assert_eq!(
            debug_query::<Pg, _>(&change((Some(one), (none, Some(two))))).to_string(),
            "WITH one AS (DELETE FROM x WHERE a = $1 RETURNING true), two AS (DELETE FROM y WHERE b = $2 RETURNING true) \
             SELECT length(set_config('lock_timeout', '100ms', true)) + (SELECT count(*) FROM one) + (SELECT count(*) FROM two) \
             -- binds: [7, 8]"
        );
    }
}
