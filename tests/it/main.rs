//! The integration tests: one binary.
#![allow(clippy::unwrap_used)]

mod outbox;
mod support;
