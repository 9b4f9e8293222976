//! The integration tests, one binary: each file is a room's, `support` is theirs together.

mod dev;
mod support;
