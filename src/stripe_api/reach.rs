//! Why Stripe cannot be reached. async-stripe only says that it could not connect: neither the name, nor the port, nor TLS.

use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

/// A connection that takes longer is swallowed somewhere.
const CONNECT: Duration = Duration::from_secs(5);

/// What fails on the way to `base`, and what to look at; `told` is what the client says.
pub async fn why(base: &str, told: &str) -> String {
    let Some((name, port, is_tls)) = address(base) else { return told.to_owned() };
    let found = match lookup_host((&name[..], port)).await {
        Ok(found) => found.collect::<Vec<_>>(),
        Err(error) => return format!("the name {name} cannot be resolved ({error}): is there a network, and DNS?"),
    };
    match timeout(CONNECT, TcpStream::connect(&found[..])).await {
        Err(_) => {
            format!("{name} does not answer on port {port}: does a firewall let connections out? No proxy is used")
        }
        Ok(Err(error)) => {
            format!("{name} cannot be connected to on port {port} ({error}): is it let out? No proxy is used")
        }
        Ok(Ok(_)) if is_tls => {
            format!(
                "port {port} of {name} is open, and TLS fails on it ({told}): is it Stripe's, and is this clock right?"
            )
        }
        Ok(Ok(_)) => format!("port {port} of {name} is open, and breaks the connection off ({told})"),
    }
}

fn address(base: &str) -> Option<(String, u16, bool)> {
    let url = Url::parse(base).ok()?;
    let name = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    Some((name, url.port_or_known_default()?, url.scheme() == "https"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn it_says_what_fails() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let open = why(&format!("https://{at}"), "client error (Connect)").await;
        assert!(open.contains("TLS fails") && open.contains("client error (Connect)"), "{open}");
        assert!(why(&format!("http://{at}"), "x").await.contains("breaks the connection off"));
        drop(listener);
        let closed = why(&format!("https://{at}"), "x").await;
        assert!(closed.contains("cannot be connected to") && closed.contains("refused"), "{closed}");
        let nameless = why("https://no-such-name.invalid", "x").await;
        assert!(nameless.contains("no-such-name.invalid cannot be resolved"), "{nameless}");
    }
}
