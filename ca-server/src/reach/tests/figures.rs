//! How long a company takes.

use std::time::Instant;

use ca_core::event;

use super::*;

/// The example policies for ten environments more, each with its own accounts and groups.
fn company() -> PolicySet {
    let mut lines = String::new();
    for number in 0..10 {
        lines.push_str(&format!(
            "e{number}-use: permit (principal in Group::\"team{number}\", action == Action::\"login\", resource in Environment::\"e{number}\") when {{ context.duration <= 14400 }};
             e{number}-root: permit (principal, action == Action::\"login\", resource == Account::\"e{number}/root\") when {{ principal in Group::\"sre\" || principal in Group::\"lead{number}\" }};
             e{number}-approval: forbid (principal, action == Action::\"login\", resource == Account::\"e{number}/root\") unless {{ context.met.contains(\"two\") && context.mfa_age <= 3600 && context.token_bound }};
             e{number}-guests: permit (principal in Group::\"guests\", action == Action::\"login\", resource == Account::\"e{number}/deploy\") when {{ context.duration <= 7200 }};
             e{number}-office: forbid (principal in Group::\"guests\", action, resource) unless {{ context.weekday <= 5 && context.hour >= 7 && context.duration <= 68400 - context.now.toTime().toSeconds() && context has ticket }};
             e{number}-glass: permit (principal in Group::\"sre\", action == Action::\"break_glass\", resource in Environment::\"e{number}\") when {{ context.on_call && context has reason && context.duration <= 3600 }};\n"
        ));
    }
    set(
        &lines,
        "two = [[\"1 of leads\", \"1 of security\"], [\"2 of security\"]]",
    )
}

#[test]
#[ignore = "prints how long 500 people and 20 accounts take; judge it in a release build"]
fn five_hundred_people_and_twenty_accounts() {
    let policies = company();
    let mut directory = Directory::default();
    for number in 0..500 {
        let name = format!("p{number}");
        let person = event::Person {
            subject: Subject::new("https://i.example", &name).unwrap(),
            user: name.parse().unwrap(),
        };
        let mut names = vec![format!("team{}", number % 10), format!("idle{number}")];
        let some = [
            (7, "sre"),
            (11, "guests"),
            (13, "security"),
            (17, "approver"),
        ];
        names.extend(
            some.iter()
                .filter(|(n, _)| number % n == 0)
                .map(|(_, name)| (*name).to_owned()),
        );
        names.extend((number % 5 == 0).then(|| format!("lead{}", number % 9)));
        directory.signed_in(&person, names.into_iter().collect(), now());
    }
    let names: BTreeSet<Principal> = ["deploy", "root"].map(|name| name.parse().unwrap()).into();
    let accounts = (0..10).map(|number| (format!("e{number}").parse().unwrap(), names.clone()));
    let targets = Target::all(&accounts.collect());
    let actors: Vec<Actor> = Actor::seen(&directory).collect();
    let limits = limits();
    let begun = Instant::now();
    let survey = Survey::new(&policies, &limits);
    let read = begun.elapsed();
    let searches = std::sync::atomic::AtomicUsize::new(0);
    let found = survey.reach(&actors, &targets, &|_, all| {
        searches.store(all, std::sync::atomic::Ordering::Relaxed);
    });
    let elapsed = begun.elapsed();
    let ways: usize = found.iter().map(|one| one.ways.len()).sum();
    println!(
        "{} people, {} targets, {} policies: {searches:?} searches, {} pairs, {ways} ways, {elapsed:?} (policies read in {read:?})",
        actors.len(),
        targets.len(),
        policies.policies().len(),
        found.len(),
    );
}
