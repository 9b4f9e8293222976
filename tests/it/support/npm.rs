//! Programs of others, from npm.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A directory of that name with these packages installed, kept between runs; none only where npm is missing, and never
/// in CI. `make test` says so, since a test that passes shows nothing of what it prints.
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
    let npm = match npm {
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: npm is missing here, and with it {names:?}");
            return None;
        }
        npm => npm.unwrap_or_else(|error| panic!("npm, for {names:?}: {error}")),
    };
    let said = [npm.stdout, npm.stderr].concat();
    assert!(npm.status.success(), "npm cannot install {names:?}: {}", String::from_utf8_lossy(&said));
    std::fs::write(done, names.join(" ")).unwrap();
    Some(home)
}
