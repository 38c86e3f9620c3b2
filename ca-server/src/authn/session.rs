//! From a session token to an [`Actor`], on a given state. Only the token's digest is ever known
//! to the log.

use std::collections::BTreeSet;
use std::time::Duration;

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::Person;
use ca_core::time::Timestamp;

use crate::state::State;

/// Somebody with an open session. Made only by [`actor`].
#[derive(Clone, Debug)]
pub struct Actor {
    person: Person,
    groups: BTreeSet<String>,
    session: Digest,
    mfa_age: Duration,
    second_factor: SecondFactor,
    token_bound: bool,
    break_glass: bool,
    frozen: bool,
}

/// The token opens no session that is open now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no open session for this token")]
pub struct NoSession;

/// Who holds the token of that digest at `now`.
///
/// # Errors
///
/// [`NoSession`] for an unknown, closed or expired session: one face for all.
pub fn actor(state: &State, session: Digest, now: Timestamp) -> Result<Actor, NoSession> {
    let open = state.session(&session, now).ok_or(NoSession)?;
    Ok(Actor {
        person: open.person.clone(),
        groups: open.groups.clone(),
        session,
        mfa_age: now.since(open.opened),
        second_factor: open.second_factor,
        token_bound: open.token_bound,
        break_glass: open.break_glass,
        frozen: state.freeze(&open.person, None).is_some(),
    })
}

impl Actor {
    /// The same person as if they had shown a code just now: to tell what that would change.
    #[must_use]
    pub fn with_fresh_second_factor(&self) -> Self {
        Self {
            mfa_age: Duration::ZERO,
            second_factor: SecondFactor::Totp,
            ..self.clone()
        }
    }

    /// Who.
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.person
    }

    /// Groups at sign-in.
    #[must_use]
    pub const fn groups(&self) -> &BTreeSet<String> {
        &self.groups
    }

    /// Digest of the session token.
    #[must_use]
    pub const fn session(&self) -> Digest {
        self.session
    }

    /// How long ago the second factor was shown.
    #[must_use]
    pub const fn mfa_age(&self) -> Duration {
        self.mfa_age
    }

    /// Which second factor.
    #[must_use]
    pub const fn second_factor(&self) -> SecondFactor {
        self.second_factor
    }

    /// Whether they signed in with a break-glass key, for an emergency only.
    #[must_use]
    pub const fn is_break_glass(&self) -> bool {
        self.break_glass
    }

    /// Whether nothing new is issued to them, and nothing done on their word.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Whether the ID token was bound to the client's key.
    #[must_use]
    pub const fn token_bound(&self) -> bool {
        self.token_bound
    }
}
