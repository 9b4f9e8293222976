//! Where messages may go: public addresses only, however they are written.
//!
//! A subscriber names a URL, and this server then connects to it: without these rules anybody who may subscribe could
//! reach what only this server can reach (SSRF). The rules are applied twice: to the URL when it is registered, and to
//! the resolved addresses when a connection is made, since a name may mean something else by then.
//! Sources: IANA's special-purpose address registries; OWASP's SSRF prevention page; the URL standard for how hosts
//! are read.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_util::future::BoxFuture;
use url::{Host, Url};

/// Longest URL, in bytes.
const LONGEST: usize = 2048;

/// Why nothing is sent to a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It can't be read.
    #[error("it is not a URL of at most {LONGEST} bytes")]
    Url,
    /// Neither http nor https.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// A name or password before the host.
    #[error("it has a user name or a password")]
    UserInfo,
    /// An address, or a name, that is not of the public internet.
    #[error("its host is not a public address")]
    Private,
}

/// Reads a URL to which messages are to go; private hosts pass only where `allow_private`.
pub fn parse(text: &str, allow_private: bool) -> Result<Url, TargetError> {
    if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(TargetError::Url);
    }
    let url = Url::parse(text).map_err(|_| TargetError::Url)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(TargetError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::UserInfo);
    }
    let public = match url.host().ok_or(TargetError::Url)? {
        Host::Ipv4(ip) => is_public(ip.into()),
        Host::Ipv6(ip) => is_public(ip.into()),
        Host::Domain(name) => !is_private_name(name),
    };
    if public || allow_private { Ok(url) } else { Err(TargetError::Private) }
}

/// A name that never means a host of the public internet.
fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let suffixes = ["localhost", "local", "internal", "intranet", "lan", "home.arpa", "onion", "test", "invalid"];
    let under = |suffix: &str| name == suffix || name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    // A name without a dot is looked up in the network's own domain.
    !name.contains('.') || suffixes.into_iter().any(under)
}

/// Whether anybody on the internet may mean this address.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    // This host; private; loopback; carriers' NAT; link-local, where clouds keep their metadata.
    let near = matches!((a, b), (0 | 10 | 127, _) | (100, 64..=127) | (169, 254) | (172, 16..=31) | (192, 168));
    // Protocols' own, examples, 6to4 relays, benchmarks.
    let special =
        matches!((a, b, c), (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113));
    // The rest is multicast, reserved, broadcast.
    !near && !special && a < 224
}

/// Global unicast alone, without what holds another address inside: mapped, translated, 6to4 and Teredo.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let global = a & 0xe000 == 0x2000;
    let special = match (a, b) {
        // Protocols' own, Teredo among them; examples; 6to4.
        (0x2001, 0..=0x01ff | 0x0db8) | (0x2002, _) => true,
        (0x3fff, b) => b < 0x1000,
        _ => false,
    };
    global && !special
}

/// Finds the addresses of a name. The system does; tests do it their own way.
pub trait Lookup: Send + Sync {
    /// All addresses of `host`; the port is of no matter.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The system's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) })
    }
}

/// Whether the name that `url` gives means private addresses alone, or others with them, right now. A name that can't
/// be resolved now may be another time.
pub async fn resolves_to_private(url: &Url, lookup: &dyn Lookup) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let found = lookup.lookup(name.to_owned()).await.unwrap_or_default();
    found.iter().any(|address| !is_public(address.ip()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Loopback, private, link-local, metadata, multicast, mapped and others, in the spellings that parsers take.
    const PRIVATE: [&str; 82] = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "017700000001",
        "0177.0x0.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
        "0",
        "0.0.0.0",
        "0.1.2.3",
        "00",
        "0x0",
        "10.0.0.1",
        "10.1",
        "167772161",
        "0xa000001",
        "012.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "3232235777",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:0:7f00:1]",
        "[0:0:0:0:0:ffff:169.254.169.254]",
        "[::ffff:8.8.8.8]",
        "[::127.0.0.1]",
        "[::7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::1]",
        "[100::1]",
        "[2001::1]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[2001:db8::1]",
        "[2001:10::1]",
        "[2002:7f00:1::]",
        "[2002:a00:1::]",
        "[3fff:abc::1]",
        "[5f00::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "localhost",
        "LOCALHOST.",
        "db.localhost",
        "metadata.google.internal",
        "printer.local",
        "intranet",
    ];

    const PUBLIC: [&str; 18] = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.1.1",
        "198.17.0.1",
        "223.255.255.255",
        "[2001:4860:4860::8888]",
        "[2606:4700::1111]",
        "hooks.example.com",
        "localhost.example.com",
    ];

    #[test]
    fn no_spelling_of_a_private_address_passes() {
        for host in PRIVATE {
            for url in [format!("https://{host}/hook"), format!("http://{host}:8080/")] {
                assert_eq!(parse(&url, false), Err(TargetError::Private), "{url}");
                assert!(parse(&url, true).is_ok(), "{url}");
            }
        }
    }

    #[test]
    fn public_addresses_beside_the_private_ones_pass() {
        for host in PUBLIC {
            assert!(parse(&format!("https://{host}/hook"), false).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_is_no_plain_http_url_is_refused_whatever_is_allowed() {
        for (url, error) in [
            ("ftp://example.com/", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::Scheme),
            ("gopher://example.com/", TargetError::Scheme),
            ("javascript:alert(1)", TargetError::Scheme),
            ("https://user@example.com/", TargetError::UserInfo),
            ("https://user:secret@example.com/", TargetError::UserInfo),
            ("https://:secret@example.com/", TargetError::UserInfo),
            ("https://example.com\\@127.0.0.1/ x", TargetError::Url),
            ("https://exa\tmple.com/", TargetError::Url),
            ("https://", TargetError::Url),
            ("https:///", TargetError::Url),
            ("//example.com/", TargetError::Url),
            ("example.com/hook", TargetError::Url),
            ("", TargetError::Url),
            ("https://[::1", TargetError::Url),
            ("https://999.1.1.1/", TargetError::Url),
        ] {
            for allow in [false, true] {
                assert_eq!(parse(url, allow), Err(error.clone()), "{url}");
            }
        }
        assert_eq!(parse(&format!("https://example.com/{}", "a".repeat(2048)), true), Err(TargetError::Url));
    }
}
