//! Which situations are worth a search: a few that answer differently, out of every hour, address and
//! text.

use std::collections::BTreeSet;

use super::search::{Circumstances, Fact, Search};
use super::situation::{Situation, Spot, Texts};
use crate::policy::{Decision, ask};

/// Where odd circumstances are tried: at every fifth hour, which meets every hour of a day.
const ODD_STEP: usize = 5;

/// Facts of which every subset is tried.
const SUBSETS_OF_MAX: usize = 3;

/// What a first look found.
pub(super) struct Scan {
    /// One for each way in which the policies answer, as far as seen.
    pub(super) situations: Vec<Situation>,
    /// The texts that were looked with.
    texts: Texts,
    /// Whether anything is permitted at all, for each spot.
    permits: Vec<bool>,
}

/// Whether it is a permit, and who decided.
type Answer = (bool, BTreeSet<String>);
/// Answers to a few questions at one spot.
type Signature = (Vec<Answer>, Vec<bool>);

impl Search<'_> {
    /// Looks everywhere; none if nothing is permitted anywhere.
    pub(super) fn scan(&self) -> Option<Scan> {
        let all = Circumstances::shortest(&self.facts);
        let odd = self.sets().flat_map(|having| {
            let glances = self.glances().into_iter();
            glances.map(move |seconds| Circumstances::new(&having, seconds))
        });
        // Nobody writes that a fact must be absent or a time long: a look here and there is enough.
        let usual = std::iter::once((all, 1));
        let mut looks = usual.chain(odd.map(|so| (so, ODD_STEP)));
        looks.find_map(|(so, step)| {
            let mut texts = self.ground.texts.as_slice();
            while let [first, rest @ ..] = texts {
                if self.finds(&so, first, step) {
                    return self.look(&so, first, rest);
                }
                texts = rest;
            }
            None
        })
    }

    /// Whether anything is permitted at every `step`th spot.
    fn finds(&self, so: &Circumstances, texts: &Texts, step: usize) -> bool {
        for spot in self.ground.spots().into_iter().step_by(step) {
            let answers = self.answers(so, &self.ground.at(spot, texts));
            if answers.iter().any(Decision::is_permit) {
                return true;
            }
            if answers.iter().all(|answer| self.shifting.is_fixed(answer)) {
                return false;
            }
        }
        false
    }

    /// Looks everywhere with the same circumstances and texts, and where it finds something, with
    /// `more` texts, too.
    fn look(&self, so: &Circumstances, texts: &Texts, more: &[Texts]) -> Option<Scan> {
        let spots = self.ground.spots();
        let permits = |spot: &Spot| self.permits(so, &self.ground.at(*spot, texts));
        let permits: Vec<bool> = spots.iter().map(permits).collect();
        let permitted = spots.iter().zip(&permits).filter(|(_, permits)| **permits);
        let mut permitted: Vec<Spot> = permitted.map(|(spot, _)| *spot).collect();
        let is_full = |spot: &Spot| spot.now.unix_seconds().is_multiple_of(3600);
        // What is left for the last minutes of some hour is searched there when nothing covers it.
        if permitted.iter().any(is_full) {
            permitted.retain(is_full);
        }
        let base = permitted.first().copied()?;
        let mut situations = self.different(so, (base, &permitted), texts);
        let more = more.iter().map(|texts| self.ground.at(base, texts));
        situations.extend(more.filter(|situation| self.permits(so, situation)));
        Some(Scan {
            situations,
            texts: texts.clone(),
            permits,
        })
    }

    /// All facts; all but one, where that one is in the way; none.
    pub(super) fn sets(&self) -> impl Iterator<Item = BTreeSet<Fact>> {
        let all = self.facts.clone();
        let without = |fact: &Fact| {
            let mut less = self.facts.clone();
            less.remove(fact);
            less
        };
        let less: Vec<BTreeSet<Fact>> = self.facts.iter().map(without).collect();
        std::iter::once(all).chain(less).chain([BTreeSet::new()])
    }

    /// Of the permitted spots, those at the time and those at the place of `base` that answer
    /// differently, and all pairs of such times and places.
    fn different(
        &self,
        so: &Circumstances,
        (base, permitted): (Spot, &[Spot]),
        texts: &Texts,
    ) -> Vec<Situation> {
        if permitted.len() == 1 {
            return vec![self.ground.at(base, texts)];
        }
        let longest = self.longest_at(so, &self.ground.at(base, texts));
        let mut seen: BTreeSet<Signature> = BTreeSet::new();
        let mut is_new =
            |spot: &Spot| seen.insert(self.signature(so, longest, &self.ground.at(*spot, texts)));
        let mut axis = |same: &dyn Fn(&Spot) -> bool| -> Vec<Spot> {
            let along = permitted.iter().filter(|spot| same(spot));
            along.filter(|spot| is_new(spot)).copied().collect()
        };
        let times = axis(&|spot| spot.place == base.place);
        let places = axis(&|spot| spot.now == base.now && spot.place != base.place);
        let crossed = times.iter().flat_map(|time| {
            places.iter().map(|place| Spot {
                place: place.place,
                ..*time
            })
        });
        let crossed = crossed.filter(|spot| is_new(spot));
        let crossed: Vec<Spot> = crossed.collect();
        let all = times.iter().chain(&places).chain(&crossed);
        all.map(|spot| self.ground.at(*spot, texts)).collect()
    }

    /// What policies answer here that may answer differently elsewhere: with everything, then without
    /// what such a policy looks at, and for longer.
    fn signature(&self, so: &Circumstances, longest: u64, situation: &Situation) -> Signature {
        let facts = self.shifting.facts(&so.having);
        let fewer = subsets(&facts).into_iter().map(|gone| {
            let mut less = so.clone();
            less.having.retain(|fact| !gone.contains(fact));
            less
        });
        let answers = fewer.flat_map(|so| self.answers(&so, situation));
        let longer = [longest, longest.saturating_add(1)].map(|seconds| Circumstances {
            seconds,
            ..so.clone()
        });
        let longer = longer.iter().filter(|_| self.shifting.looks_at_duration());
        let permits = longer.map(|so| self.permits(so, situation));
        (answers.map(answer).collect(), permits.collect())
    }

    fn answers(&self, so: &Circumstances, situation: &Situation) -> Vec<Decision> {
        let questions = self.supposing(so, situation);
        let answers = questions
            .iter()
            .map(|question| ask(self.policies, question));
        answers.collect()
    }

    /// A situation in which something is permitted at a spot that `covers` nothing so far.
    pub(super) fn uncovered(
        &self,
        scan: &Scan,
        covers: impl Fn(usize) -> bool,
    ) -> Option<Situation> {
        let spots = self.ground.spots();
        let mut spots = spots.iter().zip(&scan.permits).enumerate();
        spots.find_map(|(at, (spot, permits))| {
            (*permits && !covers(at)).then(|| self.ground.at(*spot, &scan.texts))
        })
    }
}

/// Nothing, each alone and all together; every subset where they are few.
fn subsets(facts: &BTreeSet<Fact>) -> Vec<BTreeSet<Fact>> {
    let mut found = vec![BTreeSet::new()];
    if facts.len() > SUBSETS_OF_MAX {
        found.extend(facts.iter().map(|fact| BTreeSet::from([*fact])));
        found.push(facts.clone());
        return found;
    }
    for fact in facts {
        let more = found
            .iter()
            .map(|some| some.iter().chain([fact]).copied().collect());
        let more: Vec<BTreeSet<Fact>> = more.collect();
        found.extend(more);
    }
    found
}

fn answer(decision: Decision) -> Answer {
    match decision {
        Decision::Permit { policies } => (true, policies),
        Decision::Deny(denial) => {
            let reasons = denial.reasons.into_iter();
            (false, reasons.filter_map(|reason| reason.policy).collect())
        }
    }
}
