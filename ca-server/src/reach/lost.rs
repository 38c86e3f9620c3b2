//! Whether another set of policies takes emergency access away: from whom, and from everybody.

use std::collections::{BTreeMap, BTreeSet};

use ca_core::name::{Environment, NameError, Principal};

use super::{Actor, Limits, Survey, Target};
use crate::directory::Directory;
use crate::policy::{Action, Person, PolicySet};

/// What another set of policies does to emergency access in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlassLoss {
    /// Where.
    pub environment: Environment,
    /// Who can break glass for some account there with both sets.
    pub kept: Vec<Actor>,
    /// Who can do so no more.
    pub lost: Vec<Actor>,
    /// Who could not before.
    pub gained: Vec<Actor>,
}

impl BreakGlassLoss {
    /// Whether some could break glass before and not one of them can do so now.
    #[must_use]
    pub fn is_everybodys(&self) -> bool {
        self.kept.is_empty() && !self.lost.is_empty()
    }
}

/// What `new` does to emergency access in each of these environments with these accounts, compared
/// with `old`, under the best circumstances: on call, with a reason and a fresh second factor.
///
/// About the people in `directory`; about anyone in one of the groups that policies or the
/// directory name where none of those people can break glass with either set.
///
/// # Errors
///
/// Never in practice: [`NameError`] when nobody in particular has no name.
pub fn break_glass_lost(
    (old, new): (&PolicySet, &PolicySet),
    directory: &Directory,
    environments: &BTreeMap<Environment, BTreeSet<Principal>>,
    limits: &Limits,
) -> Result<Vec<BreakGlassLoss>, NameError> {
    let (old, new) = (Survey::new(old, limits), Survey::new(new, limits));
    let people: Vec<Actor> = Actor::seen(directory).collect();
    let named = old.groups().into_iter().chain(new.groups());
    let groups: BTreeSet<String> = named.chain(directory.groups().iter().cloned()).collect();
    let alone = groups.into_iter().map(|group| BTreeSet::from([group]));
    let anyone = std::iter::once(BTreeSet::new()).chain(alone);
    let anyone: Vec<Actor> = anyone
        .map(|groups| Actor::anyone(groups, None))
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for (environment, accounts) in environments {
        let mut accounts = accounts.clone();
        for survey in [&old, &new] {
            accounts.extend(survey.accounts().remove(environment).unwrap_or_default());
        }
        let targets = Target::all(&BTreeMap::from([(environment.clone(), accounts)]));
        let emergency = |target: &Target| target.action == Action::BreakGlass;
        let targets: Vec<Target> = targets.into_iter().filter(emergency).collect();
        let compared = |actors: &[Actor]| {
            let (before, after) = (
                who_can(&old, actors, &targets),
                who_can(&new, actors, &targets),
            );
            let some = |places: &mut dyn Iterator<Item = &usize>| -> Vec<Actor> {
                places.filter_map(|at| actors.get(*at).cloned()).collect()
            };
            BreakGlassLoss {
                environment: environment.clone(),
                kept: some(&mut before.intersection(&after)),
                lost: some(&mut before.difference(&after)),
                gained: some(&mut after.difference(&before)),
            }
        };
        let known = compared(&people);
        let nobody = [&known.kept, &known.lost, &known.gained]
            .iter()
            .all(|some| some.is_empty());
        found.push(if nobody { compared(&anyone) } else { known });
    }
    Ok(found)
}

/// Places of the actors who can get some of the targets.
fn who_can(survey: &Survey<'_>, actors: &[Actor], targets: &[Target]) -> BTreeSet<usize> {
    let possible = |who: &Person, target: &Target| survey.is_possible(who, target);
    let found = survey.each(actors, targets, &possible, &|_, _| {});
    let can = found.into_iter().filter(|(_, _, can)| **can);
    can.map(|(_, actor, _)| actor).collect()
}
