//! Many questions to one set of policies: what was answered before is not asked again.
//!
//! Two questions are the same here if no policy that can apply to them can tell them apart: the same
//! action and accounts, the same groups among those that are named, and the same in every fact that
//! is looked at, as closely as it is looked at (`reads`). A policy whose scope names a group applies
//! to nobody else, whatever its conditions say. Questions with approvals are always asked.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cedar_policy::{Policy, PrincipalConstraint};

use super::PolicySet;
use super::index::Cell;
use super::question::{Action, On, Question};
use super::reads::{Fact, Look, Reads};
use super::request::{weekday, written};
use super::verdict::{Verdict, judge};

/// Parts of the memory: as many threads seldom wait for each other.
const SHARDS: usize = 64;
/// Answers kept in each part, some 100 bytes each; a full one is begun anew.
const ANSWERS_MAX: usize = 4096;
/// Lists of deciding policies that are shared; others are kept with each answer.
const LISTS_MAX: usize = 4096;
/// Plans kept; more are made anew each time.
const PLANS_MAX: usize = 4096;

/// A policy, as far as it matters whether and how it looks at a question.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// The only group it applies to.
    group: Option<String>,
    pub(super) reads: Reads,
}

impl Reader {
    pub(super) fn of(policy: &Policy) -> Self {
        let group = match policy.principal_constraint() {
            PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid)
                if uid.type_name().basename() == "Group" =>
            {
                Some(uid.id().unescaped().to_owned())
            }
            _ => None,
        };
        Self {
            group,
            reads: Reads::of(policy),
        }
    }

    fn applies(&self, question: &Question) -> bool {
        let mut named = self.group.iter();
        named.all(|group| question.who.groups.contains(group))
    }
}

/// What a set of policies says, without the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// In one word.
    pub verdict: Verdict,
    /// Ids of the deciding policies, ascending.
    pub policies: Arc<[String]>,
}

/// What can be asked of each kind of question, by what tells kinds apart; none where nothing can.
type Plans = HashMap<Box<[u8]>, Option<Arc<Plan>>>;

/// The answers so far of one set of policies.
#[derive(Debug)]
pub struct Memo<'a> {
    policies: &'a PolicySet,
    hasher: RandomState,
    plans: RwLock<Plans>,
    answers: Vec<Mutex<HashMap<Box<[u8]>, Ruling>>>,
    /// Every list of deciding policies there was, so that answers share them.
    lists: Mutex<BTreeSet<Arc<[String]>>>,
}

/// What tells questions apart, beyond what the plan itself hangs on.
#[derive(Debug, Default)]
struct Plan {
    name: bool,
    issuer: bool,
    person: bool,
    facts: Vec<(Fact, Look)>,
}

impl PolicySet {
    /// Whether a policy that can apply to `question` looks at the fact of that name in `context`.
    #[must_use]
    pub fn looks_at(&self, question: &Question, fact: &str) -> bool {
        let Some(cell) = self.index.cell(question.action, question.on.environment()) else {
            return false;
        };
        let reads = reads(cell, question);
        reads.everything || reads.facts.keys().any(|read| read.name() == fact)
    }
}

/// What the policies look at that can apply.
fn reads(cell: &Cell, question: &Question) -> Reads {
    let mut all = Reads::default();
    for reader in cell.readers.iter().filter(|one| one.applies(question)) {
        all.add(&reader.reads);
    }
    all
}

impl<'a> Memo<'a> {
    /// Nothing answered yet.
    #[must_use]
    pub fn new(policies: &'a PolicySet) -> Self {
        Self {
            policies,
            hasher: RandomState::new(),
            plans: RwLock::default(),
            answers: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
            lists: Mutex::default(),
        }
    }

    /// What [`judge`] says.
    #[must_use]
    pub fn judge(&self, question: &Question) -> Ruling {
        let Some(key) = self.key(question) else {
            return self.ask(question);
        };
        let at = usize::try_from(self.hasher.hash_one(&key)).unwrap_or(0) % SHARDS;
        let Some(shard) = self.answers.get(at) else {
            return self.ask(question);
        };
        let lock = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(key.as_slice()) {
            return known.clone();
        }
        let ruling = self.ask(question);
        let mut shard = lock();
        if shard.len() >= ANSWERS_MAX {
            shard.clear();
        }
        shard.insert(key.into(), ruling.clone());
        ruling
    }

    fn ask(&self, question: &Question) -> Ruling {
        let judged = judge(self.policies, question);
        let policies: Arc<[String]> = judged.policies.into_iter().collect();
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lists.get(&policies).cloned();
        let policies = known.unwrap_or_else(|| {
            if lists.len() < LISTS_MAX {
                lists.insert(Arc::clone(&policies));
            }
            policies
        });
        Ruling {
            verdict: judged.verdict,
            policies,
        }
    }

    /// The same for questions that get the same answer; none for those that are always asked.
    fn key(&self, question: &Question) -> Option<Vec<u8>> {
        if !question.facts.approvals.is_empty() {
            return None;
        }
        let cell = self
            .policies
            .index
            .cell(question.action, question.on.environment())?;
        let mut key = Key::default();
        let action = Action::ALL.iter().position(|one| *one == question.action);
        key.number(action?);
        match &question.on {
            On::Accounts {
                environment,
                principals,
            } => {
                key.number(0);
                key.text(environment.as_str());
                key.number(principals.len());
                principals.iter().for_each(|name| key.text(name.as_str()));
            }
            On::Environment(name) => {
                key.number(1);
                key.text(name.as_str());
            }
            On::Authority => key.number(2),
        }
        for (at, group) in cell.groups.iter().enumerate() {
            if question.who.groups.contains(group) {
                key.number(at);
            }
        }
        // No position: the list has ended.
        key.number(cell.groups.len());
        let plan = self.plan(cell, question, &key.0)?;
        plan.put(question, &mut key);
        Some(key.0)
    }

    fn plan(&self, cell: &Cell, question: &Question, key: &[u8]) -> Option<Arc<Plan>> {
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = plans.get(key) {
            return known.clone();
        }
        drop(plans);
        let reads = reads(cell, question);
        let plan = (!reads.everything).then(|| Arc::new(Plan::of(reads)));
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() < PLANS_MAX {
            plans.insert(key.into(), plan.clone());
        }
        plan
    }
}

impl Plan {
    fn of(reads: Reads) -> Self {
        Self {
            name: reads.name,
            issuer: reads.issuer,
            person: reads.person,
            facts: reads.facts.into_iter().collect(),
        }
    }

    fn put(&self, question: &Question, key: &mut Key) {
        let who = &question.who;
        if self.name || self.person {
            key.text(who.name.as_str());
        }
        if self.issuer || self.person {
            key.text(who.subject.issuer());
        }
        if self.person {
            key.text(who.subject.sub());
            key.number(who.groups.len());
            who.groups.iter().for_each(|group| key.text(group));
        }
        for (fact, look) in &self.facts {
            match look {
                Look::Presence => key.bit(is_there(*fact, question)),
                Look::Order(numbers) => order(number(*fact, question), numbers, key),
                Look::Value => value(*fact, question, key),
            }
        }
    }
}

/// How many of `numbers` are below, and whether one is equal: what every comparison hangs on.
fn order(number: i64, numbers: &BTreeSet<i64>, key: &mut Key) {
    let below = numbers.range(..number).count();
    let equal = usize::from(numbers.contains(&number));
    key.number(below.saturating_mul(2).saturating_add(equal));
}

fn is_there(fact: Fact, question: &Question) -> bool {
    let facts = &question.facts;
    match fact {
        Fact::Holder => facts.holder.is_some(),
        Fact::Reason => written(facts.reason.as_deref()).is_some(),
        Fact::Ticket => written(facts.ticket.as_deref()).is_some(),
        _ => true,
    }
}

/// The number as Cedar gets it; 0 for what is none.
fn number(fact: Fact, question: &Question) -> i64 {
    let facts = &question.facts;
    let seconds = facts.now.unix_seconds();
    let number = match fact {
        Fact::Duration => facts.duration.as_secs(),
        Fact::Hour => seconds / 3600 % 24,
        Fact::MfaAge => facts.second_factor.age_seconds(),
        Fact::Now => seconds.saturating_mul(1000),
        Fact::Unreviewed => facts.unreviewed,
        Fact::Weekday => weekday(seconds),
        _ => 0,
    };
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn value(fact: Fact, question: &Question, key: &mut Key) {
    let facts = &question.facts;
    match fact {
        // There are none, else nothing is remembered.
        Fact::ApproverGroups | Fact::Approvals | Fact::Met => {}
        Fact::Duration
        | Fact::Hour
        | Fact::MfaAge
        | Fact::Now
        | Fact::Unreviewed
        | Fact::Weekday => key.0.extend(number(fact, question).to_be_bytes()),
        Fact::Holder => {
            key.bit(facts.holder.is_some());
            if let Some(holder) = &facts.holder {
                key.text(holder.issuer());
                key.text(holder.sub());
            }
        }
        Fact::MfaKind => key.text(facts.second_factor.kind()),
        Fact::OnCall => key.bit(facts.on_call),
        Fact::Reason => key.maybe(written(facts.reason.as_deref())),
        Fact::Source => key.text(&facts.source.to_canonical().to_string()),
        Fact::Ticket => key.maybe(written(facts.ticket.as_deref())),
        Fact::TokenBound => key.bit(facts.token_bound),
    }
}

/// Values one after the other; numbers in as few bytes as they need (LEB128) and texts behind their
/// lengths, so that no two lists are the same bytes.
#[derive(Default)]
struct Key(Vec<u8>);

impl Key {
    fn bit(&mut self, bit: bool) {
        self.0.push(bit.into());
    }

    fn number(&mut self, mut number: usize) {
        loop {
            let low = u8::try_from(number & 0x7f).unwrap_or(0x7f);
            number >>= 7;
            if number == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.bit(text.is_some());
        text.into_iter().for_each(|text| self.text(text));
    }
}

#[cfg(test)]
pub(crate) mod tests;
