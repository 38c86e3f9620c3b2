//! A question as the text of a case, to be pasted into a file of cases.
//!
//! Facts that a case may leave out are left out. People keep their names where a case can say them;
//! somebody of another issuer than the person who asks goes by a made-up name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ca_core::name::{Subject, UserName};

use super::super::period;
use super::super::question::{On, Question, SecondFactor};
use super::super::verdict::Verdict;
use super::facts::{ISSUER, NOW};

/// One key of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: &'static str,
    /// As TOML.
    pub(super) value: String,
    /// Whether leaving it out says the same.
    pub(super) usual: bool,
}

/// `question` as a `[[case]]` called `name` that expects `verdict`.
#[must_use]
pub fn case_text(name: &str, question: &Question, verdict: Verdict) -> String {
    let mut text = format!("[[case]]\nname = {}\n", string(name));
    for line in lines(question).iter().filter(|line| !line.usual) {
        text.push_str(&format!("{} = {}\n", line.key, line.value));
    }
    text.push_str(&format!("expect = \"{verdict}\"\n"));
    text
}

/// Every key that `question` has a value for.
pub(super) fn lines(question: &Question) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |key, value: String, usual| lines.push(Line { key, value, usual });
    let who = &question.who;
    let subject = &who.subject;
    line("user", string(who.name.as_str()), false);
    line("groups", strings(&who.groups), who.groups.is_empty());
    line(
        "issuer",
        string(subject.issuer()),
        subject.issuer() == ISSUER,
    );
    line(
        "sub",
        string(subject.sub()),
        subject.sub() == who.name.as_str(),
    );
    let action = question.action.name();
    line("action", string(action), action == "login");
    if let Some(environment) = question.on.environment() {
        line("environment", string(environment.as_str()), false);
    }
    if let On::Accounts { principals, .. } = &question.on {
        line("accounts", strings(principals), false);
    }
    facts(question, &mut line);
    lines
}

fn facts(question: &Question, line: &mut impl FnMut(&'static str, String, bool)) {
    let facts = &question.facts;
    let mut names = Names::of(question);
    let lasts = facts.duration;
    line(
        "for",
        string(&period::written(lasts)),
        lasts.as_secs() == 3600,
    );
    let kind = facts.second_factor.kind();
    line("mfa_kind", string(kind), kind == "totp");
    if let SecondFactor::Recovery(age) | SecondFactor::Totp(age) = facts.second_factor {
        line("mfa_age", string(&period::written(age)), age.as_secs() == 0);
    }
    line(
        "token_bound",
        facts.token_bound.to_string(),
        facts.token_bound,
    );
    let given = facts.approvals.iter().map(|approval| {
        let user = string(&names.name(&approval.subject));
        format!(
            "{{ user = {user}, groups = {} }}",
            strings(&approval.groups)
        )
    });
    let given: Vec<String> = given.collect();
    line(
        "approvals",
        format!("[{}]", given.join(", ")),
        given.is_empty(),
    );
    let source = facts.source;
    line(
        "source",
        string(&source.to_string()),
        source == IpAddr::V4(Ipv4Addr::LOCALHOST),
    );
    line("now", string(&facts.now.to_string()), facts.now == NOW);
    let words = |words: &Option<String>| string(words.as_deref().unwrap_or_default());
    line("reason", words(&facts.reason), facts.reason.is_none());
    line("ticket", words(&facts.ticket), facts.ticket.is_none());
    line("on_call", facts.on_call.to_string(), !facts.on_call);
    line(
        "unreviewed",
        facts.unreviewed.to_string(),
        facts.unreviewed == 0,
    );
    if let Some(holder) = &facts.holder {
        line("holder", string(&names.name(holder)), false);
    }
}

/// What everybody in one case is called: one name for one person.
struct Names<'a> {
    issuer: &'a str,
    taken: BTreeMap<&'a Subject, String>,
}

impl<'a> Names<'a> {
    fn of(question: &'a Question) -> Self {
        let who = &question.who;
        Self {
            issuer: who.subject.issuer(),
            taken: BTreeMap::from([(&who.subject, who.name.to_string())]),
        }
    }

    fn name(&mut self, subject: &'a Subject) -> String {
        let known: BTreeSet<&String> = self.taken.values().collect();
        let own = subject.sub().parse::<UserName>().ok();
        let own = own.filter(|_| subject.issuer() == self.issuer);
        let own = own
            .map(|name| name.to_string())
            .filter(|name| !known.contains(name));
        let count = self.taken.len();
        let made = (count..).map(|at| format!("person{at}"));
        let made = made.into_iter().find(|name| !known.contains(name));
        let name = own.or(made).unwrap_or_default();
        self.taken.entry(subject).or_insert(name).clone()
    }
}

/// As a TOML string.
pub(super) fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn strings<T: ToString>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts
        .into_iter()
        .map(|one| string(&one.to_string()))
        .collect();
    format!("[{}]", texts.join(", "))
}
