//! From one record, and what is known before it, to the questions that were asked.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ca_core::api;
use ca_core::digest::Digest;
use ca_core::event::{
    Asked, CertificateIssued, Event, Judged, Person, Refused, RequestApproved, RequestOpened,
};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;

use super::attempted::{Attempted, attempted};
use super::{Decision, Lacking, Taken};
use crate::access::BREAK_GLASS_ONLY;
use crate::policy::{self, Action, Approval, Facts, On, Question, SecondFactor, Verdict};
use crate::state::{AccessRequest, State};

/// What policies read of approvals.
const OF_APPROVALS: [&str; 3] = ["approvals", "approver_groups", "met"];

/// A record's place.
pub(super) struct Rebuild<'a> {
    /// Of the records before it.
    pub(super) state: &'a State,
    /// The last of them that was erased.
    pub(super) gap: Option<u64>,
    /// Its type.
    pub(super) record: &'static str,
    /// When it was recorded.
    pub(super) time: Timestamp,
}

/// What was decided and by what, as far as the record itself says.
struct Answer<'a> {
    person: &'a Person,
    verdict: Verdict,
    policies: &'a [String],
    policy_digest: Digest,
}

impl Rebuild<'_> {
    pub(super) fn taken(&self, event: &Event) -> Taken {
        let decision = match event {
            Event::CertificateIssued(issued) => Some(self.issued(issued)),
            Event::RequestOpened(opened) => Some(self.opened(opened)),
            Event::RequestApproved(approved) => self.approved(approved),
            Event::Refused(refused) if refused.asked.is_some() => match self.refused(refused) {
                Some(decision) => Some(decision),
                None => return Taken::default(),
            },
            _ => {
                return match attempted(event) {
                    Some(attempted) => self.attempted(&attempted),
                    None => Taken::default(),
                };
            }
        };
        Taken {
            untold: decision.is_none(),
            decisions: decision.into_iter().collect(),
        }
    }

    fn decision(&self, answer: &Answer<'_>, question: Question, lacking: Lacking) -> Decision {
        Decision {
            index: self.state.size(),
            record: self.record,
            time: self.time,
            person: answer.person.clone(),
            question,
            verdict: answer.verdict,
            policies: answer.policies.iter().cloned().collect(),
            policy_digest: answer.policy_digest,
            lacking,
        }
    }

    fn issued(&self, issued: &CertificateIssued) -> Decision {
        let asked = &issued.asked;
        let action = if issued.break_glass {
            Action::BreakGlass
        } else {
            Action::Login
        };
        let mut lacking = Lacking::new();
        let mut question = of_account((&issued.person, asked), action, self.time);
        if let Some(number) = issued.request {
            self.approvals((number, &issued.approvers), &mut question, &mut lacking);
        }
        if issued.break_glass {
            self.unreviewed((&issued.person, asked), &mut question, &mut lacking);
        }
        let answer = Answer {
            person: &issued.person,
            verdict: Verdict::Permit,
            policies: &issued.policies,
            policy_digest: issued.policy_digest,
        };
        self.decision(&answer, question, lacking)
    }

    /// Policy was asked about the beginning of the window, where that is later.
    fn opened(&self, opened: &RequestOpened) -> Decision {
        let later = opened.not_before.filter(|time| self.time < *time);
        let at = later.unwrap_or(self.time);
        let question = of_account((&opened.person, &opened.asked), Action::Login, at);
        // Nobody is missing where only the time has to come.
        let waits_for_people = opened.approvals_missing > 0 || !opened.needs.is_empty();
        let answer = Answer {
            person: &opened.person,
            verdict: if waits_for_people {
                Verdict::Approval
            } else {
                Verdict::Permit
            },
            policies: &opened.policies,
            policy_digest: opened.policy_digest,
        };
        self.decision(&answer, question, Lacking::new())
    }

    /// None where policy was not asked.
    fn refused(&self, refused: &Refused) -> Option<Decision> {
        use ca_core::event::Attempt;
        let person = refused.person.as_ref()?;
        let (asked, policy_digest) = (refused.asked.as_ref()?, refused.policy_digest?);
        let action = match refused.attempt {
            Attempt::Certificate => Action::Login,
            Attempt::BreakGlass => Action::BreakGlass,
            _ => return None,
        };
        if refused.detail == BREAK_GLASS_ONLY {
            return None;
        }
        let later = refused.not_before.filter(|time| self.time < *time);
        let mut lacking = Lacking::new();
        let mut question = of_account((person, asked), action, later.unwrap_or(self.time));
        if action == Action::BreakGlass {
            self.unreviewed((person, asked), &mut question, &mut lacking);
        } else if let (Some(number), Some(approvers)) = (refused.request, &refused.approvers) {
            self.approvals((number, approvers), &mut question, &mut lacking);
        } else if refused.approvers.is_none() && self.may_have_activated(person, asked) {
            lacking.extend(OF_APPROVALS);
        }
        let answer = Answer {
            person,
            verdict: Verdict::Deny,
            policies: &refused.policies,
            policy_digest,
        };
        Some(self.decision(&answer, question, lacking))
    }

    /// Whether a refusal that does not tell may have been that of an approved request.
    fn may_have_activated(&self, person: &Person, asked: &Asked) -> bool {
        let mut open = self.state.open_requests_of(&person.subject, self.time);
        self.gap.is_some()
            || open.any(|request| {
                !request.votes.is_empty()
                    && request.asked.environment == asked.environment
                    && request.asked.principals == asked.principals
            })
    }

    /// None if the request is not known.
    fn approved(&self, approved: &RequestApproved) -> Option<Decision> {
        let request = self.request(approved.request)?;
        let mut lacking = Lacking::new();
        let token_bound = approved.token_bound.or_else(|| self.was_bound(approved));
        if token_bound.is_none() {
            lacking.insert("token_bound");
        }
        if approved.on_call.is_none() {
            lacking.insert("on_call");
        }
        let factor = (approved.second_factor, approved.mfa_age_seconds);
        let mut question = Question {
            who: who(&approved.by, &approved.groups),
            action: Action::Approve,
            on: On::Authority,
            facts: Facts {
                token_bound: token_bound.unwrap_or_default(),
                on_call: approved.on_call.unwrap_or_default(),
                holder: Some(approved.requester.subject.clone()),
                ..facts(factor, approved.source, self.time)
            },
        };
        on_request(&mut question, request);
        let answer = Answer {
            person: &approved.by,
            verdict: Verdict::Permit,
            policies: &approved.policies,
            policy_digest: approved.policy_digest,
        };
        Some(self.decision(&answer, question, lacking))
    }

    /// What was done that is no request for a certificate, where its record tells how.
    fn attempted(&self, attempted: &Attempted<'_>) -> Taken {
        let untold = Taken {
            untold: true,
            decisions: Vec::new(),
        };
        let Some(judged) = attempted.judged else {
            return untold;
        };
        let mut question = Question {
            who: who(attempted.person, &judged.groups),
            action: attempted.action,
            on: On::Authority,
            facts: facts_of(judged, attempted.source, self.time),
        };
        let decide = |question, policies: &[String]| {
            let answer = Answer {
                person: attempted.person,
                verdict: attempted.verdict,
                policies,
                policy_digest: judged.policy_digest,
            };
            self.decision(&answer, question, Lacking::new())
        };
        let decisions = match attempted.action {
            Action::Approve => {
                let Some(request) = attempted.request.and_then(|number| self.request(number))
                else {
                    return untold;
                };
                on_request(&mut question, request);
                vec![decide(question, &judged.policies)]
            }
            Action::Review | Action::Revoke => {
                let each = judged.environments.iter();
                each.map(|(environment, policies)| {
                    let on = On::Environment(environment.clone());
                    decide(
                        Question {
                            on,
                            ..question.clone()
                        },
                        policies,
                    )
                })
                .collect()
            }
            _ => vec![decide(question, &judged.policies)],
        };
        Taken {
            decisions,
            untold: false,
        }
    }

    fn request(&self, number: u64) -> Option<&AccessRequest> {
        let index = Serial::try_from(number).ok()?.index();
        self.state.access_request(index)
    }

    /// The approvals of exactly these people, as they gave them. Everything that can change them
    /// comes after the request.
    fn approvals(
        &self,
        (number, approvers): (u64, &[Person]),
        question: &mut Question,
        lacking: &mut Lacking,
    ) {
        let request = self.request(number);
        let request = request.filter(|request| self.gap.is_none_or(|gap| gap < request.index));
        let given = |person: &Person| {
            let mut votes = request?.votes.iter().rev();
            let vote = votes.find(|vote| vote.by.subject == person.subject)?;
            Some(Approval {
                subject: vote.by.subject.clone(),
                groups: vote.groups.clone(),
            })
        };
        let approvals: Option<Vec<Approval>> = approvers.iter().map(given).collect();
        match approvals {
            Some(approvals) => question.facts.approvals = approvals,
            None => lacking.extend(OF_APPROVALS),
        }
    }

    fn unreviewed(
        &self,
        (person, asked): (&Person, &Asked),
        question: &mut Question,
        lacking: &mut Lacking,
    ) {
        let proven = || self.gap.is_none().then(|| self.state.unreviewed(person));
        match asked.unreviewed.or_else(proven) {
            Some(count) => question.facts.unreviewed = count,
            None => {
                lacking.insert("unreviewed");
            }
        }
    }

    /// Whether the session of an older vote was bound: what every session says that it can have
    /// been given in.
    fn was_bound(&self, approved: &RequestApproved) -> Option<bool> {
        let age = Duration::from_secs(approved.mfa_age_seconds);
        let open = self.state.sessions(self.time);
        let fitting = open.filter(|(_, session)| {
            !session.break_glass
                && session.person.subject == approved.by.subject
                && session.groups == approved.groups
                && session.second_factor == approved.second_factor
                && self.time.since(session.opened).as_secs() == age.as_secs()
        });
        let bound: BTreeSet<bool> = fitting.map(|(_, session)| session.token_bound).collect();
        let only = bound
            .first()
            .filter(|_| self.gap.is_none() && bound.len() == 1);
        only.copied()
    }
}

fn who(person: &Person, groups: &BTreeSet<String>) -> policy::Person {
    policy::Person {
        name: person.user.clone(),
        subject: person.subject.clone(),
        groups: groups.clone(),
    }
}

/// What is the same for every question.
fn facts((kind, age_seconds): (api::SecondFactor, u64), source: IpAddr, now: Timestamp) -> Facts {
    let age = Duration::from_secs(age_seconds);
    Facts {
        duration: Duration::ZERO,
        second_factor: match kind {
            api::SecondFactor::RecoveryCode => SecondFactor::Recovery(age),
            api::SecondFactor::Totp => SecondFactor::Totp(age),
        },
        token_bound: false,
        approvals: Vec::new(),
        source,
        now,
        reason: None,
        ticket: None,
        on_call: false,
        unreviewed: 0,
        holder: None,
    }
}

fn facts_of(judged: &Judged, source: IpAddr, now: Timestamp) -> Facts {
    let factor = (judged.second_factor, judged.mfa_age_seconds);
    Facts {
        token_bound: judged.token_bound,
        on_call: judged.on_call,
        holder: judged.holder.clone(),
        ..facts(factor, source, now)
    }
}

fn of_account((person, asked): (&Person, &Asked), action: Action, now: Timestamp) -> Question {
    let factor = (asked.second_factor, asked.mfa_age_seconds);
    Question {
        who: who(person, &asked.groups),
        action,
        on: On::Accounts {
            environment: asked.environment.clone(),
            principals: asked.principals.clone(),
        },
        facts: Facts {
            duration: Duration::from_secs(asked.duration_seconds),
            token_bound: asked.token_bound,
            on_call: asked.on_call,
            reason: asked.reason.clone(),
            ticket: asked.ticket.clone(),
            ..facts(factor, asked.source, now)
        },
    }
}

/// Deciding a request is about what it was opened for, not about what its window became.
fn on_request(question: &mut Question, request: &AccessRequest) {
    let asked = &request.asked;
    question.on = On::Accounts {
        environment: asked.environment.clone(),
        principals: asked.principals.clone(),
    };
    question.facts.duration = Duration::from_secs(asked.duration_seconds);
    question.facts.reason.clone_from(&asked.reason);
    question.facts.ticket.clone_from(&asked.ticket);
}
