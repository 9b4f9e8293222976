//! The integration tests, one binary: each file is a room's, `support` is theirs together.

#![allow(clippy::unwrap_used)]

mod dev;
mod support;
