//! A solver that is missing, wrong, slow or broken proves nothing, and none is left behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::*;
use crate::prove::ProveError;

/// Long enough to start a shell on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_secs(3);

/// A program that answers as cvc5 does until it is asked something real, then does `then`. It
/// writes its process id to `pid`.
fn pretender(dir: &Path, then: &str) -> PathBuf {
    script(
        dir,
        &format!(
            "echo $$ > {0}/pid.new; mv {0}/pid.new {0}/pid; n=0\n\
             while read -r line; do case \"$line\" in\n\
             *:name*) echo '(:name \"cvc5\")' ;;\n\
             *check-sat*) n=$((n+1)); case $n in 1) echo sat ;; 2) echo unsat ;; *) {then} ;; esac ;;\n\
             esac; done\n",
            dir.display()
        ),
    )
}

fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("solver");
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn pid(dir: &Path) -> Pid {
    let text = std::fs::read_to_string(dir.join("pid")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap())
}

/// No process has this id any more, not even one that nobody waited for.
#[track_caller]
fn assert_gone(pid: Pid) {
    assert_eq!(kill(pid, None), Err(Errno::ESRCH), "{pid} is still there");
}

/// What becomes of an invariant that takes the solver to prove.
fn asked(program: PathBuf) -> Result<Outcome, ProveError> {
    let (prover, _stopper) = Prover::with(program, SHORT)?;
    let policies = policies(&[&login("permit", "when", "context.duration <= 3600")]);
    let text = login("forbid", "when", "context.duration > 3600");
    let mut proofs = prove_all(&policies, &invariant(&policies, &text), &prover)?;
    Ok(proofs.remove(0).outcome)
}

#[track_caller]
fn refused(program: &str) -> String {
    let error = Prover::with(PathBuf::from(program), SHORT).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("hint: apt-get install cvc5"), "{text}");
    text
}

#[test]
fn the_real_one_proves_it() {
    assert!(matches!(
        asked(crate::prove::solver::program()).unwrap(),
        Outcome::Proved
    ));
}

#[test]
fn a_missing_solver_is_named_with_the_command_that_installs_it() {
    let text = refused("/nowhere/cvc5");
    assert!(
        text.starts_with("the solver \"/nowhere/cvc5\" can not be started"),
        "{text}"
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("solver"), "").unwrap();
    refused(&dir.path().join("solver").to_string_lossy());
}

#[test]
fn another_program_is_not_taken_for_a_solver() {
    assert!(refused("/bin/true").contains("ended early"));
    let dir = tempfile::tempdir().unwrap();
    let echo = script(dir.path(), "exec cat\n");
    let text = refused(&echo.to_string_lossy());
    assert!(text.contains("says \"(get-info :name)\""), "{text}");
    let complaining = script(dir.path(), "echo 'no licence' >&2; exit 3\n");
    let text = refused(&complaining.to_string_lossy());
    assert!(text.contains("(exit status: 3): no licence"), "{text}");
}

#[test]
fn a_program_that_calls_everything_proved_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let liar = script(
        dir.path(),
        "while read -r line; do case \"$line\" in *:name*) echo '(:name \"cvc5\")' ;; \
         *check-sat*) echo unsat ;; esac; done\n",
    );
    let text = refused(&liar.to_string_lossy());
    assert!(text.contains("answers a simple question wrongly"), "{text}");
}

#[test]
fn a_solver_that_never_answers_is_given_up_and_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let silent = script(
        dir.path(),
        &format!("echo $$ > {path}/pid; exec sleep 1000\n"),
    );
    let text = refused(&silent.to_string_lossy());
    assert!(text.contains("no answer within 3 s"), "{text}");
    assert_gone(pid(dir.path()));
}

#[test]
fn a_proof_that_takes_too_long_is_no_proof_and_its_solver_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = asked(pretender(dir.path(), "exec sleep 1000")).unwrap();
    assert_eq!(why_open(&outcome), "not proved within 3 s (action login)");
    assert_gone(pid(dir.path()));
}

#[test]
fn a_solver_that_crashes_or_talks_nonsense_is_no_proof() {
    for (then, words) in [
        ("kill -SEGV $$", "ended early (signal: 11"),
        (
            "echo 'out of memory' >&2; exit 134",
            "(exit status: 134): out of memory",
        ),
        ("exit 0", "ended early (exit status: 0)"),
        ("echo banana", "banana"),
        ("echo unknown", "cvc5 can not decide it"),
        ("echo '(error \"Parse Error: x\")'", "Parse Error: x"),
        ("printf unsat; exit 0", "a line without end"),
        ("echo sat; echo '(error \"no model\")'", "no model"),
        ("echo sat; echo '('; exit 0", "ended early"),
        (
            "echo sat; echo '('; echo 'gibberish'; echo ')'",
            "can not be read",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let outcome = asked(pretender(dir.path(), then)).unwrap();
        let why = why_open(&outcome);
        assert!(why.contains(words), "{then}: {why}");
        assert_gone(pid(dir.path()));
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let endless = pretender(dir.path(), "exec yes unsat-unsat | tr -d '\\n'");
    let outcome = asked(endless).unwrap();
    let why = why_open(&outcome);
    assert!(
        why.contains("a line without end") || why.contains("not proved within"),
        "{why}"
    );
}

#[test]
fn whoever_is_told_to_stop_leaves_no_solver_behind() {
    let dir = tempfile::tempdir().unwrap();
    let program = pretender(dir.path(), "exec sleep 1000");
    let (prover, stopper) = Prover::with(program, LIMIT).unwrap();
    std::fs::remove_file(dir.path().join("pid")).unwrap();
    let policies = policies(&[&login("permit", "when", "context.duration <= 3600")]);
    let invariants = invariant(
        &policies,
        &login("forbid", "when", "context.duration > 3600"),
    );
    let result = std::thread::scope(|scope| {
        let proving = scope.spawn(|| prove_all(&policies, &invariants, &prover));
        // The solver is running once it has written its id.
        while !dir.path().join("pid").exists() {
            std::thread::yield_now();
        }
        assert!(!stopper.stop());
        proving.join().unwrap()
    });
    assert!(matches!(result, Err(ProveError::Stopped)), "{result:?}");
    assert_gone(pid(dir.path()));
    // And nothing begins any more.
    let result = prove_all(&policies, &invariants, &prover);
    assert!(matches!(result, Err(ProveError::Stopped)), "{result:?}");
    assert!(stopper.stop());
}
