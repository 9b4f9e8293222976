//! Cursor pages: `?limit=&cursor=` in, `{"data": […], "next_cursor": …}` out.

use crate::http::error::HttpError;
use serde_json::{Value, json};

/// Rows of a page, where the client does not say.
const USUAL: i64 = 50;
/// Most rows of a page.
const MOST: i64 = 100;

/// How many rows are asked for.
pub fn limit(asked: Option<i64>) -> Result<i64, HttpError> {
    limit_within(asked, USUAL, MOST)
}

/// The same with other bounds.
pub fn limit_within(asked: Option<i64>, usual: i64, most: i64) -> Result<i64, HttpError> {
    let limit = asked.unwrap_or(usual);
    let fits = (1..=most).contains(&limit);
    if fits {
        Ok(limit)
    } else {
        Err(HttpError::bad_request("invalid_limit", "limit is a number from 1 to the most that a page has"))
    }
}

/// Where the page begins, as an earlier page said.
pub fn cursor<T: std::str::FromStr>(asked: Option<&str>) -> Result<Option<T>, HttpError> {
    let invalid = |()| HttpError::bad_request("invalid_cursor", "cursor is the next_cursor of an earlier page");
    asked.map(|text| text.parse().map_err(|_| ()).map_err(invalid)).transpose()
}

/// A page of at most `limit` rows out of `limit + 1`: the one too many tells that there are more.
pub fn body<T>(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String, shown: impl Fn(&T) -> Value) -> Value {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    json!({ "data": rows.iter().map(shown).collect::<Vec<_>>(), "next_cursor": next })
}
