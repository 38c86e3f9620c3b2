//! The use cases: each a script of named steps over decisions, ledger and adapters.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ca_core::digest::Digest;
use ca_core::event::{Attempt, CaKeyAdded, Event, Refused};
use ca_core::name::{Environment, UserName};

use crate::authn::session::{Actor, actor};
use crate::clock::Clock;
use crate::environment::EnvironmentRules;
use crate::identity::Providers;
use crate::ledger::{CommitError, Ledger, Refusal, Turn};
use crate::policy_changes::ChangeControl;
use crate::policy_files::PolicyFiles;
use crate::seal::SealKey;
use crate::signer::Signer;
use crate::state::State;
use crate::store::Store;

pub use crate::access::OnCall;
pub use certificates::Answer;
pub use challenges::Challenges;
pub use failure::Failure;
pub use freezing::Switch;
pub use host_reports::host_list;
pub use hosts::Seen;
pub(crate) use hosts::host_ca_key;
pub use revocation_list::Lists;
pub use waiting::{Wait, Waiting};

mod audit;
mod break_glass;
mod certificates;
mod challenges;
mod decisions;
mod enrolment;
#[cfg(test)]
pub(crate) mod example;
mod factor;
mod failure;
mod freezing;
mod history;
mod host_reports;
mod hosts;
mod login;
pub mod offline;
mod policies;
mod requests;
mod reviews;
mod revocation;
mod revocation_list;
mod text;
mod waiting;

/// An environment and the key that signs for it.
#[derive(Debug)]
pub struct Signing {
    /// Ceiling and defaults.
    pub rules: EnvironmentRules,
    /// The key.
    pub signer: Box<dyn Signer>,
    /// The key of host certificates, where there is one.
    pub host_signer: Option<Box<dyn Signer>>,
    /// Set for good when the key once produced a wrong certificate.
    pub distrusted: AtomicBool,
}

/// Whether a first enrolment needs an administrator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enrolment {
    /// Whoever signs in first with this identity enrols.
    Open,
    /// An administrator's ticket is needed.
    #[default]
    Ticket,
}

/// What is configured rather than decided.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Length of a session.
    pub session: Duration,
    /// How long after their last sign-in through a provider a break-glass key still opens a
    /// session: groups older than that say nothing, and who left must not come back.
    pub break_glass_after: Duration,
    /// How long an access request may wait for its approvals and its activation.
    pub request: Duration,
    /// See [`Enrolment`].
    pub enrolment: Enrolment,
    /// People who enrol their first factor without a ticket, so that somebody can issue tickets.
    pub administrators: BTreeSet<UserName>,
    /// The name beside the account in authenticator apps.
    pub totp_issuer: String,
    /// Who is on call.
    pub on_call: Arc<OnCall>,
}

/// The authority.
#[derive(Debug)]
pub struct Ca {
    /// The one way to change anything.
    pub ledger: Ledger,
    /// Sealed secrets.
    pub store: Arc<dyn Store>,
    /// Opens sealed seeds.
    pub seal_key: SealKey,
    /// OpenID providers.
    pub providers: Providers,
    /// The set in force.
    pub policies: PolicyFiles,
    /// What another one must pass.
    pub change_control: ChangeControl,
    /// By name.
    pub environments: BTreeMap<Environment, Signing>,
    /// Texts that break-glass keys may sign now.
    pub challenges: Challenges,
    /// Revocation lists made lately.
    pub lists: Lists,
    /// When each host was last heard of.
    pub seen: Arc<Seen>,
    /// Ends long polls when the server stops.
    pub waiting: Waiting,
    /// The rest.
    pub settings: Settings,
    /// For checks outside a commit.
    pub clock: Clock,
}

/// A request's credentials: the digest of its session token, and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// SHA-256 of the token text.
    pub session: Digest,
    /// Client address.
    pub source: IpAddr,
}

impl Ca {
    /// Records which CA keys are in force, if the log does not know them yet.
    ///
    /// # Errors
    ///
    /// [`Failure`] when it could not be recorded.
    pub async fn record_start(&self) -> Result<(), Failure> {
        for (name, signing) in &self.environments {
            let keys = [
                (Some(&signing.signer), false),
                (signing.host_signer.as_ref(), true),
            ];
            for (signer, hosts) in keys {
                let Some(signer) = signer else {
                    continue;
                };
                let added = CaKeyAdded {
                    environment: name.clone(),
                    public_key: signer.public_key().to_string(),
                    hosts,
                };
                self.record_key(added).await?;
            }
        }
        Ok(())
    }

    async fn record_key(&self, added: CaKeyAdded) -> Result<(), Failure> {
        let recorded = self.ledger.commit(move |state, _| {
            if state.knows_ca_key(&added) {
                return Err(Refusal {
                    why: (),
                    record: None,
                });
            }
            Ok(Event::CaKeyAdded(added))
        });
        ignore_refusal(recorded.await)
    }
}

/// Who calls, or a refusal that is recorded without a name.
fn actor_or_refuse(
    state: &State,
    turn: Turn,
    caller: Caller,
    attempt: Attempt,
) -> Result<Actor, Refusal<Failure>> {
    actor(state, caller.session, turn.now()).map_err(|error| {
        let record = refused(attempt, "session-unknown", &error, caller.source);
        Refusal {
            why: Failure::SessionRequired,
            record: Some(Box::new(record)),
        }
    })
}

/// The record of a refusal, with nothing known about the person yet.
fn refused(
    attempt: Attempt,
    code: &str,
    detail: &dyn std::fmt::Display,
    source: IpAddr,
) -> Refused {
    Refused {
        approvers: None,
        request: None,
        not_before: None,
        judged: None,
        attempt,
        code: code.to_owned(),
        detail: detail.to_string(),
        person: None,
        asked: None,
        policies: Vec::new(),
        policy_digest: None,
        source,
    }
}

fn ignore_refusal<T>(outcome: Result<T, CommitError<()>>) -> Result<(), Failure> {
    match outcome {
        Ok(_) | Err(CommitError::Refused(())) => Ok(()),
        Err(CommitError::Busy(why)) => Err(Failure::Busy(why)),
        Err(CommitError::Stopped) => Err(Failure::Stopped),
    }
}
