//! What the outside reaches over HTTP: the receivers of webhooks, the API, health and metrics.
//!
//! All routes stand in one table (`routes.rs`). A handler reads, checks and hands over; what it does to the database it
//! does through a room below. `actix_web` is named in this room alone.

mod api;
mod auth;
mod body;
mod connection;
mod error;
mod github;
mod health;
mod malformed;
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
use tokio_util::sync::CancellationToken;

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
    malformed: std::sync::Arc<malformed::Malformed>,
    /// Once it is cancelled, no connection is kept open behind an answer.
    closing: CancellationToken,
    /// Of the workers in this process, if it has any.
    heartbeat: Option<Heartbeat>,
}

impl State {
    /// Somebody sent what is no HTTP request.
    fn malformed(&self) {
        self.metrics.malformed.inc();
        if let Some(number) = self.malformed.add(chrono::Utc::now().timestamp()) {
            log::warn!(number = number; "malformed HTTP requests were refused; they are told at most once a minute");
        }
    }
}
