//! What the outside reaches over HTTP: the receivers of webhooks, the API, health and metrics.
//!
//! All routes stand in one table (`routes.rs`). A handler reads, checks and hands over; what it does to the database it
//! does through a room below. `actix_web` is named in this room alone.

mod api;
mod auth;
mod body;
mod deadline;
mod error;
mod github;
mod health;
mod mismatch;
mod routes;
mod server;
mod webhooks;

pub use server::{Running, Server};

use crate::config::Config;
use crate::db::DbPool;
use crate::intake::{Budget, Intake, Rules};
use crate::metrics::Metrics;
use crate::worker::Heartbeat;

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct State {
    config: std::sync::Arc<Config>,
    rules: std::sync::Arc<Rules>,
    pool: DbPool,
    intake: Intake,
    budget: Budget,
    metrics: Metrics,
    mismatches: std::sync::Arc<mismatch::Mismatches>,
    /// Of the workers in this process, if it has any.
    heartbeat: Option<Heartbeat>,
}
