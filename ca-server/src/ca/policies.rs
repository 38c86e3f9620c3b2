//! How a set of policies comes into force: held against what is asked for, recorded with its texts,
//! and only then asked.

use std::sync::Arc;

use ca_core::digest::Digest;
use ca_core::event::{Event, Person, PolicyLoaded};
use ca_core::time::Timestamp;

use super::{Ca, Failure, Signing, ignore_refusal};
use crate::directory::Directory;
use crate::ledger::Refusal;
use crate::policy::PolicySet;
use crate::policy_changes::{Change, Held};
use crate::policy_record;
use crate::state::State;

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
        let look = |state: &State, now: Timestamp| (state.policy(), everybody(state), now);
        let (before, people, now) = self.ledger.read(look).await.map_err(Failure::from)?;
        let (control, store) = (self.change_control.clone(), Arc::clone(&self.store));
        let current = self.policies.current();
        let (dir, new) = (self.policies.dir().to_owned(), set.clone());
        let accounts = |signing: &Signing| {
            let rules = &signing.rules;
            let named = rules.default_principals.as_slice().iter();
            named.chain(&rules.accounts).cloned().collect()
        };
        let environments = self.environments.iter();
        let environments = environments
            .map(|(name, signing)| (name.clone(), accounts(signing)))
            .collect();
        let hold = move || {
            let before = before.and_then(|digest| {
                if current.digest() == *digest.as_bytes() {
                    return Some(current);
                }
                // A set that this version cannot read says nothing about what is lost.
                let rebuilt = policy_record::rebuild(store.as_ref(), digest).ok()?;
                rebuilt.map(Arc::new)
            });
            let change = Change {
                dir: &dir,
                new: &new,
                before: before.as_deref(),
                people: &people,
                environments: &environments,
                now,
            };
            control.hold(&change, accept)
        };
        let held = tokio::task::spawn_blocking(hold).await??;
        self.record_policies(set, held).await
    }

    /// Records `set` with its texts, unless it is the one recorded last, and whole.
    async fn record_policies(&self, set: &PolicySet, held: Held) -> anyhow::Result<()> {
        let digest = Digest::from_bytes(set.digest());
        let newest = self.ledger.read(|state, _| state.policy()).await;
        let in_force = newest.map_err(Failure::from)? == Some(digest);
        if in_force && held.failed.is_empty() {
            let store = Arc::clone(&self.store);
            let known =
                tokio::task::spawn_blocking(move || policy_record::texts(store.as_ref(), digest));
            if known.await??.is_some() {
                return Ok(());
            }
        }
        let Some(parts) = policy_record::parts(set) else {
            tracing::warn!("the policies are too large for the log: only their digest is recorded");
            return self.record_loaded(set, held).await;
        };
        for part in parts {
            let recorded = self
                .ledger
                .commit(move |_, _| Ok::<_, Refusal<()>>(Event::PolicyText(part)));
            ignore_refusal(recorded.await)?;
        }
        self.record_loaded(set, held).await
    }

    async fn record_loaded(&self, set: &PolicySet, held: Held) -> anyhow::Result<()> {
        let loaded = PolicyLoaded {
            policy_digest: Digest::from_bytes(set.digest()),
            policies: u32::try_from(set.policies().len()).unwrap_or(u32::MAX),
            passed: held.passed,
            failed: held.failed,
            accepted: held.accepted,
        };
        let recorded = self
            .ledger
            .commit(move |_, _| Ok::<_, Refusal<()>>(Event::PolicyLoaded(loaded)));
        Ok(ignore_refusal(recorded.await)?)
    }
}

/// Everybody who signed in, with their newest groups.
fn everybody(state: &State) -> Directory {
    let mut people = Directory::default();
    for (subject, known) in state.everybody() {
        let person = Person {
            subject: subject.clone(),
            user: known.user.clone(),
        };
        people.signed_in(&person, known.groups.clone(), known.seen);
    }
    people
}
