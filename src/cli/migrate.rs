//! `ringup migrate`

use crate::config::{Vars, environment};
use crate::db;

pub fn run() -> anyhow::Result<()> {
    // Migrating needs the database alone, so that it can run before the rest is set up.
    let vars = Vars::new(environment()?);
    let url = vars.require("DATABASE_URL", "for example postgres://ringup@localhost/ringup");
    vars.finish()?;
    let applied = db::migrate(&url)?;
    for name in &applied {
        println!("applied {name}");
    }
    if applied.is_empty() {
        println!("nothing to apply: the schema is up to date");
    }
    Ok(())
}
