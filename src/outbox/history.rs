//! What was told, and what became of it; a person can have a message tried anew, or give it up.

mod store;

pub use store::{AttemptRow, Filter, MessageRow, Told, discard, find, list, of_order, retry, waiting};
