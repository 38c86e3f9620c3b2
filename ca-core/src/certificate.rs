//! User certificates of OpenSSH (draft-miller-ssh-cert): what ours may contain, how the bytes to be
//! signed are made and read, the rules that those bytes must obey, and whether to believe one.
//!
//! Does not sign (a signer does) and makes no host certificates.

pub mod authority_key;
pub mod draft;
#[cfg(test)]
pub(crate) mod example;
pub mod host;
pub mod key_id;
pub mod lint;
#[cfg(test)]
mod openssh_oracle;
pub mod option_value;
pub mod options;
pub mod presented;
pub mod principals;
pub mod profile;
pub mod subject_key;
pub mod tbs;
pub mod untrusted;
pub mod verify;

/// Largest certificate of ours in bytes: agents list all identities in 256 KiB, and `%k` of
/// sshd's principals command is one argument of limited length.
pub const CERTIFICATE_SIZE_MAX: usize = 8 * 1024;

/// What every certificate type's name ends with.
pub(crate) const CERTIFICATE_SUFFIX: &str = "-cert-v01@openssh.com";
