//! Everything that comes from the environment, checked at the start.

pub mod mail;
pub mod smtp;
