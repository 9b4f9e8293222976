//! The other sides that tests need.

pub mod postgres;
pub mod smtp;
