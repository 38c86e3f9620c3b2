//! Holders in different places: no private key leaves its machine, and no share is ever shown.

use std::process::Command;

use super::ceremony::{Ceremony, PASSPHRASE, Signed};
use crate::support::keygen;
use crate::support::pty::Terminal;
use crate::support::run::run;

/// Starts signing with alice's share here; what the others encrypt to.
fn gather(ceremony: &Ceremony) -> (Terminal, String) {
    let sign = ceremony.sign_command(&["shares/prod-alice.age"], &["alice"], &["--gather"]);
    let mut terminal = Terminal::start(sign);
    terminal.expect("--to ");
    let to = terminal.expect("\n").trim().to_owned();
    assert!(to.starts_with("age1"), "{to:?}");
    terminal.expect("1 more to come");
    (terminal, to)
}

fn finish(ceremony: &Ceremony, terminal: Terminal) -> Signed {
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
    let stderr = screen.replace('\r', "");
    ceremony.signed(crate::support::run::Finished {
        code,
        stdout: String::new(),
        stderr,
    })
}

#[test]
fn a_holder_elsewhere_hands_over_a_share_with_an_rsa_key_that_stays_there() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let (mut terminal, to) = gather(&ceremony);
    let mut open = ceremony.command(&["break-glass", "open", "--share", "shares/prod-carol.age"]);
    open.args(["--identity", "carol", "--to", &to, "--out", "for-alice.age"]);
    let opened = run(open).succeeds();
    assert!(opened.stderr.contains("held by carol"), "{}", opened.stderr);
    terminal.type_line("for-alice.age");
    let signed = finish(&ceremony, terminal);
    let seen = keygen::describe(&signed.certificate);
    assert_eq!(seen.principals, ["deploy"]);
    // The key that the share was encrypted to is gone: what travelled opens nothing more.
    let again = ["shares/prod-alice.age", "for-alice.age"];
    let again = ceremony.try_sign(&again, &["alice"], &[]);
    assert!(
        again.stderr.contains("none of the identities"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_key_with_a_passphrase_is_asked_for_it_on_the_terminal_without_showing_it() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let (mut terminal, to) = gather(&ceremony);
    let open = || {
        let share = ["break-glass", "open", "--share", "shares/prod-bob.age"];
        let mut open = ceremony.command(&share);
        open.args(["--identity", "bob", "--to", &to, "--out", "bob.age"]);
        open
    };
    let mut asked = Terminal::start(open());
    asked.expect("assphrase");
    asked.type_line("a wrong one");
    let (code, screen) = asked.finish();
    assert!(
        code != Some(0) && screen.contains("passphrase is wrong"),
        "{screen}"
    );
    let mut asked = Terminal::start(open());
    asked.expect("assphrase");
    asked.type_line(PASSPHRASE);
    let (code, screen) = asked.finish();
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains(PASSPHRASE), "{screen}");
    terminal.type_line("bob.age");
    finish(&ceremony, terminal);
}

#[test]
fn the_standard_tool_opens_a_share_and_what_it_makes_is_taken() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let (mut terminal, to) = gather(&ceremony);
    let age = |arguments: &[&str]| {
        let mut age = Command::new("age");
        age.args(arguments).current_dir(ceremony.dir());
        run(age).succeeds()
    };
    age(&["-d", "-i", "dave", "-o", "plain", "shares/prod-dave.age"]);
    let plain = std::fs::read_to_string(ceremony.path("plain")).expect("a share");
    assert!(plain.contains("\"holder\":\"dave\""), "{plain}");
    age(&["-a", "-r", &to, "-o", "dave.age", "plain"]);
    terminal.type_line("dave.age");
    finish(&ceremony, terminal);
}
