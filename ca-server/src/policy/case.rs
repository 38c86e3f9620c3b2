//! Cases: what the policies should decide, written beside them in TOML, and whether they do.
//!
//! Also reads and writes durations for people ("1 h 30 min"), which cases and hints share.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::PolicySet;
use super::decide::{Decision, decide};
use super::error::place;
use super::missing::approvals_missing;
use super::question::{Action, Approval, Facts, On, Person, Question, SecondFactor};

/// Issuer of everybody in cases, with the user name as `sub`.
const ISSUER: &str = "https://cases.invalid";
/// Sunday; every case without `now` is asked at this moment.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_341_600);

/// The cases of one file.
#[derive(Clone, Debug)]
pub struct Cases {
    file: String,
    cases: Vec<(usize, Case)>,
}

/// Why a file of cases is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}\n {line} | {excerpt}")]
pub struct CaseError {
    /// File name as given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The line.
    pub excerpt: String,
}

/// Facts and what should come of them. Facts that are left out are the harmless ones: one hour, a
/// TOTP code just given, a bound sign-in, no approval, loopback, no reason, not on call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    name: String,
    user: UserName,
    #[serde(default)]
    groups: BTreeSet<String>,
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
    approvals: Vec<CaseApproval>,
    #[serde(default = "loopback")]
    source: IpAddr,
    #[serde(default = "sunday")]
    now: Timestamp,
    reason: Option<String>,
    ticket: Option<String>,
    #[serde(default)]
    on_call: bool,
    #[serde(default)]
    unreviewed: u64,
    holder: Option<UserName>,
    expect: Expected,
    /// A policy that must be among the determining ones.
    policy: Option<String>,
    /// A hint that must be among the hints, as its sentence.
    hint: Option<String>,
    /// What approvals alone must still be missing, in words: `1 of security`.
    missing: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseApproval {
    user: UserName,
    #[serde(default)]
    groups: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MfaKind {
    #[default]
    Totp,
    Recovery,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Permit,
    Deny,
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// File of the case.
    pub file: String,
    /// Line where the case begins, from 1.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// What should have been: `deny by prod-root-needs-approval`.
    pub expected: String,
    /// What was, with determining policies and hints.
    pub got: String,
    /// Whether that is what was expected.
    pub passed: bool,
}

impl Cases {
    /// The cases in `text`.
    ///
    /// # Errors
    ///
    /// [`CaseError`] at the first place that is not a case, or names a case without `accounts` or
    /// `environment` where its action needs them.
    pub fn parse(file: &str, text: &str) -> Result<Self, CaseError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            #[serde(default)]
            case: Vec<toml::Spanned<Case>>,
        }
        let wrong = |offset: usize, message: &str| {
            let found = place(text, offset);
            CaseError {
                file: file.to_owned(),
                line: found.line,
                column: found.column,
                message: message.to_owned(),
                excerpt: found.excerpt.to_owned(),
            }
        };
        let document: Document = toml::from_str(text)
            .map_err(|e| wrong(e.span().map_or(0, |span| span.start), e.message()))?;
        let mut cases = Vec::new();
        for case in document.case {
            let offset = case.span().start;
            let case = case.into_inner();
            case.question().map_err(|message| wrong(offset, &message))?;
            cases.push((place(text, offset).line, case));
        }
        Ok(Self {
            file: file.to_owned(),
            cases,
        })
    }

    /// Each case asked of `policies`, in the order of the file.
    #[must_use]
    pub fn run(&self, policies: &PolicySet) -> Vec<Outcome> {
        let run = |(line, case): &(usize, Case)| {
            let (expected, got, passed) = case.run(policies);
            Outcome {
                file: self.file.clone(),
                line: *line,
                name: case.name.clone(),
                expected,
                got,
                passed,
            }
        };
        self.cases.iter().map(run).collect()
    }
}

impl Case {
    fn question(&self) -> Result<Question, String> {
        let subject =
            |name: &UserName| Subject::new(ISSUER, name.as_str()).map_err(|e| e.to_string());
        let environment = || {
            let missing = || format!("action {} needs `environment`", self.action.name());
            self.environment.clone().ok_or_else(missing)
        };
        let on = match self.action {
            Action::Login | Action::Approve | Action::BreakGlass => On::Accounts {
                environment: environment()?,
                principals: self.accounts.clone(),
            },
            Action::Review | Action::Revoke => On::Environment(environment()?),
            Action::ReadAudit | Action::Administer => On::Authority,
        };
        let mut approvals = Vec::new();
        for approval in &self.approvals {
            approvals.push(Approval {
                subject: subject(&approval.user)?,
                groups: approval.groups.clone(),
            });
        }
        Ok(Question {
            who: Person {
                name: self.user.clone(),
                subject: subject(&self.user)?,
                groups: self.groups.clone(),
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
                reason: self.reason.clone(),
                ticket: self.ticket.clone(),
                on_call: self.on_call,
                unreviewed: self.unreviewed,
                holder: self.holder.as_ref().map(subject).transpose()?,
            },
        })
    }

    /// Expected, got, and whether they agree.
    fn run(&self, policies: &PolicySet) -> (String, String, bool) {
        let mut expected = match self.expect {
            Expected::Permit => "permit".to_owned(),
            Expected::Deny => "deny".to_owned(),
        };
        expected.extend(self.policy.iter().map(|id| format!(" by {id}")));
        expected.extend(self.hint.iter().map(|words| format!(", hint {words:?}")));
        let missing_words = |words: &String| format!(", missing {words:?}");
        expected.extend(self.missing.as_ref().map(missing_words));
        let question = match self.question() {
            Ok(question) => question,
            Err(message) => return (expected, message, false),
        };
        let (verdict, ids, hints) = match decide(policies, &question, &self.other_accounts) {
            Decision::Permit { policies } => (Expected::Permit, policies, Vec::new()),
            Decision::Deny(denial) => {
                let ids = denial
                    .reasons
                    .into_iter()
                    .filter_map(|reason| reason.policy);
                let hints = denial.hints.iter().map(ToString::to_string).collect();
                (Expected::Deny, ids.collect(), hints)
            }
        };
        let missing = approvals_missing(policies, &question).map(|missing| missing.sentence);
        let passed = verdict == self.expect
            && self.policy.iter().all(|id| ids.contains(id))
            && self.hint.iter().all(|hint| hints.contains(hint))
            && (self.missing.is_none() || self.missing == missing);
        let mut got = got(verdict, &ids, &hints);
        got.extend(missing.as_ref().map(missing_words));
        got.extend(met(policies, &question));
        (expected, got, passed)
    }
}

/// The requirements that are met, for the reader of a failing case.
fn met(policies: &PolicySet, question: &Question) -> Option<String> {
    let met: Vec<&str> = policies.met(question).into_iter().collect();
    (!met.is_empty()).then(|| format!(", met {}", met.join(", ")))
}

fn got(verdict: Expected, ids: &BTreeSet<String>, hints: &[String]) -> String {
    let verdict = if verdict == Expected::Permit {
        "permit"
    } else {
        "deny"
    };
    let mut text = if ids.is_empty() {
        format!("{verdict} by no policy")
    } else {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        format!("{verdict} by {}", ids.join(", "))
    };
    text.extend(hints.iter().map(|words| format!(", hint {words:?}")));
    text
}

/// A duration as people write it: `1h`, `30m`, `1h 30m`, `2 hours`.
///
/// # Errors
///
/// A sentence, for anything else, and for what is negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write 2h, 30m or 1h30m");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

/// A duration for people, to the second: `1 h 30 min`.
#[must_use]
pub fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let mut text = String::new();
    for (number, unit) in [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ] {
        if number > 0 {
            let space = if text.is_empty() { "" } else { " " };
            // Writing into a string does not fail.
            write!(text, "{space}{number} {unit}").unwrap_or_default();
        }
    }
    if text.is_empty() {
        "0 s".to_owned()
    } else {
        text
    }
}

fn read_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
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
