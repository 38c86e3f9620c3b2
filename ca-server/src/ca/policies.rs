//! How a set of policies comes into force: held against what is asked for, recorded with its texts,
//! and only then asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ca_core::digest::Digest;
use ca_core::event::{Event, Person, PolicyLoaded};
use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;

use super::{Ca, Failure, Signing, ignore_refusal};
use crate::directory::Directory;
use crate::ledger::Refusal;
use crate::policy::PolicySet;
use crate::policy_changes::{Before, Change, Held};
use crate::policy_record;
use crate::state::State;
use crate::store::StoreError;

impl Ca {
    /// Lets `set` in: when this returns, it may decide. What does not pass is let in all the same
    /// where the operator says why (`accept`). A crash before leaves the old set in force and at most
    /// some texts in the log that no record refers to.
    ///
    /// # Errors
    ///
    /// [`crate::policy_changes::NotPassed`] for a set that does not pass, [`Failure`] when it could
    /// not be recorded.
    pub async fn admit_policies(
        &self,
        set: &PolicySet,
        accept: Option<String>,
    ) -> anyhow::Result<()> {
        let fresh = self.settings.break_glass_after;
        let look = move |state: &State, now: Timestamp| {
            let since = now.minus(fresh);
            (state.policy(), everybody(state, since), now)
        };
        let (before, people, now) = self.ledger.read(look).await.map_err(Failure::from)?;
        let (control, store) = (self.change_control.clone(), Arc::clone(&self.store));
        let current = self.policies.current();
        let (dir, new) = (self.policies.dir().to_owned(), set.clone());
        let environments = self.accounts();
        let hold = move || {
            let newest = policy_record::loads(store.as_ref())?.pop();
            if newest.is_some_and(|newest| control.is_settled(&newest.loaded, &new, &dir)) {
                return Ok(None);
            }
            let rebuilt = match before {
                None => None,
                Some(digest) if current.digest() == *digest.as_bytes() => Some(Some(current)),
                Some(digest) => {
                    let rebuilt = policy_record::rebuild(store.as_ref(), digest);
                    Some(rebuilt.ok().flatten().map(Arc::new))
                }
            };
            let before = match &rebuilt {
                None => Before::Nothing,
                Some(None) => Before::Unknown,
                Some(Some(set)) => Before::Set(set),
            };
            let change = Change {
                dir: &dir,
                new: &new,
                before,
                people: &people,
                environments: &environments,
                now,
            };
            Ok::<_, anyhow::Error>(Some(control.hold(&change, accept)?))
        };
        match tokio::task::spawn_blocking(hold).await?? {
            Some(held) => self.record_policies(set, held).await,
            None => Ok(()),
        }
    }

    /// Every environment with the accounts that the configuration knows.
    fn accounts(&self) -> BTreeMap<Environment, BTreeSet<Principal>> {
        let accounts = |signing: &Signing| {
            let rules = &signing.rules;
            let named = rules.default_principals.as_slice().iter();
            named.chain(&rules.accounts).cloned().collect()
        };
        let environments = self.environments.iter();
        environments
            .map(|(name, signing)| (name.clone(), accounts(signing)))
            .collect()
    }

    /// Records `set` with its texts, unless the newest record says the same of it.
    async fn record_policies(&self, set: &PolicySet, held: Held) -> anyhow::Result<()> {
        let digest = Digest::from_bytes(set.digest());
        let store = Arc::clone(&self.store);
        let known = tokio::task::spawn_blocking(move || {
            let newest = policy_record::loads(store.as_ref())?.pop();
            let newest = newest.filter(|newest| newest.loaded.policy_digest == digest);
            let whole = policy_record::texts(store.as_ref(), digest)?.is_some();
            Ok::<_, StoreError>((newest, whole))
        });
        let (newest, whole) = known.await??;
        let says_the_same = |newest: policy_record::Load| {
            let loaded = newest.loaded;
            (loaded.passed, loaded.checks) == (held.passed.clone(), held.checks)
        };
        if whole && held.failed.is_empty() && newest.is_some_and(says_the_same) {
            return Ok(());
        }
        if !whole {
            self.record_texts(set).await?;
        }
        self.record_loaded(set, held).await
    }

    async fn record_texts(&self, set: &PolicySet) -> anyhow::Result<()> {
        let Some(parts) = policy_record::parts(set) else {
            tracing::warn!("the policies are too large for the log: only their digest is recorded");
            return Ok(());
        };
        for part in parts {
            let recorded = self
                .ledger
                .commit(move |_, _| Ok::<_, Refusal<()>>(Event::PolicyText(part)));
            ignore_refusal(recorded.await)?;
        }
        Ok(())
    }

    async fn record_loaded(&self, set: &PolicySet, held: Held) -> anyhow::Result<()> {
        let loaded = PolicyLoaded {
            policy_digest: Digest::from_bytes(set.digest()),
            policies: u32::try_from(set.policies().len()).unwrap_or(u32::MAX),
            passed: held.passed,
            checks: held.checks,
            failed: held.failed,
            accepted: held.accepted,
        };
        let recorded = self
            .ledger
            .commit(move |_, _| Ok::<_, Refusal<()>>(Event::PolicyLoaded(loaded)));
        Ok(ignore_refusal(recorded.await)?)
    }
}

/// Everybody who signed in since then, with their newest groups: who left must not count.
fn everybody(state: &State, since: Timestamp) -> Directory {
    let mut people = Directory::default();
    for (subject, known) in state.everybody().filter(|(_, known)| known.seen >= since) {
        let person = Person {
            subject: subject.clone(),
            user: known.user.clone(),
        };
        people.signed_in(&person, known.groups.clone(), known.seen);
    }
    people
}
