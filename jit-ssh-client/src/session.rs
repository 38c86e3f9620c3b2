//! The session at the CA between two runs: a bearer token in a private file.
//!
//! Deliberately in the runtime folder where there is one, so it does not survive the machine.

use std::path::PathBuf;

use ca_core::api::SessionOpened;
use ca_core::name::UserName;
use ca_core::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::config::Config;
use crate::failure::Failure;
use crate::file;

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The bearer token.
    pub(crate) token: SecretString,
    /// Who signed in.
    pub(crate) user: UserName,
    /// The end, by the CA's clock.
    pub(crate) expires_at: Timestamp,
    /// `--login-hint` of the sign-in.
    pub(crate) login_hint: Option<String>,
    /// Whether it was opened with a break-glass key: good for emergencies and for giving back.
    pub(crate) break_glass: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    token: String,
    user: UserName,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    login_hint: Option<String>,
    #[serde(default)]
    break_glass: bool,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

impl Session {
    /// The session that the CA just opened.
    pub(crate) fn opened(answer: SessionOpened, login_hint: Option<&str>) -> Self {
        Self {
            token: SecretString::from(answer.token),
            user: answer.user,
            expires_at: answer.expires_at,
            login_hint: login_hint.map(str::to_owned),
            break_glass: false,
        }
    }

    /// Where it is kept.
    pub(crate) fn path(config: &Config) -> PathBuf {
        config.runtime.join("session.json")
    }

    /// The stored session, over or not. A damaged file counts as none: one signs in again.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the file cannot be read.
    pub(crate) fn load(config: &Config) -> Result<Option<Self>, Failure> {
        file::require_own(&config.runtime)?;
        let text = file::read(&Self::path(config))?.map(Zeroizing::new);
        let stored = text.and_then(|text| serde_json::from_str::<Stored>(&text).ok());
        Ok(stored.map(|stored| Self {
            token: SecretString::from(stored.token.as_str()),
            user: stored.user.clone(),
            expires_at: stored.expires_at,
            login_hint: stored.login_hint.clone(),
            break_glass: stored.break_glass,
        }))
    }

    /// Stores it, mode 0600.
    ///
    /// # Errors
    ///
    /// A [`Failure`] naming the file.
    pub(crate) fn save(&self, config: &Config) -> Result<(), Failure> {
        file::require_own(&config.runtime)?;
        let stored = Stored {
            token: self.token.expose_secret().to_owned(),
            user: self.user.clone(),
            expires_at: self.expires_at,
            login_hint: self.login_hint.clone(),
            break_glass: self.break_glass,
        };
        let text = serde_json::to_vec(&stored).map(Zeroizing::new);
        let text = text.map_err(|e| Failure::local(format!("cannot write the session: {e}")))?;
        file::replace(&Self::path(config), &text)
    }

    /// Removes the stored session.
    ///
    /// # Errors
    ///
    /// A [`Failure`] naming the file.
    pub(crate) fn forget(config: &Config) -> Result<(), Failure> {
        file::remove(&Self::path(config))
    }

    /// Whether it can still be used at `now` by the person of `login_hint`.
    pub(crate) fn serves(&self, login_hint: Option<&str>, now: Timestamp) -> bool {
        now < self.expires_at && login_hint.is_none_or(|hint| self.is_of(hint))
    }

    /// Whether it belongs to the person called `hint` at the CA or at the provider.
    pub(crate) fn is_of(&self, hint: &str) -> bool {
        self.user.as_str() == hint || self.login_hint.as_deref() == Some(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let answer = SessionOpened {
            token: "t0ken".into(),
            user: "alice".parse().unwrap(),
            expires_at: Timestamp::from_unix_seconds(100),
        };
        Session::opened(answer, Some("alice@example.com"))
    }

    #[test]
    fn a_session_serves_its_own_person_until_its_end() {
        let at = Timestamp::from_unix_seconds;
        assert!(session().serves(None, at(99)));
        assert!(!session().serves(None, at(100)));
        assert!(session().serves(Some("alice"), at(99)));
        assert!(session().serves(Some("alice@example.com"), at(99)));
        assert!(!session().serves(Some("bob"), at(99)));
    }

    #[test]
    fn the_token_is_not_in_debug_output() {
        assert!(!format!("{:?}", session()).contains("t0ken"));
    }
}
