//! The revocation list on this host: what came from the authority, and the file that sshd reads.
//!
//! Two programs change that file, the daemon and `enforce`, so both hold a lock. Whatever is
//! written is written whole: sshd reads it at every login.

use ca_core::api::{HostSettings, SignedKrl};
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::file::{self, Keep};
use crate::list::{List, ListError, Position, accept, before_the_first, same};
use crate::place::{Place, environment_key};
use crate::staleness::{Standing, standing};

/// The newest position that a good statement has shown, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Freshness {
    /// The position.
    pub(crate) position: Position,
    /// When it came, by this host's clock.
    pub(crate) received: Timestamp,
}

impl Freshness {
    /// From when on age counts: a statement dated after it came does not make a list younger.
    pub(crate) fn fresh_at(self) -> Timestamp {
        self.position.generated.min(self.received)
    }
}

/// What is on this host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// The list in force.
    pub(crate) list: Option<List>,
    /// How fresh it is.
    pub(crate) freshness: Option<Freshness>,
}

/// Why a list that came was not put in place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InstallError {
    /// Not to be believed.
    #[error(transparent)]
    List(#[from] ListError),
    /// Cannot be written.
    #[error(transparent)]
    File(#[from] Failure),
}

/// Reads what is on this host. A stored list that is not to be believed counts as none.
///
/// # Errors
///
/// A [`Failure`] naming a file that cannot be read.
pub(crate) fn load(place: &Place) -> Result<Held, Failure> {
    let config = &place.config;
    let signed: Option<SignedKrl> = file::read_json(&place.signed_list()).unwrap_or_default();
    let list = signed.and_then(|signed| {
        accept(&signed, &config.log_verifier_key, &config.environment, None).ok()
    });
    let stored: Option<Freshness> = file::read_json(&place.freshness()).unwrap_or_default();
    // Written after the list: after a crash in between it is the older of the two.
    let freshness = list.as_ref().map(|list| match stored {
        Some(stored) if stored.position >= list.position() => stored,
        _ => Freshness {
            position: list.position(),
            received: list.position().generated,
        },
    });
    Ok(Held { list, freshness })
}

/// Puts a list that came into place and returns what is on this host then.
///
/// A crash leaves the old list, or the new one for sshd and in `krl.json` whatever is in
/// `krl_fresh.json`; the next call puts the rest right.
///
/// # Errors
///
/// [`InstallError`]; what sshd reads has not changed then, or is already the new one.
pub(crate) fn install(
    place: &Place,
    settings: &HostSettings,
    signed: &SignedKrl,
    now: Timestamp,
) -> Result<Held, InstallError> {
    let _lock = file::lock(&place.lock())?;
    let before = load(place)?;
    let newest = before.freshness.map(|freshness| freshness.position);
    let config = &place.config;
    let list = accept(
        signed,
        &config.log_verifier_key,
        &config.environment,
        newest,
    )?;
    let freshness = Freshness {
        position: list.position(),
        received: now,
    };
    let authority = environment_key(settings)?;
    let as_signed = |list: &List| list.file(Standing::AsSigned, &authority);
    // A list of the same version holds at most as much, so a shorter one can wait until it differs.
    let changed = before
        .list
        .as_ref()
        .is_none_or(|old| !same(&as_signed(old), &as_signed(&list)));
    if changed {
        file::replace_json(&place.signed_list(), signed, Keep::Durably)?;
    }
    file::replace_json(&place.freshness(), &freshness, Keep::Durably)?;
    let held = Held {
        list: Some(list),
        freshness: Some(freshness),
    };
    write_for_sshd(place, settings, &held, now)?;
    Ok(held)
}

/// Makes the file that sshd reads what it should be at `now`: also after somebody emptied it.
///
/// # Errors
///
/// A [`Failure`] naming a file.
pub(crate) fn enforce(
    place: &Place,
    settings: &HostSettings,
    now: Timestamp,
) -> Result<Standing, Failure> {
    let _lock = file::lock(&place.lock())?;
    let held = load(place)?;
    write_for_sshd(place, settings, &held, now)
}

fn write_for_sshd(
    place: &Place,
    settings: &HostSettings,
    held: &Held,
    now: Timestamp,
) -> Result<Standing, Failure> {
    let authority = environment_key(settings)?;
    let standing = standing(settings, held.freshness.map(Freshness::fresh_at), now);
    let wanted = match &held.list {
        Some(list) => list.file(standing, &authority),
        None => before_the_first(&authority, now),
    };
    if ca_core::krl::Krl::read(&wanted).is_err() {
        let what = "the revocation list for sshd would not be readable";
        return Err(Failure::new(Exit::Broken, what));
    }
    let path = place.revoked_keys();
    let current = file::read(&path).unwrap_or_default();
    if !current.is_some_and(|current| same(&current, &wanted)) {
        file::replace(&path, &wanted, 0o600, Keep::Durably)?;
    }
    Ok(standing)
}
