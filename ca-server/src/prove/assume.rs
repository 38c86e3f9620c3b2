//! What holds of every question by the way it is made, in Cedar's words: the domain of all proofs.
//!
//! A proof is worth as much as these sentences. Each names the code that makes it true, and a
//! property test asks random questions and finds none that breaks one (`assume/tests.rs`). They
//! enter a proof as `forbid … unless` beside the invariant, so one that could not be evaluated
//! would assume nothing. What no sentence speaks about may be anything: more is proved than needed.
//! So it is with the day of the week against the date, which Cedar cannot compute.

use std::collections::BTreeSet;

use ca_core::name::{Environment, Principal};

use super::named::Named;
use super::scene::{Kind, Scene};
use crate::policy::Requirements;

/// Cedar conditions that hold of every question asked in `scene`, about what is `named`.
pub(super) fn assumptions(scene: Scene, named: &Named, requirements: &Requirements) -> Vec<String> {
    let mut all = Vec::new();
    numbers(&mut all);
    second_factor(&mut all);
    moment(&mut all);
    texts(&mut all);
    people(requirements, &mut all);
    met(requirements, &mut all);
    who(named, &mut all);
    holder(named, &mut all);
    match scene.kind() {
        Kind::Account => accounts(named, &mut all),
        Kind::Environment => environments(named, &mut all),
        Kind::Authority => all.push("resource == Authority::\"jit-ssh\"".to_owned()),
    }
    all
}

/// Durations and counts are unsigned (`Facts`), so what `Vocabulary::facts` makes of them is never
/// negative.
fn numbers(all: &mut Vec<String>) {
    for name in ["duration", "approvals", "unreviewed"] {
        all.push(format!("context.{name} >= 0"));
    }
}

/// `SecondFactor::kind` has three words; `SecondFactor::age_seconds` is at most the largest 32-bit
/// number, and exactly that where there was none.
fn second_factor(all: &mut Vec<String>) {
    let age_max = u32::MAX;
    all.push("[\"totp\", \"recovery\", \"none\"].contains(context.mfa_kind)".to_owned());
    all.push(format!(
        "context.mfa_age >= 0 && context.mfa_age <= {age_max}"
    ));
    all.push(format!(
        "context.mfa_kind != \"none\" || context.mfa_age == {age_max}"
    ));
}

/// `Vocabulary::facts` computes the hour and the weekday. The moment is not before 1970, and not
/// past the last one that has a text (`Timestamp`): of another one no question could be made.
fn moment(all: &mut Vec<String>) {
    all.push("context.hour >= 0 && context.hour <= 23".to_owned());
    all.push("context.weekday >= 1 && context.weekday <= 7".to_owned());
    all.push("context.now >= datetime(\"1970-01-01\")".to_owned());
    all.push("context.now <= datetime(\"9999-12-30T22:00:00Z\")".to_owned());
}

/// More that holds of every question, where policies look at the moment: `Vocabulary::facts`
/// computes the hour from it. Not among the others because it costs the solver a division of 64
/// bits, and most proofs do without.
pub(super) fn links(facts: &BTreeSet<String>) -> Vec<String> {
    if !facts.contains("now") || !facts.contains("hour") {
        return Vec::new();
    }
    let time = "context.now.toTime()";
    let hours = (0..24).map(|hour| {
        let (from, to) = (
            format!("duration(\"{hour}h\")"),
            format!("duration(\"{}h\")", hour + 1),
        );
        format!("(context.hour == {hour}) == ({time} >= {from} && {time} < {to})")
    });
    hours.collect()
}

/// `written` leaves out a reason or ticket of nothing but blanks; names and issuers are never empty
/// (`UserName`, `Subject::new`).
fn texts(all: &mut Vec<String>) {
    for name in ["reason", "ticket"] {
        all.push(format!("!(context has {name} && context.{name} == \"\")"));
    }
    all.push("principal.name != \"\" && principal.issuer != \"\"".to_owned());
}

/// `Vocabulary::facts` counts the distinct people of `Question::approvers` and unites their groups,
/// so groups come from somebody. Nobody meets a requirement without somebody (`Requirements::met`).
fn people(requirements: &Requirements, all: &mut Vec<String>) {
    let nobody = "context.approver_groups.isEmpty() && context.met.isEmpty()";
    all.push(format!("context.approvals != 0 || {nobody}"));
    let names: Vec<String> = requirements.iter().map(|(name, _)| quoted(name)).collect();
    all.push(if names.is_empty() {
        "context.met.isEmpty()".to_owned()
    } else {
        format!("[{}].containsAll(context.met)", names.join(", "))
    });
}

/// A requirement is met by the people of one of its alternatives at least (`Requirement::open`), so
/// there are as many as it has seats, and one of each group that it names. Where an alternative has
/// one seat for a group at most, that is enough, too: that seat goes to somebody of the group, the
/// others to whoever is left. One requirement follows from another as `Requirement::implies` says.
fn met(requirements: &Requirements, all: &mut Vec<String>) {
    let is_met = |name: &str| format!("context.met.contains({})", quoted(name));
    for (name, requirement) in requirements.iter() {
        let any: Vec<String> = requirement.seats().map(|seats| taken(&seats)).collect();
        all.push(format!("!{} || {}", is_met(name), any.join(" || ")));
        for seats in requirement.seats().filter(|seats| is_exact(seats)) {
            all.push(format!("!({}) || {}", taken(&seats), is_met(name)));
        }
        let others = requirements.iter().filter(|(other, _)| *other != name);
        for (other, _) in others.filter(|(_, other)| requirement.implies(other)) {
            all.push(format!("!{} || {}", is_met(name), is_met(other)));
        }
    }
}

/// The people that `seats` take, as far as Cedar sees them.
fn taken(seats: &[(usize, Option<&str>)]) -> String {
    let people: usize = seats.iter().map(|(count, _)| count).sum();
    let groups = seats.iter().filter_map(|(_, group)| *group);
    let groups = groups.map(|group| {
        let group = quoted(group);
        format!(" && context.approver_groups.contains({group})")
    });
    format!(
        "(context.approvals >= {people}{})",
        groups.collect::<String>()
    )
}

fn is_exact(seats: &[(usize, Option<&str>)]) -> bool {
    let grouped = seats.iter().filter(|(_, group)| group.is_some());
    grouped.map(|(count, _)| count).sum::<usize>() <= 1
}

/// The id of a person is `issuer#sub` (`Subject`), neither of them empty.
fn who(named: &Named, all: &mut Vec<String>) {
    for id in &named.users {
        let splits = id
            .match_indices('#')
            .filter_map(|(at, _)| id.split_at_checked(at));
        let splits = splits.filter(|(issuer, sub)| !issuer.is_empty() && sub.len() > 1);
        let issuers: Vec<String> = splits.map(|(issuer, _)| quoted(issuer)).collect();
        let user = format!("User::{}", quoted(id));
        all.push(if issuers.is_empty() {
            format!("principal != {user}")
        } else {
            let issuers = issuers.join(", ");
            format!("principal != {user} || [{issuers}].contains(principal.issuer)")
        });
    }
}

/// Of people only whoever asks comes with groups (`Vocabulary::entities`): anybody else that a
/// request, grant or emergency is about is in none, as far as policies can see.
fn holder(named: &Named, all: &mut Vec<String>) {
    if !named.facts.contains("holder") {
        return;
    }
    for group in &named.groups {
        all.push(format!(
            "!(context has holder && context.holder != principal && context.holder in Group::{})",
            quoted(group)
        ));
    }
}

/// An account is called `environment/login-name`, has that name, and is in that environment and in
/// no other (`Vocabulary::entities`).
fn accounts(named: &Named, all: &mut Vec<String>) {
    all.push("resource.name != \"\"".to_owned());
    for id in &named.accounts {
        let account = format!("Account::{}", quoted(id));
        let parts = id.split_once('/').filter(|(environment, name)| {
            environment.parse::<Environment>().is_ok() && name.parse::<Principal>().is_ok()
        });
        let Some((environment, name)) = parts else {
            all.push(format!("resource != {account}"));
            continue;
        };
        let (environment, name) = (quoted(environment), quoted(name));
        all.push(format!(
            "(resource == {account}) == \
             (resource in Environment::{environment} && resource.name == {name})"
        ));
    }
    let known = environments_named(named, all, "in");
    for (at, one) in known.iter().enumerate() {
        let others: Vec<&str> = known.iter().skip(at + 1).map(String::as_str).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            all.push(format!("!(resource in {one}) || !(resource in [{others}])"));
        }
    }
}

/// An environment has a name of its shape (`ca_core::name::Environment`).
fn environments(named: &Named, all: &mut Vec<String>) {
    environments_named(named, all, "==");
}

/// The environments that can exist; of the others it is said that they do not.
fn environments_named(named: &Named, all: &mut Vec<String>, relation: &str) -> Vec<String> {
    let (known, impossible): (BTreeSet<_>, BTreeSet<_>) = named
        .environments
        .iter()
        .partition(|name| name.parse::<Environment>().is_ok());
    for name in impossible {
        let environment = format!("Environment::{}", quoted(name));
        all.push(format!("!(resource {relation} {environment})"));
    }
    let known = known.into_iter();
    known
        .map(|name| format!("Environment::{}", quoted(name)))
        .collect()
}

/// A text as Cedar writes it. Rust's escapes are among Cedar's.
pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
pub(super) mod tests;
