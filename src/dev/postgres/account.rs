//! Who the server runs as. Postgres refuses to run as root, so root starts it as somebody without rights.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// The account of the server's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Our own.
    Same,
    /// Another one, because ours is root.
    Other {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

impl Account {
    /// Our own account, or where that is root the user `postgres`, else `nobody`.
    pub fn choose() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Same);
        }
        for name in ["postgres", "nobody"] {
            if let (Some(uid), Some(gid)) = (id("-u", name), id("-g", name)) {
                return Ok(Self::Other { uid, gid });
            }
        }
        bail!("Postgres does not run as root, and there is neither a user `postgres` nor `nobody`")
    }

    /// A command of that account, free of what our own environment says about other servers.
    pub fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGOPTIONS", "PGSERVICE", "PG_COLOR"] {
            command.env_remove(name);
        }
        // Our own working directory may be closed to the account.
        command.env("LC_ALL", "C").current_dir("/");
        command
    }

    /// Hands a file or directory to the account.
    pub fn give(self, path: &Path) -> Result<()> {
        if let Self::Other { uid, gid } = self {
            chown(path, Some(uid), Some(gid)).with_context(|| format!("handing {} to uid {uid}", path.display()))?;
        }
        Ok(())
    }

    /// Creates a directory that only the account may enter.
    pub fn private_dir(self, path: &Path) -> Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path).with_context(|| format!("creating {}", path.display()))?;
        self.give(path)
    }

    /// Where the account can keep files for `home`: there, or under `/var/tmp` where the way to it is closed, such
    /// as a checkout below `/root`.
    pub fn place(self, home: &Path) -> Result<PathBuf> {
        let Self::Other { uid, .. } = self else { return Ok(home.to_owned()) };
        let reachable = self.command(Path::new("test")).arg("-x").arg(home).status();
        if reachable.context("running test -x")?.success() {
            return Ok(home.to_owned());
        }
        let digest = hex::encode(Sha256::digest(home.as_os_str().as_encoded_bytes()));
        let outside = PathBuf::from(format!("/var/tmp/ringup-{}", &digest[..16]));
        match fs::symlink_metadata(&outside) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.private_dir(&outside)?,
            Err(error) => return Err(error).with_context(|| format!("looking at {}", outside.display())),
            // Anybody may create names in /var/tmp.
            Ok(found) => ensure!(
                found.is_dir() && found.uid() == uid && found.mode() & 0o7777 == 0o700,
                "{} is not a private directory of uid {uid}: remove it",
                outside.display()
            ),
        }
        Ok(outside)
    }
}

fn id(flag: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, name]).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
