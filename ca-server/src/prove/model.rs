//! What the solver found, as a question that the authority could ask.
//!
//! A model may say more than a question can: that approvals are a number and a set of groups, that
//! an address is a range. So several questions are proposed, and whoever asks takes the first that
//! does what the model claims when it is really decided.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::{Environment, Principal, Subject};
use ca_core::time::Timestamp;
use cedar_policy::{EvalResult, Expression, Request, eval_expression};
use cedar_policy_symcc::Env;

use super::assume::quoted;
use super::named::Named;
use super::scene::{Kind, Scene};
use super::stage::Stage;
use crate::policy::{Approval, Facts, On, Person, Question, Requirements, SecondFactor};

/// Most people that approvals are proposed of.
const PEOPLE_MAX: usize = 16;
/// Issuer of everybody where policies do not care: that of cases, which then need not name it.
pub(super) const USUAL_ISSUER: &str = "https://cases.invalid";
/// The moment of a case that names none.
pub(super) const USUAL_NOW: Timestamp = Timestamp::from_unix_seconds(1_795_341_600);

/// A request that the solver found.
#[derive(Debug)]
pub(super) struct Model<'a> {
    env: &'a Env,
    scene: Scene,
    named: &'a Named,
    /// Whether policies look at the moment of the question.
    moments: bool,
}

impl<'a> Model<'a> {
    /// `env`, found on `stage`.
    pub(super) fn new(env: &'a Env, stage: &'a Stage<'_>) -> Self {
        Self {
            env,
            scene: stage.scene,
            named: stage.named(),
            moments: stage.looks_at_the_moment(),
        }
    }

    /// Questions that may be meant, the likeliest first.
    pub(super) fn questions(&self, requirements: &Requirements) -> Vec<Question> {
        let Some(question) = self.question() else {
            return Vec::new();
        };
        let proposals = self.approvals(requirements).into_iter();
        let proposals = proposals.map(|approvals| {
            let mut proposed = question.clone();
            proposed.facts.approvals = approvals;
            proposed
        });
        proposals.collect()
    }

    /// A condition that this model does not meet, in Cedar's words.
    pub(super) fn other(&self) -> String {
        let mut same: Vec<String> = Vec::new();
        for name in [
            "duration",
            "mfa_age",
            "approvals",
            "hour",
            "weekday",
            "unreviewed",
        ] {
            same.extend(self.long(name).map(|n| format!("context.{name} == {n}")));
        }
        for name in ["on_call", "token_bound"] {
            same.extend(
                self.flag(name)
                    .map(|yes| format!("context.{name} == {yes}")),
            );
        }
        if let Some(kind) = self.text("mfa_kind") {
            same.push(format!("context.mfa_kind == {}", quoted(&kind)));
        }
        for group in &self.named.groups {
            let condition = format!("context.approver_groups.contains({})", quoted(group));
            same.extend(self.holds(&condition));
            same.extend(self.holds(&format!("principal in Group::{}", quoted(group))));
        }
        for condition in [
            "context has reason",
            "context has ticket",
            "context has holder",
        ] {
            same.extend(self.holds(condition));
        }
        if self.named.facts.contains("source")
            && let Some(EvalResult::ExtensionValue(source)) = self.fact("source")
        {
            same.push(format!("context.source == {source}"));
        }
        if self.moments
            && let Some(ms) = self.milliseconds()
        {
            let since = "context.now.durationSince(datetime(\"1970-01-01\"))";
            same.push(format!("{since} == duration(\"{ms}ms\")"));
        }
        format!("!({})", same.join(" && "))
    }

    /// `condition` if it holds, else its opposite.
    fn holds(&self, condition: &str) -> Option<String> {
        match self.evaluated(condition)? {
            EvalResult::Bool(true) => Some(condition.to_owned()),
            EvalResult::Bool(false) => Some(format!("!({condition})")),
            _ => None,
        }
    }

    fn evaluated(&self, expression: &str) -> Option<EvalResult> {
        let expression: Expression = expression.parse().ok()?;
        eval_expression(&self.env.request, &self.env.entities, &expression).ok()
    }

    fn request(&self) -> &Request {
        &self.env.request
    }

    fn fact(&self, name: &str) -> Option<EvalResult> {
        self.request().context()?.get(name)
    }

    fn long(&self, name: &str) -> Option<i64> {
        match self.fact(name)? {
            EvalResult::Long(number) => Some(number),
            _ => None,
        }
    }

    fn unsigned(&self, name: &str) -> Option<u64> {
        u64::try_from(self.long(name)?).ok()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.fact(name)? {
            EvalResult::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.fact(name)? {
            EvalResult::String(text) => Some(text),
            _ => None,
        }
    }

    fn set(&self, name: &str) -> BTreeSet<String> {
        let Some(EvalResult::Set(set)) = self.fact(name) else {
            return BTreeSet::new();
        };
        let text = |one: &EvalResult| match one {
            EvalResult::String(text) => Some(text.clone()),
            _ => None,
        };
        set.iter().filter_map(text).collect()
    }

    fn milliseconds(&self) -> Option<i64> {
        let since = "context.now.durationSince(datetime(\"1970-01-01\")).toMilliseconds()";
        match self.evaluated(since)? {
            EvalResult::Long(number) => Some(number),
            _ => None,
        }
    }

    fn question(&self) -> Option<Question> {
        let age = Duration::from_secs(self.unsigned("mfa_age")?);
        let subject = self.subject()?;
        let name = self
            .written("principal.name")
            .and_then(|name| name.parse().ok());
        Some(Question {
            who: Person {
                name: name
                    .or_else(|| subject.sub().parse().ok())
                    .or_else(|| "alice".parse().ok())?,
                groups: self.groups(),
                subject,
            },
            action: self.scene.action,
            on: self.on()?,
            facts: Facts {
                duration: Duration::from_secs(self.unsigned("duration")?),
                second_factor: match self.text("mfa_kind")?.as_str() {
                    "totp" => SecondFactor::Totp(age),
                    "recovery" => SecondFactor::Recovery(age),
                    _ => SecondFactor::None,
                },
                token_bound: self.flag("token_bound")?,
                approvals: Vec::new(),
                source: self.source(),
                now: self.now()?,
                reason: self.text("reason"),
                ticket: self.text("ticket"),
                on_call: self.flag("on_call")?,
                unreviewed: self.unsigned("unreviewed")?,
                holder: self.holder()?,
            },
        })
    }

    /// The text that `expression` yields.
    fn written(&self, expression: &str) -> Option<String> {
        match self.evaluated(expression)? {
            EvalResult::String(text) => Some(text),
            _ => None,
        }
    }

    /// Who asks: as the policies call them, else anybody of the issuer that the model says.
    fn subject(&self) -> Option<Subject> {
        let uid = self.request().principal()?;
        let id = uid.id().unescaped();
        let issuer = self.written("principal.issuer").unwrap_or_default();
        if self.named.users.contains(id) {
            let sub = id.strip_prefix(issuer.as_str())?.strip_prefix('#')?;
            return Subject::new(&issuer, sub).ok();
        }
        let said = self.named.attributes.contains("issuer") && !issuer.is_empty();
        let issuer = if said { issuer.as_str() } else { USUAL_ISSUER };
        Subject::new(issuer, "alice").ok()
    }

    /// The holder: the same person, one whom policies name, or somebody else.
    #[expect(
        clippy::option_option,
        reason = "no holder is not the same as none that can be"
    )]
    fn holder(&self) -> Option<Option<Subject>> {
        let Some(EvalResult::EntityUid(uid)) = self.fact("holder") else {
            return Some(None);
        };
        if self.request().principal() == Some(&uid) {
            return self.subject().map(Some);
        }
        let id = uid.id().unescaped();
        let named = self.named.users.get(id).and_then(|id| id.split_once('#'));
        let who = self.subject()?;
        let (issuer, sub) = named.unwrap_or((who.issuer(), "bob"));
        Subject::new(issuer, sub).ok().map(Some)
    }

    /// The groups that policies name; others mean nothing to anybody.
    fn groups(&self) -> BTreeSet<String> {
        let uid = self.request().principal();
        let all = uid.and_then(|uid| self.env.entities.ancestors(uid));
        let ids = all
            .into_iter()
            .flatten()
            .map(|group| group.id().unescaped());
        let known = ids.filter(|id| self.named.groups.contains(*id));
        known.map(str::to_owned).collect()
    }

    fn on(&self) -> Option<On> {
        let uid = self.request().resource()?;
        let id = uid.id().unescaped();
        match self.scene.kind() {
            Kind::Authority => Some(On::Authority),
            Kind::Environment => {
                let name = id
                    .parse()
                    .ok()
                    .filter(|_| self.named.environments.contains(id));
                name.or_else(|| self.elsewhere()).map(On::Environment)
            }
            Kind::Account => {
                let within = self.env.entities.ancestors(uid).into_iter().flatten();
                let mut within = within.map(|environment| environment.id().unescaped());
                let environment = within
                    .find(|id| self.named.environments.contains(*id))
                    .and_then(|id| id.parse().ok());
                let name = self
                    .written("resource.name")
                    .and_then(|name| name.parse().ok());
                Some(On::Accounts {
                    environment: environment.or_else(|| self.elsewhere())?,
                    principals: vec![name.or_else(|| self.somebody())?],
                })
            }
        }
    }

    /// An environment that no policy names.
    fn elsewhere(&self) -> Option<Environment> {
        let names = ["staging", "test", "elsewhere"].into_iter();
        let mut free = names.filter(|name| !self.named.environments.contains(*name));
        free.next()?.parse().ok()
    }

    /// An account that no policy names.
    fn somebody(&self) -> Option<Principal> {
        let taken = |name: &str| {
            let named = |id: &String| id.rsplit_once('/').is_some_and(|(_, known)| known == name);
            self.named.texts.contains(name) || self.named.accounts.iter().any(named)
        };
        let mut names = ["deploy", "app", "somebody"].into_iter();
        names.find(|name| !taken(name))?.parse().ok()
    }

    fn source(&self) -> IpAddr {
        let Some(EvalResult::ExtensionValue(text)) = self.fact("source") else {
            return IpAddr::V4(Ipv4Addr::LOCALHOST);
        };
        let inside = text.split('"').nth(1).unwrap_or_default();
        let address = inside.split('/').next().unwrap_or_default();
        address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The moment of the model where policies look at it, else one of its hour and weekday.
    fn now(&self) -> Option<Timestamp> {
        if self.moments {
            let ms = u64::try_from(self.milliseconds()?).ok()?;
            return Some(Timestamp::from_unix_milliseconds(ms));
        }
        let (hour, weekday) = (self.unsigned("hour")?, self.unsigned("weekday")?);
        let day = USUAL_NOW.unix_seconds() / 86_400;
        // 1970-01-01 was a Thursday, so this Monday is divisible by seven after three days more.
        let monday = day.checked_sub((day + 3) % 7)?;
        let days = monday.checked_add(weekday.checked_sub(1)?)?;
        let seconds = days
            .checked_mul(86_400)?
            .checked_add(hour.checked_mul(3600)?)?;
        Some(Timestamp::from_unix_seconds(seconds))
    }

    /// Sets of people who may be the ones that the model counts, each with the groups that it says.
    fn approvals(&self, requirements: &Requirements) -> Vec<Vec<Approval>> {
        let count = self.unsigned("approvals").unwrap_or_default();
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(PEOPLE_MAX);
        let groups = self.set("approver_groups");
        let groups: BTreeSet<String> = groups.intersection(&self.named.groups).cloned().collect();
        let mut proposals = Vec::new();
        // Those who meet what the model says is met, alternative by alternative.
        let met = self.set("met");
        let met = requirements.iter().filter(|(name, _)| met.contains(*name));
        for (_, requirement) in met {
            for seats in requirement.seats() {
                let seated = seats.into_iter().flat_map(|(count, group)| {
                    std::iter::repeat_n(group.map(str::to_owned), count)
                });
                proposals.push(seated.map(|group| group.into_iter().collect()).collect());
            }
        }
        // Everybody in every group; one in every group and the others in none; in turn.
        proposals.push(vec![groups.clone(); count]);
        let mut one = vec![BTreeSet::new(); count];
        one.iter_mut()
            .take(1)
            .for_each(|first| first.clone_from(&groups));
        proposals.push(one);
        let mut turns: Vec<BTreeSet<String>> = vec![BTreeSet::new(); count];
        for (at, group) in groups.iter().enumerate() {
            if let Some(turn) = at.checked_rem(count).and_then(|at| turns.get_mut(at)) {
                turn.insert(group.clone());
            }
        }
        proposals.push(turns);
        let issuer = self.subject();
        let issuer = issuer.as_ref().map_or(USUAL_ISSUER, Subject::issuer);
        let people = proposals.into_iter();
        people
            .map(|people| approvals(issuer, people, count))
            .collect()
    }
}

/// `people` and as many others as make `count`, as approvals.
fn approvals(issuer: &str, mut people: Vec<BTreeSet<String>>, count: usize) -> Vec<Approval> {
    if people.len() < count {
        people.resize(count, BTreeSet::new());
    }
    let approval = |(at, groups): (usize, BTreeSet<String>)| {
        let sub = APPROVERS
            .get(at)
            .map_or_else(|| format!("approver{at}"), |&name| name.to_owned());
        let subject = Subject::new(issuer, &sub).ok()?;
        Some(Approval { subject, groups })
    };
    people
        .into_iter()
        .enumerate()
        .filter_map(approval)
        .collect()
}

/// Names of the first who approve; never that of whoever asks.
const APPROVERS: [&str; 3] = ["carol", "dave", "erin"];
