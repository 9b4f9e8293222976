//! `Stripe-Signature`, verified over the raw bytes.
//!
//! `t=<unix seconds>,v1=<hex>[,v1=<hex>…][,v0=…]`: each `v1` is hex HMAC-SHA256 over `t.body`, keyed with the whole
//! secret string, its `whsec_` included. While a secret is rolled there is one `v1` for each active secret, so every
//! `v1` is tried against every configured secret. Unknown schemes are skipped; `v0` never counts.
//! Sources: Stripe's webhooks page; stripe-go `webhook/client.go`; stripe-node `src/Webhooks.ts`.

use crate::config::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Longest header that is looked at, in bytes.
const MAX_HEADER: usize = 4096;
/// More candidates than this is not Stripe.
const MAX_CANDIDATES: usize = 16;
/// Bytes of a SHA-256 digest.
const DIGEST: usize = 32;

/// Why a request is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No signature header at all.
    #[error("the Stripe-Signature header is missing")]
    Missing,
    /// Malformed, or made with none of the secrets over these bytes.
    #[error("no signature in the Stripe-Signature header matches the body and a configured secret")]
    Invalid,
    /// Rightly signed, but too long ago or too far ahead.
    #[error("the signature's timestamp is too far from this server's clock")]
    OutOfTolerance,
}

/// A believed request: which of the secrets signed it (0 is the first configured, the newest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Index into the configured secrets.
    pub secret: usize,
}

/// Verifies `header` over `body`.
///
/// `now` and `tolerance` are in seconds; a `tolerance` of `None` checks no time (for stored events and test vectors).
///
/// # Errors
/// [`Rejection`], which says no more than the sender may know.
pub fn verify(
    header: Option<&[u8]>,
    body: &[u8],
    secrets: &[Secret],
    now: i64,
    tolerance: Option<i64>,
) -> Result<Verified, Rejection> {
    let header = parse(header.ok_or(Rejection::Missing)?).ok_or(Rejection::Invalid)?;
    let secret = secrets.iter().position(|secret| header.signed_by(secret.as_ref(), body)).ok_or(Rejection::Invalid)?;
    let in_time = tolerance.is_none_or(|tolerance| now.abs_diff(header.timestamp) <= tolerance.unsigned_abs());
    if in_time { Ok(Verified { secret }) } else { Err(Rejection::OutOfTolerance) }
}

/// The header value for `body`, as Stripe would send it.
pub fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    format!("t={timestamp},v1={}", hex::encode(digest(secret.as_bytes(), &timestamp.to_string(), body)))
}

/// Tells one secret from another, and neither to anybody: a few digits of a hash.
pub fn fingerprint(secret: &str) -> String {
    let hash = Sha256::new().chain_update("ringup signing secret ").chain_update(secret).finalize();
    hex::encode(&hash[..4])
}

struct Header<'a> {
    /// As written: these characters are signed.
    written: &'a str,
    timestamp: i64,
    candidates: Vec<[u8; DIGEST]>,
}

impl Header<'_> {
    fn signed_by(&self, secret: &[u8], body: &[u8]) -> bool {
        let expected = digest(secret, self.written, body);
        let hits = self.candidates.iter().map(|candidate| candidate.ct_eq(&expected));
        hits.fold(subtle::Choice::from(0), |any, hit| any | hit).into()
    }
}

fn digest(secret: &[u8], timestamp: &str, body: &[u8]) -> [u8; DIGEST] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn parse(header: &[u8]) -> Option<Header<'_>> {
    let header = std::str::from_utf8(header).ok().filter(|h| h.len() <= MAX_HEADER && h.is_ascii())?;
    let (mut written, mut candidates, mut seen) = (None, Vec::with_capacity(2), 0);
    for (scheme, value) in header.split(',').filter_map(|part| part.split_once('=')) {
        match scheme {
            "t" if written.is_some_and(|earlier| earlier != value) => return None,
            "t" => written = Some(value),
            "v1" => {
                seen += 1;
                candidates.extend(candidate(value));
            }
            _ => {}
        }
    }
    let written = written.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()))?;
    let timestamp = written.parse().ok()?;
    (seen <= MAX_CANDIDATES).then_some(Header { written, timestamp, candidates })
}

/// A malformed candidate is no candidate: the right one may stand beside it.
fn candidate(hex_digits: &str) -> Option<[u8; DIGEST]> {
    let mut bytes = [0; DIGEST];
    hex::decode_to_slice(hex_digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECRET: &str = "whsec_test";
    const NOW: i64 = 1_700_000_000;

    fn secrets<const N: usize>(texts: [&str; N]) -> [Secret; N] {
        texts.map(|text| Secret::new(text).unwrap())
    }

    fn check(header: &str) -> Result<Verified, Rejection> {
        verify(Some(header.as_bytes()), b"{}", &secrets([SECRET]), NOW, Some(300))
    }

    fn good() -> String {
        sign(SECRET, NOW, b"{}")
    }

    fn v1() -> String {
        good().split_once("v1=").unwrap().1.to_owned()
    }

    #[test]
    fn signs_what_it_verifies() {
        assert_eq!(check(&good()), Ok(Verified { secret: 0 }));
    }

    #[test]
    fn tries_every_signature_against_every_secret() {
        let header = format!("t={NOW},v1={},v1={},v2=x", "0".repeat(64), v1());
        let secrets = secrets(["whsec_new", SECRET]);
        assert_eq!(verify(Some(header.as_bytes()), b"{}", &secrets, NOW, Some(300)), Ok(Verified { secret: 1 }));
    }

    #[test]
    fn malformed_headers_are_invalid() {
        let v1 = v1();
        let many = format!("t={NOW}{}", format!(",v1={v1}").repeat(17));
        let long = format!("t={NOW},v1={v1},x={}", "y".repeat(4096));
        let mut headers = vec![String::new(), "bad".into(), format!("v1={v1}"), many, long, format!("t={NOW},v0={v1}")];
        headers.push(format!("t={NOW},t={},v1={v1}", NOW + 1));
        headers.push(format!("t={NOW},v1={v1}é"));
        for t in ["", "-1", "+1", "1e9", "99999999999999999999", "12abc", " 1"] {
            headers.push(format!("t={t},v1={v1}"));
        }
        for bad in ["", &v1[1..], &format!("{v1}0"), &"z".repeat(64)] {
            headers.push(format!("t={NOW},v1={bad}"));
        }
        for header in headers {
            assert_eq!(check(&header), Err(Rejection::Invalid), "{header}");
        }
    }

    #[test]
    fn time_is_checked_both_ways_after_the_signature() {
        for (offset, accepted) in [(-301, false), (-300, true), (300, true), (301, false)] {
            let header = sign(SECRET, NOW + offset, b"{}");
            assert_eq!(check(&header).is_ok(), accepted, "{offset}");
        }
        assert_eq!(check(&sign(SECRET, 1, b"{}")), Err(Rejection::OutOfTolerance));
        assert_eq!(check(&sign("whsec_other", 1, b"{}")), Err(Rejection::Invalid));
    }

    #[test]
    fn without_a_secret_nothing_is_believed() {
        let header = sign("", NOW, b"{}");
        assert_eq!(verify(Some(header.as_bytes()), b"{}", &[], NOW, None), Err(Rejection::Invalid));
    }

    #[test]
    fn a_missing_header_is_told_apart() {
        assert_eq!(verify(None, b"{}", &secrets([SECRET]), NOW, None), Err(Rejection::Missing));
    }
}
