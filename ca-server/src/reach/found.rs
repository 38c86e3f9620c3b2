//! From circumstances that suffice to ways in full: which approvals, since when policy says no
//! without, at which hours, from where.

use std::collections::BTreeSet;

use ca_core::time::Timestamp;

use super::addresses::Addresses;
use super::fewest::{joined, needed};
use super::hours::Hours;
use super::search::{Circumstances, Fact, SHORTEST, Search, largest};
use super::situation::{Situation, Spot};
use super::way::{Need, Way};
use crate::policy::{Decision, Question, ask, supposing_approved};

/// Different approvals for different durations that are told of one set of facts.
const STEPS_MAX: usize = 4;
/// Situations that are searched because no way found so far holds in them.
const MORE_MAX: usize = 32;

/// A way as found in one situation, and whether it holds at each spot of the ground.
pub(super) struct Seed {
    pub(super) way: Way,
    pub(super) holds: Vec<bool>,
}

impl Search<'_> {
    /// Every way to the target, each needed for something that no other is good for.
    pub(super) fn ways(&self) -> Vec<Way> {
        let Some(scan) = self.scan() else {
            return Vec::new();
        };
        let mut seeds: Vec<Seed> = Vec::new();
        for situation in &scan.situations {
            self.seed(situation, &mut seeds);
        }
        for _ in 0..MORE_MAX {
            let covers = |at| seeds.iter().any(|seed| seed.holds.get(at) == Some(&true));
            let Some(situation) = self.uncovered(&scan, covers) else {
                break;
            };
            let before = seeds.len();
            self.seed(&situation, &mut seeds);
            if seeds.len() == before {
                break;
            }
        }
        let ways = seeds.iter().flat_map(|seed| self.spread(seed)).collect();
        needed(joined(ways))
    }

    /// Whether there is any way to a target that approvals have nothing to do with.
    pub(super) fn is_possible(&self) -> bool {
        self.scan().is_some()
    }

    fn seed(&self, situation: &Situation, seeds: &mut Vec<Seed>) {
        for so in self.front(situation) {
            for way in self.steps(&so, situation) {
                if seeds.iter().any(|seed| seed.way.is_like(&way)) {
                    continue;
                }
                let holds = self.holds(&way.question);
                seeds.push(Seed { way, holds });
            }
        }
    }

    /// Ways of one set of facts: where longer access takes other approvals, one for each.
    fn steps(&self, so: &Circumstances, situation: &Situation) -> Vec<Way> {
        if !so.having.contains(&Fact::Approvals) {
            return self.way(so, situation).into_iter().collect();
        }
        let at = |seconds| Circumstances {
            seconds,
            ..so.clone()
        };
        let approvals = |seconds| {
            let question = self.question(&at(seconds), situation);
            supposing_approved(self.policies, &question).map(|(sentence, _)| sentence)
        };
        let mut found = Vec::new();
        let mut seconds = SHORTEST.min(so.seconds);
        while found.len() < STEPS_MAX && seconds <= so.seconds {
            let sentence = approvals(seconds);
            let same = |longer: u64| longer <= seconds || approvals(longer) == sentence;
            let longest = largest(so.seconds, same).unwrap_or(seconds).max(seconds);
            found.extend(self.way(&at(longest), situation));
            seconds = longest.saturating_add(1);
        }
        found
    }

    /// The way of exactly these circumstances; none where a fact of them is not needed after all.
    fn way(&self, so: &Circumstances, situation: &Situation) -> Option<Way> {
        let so = &self.aged(so, situation);
        let mut question = self.question(so, situation);
        let mut approvals = None;
        if so.having.contains(&Fact::Approvals) {
            let (sentence, approved) = supposing_approved(self.policies, &question)?;
            (approvals, question) = (Some(sentence), approved);
        }
        let Decision::Permit { policies } = ask(self.policies, &question) else {
            return None;
        };
        let mut because = BTreeSet::new();
        for &fact in &so.having {
            let mut less = self.question(&so.without(fact), situation);
            if fact != Fact::Approvals {
                less.facts.approvals.clone_from(&question.facts.approvals);
            }
            let Decision::Deny(denial) = ask(self.policies, &less) else {
                return None;
            };
            because.extend(denial.reasons.into_iter().filter_map(|why| why.policy));
        }
        Some(Way {
            needs: needs(so, situation, approvals.as_deref()),
            longest: self.longest(so.seconds),
            hours: Hours::always(),
            since: None,
            until: None,
            addresses: Addresses::Anywhere,
            policies,
            because,
            question,
        })
    }

    /// Whether exactly this question is answered with a permit, at each spot.
    fn holds(&self, question: &Question) -> Vec<bool> {
        let spots = self.ground.spots();
        let holds = |spot: &Spot| self.permits_at(question, spot.place, spot.now);
        spots.iter().map(holds).collect()
    }

    pub(super) fn permits_at(&self, question: &Question, place: usize, now: Timestamp) -> bool {
        ask(self.policies, &self.moved(question, place, now)).is_permit()
    }

    /// The same question, asked there and then.
    pub(super) fn moved(&self, question: &Question, place: usize, now: Timestamp) -> Question {
        let mut moved = question.clone();
        moved.facts.now = now;
        if let Some(place) = self.ground.places.get(place) {
            moved.facts.source = place.address;
        }
        moved
    }
}

/// What the circumstances are, as needs.
fn needs(so: &Circumstances, situation: &Situation, approvals: Option<&str>) -> BTreeSet<Need> {
    let like = |(pattern, _): &(Option<String>, String)| pattern.iter().cloned().collect();
    let texts = &situation.texts;
    let need = |fact: &Fact| match fact {
        Fact::Approvals => Need::Approvals {
            of: approvals.unwrap_or_default().to_owned(),
        },
        Fact::Totp => Need::Totp,
        Fact::Fresh => Need::FreshFactor {
            seconds_max: so.age,
        },
        Fact::Bound => Need::BoundSignIn,
        Fact::Reason => Need::Reason {
            like: like(&texts.reason),
        },
        Fact::Ticket => Need::Ticket {
            like: like(&texts.ticket),
        },
        Fact::OnCall => Need::OnCall,
        Fact::Reviewed => Need::NothingUnreviewed,
    };
    so.having.iter().map(need).collect()
}
