//! `ca-server policy prove` as a program: with cvc5, without, and interrupted.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::programs::{command, program, repository};
use crate::support::run::run;
use crate::support::wait::{START_MAX, until};

/// `ca-server policy prove` about the policies of the repository.
fn prove(home: &Path, arguments: &[&str]) -> Command {
    let mut prove = command(&program("ca-server"), home);
    prove.args(["policy", "prove", "--policies"]);
    prove.arg(repository().join("policies")).args(arguments);
    prove
}

#[test]
fn every_invariant_of_the_example_policies_is_proved_by_the_program() {
    let home = tempfile::tempdir().expect("a folder");
    let text = run(prove(home.path(), &["--timeout", "5m"]))
        .succeeds()
        .stdout;
    assert!(
        text.contains("✓ always on-call-can-break-glass ("),
        "{text}"
    );
    assert!(
        text.ends_with(" invariants hold of every request\n"),
        "{text}"
    );
}

#[test]
fn without_cvc5_it_says_how_to_install_it() {
    let home = tempfile::tempdir().expect("a folder");
    let mut without = prove(home.path(), &[]);
    without.env("CVC5", "/nowhere/cvc5");
    let text = run(without).exits_with(2).stdout;
    let begin =
        "error: the solver \"/nowhere/cvc5\" can not be started\nhint: apt-get install cvc5";
    assert!(text.starts_with(begin), "{text}");
    let mut without = prove(home.path(), &["--json"]);
    without.env("PATH", home.path()).env_remove("CVC5");
    let text = run(without).exits_with(2).stdout;
    assert!(
        text.starts_with("{\"ok\":false,\"error\":\"the solver \\\"cvc5\\\""),
        "{text}"
    );
}

#[test]
fn interrupted_it_ends_at_once_and_leaves_no_solver_behind() {
    let home = tempfile::tempdir().expect("a folder");
    let (solver, pid) = (home.path().join("solver"), home.path().join("pid"));
    // Answers as cvc5 does until it is asked something real.
    let script = format!(
        "#!/bin/sh\nn=0\nwhile read -r line; do case \"$line\" in\n\
         *:name*) echo '(:name \"cvc5\")' ;;\n\
         *check-sat*) n=$((n+1)); case $n in 1) echo sat ;; 2) echo unsat ;;\n\
         *) echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000 ;; esac ;;\n\
         esac; done\n",
        pid.display()
    );
    std::fs::write(&solver, script).expect("a script");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&solver, mode).expect("a script");
    for (signal, json) in [(Signal::SIGINT, false), (Signal::SIGTERM, true)] {
        let mut proving = prove(
            home.path(),
            &["root-in-prod-takes-an-approver", "--timeout", "1h"],
        );
        proving.args(json.then_some("--json"));
        let mut child = proving
            .env("CVC5", &solver)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let solver = until("a solver at work", START_MAX, || {
            std::fs::read_to_string(&pid).ok()
        });
        std::fs::remove_file(&pid).expect("the id");
        let solver = Pid::from_raw(solver.trim().parse().expect("a process id"));
        let id = i32::try_from(child.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("a child of ours");
        let ended = child.wait().expect("a child of ours");
        assert_eq!(ended.code(), Some(130), "{signal}");
        assert_eq!(kill(solver, None), Err(Errno::ESRCH), "{signal}");
    }
}
