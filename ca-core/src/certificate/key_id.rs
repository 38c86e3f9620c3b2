//! The key id: what `sshd` writes into its own log for each login.
//!
//! It leads to the record (the serial) and names the person for readers; it is not evidence of who
//! somebody is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{Environment, UserName};
use crate::serial::Serial;

/// `user@environment#serial`, in an emergency `user@environment#serial+break-glass`: printable
/// ASCII without space, quote, backslash or parenthesis.
///
/// In JSON that text. At most 64 + 1 + 32 + 1 + 19 = 117 bytes, and 12 for the mark: far below the
/// 500 after which syslog cuts sshd's line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId {
    /// Who it was issued to, as shown to people.
    pub user: UserName,
    /// Where it is good for.
    pub environment: Environment,
    /// Where its record is.
    pub serial: Serial,
    /// Whether it was taken in an emergency.
    pub mark: Mark,
}

/// What a reader of sshd's log must see at once about how a certificate came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Access outside the ordinary rules, online or with the offline key.
    BreakGlass,
    /// Granted by policy.
    #[default]
    Ordinary,
}

/// What follows the serial of a certificate that was taken in an emergency.
const BREAK_GLASS: &str = "+break-glass";

/// The text is not `user@environment#serial`, marked or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id is user@environment#serial in printable ASCII")]
pub struct KeyIdError;

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.mark {
            Mark::BreakGlass => BREAK_GLASS,
            Mark::Ordinary => "",
        };
        let Self {
            user, environment, ..
        } = self;
        write!(f, "{user}@{environment}#{}{mark}", self.serial)
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;
    /// A user name may hold `@`; environments and serials hold neither `@` nor `#`, so reading
    /// from the right is unambiguous.
    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let (text, mark) = match text.strip_suffix(BREAK_GLASS) {
            Some(rest) => (rest, Mark::BreakGlass),
            None => (text, Mark::Ordinary),
        };
        let (person, serial) = text.rsplit_once('#').ok_or(KeyIdError)?;
        let (user, environment) = person.rsplit_once('@').ok_or(KeyIdError)?;
        Ok(Self {
            user: user.parse().map_err(|_| KeyIdError)?,
            environment: environment.parse().map_err(|_| KeyIdError)?,
            serial: serial.parse().map_err(|_| KeyIdError)?,
            mark,
        })
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;
    fn try_from(text: String) -> Result<Self, KeyIdError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_reads_back_even_when_the_user_is_an_address() {
        let text = "alice@example.com@prod#42";
        let id: KeyId = text.parse().unwrap();
        assert_eq!(id.user.as_str(), "alice@example.com");
        assert_eq!(id.environment.as_str(), "prod");
        assert_eq!(id.serial.get(), 42);
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn an_emergency_is_marked_behind_the_serial_and_reads_back() {
        let text = "alice@prod#42+break-glass";
        let id: KeyId = text.parse().unwrap();
        assert_eq!((id.mark, id.serial.get()), (Mark::BreakGlass, 42));
        assert_eq!(id.to_string(), text);
        let plain: KeyId = "alice@prod#42".parse().unwrap();
        assert_eq!(plain.mark, Mark::Ordinary);
        assert_ne!(plain, id);
    }

    #[test]
    fn nothing_that_could_forge_a_log_line_is_a_key_id() {
        for text in [
            "",
            "alice",
            "alice@prod",
            "alice@prod#0",
            "alice@prod#042",
            "alice@prod#42 ",
            "alice@prod#42\n",
            "al ice@prod#42",
            "al\"ice@prod#42",
            "al\\ice@prod#42",
            "alice(x)@prod#42",
            "alice@prod#42#43",
            "alice@prod#42+",
            "alice@prod#42+break",
            "alice@prod#42+Break-Glass",
            "alice@prod+break-glass#42",
            "alice@prod#42+break-glass+break-glass",
            "alice@Prod#42",
            "\u{430}lice@prod#42",
        ] {
            assert!(text.parse::<KeyId>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn the_longest_key_id_stays_within_129_bytes() {
        let mut id = KeyId {
            user: "u".repeat(64).parse().unwrap(),
            environment: "e".repeat(32).parse().unwrap(),
            serial: Serial::new((1 << 23) - 1, (1 << 40) - 1).unwrap(),
            mark: Mark::Ordinary,
        };
        assert_eq!(id.to_string().len(), 117);
        id.mark = Mark::BreakGlass;
        assert_eq!(id.to_string().len(), 129);
    }
}
