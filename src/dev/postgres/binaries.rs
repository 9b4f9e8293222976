//! Where the server's programs are. Packagers put them in places that are seldom on PATH.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// The oldest server that the schema runs on: lz4 compression of columns came with it.
const OLDEST: u32 = 14;

/// Directories of packagers, each with at most one `*`, which stands for a version.
const PLACES: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

/// One installed server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// Holds `initdb`, `pg_ctl` and `postgres`.
    pub dir: PathBuf,
    /// The server's major version.
    pub major: u32,
}

impl Binaries {
    /// What PATH offers, else the newest installed server; of exactly the version `wanted` where data of that
    /// version exist, because a server only reads its own version's files.
    pub fn find(wanted: Option<u32>) -> Result<Self> {
        let fits = |b: &Self| wanted.map_or(b.major >= OLDEST, |major| b.major == major);
        match (candidates().find_map(|dir| Self::at(&dir).filter(fits)), wanted) {
            (Some(binaries), _) => Ok(binaries),
            (None, Some(major)) => bail!("the data were written by Postgres {major}, which is no longer installed"),
            (None, None) => bail!(
                "no Postgres server of version {OLDEST} or newer found (apt install postgresql, brew install postgresql@17)"
            ),
        }
    }

    /// The path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn at(dir: &Path) -> Option<Self> {
        if !["initdb", "pg_ctl", "postgres"].iter().all(|name| dir.join(name).is_file()) {
            return None;
        }
        let answer = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let major = major(&String::from_utf8_lossy(&answer.stdout))?;
        Some(Self { dir: dir.to_owned(), major })
    }
}

/// Directories to look in, the best first; each is asked for only when those before it did not do.
fn candidates() -> impl Iterator<Item = PathBuf> {
    // A wrapper or a link on PATH has no server beside it, so the link is followed; the shell knows PATH.
    let on_path = ["initdb", "postgres", "pg_ctl"].into_iter().filter_map(|name| {
        let program = first_line(Command::new("sh").args(["-c", &format!("command -v {name}")]))?;
        fs::canonicalize(program).ok()?.parent().map(Path::to_owned)
    });
    let configured = std::iter::once_with(|| first_line(Command::new("pg_config").arg("--bindir")));
    on_path.chain(configured.flatten().map(PathBuf::from)).chain(PLACES.into_iter().flat_map(expand))
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned).filter(|line| line.starts_with('/'))
}

/// The directories that a place with a `*` stands for, the highest version first.
fn expand(place: &str) -> Vec<PathBuf> {
    let Some((before, after)) = place.split_once('*') else { return vec![PathBuf::from(place)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let mut names: Vec<String> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| Reverse(major(name).unwrap_or(0)));
    names.iter().map(|name| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}

/// The first number in a text, such as 17 in `postgres (PostgreSQL) 17.2` or `postgresql@17`.
fn major(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_read_from_what_packagers_write() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgresql@17"), Some(17));
        assert_eq!(major("9.6"), Some(9));
        assert_eq!(major("latest"), None);
    }

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "17", "15"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let place = format!("{}/*/bin", root.path().display());
        let names: Vec<_> = expand(&place).iter().map(|p| p.strip_prefix(root.path()).unwrap().to_owned()).collect();
        assert_eq!(names, ["17/bin", "15/bin", "9.6/bin"].map(PathBuf::from));
    }

    #[test]
    fn a_version_that_is_not_installed_is_named() {
        let error = Binaries::find(Some(3)).unwrap_err().to_string();
        assert!(error.contains("Postgres 3"), "{error}");
    }
}
