//! A secret put into a file of variables, all else in it left as it is.

use crate::config::Form;
use anyhow::{Context, bail};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

const KEY: &str = "STRIPE_WEBHOOK_SECRET";
const FILE_KEY: &str = "STRIPE_WEBHOOK_SECRET_FILE";

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

/// Whether `path` has a signing secret, or says which file has it.
pub fn has_secret(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().rev();
    let value = lines.find_map(|line| Some(&line[place(line, assigned(line, KEY)?)?]));
    value.is_some_and(|value| entries(value).next().is_some())
        || text.lines().any(|line| assigned(line, FILE_KEY).is_some())
}

/// Where the right side begins, where the line assigns to `key`.
fn assigned(line: &str, key: &str) -> Option<usize> {
    let name = line.trim_start();
    let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
    let right = name.strip_prefix(key)?.trim_start().strip_prefix('=')?;
    Some(line.len() - right.len())
}

/// Where the value stands in a right side that begins at `from`: within its quotes, or up to a comment. None where a quote
/// is not closed.
fn place(line: &str, from: usize) -> Option<Range<usize>> {
    let right = &line[from..];
    let comment = right.match_indices('#').find(|(n, _)| right[..*n].ends_with([' ', '\t']));
    let bare = right[..comment.map_or(right.len(), |(n, _)| n)].trim();
    if bare.is_empty() {
        return Some(from..from);
    }
    let start = from + right.find(|c: char| !c.is_whitespace())?;
    let Some(quote) = ['"', '\''].into_iter().find(|quote| bare.starts_with(*quote)) else {
        return Some(start..start + bare.len());
    };
    let end = line[start + 1..].find(quote)?;
    Some(start + 1..start + 1 + end)
}

/// The signing secrets that a value lists; what has not their form (a placeholder, say) would keep all from starting.
fn entries(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|entry| Form::SIGNING.fits(entry))
}

fn with_secret(text: &str, secret: &str) -> anyhow::Result<String> {
    if text.lines().any(|line| assigned(line, FILE_KEY).is_some()) {
        bail!("it names {FILE_KEY}: put the secret into that file, before the others and a comma");
    }
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    // Of several, the last one counts.
    let Some((n, from)) = lines.iter().enumerate().rev().find_map(|(n, line)| Some((n, assigned(line, KEY)?))) else {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let glue = if text.is_empty() || text.ends_with('\n') { "" } else { end };
        return Ok(format!("{text}{glue}{KEY}={secret}{end}"));
    };
    let place = place(&lines[n], from).with_context(|| format!("the quote of {KEY} is not closed"))?;
    let mut secrets = vec![secret];
    secrets.extend(entries(&lines[n][place.clone()]).filter(|old| *old != secret));
    let listed = secrets.join(",");
    lines[n].replace_range(place, &listed);
    Ok(lines.concat())
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
        let cases = [
            ("", "STRIPE_WEBHOOK_SECRET=whsec_of_key_new\n"),
            ("A=1\n# B\n", "A=1\n# B\nSTRIPE_WEBHOOK_SECRET=whsec_of_key_new\n"),
            ("A=1", "A=1\nSTRIPE_WEBHOOK_SECRET=whsec_of_key_new\n"),
            (
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_old\nA=1",
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_new,whsec_of_key_old\nA=1",
            ),
            (
                "export STRIPE_WEBHOOK_SECRET = 'whsec_of_key_a, whsec_of_key_b' # rolled\n",
                "export STRIPE_WEBHOOK_SECRET = 'whsec_of_key_new,whsec_of_key_a,whsec_of_key_b' # rolled\n",
            ),
            (
                "STRIPE_WEBHOOK_SECRET=\"whsec_of_key_a\"\r\nA=1\r\n",
                "STRIPE_WEBHOOK_SECRET=\"whsec_of_key_new,whsec_of_key_a\"\r\nA=1\r\n",
            ),
            ("A=1\r\n", "A=1\r\nSTRIPE_WEBHOOK_SECRET=whsec_of_key_new\r\n"),
            ("STRIPE_WEBHOOK_SECRET=", "STRIPE_WEBHOOK_SECRET=whsec_of_key_new"),
            ("STRIPE_WEBHOOK_SECRET= # none yet\n", "STRIPE_WEBHOOK_SECRET=whsec_of_key_new # none yet\n"),
            (
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_a # one\n",
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_new,whsec_of_key_a # one\n",
            ),
            (
                "STRIPE_WEBHOOK_SECRET=whsec_,#,whsec_of_key_a\n",
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_new,whsec_of_key_a\n",
            ),
            (
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_old,whsec_of_key_new\n",
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_new,whsec_of_key_old\n",
            ),
            ("#STRIPE_WEBHOOK_SECRET=x\n", "#STRIPE_WEBHOOK_SECRET=x\nSTRIPE_WEBHOOK_SECRET=whsec_of_key_new\n"),
            (
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_a\nSTRIPE_WEBHOOK_SECRET=whsec_of_key_b\n",
                "STRIPE_WEBHOOK_SECRET=whsec_of_key_a\nSTRIPE_WEBHOOK_SECRET=whsec_of_key_new,whsec_of_key_b\n",
            ),
        ];
        for (before, after) in cases {
            assert_eq!(with_secret(before, "whsec_of_key_new").unwrap(), after, "{before:?}");
        }
        for odd in ["STRIPE_WEBHOOK_SECRET_FILE=/run/secret", "STRIPE_WEBHOOK_SECRET='whsec_of_key_a\nA=1\n"] {
            assert!(with_secret(odd, "whsec_of_key_new").is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_file_has_a_secret_where_the_last_line_that_counts_has_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        assert!(!has_secret(&file));
        for (text, has) in [
            ("STRIPE_WEBHOOK_SECRET=whsec_of_key_a\n", true),
            ("export STRIPE_WEBHOOK_SECRET='whsec_of_key_a'\n", true),
            ("STRIPE_WEBHOOK_SECRET_FILE=/run/secret\n", true),
            ("STRIPE_WEBHOOK_SECRET=whsec_\n", false),
            ("STRIPE_WEBHOOK_SECRET=whsec_of_key_a\nSTRIPE_WEBHOOK_SECRET=\n", false),
            ("#STRIPE_WEBHOOK_SECRET=whsec_of_key_a\n", false),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(has_secret(&file), has, "{text:?}");
        }
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = dir.path().join(".env");
        add_secret(&file, "whsec_of_key_1").unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        add_secret(&file, "whsec_of_key_2").unwrap();
        assert_eq!(mode(&file), 0o640);
        assert_eq!(fs::read_to_string(&file).unwrap(), "STRIPE_WEBHOOK_SECRET=whsec_of_key_2,whsec_of_key_1\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
