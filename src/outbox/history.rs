//! An order's messages with their attempts, as people look at them.

mod store;

pub use store::{AttemptRow, MessageRow, Told, of_order};
