//! The search for many people and targets: what cannot differ is searched once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ca_core::name::{Environment, Principal, Subject};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::outline::{Mentions, Outline};
use super::search::Search;
use super::shifting::Shifting;
use super::way::Way;
use super::{Actor, Limits, Target};
use crate::policy::{Person, PolicySet};

/// A policy set, read once, to ask who can get what.
#[derive(Debug)]
pub struct Survey<'a> {
    policies: &'a PolicySet,
    limits: &'a Limits,
    outlines: Vec<Outline>,
}

/// The ways of one actor to one target, by their places in the lists that were asked about.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Place of the actor.
    pub actor: usize,
    /// Place of the target.
    pub target: usize,
    /// At least one.
    pub ways: Arc<Vec<Way>>,
}

/// What tells actors apart, for one target: groups that are looked for, and who they are where that
/// is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    target: usize,
    groups: BTreeSet<String>,
    subject: Option<Subject>,
}

impl<'a> Survey<'a> {
    /// Reads `policies`.
    #[must_use]
    pub fn new(policies: &'a PolicySet, limits: &'a Limits) -> Self {
        Self {
            policies,
            limits,
            outlines: policies.cedar().policies().map(Outline::of).collect(),
        }
    }

    /// Groups that policies name.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<String> {
        self.mentions().groups
    }

    /// People whom policies name, as `issuer#sub`.
    #[must_use]
    pub fn users(&self) -> BTreeSet<String> {
        self.mentions().users
    }

    /// Whether some policy looks at the name or issuer of whoever asks.
    #[must_use]
    pub fn looks_at_identity(&self) -> bool {
        self.mentions().identity
    }

    /// Environments and accounts that policies name.
    #[must_use]
    pub fn accounts(&self) -> BTreeMap<Environment, BTreeSet<Principal>> {
        let mentions = self.mentions();
        let environments = mentions
            .environments
            .iter()
            .filter_map(|id| id.parse().ok());
        let mut found: BTreeMap<Environment, BTreeSet<Principal>> =
            environments.map(|name| (name, BTreeSet::new())).collect();
        for id in &mentions.accounts {
            let parts = id.split_once('/');
            let parts = parts.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            if let Some((environment, name)) = parts {
                found.entry(environment).or_default().insert(name);
            }
        }
        found
    }

    fn mentions(&self) -> Mentions {
        let mut all = Mentions::default();
        self.outlines.iter().for_each(|one| all.add(one.mentions()));
        all
    }

    /// Every way of `who` to `target`; none if there is no way.
    #[must_use]
    pub fn ways(&self, who: &Person, target: &Target) -> Vec<Way> {
        match self.search(who, target) {
            Some(search) => search.ways(),
            None => Vec::new(),
        }
    }

    /// Every way of every actor to every target, in the order of targets, then of actors. Uses all
    /// cores; `progress` hears how many searches of how many are done.
    #[must_use]
    pub fn reach(
        &self,
        actors: &[Actor],
        targets: &[Target],
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Vec<Reach> {
        let find = |who: &Person, target: &Target| self.ways(who, target);
        let found = self.each(actors, targets, &find, progress);
        let reach = |(target, actor, ways): (usize, usize, Arc<Vec<Way>>)| Reach {
            actor,
            target,
            ways,
        };
        let some = found.into_iter().filter(|(_, _, ways)| !ways.is_empty());
        some.map(reach).collect()
    }

    /// What `find` finds, by target and actor; asked once for actors of one kind.
    pub(super) fn each<T: Send + Sync>(
        &self,
        actors: &[Actor],
        targets: &[Target],
        find: &(dyn Fn(&Person, &Target) -> T + Sync),
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Vec<(usize, usize, Arc<T>)> {
        let mut kinds: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
        for (at, target) in targets.iter().enumerate() {
            let mut mentions = Mentions::default();
            let about = self.outlines.iter().filter(|one| one.is_about(target));
            about.for_each(|one| mentions.add(one.mentions()));
            for (actor, Actor { who, .. }) in actors.iter().enumerate() {
                let kind = Kind {
                    target: at,
                    groups: who.groups.intersection(&mentions.groups).cloned().collect(),
                    subject: mentions
                        .singles_out(&who.subject)
                        .then(|| who.subject.clone()),
                };
                kinds.entry(kind).or_default().push(actor);
            }
        }
        let (done, all) = (AtomicUsize::new(0), kinds.len());
        let kinds: Vec<(Kind, Vec<usize>)> = kinds.into_iter().collect();
        let found = kinds.par_iter().map(|(kind, alike)| {
            let who = alike.first().and_then(|first| actors.get(*first));
            let found = who.zip(targets.get(kind.target));
            let found = found.map(|(actor, target)| Arc::new(find(&actor.who, target)));
            progress(done.fetch_add(1, Ordering::Relaxed).saturating_add(1), all);
            let told = alike.iter().map(|actor| (kind.target, *actor));
            told.filter_map(|(target, actor)| Some((target, actor, Arc::clone(found.as_ref()?))))
                .collect::<Vec<_>>()
        });
        let mut found: Vec<(usize, usize, Arc<T>)> = found.flatten().collect();
        found.sort_by_key(|(target, actor, _)| (*target, *actor));
        found
    }

    /// Whether there is any way.
    #[must_use]
    pub fn is_possible(&self, who: &Person, target: &Target) -> bool {
        self.search(who, target)
            .is_some_and(|search| search.is_possible())
    }

    /// None where no permit is about it.
    pub(super) fn search<'b>(&'b self, who: &'b Person, target: &'b Target) -> Option<Search<'b>> {
        let outlines = self.outlines.iter();
        let about = outlines.filter(|one| one.is_about(target) && one.may_be_about(who));
        let about: Vec<&Outline> = about.collect();
        let mut mentions = Mentions::default();
        about.iter().for_each(|one| mentions.add(one.mentions()));
        let shifting = Shifting::of(about.iter().copied());
        let policies = (self.policies, &mentions, shifting);
        about
            .iter()
            .any(|one| one.permits())
            .then(|| Search::new(policies, who, target, self.limits))
    }
}
