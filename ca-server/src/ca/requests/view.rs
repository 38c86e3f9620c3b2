//! An access request as somebody may see it.

use ca_core::api::{self, ApprovalGiven, DenialGiven, RequestStatus};
use ca_core::time::Timestamp;

use crate::access::request::Rulebook;
use crate::access::vote;
use crate::authn::session::Actor;
use crate::ca::{Ca, Caller};
use crate::policy::PolicySet;
use crate::state::{AccessRequest, Outcome, State};

/// Who looks at a request, by which policies.
pub(super) struct Viewer<'a> {
    pub(super) ca: &'a Ca,
    pub(super) policies: &'a PolicySet,
    pub(super) state: &'a State,
    pub(super) actor: &'a Actor,
    pub(super) caller: Caller,
    pub(super) now: Timestamp,
}

impl Viewer<'_> {
    /// The request as the viewer may see it: their own, and those they may decide.
    pub(super) fn view(&self, request: &AccessRequest) -> Option<api::AccessRequest> {
        let book = self.ca.book(&request.asked.environment, self.policies)?;
        let at = (self.caller.source, self.now);
        let mine = request.person.subject == self.actor.person().subject;
        let may_decide = vote::may_decide(self.actor, request, book, at).is_ok();
        // Who could decide it with a fresh second factor sees it, to learn that.
        let fresh = self.actor.with_fresh_second_factor();
        let sees = may_decide || vote::may_decide(&fresh, request, book, at).is_ok();
        (mine || sees).then(|| self.shown(request, book, (mine, may_decide)))
    }

    fn shown(
        &self,
        request: &AccessRequest,
        book: Rulebook<'_>,
        (mine, may_decide): (bool, bool),
    ) -> api::AccessRequest {
        let votes = vote::counting(self.state, request, book, self.now);
        let open = request.is_open(self.now);
        // Asked again: a vote may count no more.
        let (needs, missing) = if open && votes.len() != request.votes.len() {
            let missing = vote::still_missing(request, &votes, self.policies, self.now);
            (
                missing.sentence,
                u32::try_from(missing.count).unwrap_or(u32::MAX),
            )
        } else {
            (request.needs.clone(), request.approvals_missing)
        };
        api::AccessRequest {
            id: request.index,
            revision: request.revision,
            status: status(request, &needs, open),
            user: request.person.user.clone(),
            environment: request.asked.environment.clone(),
            principals: request.asked.principals.clone(),
            duration_seconds: vote::window(request, &votes).as_secs(),
            not_before: request.not_before,
            reason: request.asked.reason.clone(),
            ticket: request.asked.ticket.clone(),
            digest: request.digest,
            opened_at: request.opened,
            expires_at: request.expires,
            needs,
            approvals_missing: missing,
            approvals: votes
                .iter()
                .map(|vote| ApprovalGiven {
                    user: vote.by.user.clone(),
                    at: vote.at,
                })
                .collect(),
            denied: denial(request),
            serial: match request.outcome {
                Some(Outcome::Activated(serial)) => Some(serial),
                _ => None,
            },
            mine,
            may_decide: may_decide && open,
        }
    }
}

fn status(request: &AccessRequest, needs: &str, open: bool) -> RequestStatus {
    match &request.outcome {
        Some(Outcome::Activated(_)) => RequestStatus::Activated,
        Some(Outcome::Denied { .. }) => RequestStatus::Denied,
        Some(Outcome::Withdrawn) => RequestStatus::Withdrawn,
        Some(Outcome::Expired) => RequestStatus::Expired,
        None if !open => RequestStatus::Expired,
        None if needs.is_empty() => RequestStatus::Approved,
        None => RequestStatus::Waiting,
    }
}

fn denial(request: &AccessRequest) -> Option<DenialGiven> {
    match &request.outcome {
        Some(Outcome::Denied { by, at, reason }) => Some(DenialGiven {
            user: by.user.clone(),
            at: *at,
            reason: reason.clone(),
        }),
        _ => None,
    }
}
