//! Who fills which seat: whether approvals meet a requirement, and which seats stay open.
//!
//! Every seat takes another person, so somebody in two groups fills one seat, not two. Which one is
//! found by bipartite matching (Kuhn's augmenting paths): trying groups in turn would call a quorum
//! incomplete that is complete with two people seated the other way round.

use std::collections::{BTreeMap, BTreeSet};

use ca_core::name::Subject;

use super::question::Question;
use super::requirement::{Alternative, Requirement, Requirements, Seats, words};

/// Distinct approvers with their groups; see [`super::Question::approvers`].
pub(super) type People<'a> = BTreeMap<&'a Subject, BTreeSet<&'a str>>;

impl Requirements {
    /// Names of the requirements that `people` meet.
    pub(super) fn met(&self, people: &People<'_>) -> BTreeSet<&str> {
        // No alternative is empty, so nobody meets nothing.
        let any = !people.is_empty();
        self.iter()
            .filter(|(_, requirement)| any && requirement.open(people).is_empty())
            .map(|(name, _)| name)
            .collect()
    }
}

impl Requirement {
    /// The seats still open in the alternative with the fewest of them, the first of several; none
    /// if the requirement is met.
    pub(super) fn open(&self, people: &People<'_>) -> Vec<Seats> {
        let open = self.alternatives.iter().map(|one| one.open(people));
        open.min_by_key(|seats| count(seats)).unwrap_or_default()
    }
}

impl Requirement {
    /// Who is still missing under the approvals of `question`, in words: `1 of security`.
    #[must_use]
    pub fn missing(&self, question: &Question) -> Option<String> {
        let open = self.open(&question.approvers());
        (!open.is_empty()).then(|| words(&open))
    }
}

impl Requirement {
    /// Whether everybody who meets this one meets `other`, too. Exact: people who meet an
    /// alternative fill its seats, more people and more groups never open a seat again, so the
    /// people of each alternative alone, each in the one group of their seat, tell.
    pub(crate) fn implies(&self, other: &Self) -> bool {
        self.alternatives.iter().all(|alternative| {
            let seats = alternative.seats.iter();
            let groups: Vec<BTreeSet<&str>> = seats
                .flat_map(|seats| std::iter::repeat_n(seats.group.as_deref(), seats.count))
                .map(|group| group.into_iter().collect())
                .collect();
            let subjects = (0..groups.len()).map(|at| Subject::new("seat", &at.to_string()));
            let subjects: Vec<Subject> = subjects.flatten().collect();
            let people: People<'_> = subjects.iter().zip(groups).collect();
            other.open(&people).is_empty()
        })
    }
}

/// How many people `seats` are for.
pub(super) fn count(seats: &[Seats]) -> usize {
    seats.iter().map(|seats| seats.count).sum()
}

/// Somebody for each of `seats`: their groups.
pub(super) fn people(seats: &[Seats]) -> Vec<BTreeSet<String>> {
    let each = seats.iter();
    let each = each.flat_map(|seats| std::iter::repeat_n(&seats.group, seats.count));
    each.map(|group| group.iter().cloned().collect()).collect()
}

impl Alternative {
    /// Whether the approvals of `question` fill every seat.
    pub(super) fn met(&self, question: &Question) -> bool {
        self.open(&question.approvers()).is_empty()
    }

    /// The seats that stay open when as many as possible are filled, earlier ones first.
    fn open(&self, people: &People<'_>) -> Vec<Seats> {
        let mut matching = Matching {
            seats: Vec::new(),
            people: people.values().map(|groups| (groups, None)).collect(),
        };
        let mut open = Vec::new();
        for seats in &self.seats {
            let mut left = seats.clone();
            for _ in 0..seats.count {
                let seat = matching.seats.len();
                matching.seats.push(seats.group.as_deref());
                if matching.fill(seat, &mut BTreeSet::new()) {
                    left.count = left.count.saturating_sub(1);
                }
            }
            if left.count > 0 {
                open.push(left);
            }
        }
        open
    }
}

struct Matching<'a> {
    /// The group that each seat is for.
    seats: Vec<Option<&'a str>>,
    /// The groups of each person, and the seat they fill.
    people: Vec<(&'a BTreeSet<&'a str>, Option<usize>)>,
}

impl Matching<'_> {
    /// Fills `seat`, moving others to other seats where that helps. As deep as there are seats.
    fn fill(&mut self, seat: usize, tried: &mut BTreeSet<usize>) -> bool {
        let group = self.seats.get(seat).copied().flatten();
        for at in 0..self.people.len() {
            let Some(&(groups, fills)) = self.people.get(at) else {
                continue;
            };
            let fits = group.is_none_or(|group| groups.contains(group));
            if !fits || !tried.insert(at) {
                continue;
            }
            if fills.is_none_or(|other| self.fill(other, tried)) {
                if let Some((_, fills)) = self.people.get_mut(at) {
                    *fills = Some(seat);
                }
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
