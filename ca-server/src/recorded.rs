//! Decisions of policy, read back from the log: the very question that was asked, and what was
//! answered. An auditor asks again; so do `policy replay`, `explain` and `unused`.
//!
//! A decision of policy is what the authority asked policy about to do, or not to do, what the
//! record says:
//!
//! | Record | Action |
//! |---|---|
//! | `certificate-issued`, and `refused` with `asked` | `login`; `break_glass` in an emergency |
//! | `request-opened` | `login`, at the time that the window is to begin |
//! | `request-approved`, `request-denied` | `approve` |
//! | `review-closed` | `review` |
//! | `certificates-revoked` by others, `frozen`, `freeze-lifted` | `revoke`, in each environment |
//! | `audit-read` of a search | `read_audit` |
//! | `ticket-issued`, `join-token-issued` by a person, `host-removed` | `administer` |
//! | `refused` with `judged` | that of the attempt |
//!
//! None is: what somebody gives back (nobody is asked), what a session for emergencies is refused
//! (whatever policy says), an approval that no longer counts when a request is activated, reading
//! the story of one's own request, and whether somebody *might* decide, which is only shown.
//!
//! A record says all that policy saw, or the records before it prove it. Older records leave some
//! facts open; those are named in [`Decision::lacking`], and nothing is put in their place that a
//! caller may believe. Older records of anything but certificates, requests and approvals do not say
//! what was asked: they are counted as untold.

use std::collections::BTreeSet;

use ca_core::digest::Digest;
use ca_core::event::Person;
use ca_core::time::Timestamp;

use crate::access::request::PRINCIPALS_MAX;
use crate::policy::{Judgement, Memo, On, PolicySet, Question, Ruling, Verdict, judge};

pub use fold::{Fold, Taken, alone};
pub use read::{At, Progress, RecordedError, Tally, decision_at, decisions};

mod attempted;
mod fold;
mod read;
mod rebuild;
#[cfg(test)]
pub(crate) mod tests;

/// One decision of policy as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Log index of its record. A record may hold several: one for each environment.
    pub index: u64,
    /// The record's type: `certificate-issued`.
    pub record: &'static str,
    /// Time of its record. Policy may have been asked about a later one: see the question.
    pub time: Timestamp,
    /// Who asked.
    pub person: Person,
    /// What policy was asked. Facts in `lacking` hold stand-ins.
    pub question: Question,
    /// What it said.
    pub verdict: Verdict,
    /// The policies that decided (`@id`); empty where none permitted it.
    pub policies: BTreeSet<String>,
    /// The set that decided.
    pub policy_digest: Digest,
    /// Facts that neither the record nor those before it tell, as policies call them
    /// (`context.on_call` is `on_call`).
    pub lacking: BTreeSet<&'static str>,
}

impl Decision {
    /// What `policies` say to the same question, in the same words: where no access request can be
    /// opened, what approvals would help is denied. Means nothing if a fact that they read lacks.
    #[must_use]
    pub fn judge(&self, policies: &PolicySet) -> Judgement {
        let mut judgement = judge(policies, &self.question);
        if judgement.verdict == Verdict::Approval && !may_wait(&self.question.on) {
            judgement.verdict = Verdict::Deny;
            judgement.obligation = None;
        }
        judgement
    }

    /// The same from what is remembered, without the words.
    #[must_use]
    pub fn ruling(&self, memo: &Memo<'_>) -> Ruling {
        let mut ruling = memo.judge(&self.question);
        if ruling.verdict == Verdict::Approval && !may_wait(&self.question.on) {
            ruling.verdict = Verdict::Deny;
        }
        ruling
    }
}

/// Facts that are not known.
type Lacking = BTreeSet<&'static str>;

/// Whether the authority opens access requests for so many accounts.
const fn may_wait(on: &On) -> bool {
    match on {
        On::Accounts { principals, .. } => principals.len() <= PRINCIPALS_MAX,
        On::Environment(_) | On::Authority => true,
    }
}
