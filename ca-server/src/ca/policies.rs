//! How a set of policies comes into force: held against what is asked for, recorded with its texts,
//! and only then asked.

use ca_core::digest::Digest;
use ca_core::event::{Event, PolicyLoaded};

use super::{Ca, Failure, ignore_refusal};
use crate::ledger::Refusal;
use crate::policy::PolicySet;
use crate::policy_changes::Held;
use crate::policy_record;

impl Ca {
    /// Lets `set` in: when this returns, it may decide. A crash before leaves the old set in force
    /// and at most some texts in the log that no record refers to.
    ///
    /// # Errors
    ///
    /// [`crate::policy_changes::NotPassed`] for a set that does not pass, [`Failure`] when it could
    /// not be recorded.
    pub async fn admit_policies(&self, set: &PolicySet) -> anyhow::Result<()> {
        let (control, dir, new) = (
            self.change_control.clone(),
            self.policies.dir().to_owned(),
            set.clone(),
        );
        let held = tokio::task::spawn_blocking(move || control.hold(&dir, &new)).await??;
        self.record_policies(set, held).await
    }

    /// Records `set` with its texts, unless it is the one recorded last, and whole.
    async fn record_policies(&self, set: &PolicySet, held: Held) -> anyhow::Result<()> {
        let digest = Digest::from_bytes(set.digest());
        let newest = self.ledger.read(|state, _| state.policy()).await;
        let in_force = newest.map_err(Failure::from)? == Some(digest);
        if in_force && held.failed.is_empty() {
            let store = std::sync::Arc::clone(&self.store);
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
