//! Statements of several rooms that go to the server together, in one round trip: each room writes its own part.

use super::statement::{Prepared, Values, untyped_query};
use diesel::pg::{Pg, PgConnection};
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::Bool;
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

/// Questions that are answered by one row, which has the columns of all of them: each part gives exactly one row, under
/// names that no other part has.
pub fn ask<A: Parts>(parts: A) -> Ask<A> {
    Ask { parts }
}

/// Changes that are made by one statement, hence all of them or none, and only where all `conditions` hold.
///
/// A condition is an expression. Each part is an `INSERT`, `UPDATE` or `DELETE` that ends in `RETURNING`, or a `SELECT` that
/// others read by its name; it selects what it changes `WHERE (SELECT holds FROM guard)`. Parts are made in the sequence in
/// which they stand, none sees in a table what another has done there, and none waits for a lock longer than 100 ms.
pub fn change<C: Parts, A: Parts>(conditions: C, parts: A) -> Change<C, A> {
    Change { conditions, parts }
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
pub struct Change<C, A> {
    conditions: C,
    parts: A,
}

#[derive(QueryableByName)]
struct Done {
    #[diesel(sql_type = Bool)]
    done: bool,
}

impl<C: Parts, A: Parts> Change<C, A> {
    /// Makes it; says whether the conditions held. Where they did not, nothing was done.
    ///
    /// # Errors
    /// The database's; nothing was done then, either.
    pub fn make(self, conn: &mut PgConnection) -> QueryResult<bool> {
        self.get_result::<Done>(conn).map(|row| row.done)
    }
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

    /// What is written as a part of a [`change`], as a statement of its own: no condition is asked for.
    #[must_use]
    pub fn unconditional(self) -> Self {
        Self { before: UNGUARDED, ..self }
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
    /// `AND (…)`
    Condition,
}

/// How a part of a change says that it depends on the conditions.
pub(super) const GUARDED: &str = "(SELECT holds FROM guard)";
/// What it needs where there are none.
const UNGUARDED: &str = "WITH guard AS (SELECT true AS holds) ";

impl Parts for () {
    fn each<'a, 'b: 'a>(&'b self, _: &mut AstPass<'a, 'b, Pg>, _: Frame, _: &mut Vec<&'static str>) -> QueryResult<()> {
        Ok(())
    }
}

impl<V: Values> Parts for Option<Part<V>> {
    fn each<'a, 'b: 'a>(
        &'b self,
        out: &mut AstPass<'a, 'b, Pg>,
        frame: Frame,
        names: &mut Vec<&'static str>,
    ) -> QueryResult<()> {
        let Some(Part { name, statement }) = self else { return Ok(()) };
        if matches!(frame, Frame::With) && !statement.sql.is_guarded() {
            return Err(diesel::result::Error::QueryBuilderError(format!("{name} would be made in any case").into()));
        }
        match frame {
            Frame::Condition => out.push_sql(" AND "),
            Frame::Row | Frame::With if !names.is_empty() => out.push_sql(", "),
            Frame::Row | Frame::With => {}
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

impl<C: Parts, A: Parts> QueryFragment<Pg> for Change<C, A> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH guard AS MATERIALIZED (SELECT true");
        self.conditions.each(&mut out, Frame::Condition, &mut Vec::new())?;
        out.push_sql(" AS holds), ");
        let mut names = Vec::new();
        self.parts.each(&mut out, Frame::With, &mut names)?;
        // Left to right: first the patience, then each part to its end.
        out.push_sql(" SELECT length(set_config('lock_timeout', '");
        out.push_sql(PATIENCE);
        out.push_sql("', true))");
        for name in names {
            out.push_sql(" + (SELECT count(*) FROM ");
            out.push_sql(name);
            out.push_sql(")");
        }
        out.push_sql(" AS made, (SELECT holds FROM guard) AS done");
        Ok(())
    }
}

untyped_query!(Ask<A>);
untyped_query!(Change<C, A>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{ask, change};
    use crate::db::prepared;
    use diesel::debug_query;
    use diesel::pg::Pg;
    use diesel::query_builder::QueryFragment;
    use diesel::sql_types::Integer;

    #[test]
    fn questions_are_answered_side_by_side() {
        let one = prepared!("SELECT $1 AS a").bind::<Integer, _>(7).called("one");
        let two = prepared!("SELECT $1 AS b").bind::<Integer, _>(8).called("two");
        assert_eq!(
            debug_query::<Pg, _>(&ask((Some(one), Some(two)))).to_string(),
            "SELECT * FROM (SELECT $1 AS a) AS one, (SELECT $2 AS b) AS two -- binds: [7, 8]"
        );
    }

    #[test]
    fn changes_are_made_in_their_sequence_where_conditions_hold_and_what_is_not_there_is_left_out() {
        let condition = prepared!("$1 < 7").bind::<Integer, _>(6).called("less");
        let one = prepared!("DELETE FROM x WHERE a = $1 AND (SELECT holds FROM guard) RETURNING true");
        let one = one.bind::<Integer, _>(7).called("one");
        let two = prepared!("DELETE FROM y WHERE (SELECT holds FROM guard) AND b = $1 RETURNING true");
        let two = two.bind::<Integer, _>(8).called("two");
        let none = Some(prepared!("DELETE FROM z RETURNING true").called("none")).filter(|_| false);
        assert_eq!(
            debug_query::<Pg, _>(&change(Some(condition), (Some(one), (none, Some(two))))).to_string(),
            "WITH guard AS MATERIALIZED (SELECT true AND ($1 < 7) AS holds), \
             one AS (DELETE FROM x WHERE a = $2 AND (SELECT holds FROM guard) RETURNING true), \
             two AS (DELETE FROM y WHERE (SELECT holds FROM guard) AND b = $3 RETURNING true) \
             SELECT length(set_config('lock_timeout', '100ms', true)) + (SELECT count(*) FROM one) + (SELECT count(*) FROM two) \
             AS made, (SELECT holds FROM guard) AS done -- binds: [6, 7, 8]"
        );
    }

    #[test]
    fn a_part_that_asks_for_no_condition_is_refused() {
        let one = prepared!("DELETE FROM x RETURNING true").called("one");
        let mut builder = <Pg as diesel::backend::Backend>::QueryBuilder::default();
        let refused = change((), Some(one)).to_sql(&mut builder, &Pg);
        assert!(refused.unwrap_err().to_string().contains("one would be made"));
    }
}
