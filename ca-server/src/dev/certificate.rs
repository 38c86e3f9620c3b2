//! A TLS certificate for loopback, under a root of its own.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::key_file;

/// Writes `ca.pem`, `server.pem` and `server.key` into `folder`, which is made.
///
/// # Errors
///
/// When the files exist or cannot be written.
pub(super) fn create(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let root_key = KeyPair::generate()?;
    let mut root = CertificateParams::default();
    root.distinguished_name
        .push(DnType::CommonName, "jit-ssh dev root, not for use");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_certificate = root.self_signed(&root_key)?;
    let server_key = KeyPair::generate()?;
    let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    server
        .distinguished_name
        .push(DnType::CommonName, "jit-ssh dev");
    let issuer = Issuer::from_params(&root, &root_key);
    let certificate = server.signed_by(&server_key, &issuer)?;
    // The root's key is dropped here: nothing else will ever be signed by it.
    std::fs::write(folder.join("ca.pem"), root_certificate.pem())?;
    std::fs::write(folder.join("server.pem"), certificate.pem())?;
    key_file::write_private(
        &folder.join("server.key"),
        server_key.serialize_pem().as_bytes(),
    )?;
    Ok(())
}
