//! Sessions of every kind end with their grant; nothing else does.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ca_core::api::SessionEvent;

use super::enrolled::{Client, Host, runs, unique_seconds, wait_for_process};
use crate::support::clock::unix_now;
use crate::support::keygen::KeyFiles;
use crate::support::port;
use crate::support::pty::Terminal;
use crate::support::ssh::Ssh;
use crate::support::wait;

/// The promise: this long after the end of a grant, or after its revocation, nothing runs.
const PROMISE: Duration = Duration::from_secs(2);

/// One grant used in every way at once.
struct Busy {
    clients: Vec<(&'static str, Client)>,
    processes: Vec<String>,
    forward: u16,
}

impl Busy {
    fn start(host: &Host, key: &KeyFiles, folder: &Path) -> Self {
        let [idle, nohup, detached, channel] = [(); 4].map(|()| unique_seconds());
        let forward = port::free();
        let to = format!("{forward}:127.0.0.1:{}", host.sshd.port());
        let control = folder.join("control").display().to_string();
        let start = |arguments: &[&str], remote: &str| {
            host.open_with(key, |ssh| ssh.command(arguments, "host", remote))
        };
        let mut clients = vec![
            ("yes", start(&[], "yes")),
            ("an idle cat", start(&[], "cat")),
            ("an idle sleep", start(&[], &format!("sleep {idle}"))),
            ("a forward", start(&["-N", "-L", &to], "")),
            ("a copy", host.open_with(key, |ssh| scp(ssh, folder))),
            ("a master", start(&["-M", "-N", "-S", &control], "")),
        ];
        wait::until("the master", wait::START_MAX, || {
            Path::new(&control).exists().then_some(())
        });
        let channel_command = format!("sleep {channel}");
        clients.push(("a channel", start(&["-S", &control], &channel_command)));
        // Their shells end at once; the first keeps its POSIX session, the second has its own.
        let left = format!(
            "nohup sleep {nohup} >/dev/null 2>&1 & setsid sleep {detached} >/dev/null 2>&1 &"
        );
        let multiplexed = host.ssh(key);
        multiplexed
            .run_with(&["-S", &control], "host", &left)
            .succeeds();
        let processes: Vec<String> = [idle, nohup, detached, channel]
            .iter()
            .map(|seconds| format!("sleep {seconds}"))
            .collect();
        processes
            .iter()
            .for_each(|process| wait_for_process(process));
        wait::until("the forward", wait::START_MAX, || {
            std::net::TcpStream::connect(("127.0.0.1", forward)).ok()
        });
        Self {
            clients,
            processes,
            forward,
        }
    }

    #[track_caller]
    fn all_run(&mut self) {
        for (what, client) in &mut self.clients {
            assert!(client.runs(), "{what} does not run");
        }
    }

    /// When the last of it had ended.
    #[track_caller]
    fn ends(&mut self) -> Instant {
        for (what, client) in &mut self.clients {
            client.ends_within(what, Duration::from_secs(60));
        }
        for process in &self.processes {
            wait::until(process, wait::START_MAX, || (!runs(process)).then_some(()));
        }
        let ended = Instant::now();
        assert!(std::net::TcpStream::connect(("127.0.0.1", self.forward)).is_err());
        ended
    }
}

/// A copy that takes for ever, with the ssh configuration of `ssh`.
fn scp(ssh: &Ssh, folder: &Path) -> Command {
    let big = folder.join("big");
    let file = std::fs::File::create(&big).expect("a file");
    file.set_len(256 * 1024 * 1024).expect("a sparse file");
    let mut scp = Command::new("scp");
    scp.args(ssh.command(&[], "host", "").get_args().take(2));
    // One megabyte a second: with much less its own pauses are longer than the promise.
    scp.args(["-q", "-l", "8000"]).arg(big);
    scp.arg("host:/dev/null");
    scp
}

#[test]
fn every_kind_of_session_ends_with_its_grant_and_another_of_the_same_account_goes_on() {
    let host = Host::start(|_| {});
    let folder = tempfile::tempdir().expect("a folder");
    let other = unique_seconds();
    let stays = host.certificate(900, unix_now() + 3600);
    let mut survivor = host.open(&stays, &format!("sleep {other}"));
    wait_for_process(&format!("sleep {other}"));
    let end = unix_now() + 15;
    let key = host.certificate(901, end);
    let mut busy = Busy::start(&host, &key, folder.path());
    busy.all_run();
    assert!(unix_now() < end, "the machine is too slow for this test");
    wait::until("the end of the grant", wait::START_MAX, || {
        (unix_now() >= end).then_some(())
    });
    let over = Instant::now();
    let late = busy.ends().saturating_duration_since(over);
    eprintln!("end of grant to everything ended: {late:?}");
    assert!(late <= PROMISE, "{late:?}");
    host.authority.wait_for(901, SessionEvent::EndedAtExpiry);
    assert!(survivor.runs() && runs(&format!("sleep {other}")));
    assert!(!host.lets_in(&key));
    assert!(host.lets_in(&stays));
}

#[test]
fn every_kind_of_session_ends_when_its_certificate_is_revoked() {
    let host = Host::start(|_| {});
    let folder = tempfile::tempdir().expect("a folder");
    let other = unique_seconds();
    let stays = host.certificate(902, unix_now() + 3600);
    let mut survivor = host.open(&stays, &format!("sleep {other}"));
    wait_for_process(&format!("sleep {other}"));
    let key = host.certificate(903, unix_now() + 3600);
    let mut busy = Busy::start(&host, &key, folder.path());
    busy.all_run();
    let revoked = Instant::now();
    host.authority.revoke(903);
    let late = busy.ends().saturating_duration_since(revoked);
    eprintln!("revoked to everything ended: {late:?}");
    assert!(late <= PROMISE, "{late:?}");
    host.authority
        .wait_for(903, SessionEvent::EndedByRevocation);
    host.authority.wait_for_acknowledgement();
    assert!(survivor.runs() && runs(&format!("sleep {other}")));
    assert!(!host.lets_in(&key));
}

#[test]
fn a_connection_that_was_closed_leaves_nothing_behind_after_its_grant() {
    let host = Host::start(|_| {});
    let left = unique_seconds();
    let key = host.certificate(904, unix_now() + 3600);
    let remote = format!("setsid sleep {left} >/dev/null 2>&1 &");
    host.ssh(&key).run(&remote).succeeds();
    host.authority.wait_for(904, SessionEvent::Closed);
    wait_for_process(&format!("sleep {left}"));
    let status = host.run(&["status", "--json"]).succeeds().stdout;
    assert!(status.contains("\"connected\":false"), "{status}");
    host.authority.revoke(904);
    wait::until("its end", PROMISE, || {
        (!runs(&format!("sleep {left}"))).then_some(())
    });
    host.wait_for_registrations(0);
}

#[test]
fn a_terminal_is_warned_before_the_end_and_told_at_the_end() {
    let host = Host::start(|settings| settings.warn_before_seconds = vec![8]);
    let key = host.certificate(905, unix_now() + 14);
    let ssh = host.ssh(&key);
    let mut terminal = Terminal::start(ssh.command(&["-tt"], "host", "cat"));
    terminal.expect("this session ends in 8 seconds");
    terminal.expect("this session ends now: its grant is over");
    host.authority.wait_for(905, SessionEvent::EndedAtExpiry);
}

#[test]
fn what_is_registered_and_is_not_the_same_process_or_not_sshd_is_never_touched() {
    let host = Host::start(|_| {});
    let seconds = unique_seconds();
    let key = host.certificate(906, unix_now() + 3600);
    let mut session = host.open(&key, &format!("sleep {seconds}"));
    wait_for_process(&format!("sleep {seconds}"));
    host.wait_for_registrations(1);
    let real = host.registrations().remove(0);
    let mut registration: serde_json::Value = serde_json::from_str(&real).expect("JSON");
    let bystander = unique_seconds();
    let mut child = Command::new("sleep")
        .arg(bystander.to_string())
        .spawn()
        .expect("sleep");
    wait_for_process(&format!("sleep {bystander}"));
    let pid = child.id();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let started: u64 = stat
        .split(' ')
        .nth(21)
        .expect("a field")
        .parse()
        .expect("a number");
    // The number of an ended connection, used again; and a process that is not sshd at all.
    for started in [started - 1, started] {
        registration["connection"] = serde_json::json!({"pid": pid, "started": started});
        registration["serial"] = 907.into();
        registration["valid_before"] = (unix_now() - 1).into();
        registration["audit"] = serde_json::Value::Null;
        let hidden = host.sessions().join(".new");
        std::fs::write(&hidden, registration.to_string()).expect("a file");
        let name = format!("{pid}-{started}.json");
        std::fs::rename(hidden, host.sessions().join(name)).expect("a rename");
    }
    host.authority.wait_for(907, SessionEvent::Closed);
    host.authority.revoke(906);
    session.ends_within("the real one", PROMISE);
    host.authority
        .wait_for(906, SessionEvent::EndedByRevocation);
    assert!(child.try_wait().expect("a child").is_none(), "it was ended");
    child.kill().expect("a child");
    child.wait().expect("a child");
}

#[test]
fn a_users_environment_file_does_not_hide_a_session() {
    let host = Host::start(|_| {});
    let home = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir_in("/run")
        .expect("a home");
    let file = home.path().join(".pam_environment");
    std::fs::write(&file, "SSH_AUTH_INFO_0 OVERRIDE=password\n").expect("a file");
    let mut usermod = Command::new("usermod");
    usermod.arg("-d").arg(home.path()).arg(host.account.name());
    crate::support::run::run(usermod).succeeds();
    let key = host.certificate(908, unix_now() + 3600);
    let mut session = host.open(&key, "cat");
    host.wait_for_registrations(1);
    host.authority.revoke(908);
    session.ends_within("the session", PROMISE + wait::START_MAX);
}
