//! The exact options of one certificate, and their two sections in its bytes.
//!
//! Closed on purpose: a name not listed here can neither be written nor be read. OpenSSH ignores
//! a critical name in the extensions section, which leaves the certificate unrestricted, so that
//! mistake has a finding of its own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::option_value::{Extension, ForceCommand, SourceAddress};
use crate::wire::{Fields, put_string, string};

const FORCE_COMMAND: &str = "force-command";
const SOURCE_ADDRESS: &str = "source-address";
const VERIFY_REQUIRED: &str = "verify-required";
const CRITICAL_NAMES: [&str; 3] = [FORCE_COMMAND, SOURCE_ADDRESS, VERIFY_REQUIRED];

/// What one certificate permits and restricts, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What is permitted; everything else is denied.
    #[serde(default)]
    pub extensions: BTreeSet<Extension>,
    /// The only command that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_command: Option<ForceCommand>,
    /// Where connections may come from; empty means anywhere.
    #[serde(default, skip_serializing_if = "SourceAddress::is_unrestricted")]
    pub source_address: SourceAddress,
    /// Whether a security key must verify its user (PIN or fingerprint) at each login.
    #[serde(default)]
    pub verify_required: bool,
}

/// One (name, data) pair of a section, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawOption {
    /// Its name.
    pub name: String,
    /// Its data: empty for a flag, otherwise one more `string` around the value.
    pub data: Vec<u8>,
}

/// Why the options of a certificate are not ones of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// OpenSSH would ignore it there and leave the certificate unrestricted.
    #[error("{0:?} restricts only as a critical option, but is among the extensions")]
    CriticalNameInExtensions(String),
    /// OpenSSH refuses the certificate.
    #[error("{0:?} is an extension, but is among the critical options")]
    ExtensionInCriticalOptions(String),
    /// Nobody can say what it permits.
    #[error("unknown extension {0:?}")]
    UnknownExtension(String),
    /// OpenSSH refuses the certificate.
    #[error("unknown critical option {0:?}")]
    UnknownCriticalOption(String),
    /// Data on a flag, a value not wrapped in one more string, or a value that is none.
    #[error("the value of {name:?} is not valid: {problem}")]
    Value {
        /// The option.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Options {
    /// The critical options section: sorted by bytes, values wrapped twice.
    pub(crate) fn critical_section(&self) -> Vec<u8> {
        let mut section = Vec::new();
        if let Some(command) = &self.force_command {
            put_option(
                &mut section,
                FORCE_COMMAND,
                &string(command.as_str().as_bytes()),
            );
        }
        if !self.source_address.is_unrestricted() {
            let text = self.source_address.option_text();
            put_option(&mut section, SOURCE_ADDRESS, &string(text.as_bytes()));
        }
        if self.verify_required {
            put_option(&mut section, VERIFY_REQUIRED, &[]);
        }
        section
    }

    /// The extensions section: flags only, sorted by bytes.
    pub(crate) fn extension_section(&self) -> Vec<u8> {
        let mut section = Vec::new();
        for extension in &self.extensions {
            put_option(&mut section, extension.name(), &[]);
        }
        section
    }

    /// What two undecoded sections mean.
    ///
    /// # Errors
    ///
    /// [`OptionsError`] for the first pair that is not one of ours.
    pub fn decode(critical: &[RawOption], extensions: &[RawOption]) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        for option in critical {
            options.take_critical(option)?;
        }
        for RawOption { name, data } in extensions {
            let Some(extension) = Extension::by_name(name) else {
                return Err(if CRITICAL_NAMES.contains(&name.as_str()) {
                    OptionsError::CriticalNameInExtensions(name.clone())
                } else {
                    OptionsError::UnknownExtension(name.clone())
                });
            };
            flag(name, data)?;
            options.extensions.insert(extension);
        }
        Ok(options)
    }

    fn take_critical(&mut self, RawOption { name, data }: &RawOption) -> Result<(), OptionsError> {
        match name.as_str() {
            FORCE_COMMAND => {
                let command = value(name, data)?;
                self.force_command = Some(command.parse().map_err(|e| invalid(name, &e))?);
            }
            SOURCE_ADDRESS => {
                let texts = value(name, data)?.split(',').map(str::to_owned);
                let texts: Vec<String> = texts.collect();
                self.source_address = texts.try_into().map_err(|e| invalid(name, &e))?;
            }
            VERIFY_REQUIRED => {
                flag(name, data)?;
                self.verify_required = true;
            }
            other if Extension::by_name(other).is_some() => {
                return Err(OptionsError::ExtensionInCriticalOptions(name.clone()));
            }
            _ => return Err(OptionsError::UnknownCriticalOption(name.clone())),
        }
        Ok(())
    }
}

fn put_option(section: &mut Vec<u8>, name: &str, data: &[u8]) {
    put_string(section, name.as_bytes());
    put_string(section, data);
}

fn value<'a>(name: &str, data: &'a [u8]) -> Result<&'a str, OptionsError> {
    let mut fields = Fields::new(data);
    let inner = fields.string().map_err(|e| invalid(name, &e))?;
    fields.end().map_err(|e| invalid(name, &e))?;
    std::str::from_utf8(inner).map_err(|e| invalid(name, &e))
}

fn flag(name: &str, data: &[u8]) -> Result<(), OptionsError> {
    if data.is_empty() {
        Ok(())
    } else {
        Err(invalid(name, &"a flag takes no value"))
    }
}

fn invalid(name: &str, problem: &impl ToString) -> OptionsError {
    OptionsError::Value {
        name: name.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, data: &[u8]) -> RawOption {
        RawOption {
            name: name.to_owned(),
            data: data.to_vec(),
        }
    }

    #[test]
    fn a_critical_name_among_the_extensions_is_named_as_such() {
        let misplaced = [raw("force-command", &string(b"true"))];
        assert_eq!(
            Options::decode(&[], &misplaced),
            Err(OptionsError::CriticalNameInExtensions(
                "force-command".into()
            ))
        );
        assert_eq!(
            Options::decode(&[raw("permit-pty", b"")], &[]),
            Err(OptionsError::ExtensionInCriticalOptions(
                "permit-pty".into()
            ))
        );
    }

    #[test]
    fn unknown_names_are_refused_in_both_sections() {
        assert_eq!(
            Options::decode(&[raw("x", b"")], &[]),
            Err(OptionsError::UnknownCriticalOption("x".into()))
        );
        assert_eq!(
            Options::decode(&[], &[raw("x", b"")]),
            Err(OptionsError::UnknownExtension("x".into()))
        );
    }

    #[test]
    fn values_are_wrapped_exactly_twice() {
        let mut trailing = string(b"true");
        trailing.push(0);
        for data in [&b"true"[..], &trailing, &string(b""), &string(b"\xff"), b""] {
            let refused = Options::decode(&[raw("force-command", data)], &[]);
            assert!(
                matches!(refused, Err(OptionsError::Value { .. })),
                "{data:?}"
            );
        }
        for data in ["", "10.0.0.1/8", "10.0.0.1, 10.0.0.2", "10.0.0.1,"] {
            let refused = Options::decode(&[raw("source-address", &string(data.as_bytes()))], &[]);
            assert!(
                matches!(refused, Err(OptionsError::Value { .. })),
                "{data:?}"
            );
        }
        assert!(Options::decode(&[raw("verify-required", &string(b""))], &[]).is_err());
        assert!(Options::decode(&[], &[raw("permit-pty", b"x")]).is_err());
    }
}
