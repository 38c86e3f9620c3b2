//! The provider does not answer: an enrolled key and a code of the second factor do.

use std::process::Command;

use crate::support::keygen;
use crate::support::oidc::Provider;
use crate::support::run::{Finished, run};
use crate::support::serve::{Installation, Person};
use crate::support::signing_key::Alg;
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;

fn with_code(person: &Person, mut client: Command) -> Finished {
    let code = person.authenticator().code();
    client.args(["--totp-command", &format!("echo {code}")]);
    run(client)
}

/// A CA where bob is on call.
fn installation(provider: &Provider) -> Installation {
    Installation::made_for(&provider.issuer()).configured(|config| {
        let users = toml::Value::from(vec!["bob"]);
        config.insert(
            "on_call".to_owned(),
            toml::Table::from_iter([("users".to_owned(), users)]).into(),
        );
    })
}

fn ca_line(ca: &Installation) -> String {
    let json = ca.ca_server(&["sshd-config", "prod", "--json"]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    json["ca_public_key"].as_str().expect("a key").to_owned()
}

const BREAK_GLASS: [&str; 7] = [
    "break-glass",
    "prod",
    "--as",
    "root",
    "--reason",
    "INC-42 db down",
    "--json",
];

#[test]
fn drill_with_the_provider_down_the_enrolled_key_opens_the_door_and_somebody_else_reviews_it() {
    let mut provider = Provider::with(Alg::EdDsa).start();
    let ca = installation(&provider).start();
    let account = UnixAccount::create();
    let sshd = Sshd::trusting(&[&ca_line(&ca)])
        .account(&account, &["root"])
        .start();
    let (bob, carol) = (Person::of("bob", &ca), Person::of("carol", &ca));
    bob.enrols(&[]);
    carol.enrols(&[]);
    let key = keygen::generate(bob.home.path(), "emergency");
    let path = key.private.to_str().expect("a path");
    with_code(&bob, bob.jit_ssh(&["break-glass-key", "add", path])).succeeds();
    println!("drill: bob, on call, enrolled a break-glass key on a good day");
    run(bob.jit_ssh(&["logout"])).succeeds();
    let refused = run(Ssh::to(&sshd, account.name()).command(&[], "host", "true"));
    assert!(!refused.succeeded());

    provider.stop();
    println!("drill: the identity provider is stopped");
    let away = bob.logs_in(&["prod"]).exits_with(6);
    assert!(away.stderr.contains("identity provider"), "{}", away.stderr);
    let code = format!("echo {}", bob.authenticator().code());
    let mut broken = bob.jit_ssh(&BREAK_GLASS);
    broken.args(["--totp-command", &code]);
    let begun = std::time::Instant::now();
    let broken = run(broken).succeeds();
    let granted: serde_json::Value = serde_json::from_str(&broken.stdout).expect("JSON");
    println!(
        "drill: bob broke glass in {} ms: {granted}",
        begun.elapsed().as_millis()
    );
    assert!(broken.stderr.contains("BREAK-GLASS"), "{}", broken.stderr);
    let session = Ssh::to(&sshd, account.name()).agent(bob.agent.socket());
    let finished = session.run("echo inside");
    assert!(finished.stdout.contains("inside"), "{}", sshd.log());
    assert!(sshd.log().contains("+break-glass"), "{}", sshd.log());
    println!("drill: a stock sshd let bob in as root; its log says +break-glass");
    // The emergency session is good for nothing else.
    let login = run(bob.jit_ssh(&["login", "staging"]));
    assert_ne!(login.code, Some(0), "{}", login.stdout);

    provider.start_again();
    println!("drill: the identity provider answers again");
    let review = granted["review"].to_string();
    let shown = with_code(&carol, carol.jit_ssh(&["reviews"])).succeeds();
    assert!(shown.stdout.contains("INC-42 db down"), "{}", shown.stdout);
    let next = with_code(&bob, bob.jit_ssh(&BREAK_GLASS)).exits_with(3);
    assert!(next.stderr.contains("review"), "{}", next.stderr);
    let own = with_code(
        &bob,
        bob.jit_ssh(&["review", &review, "--finding", "all well"]),
    );
    assert_ne!(own.code, Some(0), "{}", own.stdout);
    run(carol.jit_ssh(&["review", &review, "--finding", "it was down indeed"])).succeeds();
    println!("drill: carol closed review {review}; until then bob's next break-glass was refused");
    let history = run(carol.jit_ssh(&["history", &granted["serial"].to_string()])).succeeds();
    assert!(
        history.stdout.contains("by breaking glass"),
        "{}",
        history.stdout
    );
    assert!(
        history.stdout.contains("reviewed: it was down indeed"),
        "{}",
        history.stdout
    );
}
