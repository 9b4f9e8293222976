//! TLS for whatever connects out: rustls with ring.

use std::sync::Once;

/// Makes ring this process's provider of cryptography; to be called before an HTTP client is built. Further calls change
/// nothing.
pub fn use_ring() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error means that the process has one already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
