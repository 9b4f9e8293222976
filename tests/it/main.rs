//! The integration tests, one binary: each file is a room's, `support` is theirs together.
#![allow(clippy::unwrap_used, clippy::must_use_candidate, clippy::cast_possible_wrap, missing_docs)]

mod answers;
mod checkout;
mod columns;
mod config;
mod crowd;
mod dev;
mod doctor;
mod endpoint;
mod faults;
mod github;
mod history;
mod house;
mod known;
mod law;
mod lines;
mod mail_server;
mod mails;
mod network;
mod outbox;
mod public_cases;
mod quick;
mod recordings;
mod replicated;
mod room;
mod secrets;
mod slack;
mod slow_clients;
mod stripe_cli;
mod subscriptions;
mod support;
mod sync;
mod thin;
mod watch;
mod words;
mod worlds;
