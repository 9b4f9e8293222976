//! Programs of others, from npm.

use std::fs::File;
use std::path::PathBuf;

/// A directory of that name with these packages installed, kept between runs; none, and a line that says so, where npm can't.
pub fn packages(room: &str, names: &[&str]) -> Option<PathBuf> {
    let home = super::postgres::tmp().join("npm").join(room);
    std::fs::create_dir_all(&home).unwrap();
    // Each test is a process of its own.
    let lock = File::create(home.join("lock")).unwrap();
    lock.lock().unwrap();
    let done = home.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == names.join(" ")) {
        return Some(home);
    }
    let npm = std::process::Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"])
        .arg(&home)
        .args(names)
        .current_dir(&home)
        .output();
    if !npm.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: npm is missing here, or can't install {names:?}: {npm:?}");
        return None;
    }
    std::fs::write(done, names.join(" ")).unwrap();
    Some(home)
}
