//! A secret put into a file of variables, all else in it left as it is.

use anyhow::{Context, bail};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

const KEY: &str = "STRIPE_WEBHOOK_SECRET";

/// Puts `secret` before those that `path` has under `STRIPE_WEBHOOK_SECRET`. A new file is its owner's alone; the
/// change is whole or not made.
pub fn add_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    let (text, mode) = match fs::read_to_string(path) {
        Ok(text) => (text, fs::metadata(path)?.permissions().mode() & 0o777),
        Err(error) if error.kind() == ErrorKind::NotFound => (String::new(), 0o600),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let text = with_secret(&text, secret).with_context(|| format!("{} is left as it was", path.display()))?;
    write(path, &text, mode).with_context(|| format!("cannot write {}", path.display()))
}

/// The secrets that an assignment's right side lists.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.unwrap_or(value).trim()
}

fn with_secret(text: &str, secret: &str) -> anyhow::Result<String> {
    let assigned = |line: &str, key: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(key)?.trim_start().strip_prefix('=').map(str::to_owned)
    };
    if text.lines().any(|line| assigned(line, "STRIPE_WEBHOOK_SECRET_FILE").is_some()) {
        bail!("it names STRIPE_WEBHOOK_SECRET_FILE: put the secret into that file, before the others and a comma");
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // Of several, the last one counts.
    let Some((n, old)) = lines.iter().enumerate().rev().find_map(|(n, line)| Some((n, assigned(line, KEY)?))) else {
        lines.push(format!("{KEY}={secret}"));
        return Ok(lines.join("\n") + "\n");
    };
    let mut secrets = vec![secret];
    secrets.extend(unquoted(&old).split(',').map(str::trim).filter(|old| !old.is_empty() && *old != secret));
    lines[n] = format!("{KEY}={}", secrets.join(","));
    Ok(lines.join("\n") + "\n")
}

fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = path.with_file_name(format!(".{}.{}", uuid::Uuid::now_v7(), "new"));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        fs::remove_file(&beside)?;
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_new_one_comes_first_and_all_else_stays() {
        let with = |text: &str| with_secret(text, "whsec_new").unwrap();
        assert_eq!(with(""), "STRIPE_WEBHOOK_SECRET=whsec_new\n");
        assert_eq!(with("A=1\n# B\n"), "A=1\n# B\nSTRIPE_WEBHOOK_SECRET=whsec_new\n");
        assert_eq!(with("STRIPE_WEBHOOK_SECRET=whsec_old\nA=1"), "STRIPE_WEBHOOK_SECRET=whsec_new,whsec_old\nA=1\n");
        assert_eq!(
            with("export STRIPE_WEBHOOK_SECRET = 'whsec_a, whsec_b'"),
            "STRIPE_WEBHOOK_SECRET=whsec_new,whsec_a,whsec_b\n"
        );
        assert_eq!(with("STRIPE_WEBHOOK_SECRET="), "STRIPE_WEBHOOK_SECRET=whsec_new\n");
        assert_eq!(with("STRIPE_WEBHOOK_SECRET=whsec_old,whsec_new"), "STRIPE_WEBHOOK_SECRET=whsec_new,whsec_old\n");
        assert_eq!(with("#STRIPE_WEBHOOK_SECRET=x"), "#STRIPE_WEBHOOK_SECRET=x\nSTRIPE_WEBHOOK_SECRET=whsec_new\n");
        assert!(with_secret("STRIPE_WEBHOOK_SECRET_FILE=/run/secret", "whsec_new").is_err());
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = dir.path().join(".env");
        add_secret(&file, "whsec_1").unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        add_secret(&file, "whsec_2").unwrap();
        assert_eq!(mode(&file), 0o640);
        assert_eq!(fs::read_to_string(&file).unwrap(), "STRIPE_WEBHOOK_SECRET=whsec_2,whsec_1\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
