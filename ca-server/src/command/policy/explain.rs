//! `ca-server policy explain`: one question, the answer, the policies behind it, what would change it.
//!
//! Asks about supposed facts: nothing is looked up in the log, nothing is recorded.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::time::Timestamp;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{EXIT_DENIED, EXIT_OK, EXIT_USAGE, PolicySetting, hex, place, refuse};
use crate::policy::{
    Action, Approval, Change, Decision, Denial, Facts, Hint, On, Person, PolicySet, Question,
    SecondFactor, decide, duration,
};

pub(super) const EXAMPLES: &str = "Examples:
  ca-server policy explain --dir ./ca --user alice --group engineering --environment prod --account root --for 2h
  ca-server policy explain --dir ./ca --user alice --group engineering --environment prod --account root --approved-by carol:approver
  ca-server policy explain --dir ./ca --user carol --group security --action read_audit

Exit codes: 0 permit, 2 the policies or arguments are wrong, 3 deny.";

/// The supposed facts. Those left out are harmless: one hour, a TOTP code just given, a browser
/// sign-in, no approval, loopback, no reason, not on call.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// Who asks.
    #[arg(long, value_name = "NAME")]
    user: UserName,
    /// A group of theirs; may be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// OpenID issuer, where policies look at it; the user name stands for `sub` unless given.
    #[arg(long, value_name = "URL", default_value = "https://supposed.invalid")]
    issuer: String,
    /// `sub` at the issuer.
    #[arg(long, value_name = "SUB")]
    sub: Option<String>,
    /// To do what.
    #[arg(long, value_enum, default_value = "login")]
    action: Action,
    /// Where.
    #[arg(long, value_name = "ENV")]
    environment: Option<Environment>,
    /// As whom; may be given several times.
    #[arg(long = "account", value_name = "NAME")]
    accounts: Vec<Principal>,
    /// For how long.
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = duration)]
    duration: Duration,
    /// How long ago the second factor was given.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    mfa_age: Duration,
    /// Which second factor.
    #[arg(long, value_enum, default_value = "totp")]
    mfa_kind: Kind,
    /// Signed in with a device code instead of a browser on the same machine.
    #[arg(long)]
    device_code: bool,
    /// An approval given so far: who, and after a colon their groups, with commas.
    #[arg(long = "approved-by", value_name = "NAME[:GROUP,…]", value_parser = approver)]
    approvals: Vec<(UserName, BTreeSet<String>)>,
    /// Address of the client.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    source: IpAddr,
    /// When (RFC 3339) [default: now].
    #[arg(long, value_name = "WHEN")]
    now: Option<Timestamp>,
    /// The reason given.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The ticket given.
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
    /// They are on call.
    #[arg(long)]
    on_call: bool,
    /// Emergency accesses of theirs that nobody has reviewed yet.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    unreviewed: u64,
    /// Whose request, grant or emergency access it is about.
    #[arg(long, value_name = "NAME")]
    holder: Option<UserName>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Totp,
    Recovery,
    None,
}

fn approver(text: &str) -> Result<(UserName, BTreeSet<String>), String> {
    let (name, groups) = text.split_once(':').unwrap_or((text, ""));
    let name: UserName = name.parse().map_err(|error| format!("{error}"))?;
    let groups = groups.split(',').filter(|group| !group.is_empty());
    Ok((name, groups.map(ToOwned::to_owned).collect()))
}

pub(super) fn run(
    asked: &Explain,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let policies = match setting.load() {
        Ok(policies) => policies,
        Err(error) => return refuse(&error, json, out),
    };
    let question = match asked.question_in(setting) {
        Ok(question) => question,
        Err(message) if json => {
            writeln!(out, "{}", json!({"ok": false, "error": message}))?;
            return Ok(EXIT_USAGE);
        }
        Err(message) => {
            writeln!(out, "error: {message}")?;
            return Ok(EXIT_USAGE);
        }
    };
    let others = question
        .on
        .environment()
        .and_then(|name| setting.accounts.as_ref()?.get(name));
    let decision = decide(&policies, &question, others.map_or(&[], Vec::as_slice));
    if json {
        print_json(&policies, &question, &decision, out)?;
    } else {
        print(&policies, &question, &decision, out)?;
    }
    Ok(if decision.is_permit() {
        EXIT_OK
    } else {
        EXIT_DENIED
    })
}

impl Explain {
    /// The question, about an environment that exists.
    fn question_in(&self, setting: &PolicySetting) -> Result<Question, String> {
        if let (Some(asked), Some(known)) = (&self.environment, setting.environments())
            && !known.contains(asked)
        {
            let known: Vec<&str> = known.iter().map(Environment::as_str).collect();
            let known = known.join(", ");
            let name = asked.as_str();
            return Err(format!(
                "there is no environment {name:?} (there are: {known})"
            ));
        }
        self.question(setting.now)
    }

    fn subject(&self, sub: &str) -> Result<Subject, String> {
        Subject::new(&self.issuer, sub).map_err(|error| error.to_string())
    }

    fn on(&self) -> Result<On, String> {
        let action = self.action.name();
        let environment = || {
            let environment = self.environment.clone();
            environment.ok_or_else(|| format!("--action {action} needs --environment"))
        };
        Ok(match self.action {
            Action::Login | Action::Approve | Action::BreakGlass => {
                if self.accounts.is_empty() {
                    return Err(format!("--action {action} needs --account"));
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

    fn question(&self, now: Timestamp) -> Result<Question, String> {
        let mut approvals = Vec::new();
        for (name, groups) in &self.approvals {
            approvals.push(Approval {
                subject: self.subject(name.as_str())?,
                groups: groups.clone(),
            });
        }
        let holder = self.holder.as_ref().map(|name| self.subject(name.as_str()));
        Ok(Question {
            who: Person {
                name: self.user.clone(),
                subject: self.subject(self.sub.as_deref().unwrap_or(self.user.as_str()))?,
                groups: self.groups.iter().cloned().collect(),
            },
            action: self.action,
            on: self.on()?,
            facts: Facts {
                duration: self.duration,
                second_factor: match self.mfa_kind {
                    Kind::Totp => SecondFactor::Totp(self.mfa_age),
                    Kind::Recovery => SecondFactor::Recovery(self.mfa_age),
                    Kind::None => SecondFactor::None,
                },
                token_bound: !self.device_code,
                approvals,
                source: self.source,
                now: self.now.unwrap_or(now),
                reason: self.reason.clone(),
                ticket: self.ticket.clone(),
                on_call: self.on_call,
                unreviewed: self.unreviewed,
                holder: holder.transpose()?,
            },
        })
    }
}

fn print(
    policies: &PolicySet,
    question: &Question,
    decision: &Decision,
    out: &mut dyn Write,
) -> io::Result<()> {
    match decision {
        Decision::Permit { policies: ids } => {
            writeln!(out, "permit")?;
            for id in ids {
                let about = policies.policies().get(id);
                let reason = about.map_or("", |info| info.reason.as_str());
                writeln!(out, "  {id} ({}): {reason}", place(policies, id))?;
            }
            print_requirements(policies, question, decision, out)?;
        }
        Decision::Deny(Denial { reasons, hints }) => {
            writeln!(out, "deny")?;
            for reason in reasons {
                let whom = reason.principal.as_ref().map(|name| format!("{name}: "));
                let whom = whom.unwrap_or_default();
                match &reason.policy {
                    Some(id) => {
                        let place = place(policies, id);
                        writeln!(out, "  {whom}{id} ({place}): {}", reason.sentence)?;
                    }
                    None => writeln!(out, "  {whom}{}", reason.sentence)?,
                }
            }
            print_requirements(policies, question, decision, out)?;
            for hint in hints {
                writeln!(out, "hint: {hint}")?;
            }
            if hints.is_empty() {
                writeln!(
                    out,
                    "no approval, second factor or shorter time would change it"
                )?;
            }
        }
    }
    Ok(())
}

fn print_json(
    policies: &PolicySet,
    question: &Question,
    decision: &Decision,
    out: &mut dyn Write,
) -> io::Result<()> {
    let ids: BTreeSet<&String> = match decision {
        Decision::Permit { policies } => policies.iter().collect(),
        Decision::Deny(denial) => denial
            .reasons
            .iter()
            .filter_map(|r| r.policy.as_ref())
            .collect(),
    };
    let determining: Vec<_> = ids
        .into_iter()
        .filter_map(|id| {
            let info = policies.policies().get(id)?;
            Some(json!({"id": id, "file": info.file, "line": info.line, "reason": info.reason}))
        })
        .collect();
    let (verdict, reasons, hints) = match decision {
        Decision::Permit { .. } => ("permit", json!([]), Vec::new()),
        Decision::Deny(denial) => {
            let hints: Vec<_> = denial.hints.iter().map(hint_json).collect();
            ("deny", json!(denial.reasons), hints)
        }
    };
    let document = json!({
        "decision": verdict,
        "determining": determining,
        "reasons": reasons,
        "hints": hints,
        "requirements": requirements(policies, question, decision),
        "policy_digest": hex(policies.digest()),
    });
    writeln!(out, "{document}")
}

/// What the approvals supposed so far are worth: every requirement that they meet, and those that
/// the forbidding policies ask for.
fn requirements(
    policies: &PolicySet,
    question: &Question,
    decision: &Decision,
) -> Vec<serde_json::Value> {
    let asked = |name: &str| match decision {
        Decision::Permit { .. } => false,
        Decision::Deny(denial) => {
            let ids = denial.reasons.iter().filter_map(|r| r.policy.as_ref());
            let mut infos = ids.filter_map(|id| policies.policies().get(id));
            infos.any(|info| info.requirements.contains(name))
        }
    };
    let standing = policies.requirements().iter().filter_map(|(name, about)| {
        let missing = about.missing(question);
        (missing.is_none() || asked(name)).then(|| {
            json!({"name": name, "people": about.to_string(), "met": missing.is_none(),
                   "missing": missing})
        })
    });
    standing.collect()
}

fn print_requirements(
    policies: &PolicySet,
    question: &Question,
    decision: &Decision,
    out: &mut dyn Write,
) -> io::Result<()> {
    for one in requirements(policies, question, decision) {
        let text = |key| one.get(key).and_then(serde_json::Value::as_str);
        let (name, people) = (text("name").unwrap_or(""), text("people").unwrap_or(""));
        match text("missing") {
            None => writeln!(out, "requirement {name} ({people}) is met")?,
            Some(missing) => writeln!(out, "requirement {name} ({people}) lacks {missing}")?,
        }
    }
    Ok(())
}

fn hint_json(hint: &Hint) -> serde_json::Value {
    let changes: &[Change] = &hint.changes;
    json!({"sentence": hint.to_string(), "changes": changes})
}
