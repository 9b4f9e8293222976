//! x
pub mod cli;
pub mod config;
pub mod db;
pub mod money;
pub mod notices;
pub mod outbox;
