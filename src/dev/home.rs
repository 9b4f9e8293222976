//! The directory of one `dev`: `.ringup/`. Holds a lock, the secrets, a note on who runs, mails, and Postgres.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a home can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the lock.
    #[error("a dev already runs here{}", .0.as_ref().map_or(String::new(), |note| format!(": {} (pid {})", note.url, note.pid)))]
    Taken(Option<Note>),
    /// The file system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file of secrets is not in `.env` syntax; the line is not shown, as it may hold one.
    #[error("{} is not in NAME=value syntax", .0.display())]
    Env(PathBuf),
}

/// What a running dev tells others, in `dev.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Base URL of its receiver.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// The file that its secrets are in.
    pub env_file: PathBuf,
}

/// An open home. The lock goes with the value, also when the process is killed.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    lock: File,
}

impl Home {
    /// Makes the directory where there is none, and takes its lock.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        if !dir.is_dir() {
            // Passing through is left open: as root, Postgres runs as somebody else. Each secret file is 0600.
            fs::DirBuilder::new().recursive(true).mode(0o711).create(dir).map_err(at(dir))?;
        }
        let dir = fs::canonicalize(dir).map_err(at(dir))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Taken(read_note(&dir))),
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
        // The note of one that was killed.
        let _ = fs::remove_file(dir.join("dev.json"));
        Ok(Self { dir, lock })
    }

    /// The directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where mails are written; made here.
    pub fn mail(&self) -> Result<PathBuf, Error> {
        let mail = self.dir.join("mail");
        match fs::DirBuilder::new().mode(0o700).create(&mail) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(at(&mail)(error)),
            _ => Ok(mail),
        }
    }

    /// The file of secrets.
    pub fn env_file(&self) -> PathBuf {
        self.dir.join("env")
    }

    /// The secrets, made on the first call. What a person has changed in the file holds; a missing line is added.
    pub fn secrets(&self) -> Result<BTreeMap<String, String>, Error> {
        let path = self.env_file();
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(at(&path))?;
        let mut secrets = read_env(&path)?;
        // An editor may have left the last line open.
        let open_line = fs::read(&path).map_err(at(&path))?.last().is_some_and(|byte| *byte != b'\n');
        let mut glue = if open_line { "\n" } else { "" };
        let defaults = [
            ("STRIPE_WEBHOOK_SECRET", format!("whsec_{}", random_hex())),
            ("API_TOKEN", random_hex()),
            ("ADMIN_TOKEN", random_hex()),
        ];
        for (name, value) in defaults {
            if !secrets.contains_key(name) {
                writeln!(file, "{glue}{name}={value}").map_err(at(&path))?;
                glue = "";
                secrets.insert(name.to_owned(), value);
            }
        }
        Ok(secrets)
    }

    /// Leaves the note for `trigger` and for a second dev.
    pub fn announce(&self, url: &str) -> Result<(), Error> {
        let note = Note { url: url.to_owned(), pid: std::process::id(), env_file: self.env_file() };
        let path = self.dir.join("dev.json");
        fs::write(&path, format!("{}\n", serde_json::json!(note))).map_err(at(&path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.dir.join("dev.json"));
        let _ = self.lock.unlock();
    }
}

/// The note of the dev that runs in a directory; `None` where none runs.
pub fn running(dir: &Path) -> Option<Note> {
    let lock = File::open(dir.join("lock")).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read_note(dir),
        _ => None,
    }
}

/// The variables of a file in `.env` syntax; none where there is no file.
pub fn read_env(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    match dotenvy::from_path_iter(path) {
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(|_| Error::Env(path.to_owned())),
        Err(dotenvy::Error::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(dotenvy::Error::Io(error)) => Err(at(path)(error)),
        Err(_) => Err(Error::Env(path.to_owned())),
    }
}

fn read_note(dir: &Path) -> Option<Note> {
    serde_json::from_slice(&fs::read(dir.join("dev.json")).ok()?).ok()
}

fn random_hex() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Io { path, error }
}
