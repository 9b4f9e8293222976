//! x
pub mod cli;
pub mod db;
pub mod dev;
pub mod notices;
