//! What the keys of a case mean: a question, and what is expected of it.
//!
//! Facts that are left out are the harmless ones: one hour, a TOTP code just given, a bound sign-in,
//! no approval, loopback, no reason, not on call.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::time::Timestamp;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, Error as _, MapAccess, Visitor};
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use super::super::period::{duration, moment};
use super::super::question::{Action, Approval, Facts, On, Person, Question, SecondFactor};
use super::super::spelling::suggestion;
use super::super::verdict::Verdict;
use super::Expected;
use super::read::People;

/// Issuer of everybody in cases, with the user name as `sub`.
pub(super) const ISSUER: &str = "https://cases.invalid";
/// Sunday, 2026-11-22, 10:00; every case without `now` is asked at this moment.
pub(super) const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_341_600);

/// What is wrong, where in the text, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(span: Range<usize>, message: String, hint: &str) -> Self {
        Self {
            span,
            message,
            hint: Some(hint.to_owned()),
        }
    }

    /// What the reader of TOML objects to; at `around` if it does not say where.
    pub(super) fn toml(error: &toml::de::Error, around: Range<usize>) -> Self {
        let span = error.span().unwrap_or(around);
        let message = error.message();
        // "unknown field `usr`, expected one of `user`, `groups`"
        let mut quoted = message.split('`').skip(1).step_by(2);
        let kind = match message.split_once(" `") {
            Some(("unknown field", _)) => "unknown key",
            Some(("unknown variant", _)) => "unknown value",
            _ => {
                let message = message.to_owned();
                return Self {
                    span,
                    message,
                    hint: None,
                };
            }
        };
        let word = quoted.next().unwrap_or_default();
        let hint = match word {
            "missing" => "this is `obligation` now, with expect = \"approval\"".to_owned(),
            _ => {
                let mut known: Vec<&str> = quoted.collect();
                if known.contains(&"expect") {
                    // Taken out of every case before the rest is read.
                    known.extend(["name", "rows"]);
                }
                suggestion(word, known)
            }
        };
        Self::new(span, format!("{kind} `{word}`"), &hint)
    }
}

/// The keys of a case. `name` and `rows` are taken out before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    user: Option<Spanned<UserName>>,
    groups: Option<BTreeSet<String>>,
    #[serde(default = "issuer")]
    issuer: String,
    sub: Option<String>,
    #[serde(default = "login")]
    action: Action,
    environment: Option<Environment>,
    #[serde(default)]
    accounts: Vec<Principal>,
    #[serde(default)]
    other_accounts: Vec<Principal>,
    #[serde(default = "hour", rename = "for", deserialize_with = "read_duration")]
    duration: Duration,
    #[serde(default, deserialize_with = "read_duration")]
    mfa_age: Duration,
    #[serde(default)]
    mfa_kind: MfaKind,
    #[serde(default = "yes")]
    token_bound: bool,
    #[serde(default)]
    approvals: Vec<Spanned<Given>>,
    #[serde(default = "loopback")]
    source: IpAddr,
    #[serde(default = "sunday", deserialize_with = "read_moment")]
    now: Timestamp,
    reason: Option<String>,
    ticket: Option<String>,
    #[serde(default)]
    on_call: bool,
    #[serde(default)]
    unreviewed: u64,
    holder: Option<UserName>,
    expect: Option<Verdict>,
    policy: Option<Spanned<String>>,
    because: Option<String>,
    obligation: Option<Spanned<String>>,
    hint: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MfaKind {
    #[default]
    Totp,
    Recovery,
    None,
}

/// Somebody who approved: `"carol"`, or `{ user = "carol", groups = ["security"] }`.
struct Given {
    user: UserName,
    groups: Option<BTreeSet<String>>,
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GivenVisitor)
    }
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"NAME\" or { user = \"NAME\", groups = [\"GROUP\"] }")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Given, E> {
        let user = name.parse().map_err(E::custom)?;
        Ok(Given { user, groups: None })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Given, M::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            user: UserName,
            groups: Option<BTreeSet<String>>,
        }
        let Fields { user, groups } = Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Given { user, groups })
    }
}

/// Whether all keys in `written` are known and their values of the right kind.
pub(super) fn keys(written: Spanned<DeValue<'_>>) -> Result<(), Wrong> {
    parse(written).map(|_| ())
}

fn parse(written: Spanned<DeValue<'_>>) -> Result<Written, Wrong> {
    let span = written.span();
    Written::deserialize(ValueDeserializer::from(written))
        .map_err(|error| Wrong::toml(&error, span))
}

/// The question, the accounts that hints may name, and what is expected.
pub(super) fn case(
    written: Spanned<DeValue<'_>>,
    people: Option<&People>,
) -> Result<(Question, Vec<Principal>, Expected), Wrong> {
    let span = written.span();
    let mut written = parse(written)?;
    let expected = written.expected(&span)?;
    let others = std::mem::take(&mut written.other_accounts);
    Ok((written.question(&span, people)?, others, expected))
}

/// The groups of somebody: those given with the name, else those that the file gives them.
fn groups(
    user: &Spanned<UserName>,
    given: Option<&BTreeSet<String>>,
    people: Option<&People>,
) -> Result<BTreeSet<String>, Wrong> {
    let Some(people) = people.filter(|_| given.is_none()) else {
        return Ok(given.cloned().unwrap_or_default());
    };
    let unknown = || {
        let name = user.as_ref().as_str();
        let message = format!("{name:?} is not under [people], and no groups are given");
        let hint = suggestion(name, people.keys().map(UserName::as_str));
        Wrong::new(user.span(), message, &hint)
    };
    people.get(user.as_ref()).cloned().ok_or_else(unknown)
}

impl Written {
    fn expected(&mut self, case: &Range<usize>) -> Result<Expected, Wrong> {
        let missing = || {
            let hint = "write expect = \"permit\", \"approval\" or \"deny\"";
            Wrong::new(case.clone(), "there is no `expect`".to_owned(), hint)
        };
        let verdict = self.expect.ok_or_else(missing)?;
        if verdict == Verdict::Approval && self.action != Action::Login {
            let action = self.action.name();
            let message = format!("{action} never waits for approvals: only login does");
            let hint = "expect = \"permit\" or \"deny\"";
            return Err(Wrong::new(case.clone(), message, hint));
        }
        if let Some(obligation) = self.obligation.as_ref()
            && verdict != Verdict::Approval
        {
            let message = format!("an obligation, but expect = \"{verdict}\"");
            let hint = "an answer that waits for approvals is expect = \"approval\"";
            return Err(Wrong::new(obligation.span(), message, hint));
        }
        if let Some(hint) = self.hint.as_ref()
            && verdict == Verdict::Permit
        {
            let message = "a hint, but expect = \"permit\"".to_owned();
            let advice = "hints come with expect = \"approval\" or \"deny\"";
            return Err(Wrong::new(hint.span(), message, advice));
        }
        let policy = self.policy.take();
        Ok(Expected {
            verdict,
            policy: policy.map(|id| (id.as_ref().clone(), id.span())),
            because: self.because.take(),
            obligation: self.obligation.take().map(Spanned::into_inner),
            hint: self.hint.take().map(Spanned::into_inner),
        })
    }

    fn on(&self, case: &Range<usize>) -> Result<On, Wrong> {
        let action = self.action.name();
        let needs = |key: &str, example: &str| {
            let message = format!("action {action} needs `{key}`");
            Wrong::new(case.clone(), message, example)
        };
        let environment = || {
            let environment = self.environment.clone();
            environment.ok_or_else(|| needs("environment", "write environment = \"prod\""))
        };
        Ok(match self.action {
            Action::Login | Action::Approve | Action::BreakGlass => {
                if self.accounts.is_empty() {
                    return Err(needs("accounts", "write accounts = [\"deploy\"]"));
                }
                On::Accounts {
                    environment: environment()?,
                    principals: self.accounts.clone(),
                }
            }
            Action::Review | Action::Revoke => On::Environment(environment()?),
            Action::ReadAudit | Action::Administer => On::Authority,
        })
    }

    fn question(self, case: &Range<usize>, people: Option<&People>) -> Result<Question, Wrong> {
        let on = self.on(case)?;
        let Some(user) = &self.user else {
            let message = "there is no `user`".to_owned();
            return Err(Wrong::new(case.clone(), message, "write user = \"alice\""));
        };
        let named = |sub: &str| {
            let hint = "an issuer is a URL without control characters";
            Subject::new(&self.issuer, sub)
                .map_err(|error| Wrong::new(case.clone(), error.to_string(), hint))
        };
        let name = user.as_ref();
        let own = named(self.sub.as_deref().unwrap_or(name.as_str()))?;
        let subject = |other: &UserName| match other == name {
            true => Ok(own.clone()),
            false => named(other.as_str()),
        };
        let mut approvals = Vec::new();
        for given in &self.approvals {
            let Given { user, groups: own } = given.as_ref();
            let user = Spanned::new(given.span(), user.clone());
            approvals.push(Approval {
                subject: subject(user.as_ref())?,
                groups: groups(&user, own.as_ref(), people)?,
            });
        }
        Ok(Question {
            who: Person {
                name: name.clone(),
                subject: own.clone(),
                groups: groups(user, self.groups.as_ref(), people)?,
            },
            action: self.action,
            on,
            facts: Facts {
                duration: self.duration,
                second_factor: match self.mfa_kind {
                    MfaKind::Totp => SecondFactor::Totp(self.mfa_age),
                    MfaKind::Recovery => SecondFactor::Recovery(self.mfa_age),
                    MfaKind::None => SecondFactor::None,
                },
                token_bound: self.token_bound,
                approvals,
                source: self.source,
                now: self.now,
                holder: self.holder.as_ref().map(subject).transpose()?,
                reason: self.reason,
                ticket: self.ticket,
                on_call: self.on_call,
                unreviewed: self.unreviewed,
            },
        })
    }
}

fn read_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn read_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    moment(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn issuer() -> String {
    ISSUER.to_owned()
}

const fn login() -> Action {
    Action::Login
}

const fn hour() -> Duration {
    Duration::from_secs(3600)
}

const fn yes() -> bool {
    true
}

const fn loopback() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}

const fn sunday() -> Timestamp {
    NOW
}
