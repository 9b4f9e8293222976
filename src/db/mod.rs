//! The database.

use diesel::PgConnection;
use diesel::r2d2::ConnectionManager;

pub mod schema;

/// Connections to the database.
pub type Pool = diesel::r2d2::Pool<ConnectionManager<PgConnection>>;
