//! The supposed facts of a question, as arguments.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::time::Timestamp;
use clap::{Args, ValueEnum};

use super::super::PolicySetting;
use crate::policy::{Action, Approval, Facts, On, Person, Question, SecondFactor, duration};

/// The supposed facts. Those left out are harmless: one hour, a TOTP code just given, a browser
/// sign-in, no approval, loopback, no reason, not on call.
#[derive(Clone, Debug, Args)]
pub(super) struct Supposed {
    /// Who asks.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["case", "index"])]
    user: Option<UserName>,
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

impl Supposed {
    /// The question, about an environment that exists.
    pub(super) fn question_in(&self, setting: &PolicySetting) -> Result<Question, String> {
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
        // Clap does not let it be absent.
        let user = self.user.as_ref().ok_or("--user is needed")?;
        let holder = self.holder.as_ref().map(|name| self.subject(name.as_str()));
        Ok(Question {
            who: Person {
                name: user.clone(),
                subject: self.subject(self.sub.as_deref().unwrap_or(user.as_str()))?,
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
