//! Stripe's API: what the receiver asks of Stripe, rather than hears from it.
//!
//! async-stripe carries the requests: its key, its version, idempotency keys, retries with backoff. What comes back is read
//! leniently from the raw bytes, like an event, so that a shape that is not known yet hurts only who needs it; the
//! crate's generated types would fail the whole answer. A total deadline of our own stands around it all.
//!
//! It knows no database and decides nothing about orders.

mod client;
pub mod doctor;
pub mod endpoints;
pub mod events;
pub mod objects;
mod reach;
pub mod register;
pub mod undelivered;

pub use client::{Error, StripeApi};

/// The API version that this build speaks, and that endpoints are registered with, so that events and fetched objects
/// are rendered alike. It is the one that async-stripe sends.
pub const API_VERSION: &str = "2026-09-30.endive";
