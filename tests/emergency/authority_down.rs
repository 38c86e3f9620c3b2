//! The authority does not answer: the sealed key and enough of its holders do, and the record finds
//! its way into the log and before a reviewer.

use serde_json::Value;
use tempfile::TempDir;

use crate::offline_break_glass::ceremony::Ceremony;
use crate::support::dev::Dev;
use crate::support::run::run;
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;

#[test]
fn drill_with_the_authority_down_two_holders_open_the_door_and_the_record_is_reviewed() {
    let mut dev = Dev::start();
    let ceremony = Ceremony::at(TempDir::new().expect("a folder"), dev.place());
    ceremony.seal();
    println!("drill: a break-glass key for prod was sealed to four holders, two are needed");
    let account = UnixAccount::create();
    let trusted = [dev.ca_line("prod"), ceremony.public_line()];
    let sshd = Sshd::trusting(&[&trusted[0], &trusted[1]]).account(&account, &["deploy"]);
    let sshd = sshd.start();
    let alice = dev.person("alice");

    dev.stop();
    println!("drill: the authority is stopped");
    let away = alice.login(&["prod"]).exits_with(6);
    assert!(away.stderr.contains("hint:"), "{}", away.stderr);
    let signed = ceremony.sign(&[]);
    println!("drill: two holders signed certificate {}", signed.serial());
    let session = Ssh::to(&sshd, account.name())
        .identity(&ceremony.user().private)
        .certificate(&signed.certificate);
    let finished = session.run("echo inside");
    assert!(finished.stdout.contains("inside"), "{}", sshd.log());
    assert!(sshd.log().contains("+break-glass"), "{}", sshd.log());
    println!("drill: a stock sshd let alice in as deploy; its log says +break-glass");

    dev.start_again();
    let record = signed.record.to_str().expect("a path");
    let import = ["break-glass", "import", record, "--by", "operator-7"];
    ceremony.at_ca(&import).succeeds();
    println!("drill: the authority runs again and has the record");
    let carol = dev.person("carol");
    let mut reviews = carol.jit_ssh(&["reviews", "--json", "--login-hint", "carol"]);
    reviews
        .arg("--totp-command")
        .arg(format!("echo {}", carol.code()));
    let reviews = run(reviews).succeeds();
    let reviews: Value = serde_json::from_str(&reviews.stdout).expect("JSON");
    let review = &reviews["reviews"][0];
    assert_eq!(review["offline"], true, "{reviews}");
    assert_eq!(review["user"], "alice", "{reviews}");
    let id = review["id"].to_string();
    run(carol.jit_ssh(&["review", &id, "--finding", "a drill"])).succeeds();
    println!("drill: carol closed review {id}");
    dev.stop();
    dev.ca_server(&["audit", "verify"]).succeeds();
    println!("drill: the whole log verifies");
}
