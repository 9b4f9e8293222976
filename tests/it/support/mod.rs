//! What the tests share: real databases, a real receiver.

pub mod postgres;
pub mod server;
