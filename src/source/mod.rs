//! What other systems send, verified and read.
//!
//! Everything here is pure: no database, no clock, no network. A reader is lenient: it looks only at the fields that it
//! is asked for, and a field that nobody asks for can hold anything.

mod envelope;
pub mod fields;
pub mod github;
pub mod signature;
pub mod stripe;
