//! `ringup` rings up every payment exactly once.
//!
//! It receives a shop's payment events, keeps its order records right, and tells everyone who must know:
//!
//! ```text
//! source → inbox → orders → outbox      one commit: event stored, order right, messages queued, then the 2xx
//! ```
//!
//! Rooms import downwards only, and a test holds it:
//!
//! ```text
//! cli → dev → http → sync, worker → intake → orders → inbox, outbox, stripe_api → notices → source → mailbox, money, tls, config, db, metrics, logging
//! ```
//!
//! `ARCHITECTURE.md` walks through them.

pub mod cli;
pub mod config;
pub mod db;
pub mod dev;
pub mod http;
pub mod inbox;
pub mod intake;
pub mod logging;
pub mod mailbox;
pub mod metrics;
pub mod money;
pub mod notices;
pub mod orders;
pub mod outbox;
pub mod source;
pub mod stripe_api;
pub mod sync;
pub mod tls;
pub mod worker;
