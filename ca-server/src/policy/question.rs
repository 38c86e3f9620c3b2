//! What can be asked of policy: who wants what, on which resource, under which facts.
//!
//! Holds no rule of its own except two that no policy can lift: the person who asks never counts as
//! an approver, and one person counts once, in however many groups.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What somebody wants to do. The names are those of the Cedar actions.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Action {
    /// Change settings, issue enrolment tickets.
    Administer,
    /// Say yes or no to somebody's request for an account.
    Approve,
    /// Take an account without prior approval, to be reviewed afterwards.
    BreakGlass,
    /// Get a certificate for an account.
    Login,
    /// Read other people's records.
    ReadAudit,
    /// Judge an emergency access after the fact.
    Review,
    /// End a grant before its time.
    Revoke,
}

impl Action {
    /// Every action there is.
    pub const ALL: [Self; 7] = [
        Self::Administer,
        Self::Approve,
        Self::BreakGlass,
        Self::Login,
        Self::ReadAudit,
        Self::Review,
        Self::Revoke,
    ];

    /// The name in policies: `break_glass`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administer => "administer",
            Self::Approve => "approve",
            Self::BreakGlass => "break_glass",
            Self::Login => "login",
            Self::ReadAudit => "read_audit",
            Self::Review => "review",
            Self::Revoke => "revoke",
        }
    }

    /// What goes after "no policy lets alice …".
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Administer => "administer",
            Self::Approve => "approve requests for",
            Self::BreakGlass => "break glass for",
            Self::Login => "log in to",
            Self::ReadAudit => "read the log of",
            Self::Review => "review emergency access to",
            Self::Revoke => "revoke grants in",
        }
    }
}

/// Who asks, after authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Shown in sentences; `principal.name` in policies.
    pub name: UserName,
    /// Identity: the Cedar id of the user.
    pub subject: Subject,
    /// Groups claimed by the provider, exactly as it spells them.
    pub groups: BTreeSet<String>,
}

/// What the action is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// For `login`, `approve`, `break_glass`: each principal is decided on its own and all must be
    /// permitted. An empty list is always denied.
    Accounts {
        /// Where the accounts are.
        environment: Environment,
        /// The login names asked for.
        principals: Vec<Principal>,
    },
    /// For `review` and `revoke`.
    Environment(Environment),
    /// For `read_audit` and `administer`: the authority itself.
    Authority,
}

impl On {
    /// The environment this is in, if any.
    #[must_use]
    pub const fn environment(&self) -> Option<&Environment> {
        match self {
            Self::Accounts { environment, .. } | Self::Environment(environment) => {
                Some(environment)
            }
            Self::Authority => None,
        }
    }

    /// Whether `action` is something that is done to this kind of resource.
    pub(super) const fn fits(&self, action: Action) -> bool {
        match self {
            Self::Accounts { .. } => {
                matches!(action, Action::Login | Action::Approve | Action::BreakGlass)
            }
            Self::Environment(_) => matches!(action, Action::Review | Action::Revoke),
            Self::Authority => matches!(action, Action::ReadAudit | Action::Administer),
        }
    }
}

/// The second factor of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// There was none.
    None,
    /// A recovery code, accepted this long ago.
    Recovery(Duration),
    /// A TOTP code, accepted this long ago.
    Totp(Duration),
}

impl SecondFactor {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Recovery(_) => "recovery",
            Self::Totp(_) => "totp",
        }
    }

    /// Whole seconds, rounded down; the largest 32-bit number when there was none, so that every
    /// limit on the age refuses it and sums with it cannot overflow.
    pub(super) fn age_seconds(self) -> u64 {
        match self {
            Self::None => u64::from(u32::MAX),
            Self::Recovery(age) | Self::Totp(age) => age.as_secs().min(u64::from(u32::MAX)),
        }
    }
}

/// One person's yes to exactly this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who approved.
    pub subject: Subject,
    /// The approver's groups at that time.
    pub groups: BTreeSet<String>,
}

/// Everything policies may look at besides who, what and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How long the access is to last; whole seconds count.
    pub duration: Duration,
    /// The second factor of the session.
    pub second_factor: SecondFactor,
    /// Whether the sign-in was tied to this client by its nonce (not so for the device flow).
    pub token_bound: bool,
    /// Approvals given so far. Doubles and the person's own do not count.
    pub approvals: Vec<Approval>,
    /// Address of the client; an IPv4-mapped IPv6 address counts as IPv4.
    pub source: IpAddr,
    /// The moment of the decision.
    pub now: Timestamp,
    /// What the person wrote; empty or blank counts as absent.
    pub reason: Option<String>,
    /// Ticket number; empty or blank counts as absent.
    pub ticket: Option<String>,
    /// Whether the person is on call now.
    pub on_call: bool,
    /// Emergency accesses of the person that nobody has reviewed yet.
    pub unreviewed: u64,
    /// Whose request, grant or emergency access this is about (approve, review, revoke).
    pub holder: Option<Subject>,
}

/// One question to policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub who: Person,
    /// To do what.
    pub action: Action,
    /// To what.
    pub on: On,
    /// Under which circumstances.
    pub facts: Facts,
}

impl Question {
    /// The approvals that count: per distinct subject other than the one who asks, the union of
    /// the groups given for it.
    pub(super) fn approvers(&self) -> BTreeMap<&Subject, BTreeSet<&str>> {
        let mut people: BTreeMap<&Subject, BTreeSet<&str>> = BTreeMap::new();
        for approval in &self.facts.approvals {
            if approval.subject != self.who.subject {
                let groups = people.entry(&approval.subject).or_default();
                groups.extend(approval.groups.iter().map(String::as_str));
            }
        }
        people
    }
}
