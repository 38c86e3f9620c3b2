//! Names that several programs must agree on: parsed once, valid ever after.
//!
//! Nothing here normalises. A name that is not already in its one spelling is refused, so two
//! spellings can never mean the same account.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A login name in a certificate's `valid_principals`: `[a-z_][a-z0-9._-]{0,31}`.
///
/// Stricter than OpenSSH on purpose: `sshd` cuts principals files at `#` and blanks, and some
/// versions split at commas (CVE-2026-35414).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Principal(String);

/// The name of an environment (`prod`): `[a-z][a-z0-9-]{0,31}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Environment(String);

/// A person's short name in key ids, tables and policies: `[a-z0-9][a-z0-9._@+-]{0,63}`.
///
/// Shown, never used as identity: identity is [`Subject`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// A name that people type for a host, in its one spelling: lower case, 1 to 253 bytes of labels
/// `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?` joined by dots. No port, no address, no wildcard.
///
/// OpenSSH's client lower-cases what was typed before it compares it with a host certificate, and
/// some versions read wildcards in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// Who somebody is: the OpenID issuer and its `sub` (OpenID Connect Core §5.7).
///
/// Issuer at most 512 bytes, `sub` 1 to 255 bytes, neither with control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawSubject")]
pub struct Subject {
    issuer: String,
    sub: String,
}

/// Why a text is not a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A character that sshd, a shell or a log could read as more than a name.
    #[error("{kind}: character {found:?} is not allowed (allowed: {allowed})")]
    Character {
        /// Which kind of name was parsed.
        kind: &'static str,
        /// The first offending character.
        found: char,
        /// The accepted shape.
        allowed: &'static str,
    },
    /// OpenSSH reads an empty principal list as "any principal", so an empty name is refused.
    #[error("{kind} is empty")]
    Empty {
        /// Which kind of name was parsed.
        kind: &'static str,
    },
    /// Longer than the bound of its kind, in bytes.
    #[error("{kind} is {length} bytes long, at most {length_max} are allowed")]
    TooLong {
        /// Which kind of name was parsed.
        kind: &'static str,
        /// Length found, in bytes.
        length: usize,
        /// Longest accepted, in bytes.
        length_max: usize,
    },
}

struct Shape {
    kind: &'static str,
    allowed: &'static str,
    length_max: usize,
    first: fn(char) -> bool,
    rest: fn(char) -> bool,
}

impl Shape {
    fn check(&self, text: &str) -> Result<(), NameError> {
        let kind = self.kind;
        if text.is_empty() {
            return Err(NameError::Empty { kind });
        }
        if text.len() > self.length_max {
            return Err(NameError::TooLong {
                kind,
                length: text.len(),
                length_max: self.length_max,
            });
        }
        let wrong = text.chars().enumerate().find(|&(at, c)| {
            if at == 0 {
                !(self.first)(c)
            } else {
                !(self.rest)(c)
            }
        });
        wrong.map_or(Ok(()), |(_, found)| {
            Err(NameError::Character {
                kind,
                found,
                allowed: self.allowed,
            })
        })
    }
}

const PRINCIPAL: Shape = Shape {
    kind: "principal",
    allowed: "[a-z_][a-z0-9._-]{0,31}",
    length_max: 32,
    first: |c| c.is_ascii_lowercase() || c == '_',
    rest: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c),
};

const ENVIRONMENT: Shape = Shape {
    kind: "environment",
    allowed: "[a-z][a-z0-9-]{0,31}",
    length_max: 32,
    first: |c| c.is_ascii_lowercase(),
    rest: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
};

const USER_NAME: Shape = Shape {
    kind: "user name",
    allowed: "[a-z0-9][a-z0-9._@+-]{0,63}",
    length_max: 64,
    first: |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
    rest: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@+-".contains(c),
};

const HOST_NAME: Shape = Shape {
    kind: "host name",
    allowed: "labels of a-z 0-9 and inner hyphens, joined by dots",
    length_max: 253,
    first: |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
    rest: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c),
};

/// [`Shape::check`], and what it cannot say about labels.
struct Labels;

impl Labels {
    fn check(&self, text: &str) -> Result<(), NameError> {
        HOST_NAME.check(text)?;
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        if text.split('.').all(label) {
            return Ok(());
        }
        Err(NameError::Character {
            kind: HOST_NAME.kind,
            found: if text.contains('-') { '-' } else { '.' },
            allowed: HOST_NAME.allowed,
        })
    }
}

macro_rules! name {
    ($type:ty, $shape:expr) => {
        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $shape.check(text)?;
                Ok(Self(text.to_owned()))
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                $shape.check(&text)?;
                Ok(Self(text))
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

name!(Principal, PRINCIPAL);
name!(Environment, ENVIRONMENT);
name!(UserName, USER_NAME);
name!(HostName, Labels);

#[derive(Deserialize)]
struct RawSubject {
    issuer: String,
    sub: String,
}

impl TryFrom<RawSubject> for Subject {
    type Error = NameError;
    fn try_from(raw: RawSubject) -> Result<Self, NameError> {
        Self::new(&raw.issuer, &raw.sub)
    }
}

impl Subject {
    /// The subject `sub` of `issuer`, both byte for byte as the provider spells them.
    ///
    /// # Errors
    ///
    /// [`NameError`] when either is empty, over its bound or holds a control character.
    pub fn new(issuer: &str, sub: &str) -> Result<Self, NameError> {
        for (kind, text, length_max) in [("issuer", issuer, 512), ("sub", sub, 255)] {
            if text.is_empty() {
                return Err(NameError::Empty { kind });
            }
            if text.len() > length_max {
                return Err(NameError::TooLong {
                    kind,
                    length: text.len(),
                    length_max,
                });
            }
            if let Some(found) = text.chars().find(|c| c.is_control()) {
                return Err(NameError::Character {
                    kind,
                    found,
                    allowed: "no control characters",
                });
            }
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            sub: sub.to_owned(),
        })
    }

    /// The OpenID issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer's name for the person.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.sub
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.issuer, self.sub)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod host_name_tests {
    use super::*;

    #[test]
    fn a_host_name_is_lower_case_labels_and_nothing_that_matches_more_than_itself() {
        for good in ["web1", "web1.prod.example.com", "0x.example", "a-b.c"] {
            assert!(good.parse::<HostName>().is_ok(), "{good:?} was refused");
        }
        for bad in [
            "",
            "Web1",
            "web1.",
            ".web1",
            "a..b",
            "*.prod",
            "web?",
            "!web1",
            "web1:22",
            "[::1]",
            "-web",
            "web-.example",
            "web_1",
            "web 1",
            "web1,root",
            "w\u{e9}b",
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?} was accepted");
        }
        assert!(format!("{}.a", "a".repeat(64)).parse::<HostName>().is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_refuses_everything_sshd_or_a_shell_could_read_as_more_than_a_name() {
        let long = "a".repeat(33);
        for text in [
            "",
            "a,root",
            "a b",
            "a\n",
            "a\0",
            "*",
            "../etc",
            "Root",
            "ro\u{043e}t",
            "1root",
            "-a",
            ".a",
            "a#b",
            "a\"",
            "a$",
            "a%u",
            "a\u{200b}",
            "a\u{202e}b",
            long.as_str(),
        ] {
            assert!(text.parse::<Principal>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn principal_accepts_ordinary_login_names_up_to_32_bytes() {
        for text in ["root", "deploy", "_apt", "a.b-c_d9", &"a".repeat(32)] {
            assert_eq!(text.parse::<Principal>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_name_read_from_json_passes_the_same_check() {
        assert!(serde_json::from_str::<Principal>("\"deploy\"").is_ok());
        assert!(serde_json::from_str::<Principal>("\"deploy,root\"").is_err());
        assert!(serde_json::from_str::<Subject>(r#"{"issuer":"https://i","sub":""}"#).is_err());
    }

    #[test]
    fn the_error_names_what_is_allowed() {
        let error = "a,root".parse::<Principal>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "principal: character ',' is not allowed (allowed: [a-z_][a-z0-9._-]{0,31})"
        );
    }

    #[test]
    fn user_name_may_be_an_address_but_never_needs_quoting_in_a_key_id() {
        assert!("alice@example.com".parse::<UserName>().is_ok());
        for text in ["Alice", "a (b)", "a\"b", "a#1", "@a"] {
            assert!(text.parse::<UserName>().is_err(), "{text:?} was accepted");
        }
    }
}
