//! Every difference that is worth asking about: the policies name it, or it is one of two.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::Subject;
use ca_core::time::Timestamp;

use super::super::PolicySet;
use super::super::index::Cell;
use super::super::question::{Action, Facts, On, Question, SecondFactor};
use super::super::quorum;
use super::super::request::written;
use super::super::requirement::words;
use super::named::Named;
use super::step::Step;

/// Values of one fact that are tried, the nearest to the present one first.
const VALUES_MAX: usize = 24;
/// Groups, accounts and environments that are tried.
const NAMES_MAX: usize = 64;
/// An address for documentation (RFC 5737 §3), in nobody's list.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const DAY: u64 = 86_400;

/// The differences to `question`, the least first.
pub(super) fn steps(policies: &PolicySet, question: &Question) -> Vec<Step> {
    let cell = policies
        .index
        .cell(question.action, question.on.environment());
    let named = Named::of(cell.into_iter().flat_map(|cell| cell.policies.policies()));
    let mut possible = Possible {
        question,
        named,
        steps: Vec::new(),
    };
    possible.terms();
    possible.sign_in();
    possible.circumstances();
    possible.people();
    possible.approvals(policies, cell);
    possible.places(policies);
    let mut steps = possible.steps;
    steps.retain(|step| step.apply(question) != *question);
    steps.sort_by_key(Step::cost);
    steps
}

struct Possible<'a> {
    question: &'a Question,
    named: Named,
    steps: Vec<Step>,
}

impl Possible<'_> {
    /// Numbers that `attribute` is compared with, the nearest to `now` first.
    fn near(&self, attribute: &str, now: u64) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.named.bounds(attribute).into_iter().collect();
        numbers.sort_by_key(|number| number.abs_diff(now));
        numbers.truncate(VALUES_MAX);
        numbers
    }

    /// What the person asks for, and with which words.
    fn terms(&mut self) {
        let Facts {
            duration,
            reason,
            ticket,
            ..
        } = &self.question.facts;
        let lengths = self.near("duration", duration.as_secs());
        let lengths = lengths.into_iter().filter(|&seconds| seconds > 0);
        let lengths = lengths.map(|seconds| Step::Lasting(Duration::from_secs(seconds)));
        self.steps.extend(lengths);
        let texts = |now: &Option<String>, attribute| {
            let named = self.named.texts(attribute).take(VALUES_MAX);
            let mut texts: Vec<Option<String>> = named.map(|text| Some(text.to_owned())).collect();
            texts.push(match written(now.as_deref()) {
                Some(_) => None,
                None => Some("supposed".to_owned()),
            });
            texts
        };
        let (reasons, tickets) = (texts(reason, "reason"), texts(ticket, "ticket"));
        self.steps.extend(reasons.into_iter().map(Step::Reason));
        self.steps.extend(tickets.into_iter().map(Step::Ticket));
    }

    fn sign_in(&mut self) {
        let Facts {
            second_factor,
            token_bound,
            ..
        } = &self.question.facts;
        let age = match second_factor {
            SecondFactor::None => Duration::ZERO,
            SecondFactor::Recovery(age) | SecondFactor::Totp(age) => *age,
        };
        self.steps.push(Step::Bound(!token_bound));
        self.steps
            .push(Step::Factor(SecondFactor::Totp(Duration::ZERO)));
        self.steps.push(Step::Factor(SecondFactor::Totp(age)));
        for seconds in self.near("mfa_age", age.as_secs()) {
            let age = Duration::from_secs(seconds);
            self.steps.push(Step::Factor(match second_factor {
                SecondFactor::Recovery(_) => SecondFactor::Recovery(age),
                SecondFactor::Totp(_) | SecondFactor::None => SecondFactor::Totp(age),
            }));
        }
        self.steps.push(Step::Factor(SecondFactor::Recovery(age)));
        self.steps.push(Step::Factor(SecondFactor::None));
    }

    fn circumstances(&mut self) {
        let facts = &self.question.facts;
        self.steps.push(Step::OnCall(!facts.on_call));
        let mut counts = self.near("unreviewed", facts.unreviewed);
        counts.extend([0, 1]);
        self.steps.extend(counts.into_iter().map(Step::Unreviewed));
        let addresses = self.named.texts("source").filter_map(address);
        let addresses: Vec<IpAddr> = addresses.take(VALUES_MAX).collect();
        let elsewhere = [ELSEWHERE, IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let addresses = addresses.into_iter().chain(elsewhere);
        self.steps.extend(addresses.map(Step::From));
        let mut moments = self.moments();
        let seconds = facts.now.unix_seconds();
        let today = |moment: &u64| moment / DAY == seconds / DAY;
        moments.sort_by_key(|moment| (!today(moment), moment.abs_diff(seconds)));
        moments.truncate(VALUES_MAX.saturating_mul(2));
        let moments = moments.into_iter().map(Timestamp::from_unix_seconds);
        self.steps.extend(moments.map(Step::At));
    }

    /// Other times: the hours and weekdays that policies name, and before and at the moments.
    fn moments(&self) -> Vec<u64> {
        let seconds = self.question.facts.now.unix_seconds();
        let (day, within) = (seconds / DAY, seconds % DAY);
        let mut found = Vec::new();
        let today = 1 + (day + 3) % 7;
        for hour in self
            .named
            .bounds("hour")
            .into_iter()
            .filter(|&hour| hour < 24)
        {
            for day in [day.saturating_sub(1), day, day + 1] {
                found.push(day * DAY + hour * 3600 + within % 3600);
            }
        }
        let days = self.named.bounds("weekday").into_iter();
        for weekday in days.filter(|weekday| (1..=7).contains(weekday)) {
            let later = (weekday + 7 - today) % 7;
            let next = day + later;
            found.push(next * DAY + within);
            found.extend(next.checked_sub(7).map(|day| day * DAY + within));
        }
        for moment in self.named.texts("now").filter_map(moment) {
            found.extend([moment.saturating_sub(1), moment]);
        }
        found
    }

    fn people(&mut self) {
        let who = &self.question.who;
        let named: BTreeSet<&str> = self.named.ids("Group").take(NAMES_MAX).collect();
        for group in &named {
            self.steps.push(Step::Joined((*group).to_owned()));
        }
        let left = who
            .groups
            .iter()
            .filter(|group| named.contains(group.as_str()));
        self.steps.extend(left.cloned().map(Step::Left));
        let about_somebody = matches!(
            self.question.action,
            Action::Approve | Action::Review | Action::Revoke
        );
        if about_somebody {
            let other = Subject::new(who.subject.issuer(), "somebody-else").ok();
            let holders = other.into_iter().chain([who.subject.clone()]);
            self.steps.extend(holders.map(Step::HeldBy));
        }
    }

    fn approvals(&mut self, policies: &PolicySet, cell: Option<&Cell>) {
        let given = self.question.approvers();
        for &subject in given.keys() {
            self.steps.push(Step::Unapproved(subject.clone()));
        }
        if given.len() > 1 {
            self.steps.push(Step::Alone);
        }
        let Some(cell) = cell.filter(|_| self.question.action == Action::Login) else {
            return;
        };
        let mut add = |people: Vec<BTreeSet<String>>, words| {
            self.steps.push(Step::Approved(people, words));
        };
        for group in cell.approver_groups.iter().take(NAMES_MAX) {
            let person = BTreeSet::from([group.clone()]);
            add(vec![person], format!("1 of {group}"));
        }
        let table = policies.requirements();
        let named = cell.requirements.iter().take(NAMES_MAX);
        for requirement in named.filter_map(|name| table.get(name)) {
            let seats = requirement.open(&given);
            if !seats.is_empty() {
                add(quorum::people(&seats), words(&seats));
            }
        }
        for count in 1..=3 {
            let plural = if count == 1 { "person" } else { "people" };
            let people = vec![BTreeSet::new(); count];
            add(people, format!("{count} more {plural}"));
        }
    }

    /// Other accounts of the environment, and the same in other environments.
    fn places(&mut self, policies: &PolicySet) {
        let Some(here) = self.question.on.environment() else {
            return;
        };
        let everywhere = Named::of(policies.cedar().policies());
        let accounts = everywhere
            .ids("Account")
            .filter_map(|id| id.split_once('/'));
        let mut places: BTreeSet<&str> = everywhere.ids("Environment").collect();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for (place, name) in accounts {
            places.insert(place);
            if place == here.as_str() {
                names.insert(name);
            }
        }
        if let On::Accounts { principals, .. } = &self.question.on {
            let asked = principals.iter().cloned();
            let named = names.into_iter().filter_map(|name| name.parse().ok());
            let accounts = asked.chain(named).take(NAMES_MAX);
            self.steps.extend(accounts.map(Step::Account));
        }
        let places = places.into_iter().filter_map(|name| name.parse().ok());
        self.steps.extend(places.take(NAMES_MAX).map(Step::Place));
    }
}

/// The address, or the first of the network.
fn address(text: &str) -> Option<IpAddr> {
    let network = text.parse::<ipnet::IpNet>().ok().map(|net| net.network());
    text.parse().ok().or(network)
}

/// Seconds since 1970 of a moment as Cedar writes it: a day, or RFC 3339.
fn moment(text: &str) -> Option<u64> {
    let day = || format!("{text}T00:00:00Z").parse::<Timestamp>();
    let found = text.parse::<Timestamp>().or_else(|_| day());
    found.ok().map(Timestamp::unix_seconds)
}
