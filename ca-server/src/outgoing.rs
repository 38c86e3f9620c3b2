//! HTTP clients for addresses that the configuration names: TLS, bounded in time, redirects not
//! followed. Decides which addresses are fit to be asked; sends nothing itself.

use std::path::Path;
use std::time::Duration;

use url::{Host, Url};

/// Why there is no client.
pub(crate) type Unusable = Box<dyn std::error::Error + Send + Sync>;

/// An `https` URL, or `http` on loopback, without user name and fragment.
pub(crate) fn usable_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (safe && plain).then_some(url)
}

/// A client for `url`. `ca_file` replaces the system's certificates. `timeout` is for a whole
/// exchange, connecting included.
///
/// # Errors
///
/// When the file, or the system's certificates, cannot be read or hold no certificate.
pub(crate) fn client(
    url: &Url,
    ca_file: Option<&Path>,
    timeout: Duration,
) -> Result<reqwest::Client, Unusable> {
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout)
        .timeout(timeout)
        .user_agent(concat!("jit-ssh/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        // A proxy's loopback is not ours.
        client = client.no_proxy();
    }
    if url.scheme() == "http" {
        // No TLS will be spoken: a machine without any system certificates must not matter.
        client = client.tls_certs_only([]);
    }
    if let Some(path) = ca_file {
        let pem = std::fs::read(path)?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem)?;
        if roots.is_empty() {
            return Err("no certificate in it".into());
        }
        client = client.tls_certs_only(roots);
    }
    Ok(client.build()?)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for text in [
            "https://id.example.com/realm",
            "http://127.0.0.1:8080",
            "http://[::1]/",
            "http://localhost:1",
        ] {
            assert!(usable_url(text).is_some(), "{text:?} was refused");
        }
        for text in [
            "http://id.example.com",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
            "https://user@id.example.com",
            "https://id.example.com/#a",
            "id.example.com",
        ] {
            assert!(usable_url(text).is_none(), "{text:?} was accepted");
        }
    }
}
