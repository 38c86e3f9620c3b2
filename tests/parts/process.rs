//! Processes end with the test, and commands that hang do not hang it.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::port;
use crate::support::process::Process;
use crate::support::run::{run, run_with_input};
use crate::support::unix_account::UnixAccount;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn is_there(process_id: u32) -> bool {
    Path::new("/proc").join(process_id.to_string()).exists()
}

#[test]
fn a_process_is_asked_to_end_and_gone_once_it_is_dropped() {
    let mut process = Process::start("polite", shell("echo ready; exec sleep 1000"));
    process.wait_for_log("ready");
    let id = process.id();
    assert!(is_there(id));
    drop(process);
    assert!(!is_there(id));
}

#[test]
fn kill_ends_a_process_that_ignores_sigterm() {
    let mut process = Process::start(
        "stubborn",
        shell("trap '' TERM; echo ready; exec sleep 1000"),
    );
    process.wait_for_log("ready");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.exit_status(), None);
    assert_eq!(process.kill().signal(), Some(9));
    assert!(!is_there(process.id()));
}

#[test]
fn both_outputs_of_a_process_are_in_its_log() {
    let mut process = Process::start(
        "noisy",
        shell("echo to stdout; echo to stderr >&2; echo end"),
    );
    process.wait_for_log("end");
    assert_eq!(process.log(), "to stdout\nto stderr\nend\n");
}

#[test]
fn a_command_gets_its_input_and_both_outputs_and_the_code_come_back() {
    let finished = run_with_input(shell("cat; echo no >&2; exit 3"), b"hello");
    assert_eq!(
        (finished.code, &*finished.stdout, &*finished.stderr),
        (Some(3), "hello", "no\n")
    );
}

#[test]
fn free_ports_are_distinct_and_can_be_listened_on() {
    let ports: Vec<_> = (0..20).map(|_| port::free()).collect();
    let listeners: Vec<_> = ports
        .iter()
        .map(|port| TcpListener::bind(("127.0.0.1", *port)).unwrap())
        .collect();
    assert_eq!(listeners.len(), 20);
}

#[test]
fn an_account_exists_until_it_is_dropped_with_its_processes() {
    let account = UnixAccount::create();
    let name = account.name().to_owned();
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid", &name, "--regid", &name, "--clear-groups"]);
    setpriv.args(["sh", "-c", "echo ready; exec sleep 1000"]);
    let mut process = Process::start("left-behind", setpriv);
    process.wait_for_log("ready");
    drop(account);
    let mut id = Command::new("id");
    id.arg(&name);
    assert!(!run(id).succeeded());
    assert!(
        !process
            .wait_for_exit(std::time::Duration::from_secs(10))
            .success()
    );
}
