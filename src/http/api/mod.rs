//! What programs ask, in JSON, behind `API_TOKEN`.

pub mod orders;
