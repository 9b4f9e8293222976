//! What the tests share: real databases, a scripted SMTP server, a real receiver.

pub mod hooks;
pub mod npm;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod server;
pub mod shell;
pub mod smtp;
pub mod standby;
pub mod stripe;
pub mod stripe_cli;
pub mod sync;
pub mod thin;
