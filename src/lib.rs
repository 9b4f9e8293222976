//! x
#![allow(missing_docs)]

pub mod notices;
pub mod orders;
pub mod source;
