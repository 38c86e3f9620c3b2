//! What a crash, a full disk, a restored backup or an altered file may never lead to: a
//! certificate without a record, or two histories.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::dev::{Dev, Person};
use crate::support::run::run;

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .expect("cp");
    assert!(status.success());
}

/// Serials of every certificate in the log, by `audit export`.
fn recorded(dev: &Dev) -> Vec<u64> {
    let export = dev.ca_server(&["audit", "export"]).succeeds();
    let lines = export.stdout.lines();
    let records = lines.map(|line| serde_json::from_str(line).expect("a JSON object a line"));
    records
        .filter_map(|record: serde_json::Value| record["serial"].as_u64())
        .collect()
}

/// A certificate the person got, by its serial.
fn login(person: &Person, arguments: &[&str]) -> u64 {
    let login = run(person.jit_ssh(&["login"]).args_and(arguments)).succeeds();
    serial(&login.stdout)
}

fn serial(json: &str) -> u64 {
    let granted: serde_json::Value = serde_json::from_str(json).expect("one document");
    granted["serial"].as_u64().expect("a serial")
}

trait ArgsAnd {
    fn args_and(self, arguments: &[&str]) -> Self;
}

impl ArgsAnd for Command {
    fn args_and(mut self, arguments: &[&str]) -> Self {
        self.args(arguments);
        self
    }
}

#[test]
fn killed_at_any_moment_the_ca_never_forgets_a_certificate_it_released() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    let mut released = vec![serial(
        &alice.login(&["staging", "--json"]).succeeds().stdout,
    )];
    // The session survives the crashes, so each round is one certificate, cut off somewhere else.
    for round in 0..12_u64 {
        alice.agent.ssh_add(&["-D"]);
        let client = alice
            .jit_ssh(&["login", "staging", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("jit-ssh");
        std::thread::sleep(std::time::Duration::from_millis(round * 9));
        dev.kill();
        let output = client.wait_with_output().expect("it ends");
        if output.status.success() {
            released.push(serial(&String::from_utf8(output.stdout).expect("text")));
        }
        dev.start_again();
    }
    let recorded = recorded(&dev);
    for serial in released {
        assert!(
            recorded.contains(&serial),
            "{serial} was released and is not in {recorded:?}"
        );
    }
    let mut unique = recorded.clone();
    unique.dedup();
    assert_eq!(unique, recorded, "a serial was given twice");
    dev.stop();
    dev.ca_server(&["audit", "verify"]).succeeds();
}

#[test]
fn a_restored_backup_of_the_store_is_refused_and_the_message_says_what_to_do() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    dev.stop();
    let (store, backup) = (dev.place().join("store"), dev.place().join("backup"));
    copy(&store, &backup);
    dev.start_again();
    login(&alice, &["prod", "--json"]);
    dev.stop();
    std::fs::rename(&store, dev.place().join("newest")).expect("rename");
    copy(&backup, &store);
    let said = dev.refuses_to_start();
    assert!(
        said.contains("rolled back") && said.contains("new epoch"),
        "{said}"
    );
    // The newest store is still good.
    std::fs::remove_dir_all(&store).expect("remove");
    std::fs::rename(dev.place().join("newest"), &store).expect("rename");
    dev.start_again();
}

#[test]
fn a_lost_truncated_or_altered_high_water_file_is_refused() {
    let mut dev = Dev::start();
    dev.person("alice").login(&["staging"]).succeeds();
    dev.stop();
    let path = dev.place().join("high-water");
    let whole = std::fs::read(&path).expect("the high-water file");
    std::fs::remove_file(&path).expect("remove");
    assert!(dev.refuses_to_start().contains("high-water"));
    std::fs::write(&path, &whole[..10]).expect("write");
    assert!(dev.refuses_to_start().contains("high-water"));
    let flipped: Vec<u8> = whole.iter().map(|byte| byte ^ 1).collect();
    std::fs::write(&path, flipped).expect("write");
    assert!(dev.refuses_to_start().contains("high-water"));
    std::fs::write(&path, &whole).expect("write");
    dev.start_again();
}

#[test]
fn a_store_with_altered_bytes_is_refused_or_found_by_audit_verify() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    dev.stop();
    let saved = tempfile::tempdir().expect("a folder");
    copy(&dev.place().join("store"), &saved.path().join("store"));
    let path = dev.place().join("store/db");
    let whole = std::fs::read(&path).expect("the store's file");
    let place = position(&whole, b"certificate-issued").expect("the event is stored as it is");
    let mut altered = whole.clone();
    altered[place] ^= 1;
    std::fs::write(&path, altered).expect("write");
    let verify = dev.ca_server(&["audit", "verify"]);
    assert!(
        !verify.succeeded(),
        "verify found nothing: {}",
        verify.stdout
    );
    dev.refuses_to_start();
    // All of it back: sled writes beside the file when it finds damage.
    std::fs::remove_dir_all(dev.place().join("store")).expect("remove");
    copy(&saved.path().join("store"), &dev.place().join("store"));
    dev.ca_server(&["audit", "verify"]).succeeds();
    dev.start_again();
}

fn position(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

/// A file system of its own, so that it can be full.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(over: &Path) -> Self {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256m,mode=0700", "tmpfs"])
            .arg(over);
        assert!(
            mount.status().expect("mount").success(),
            "a tmpfs (needs root)"
        );
        Self(over.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn on_a_full_disk_nothing_is_issued_until_there_is_room_again() {
    let home = tempfile::TempDir::new().expect("a folder");
    let disk = home.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let _disk = SmallDisk::mount(&disk);
    let dev = Dev::start_in(&disk.join("ca"));
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    let filler = disk.join("filler");
    let mut fill = Command::new("fallocate");
    fill.args(["-l", "215M"]).arg(&filler);
    assert!(fill.status().expect("fallocate").success());
    let full = run(alice.jit_ssh(&["login", "prod"])).exits_with(6);
    assert!(
        full.stderr.contains("nothing was issued"),
        "{}",
        full.stderr
    );
    assert_eq!(alice.agent.list().len(), 1);
    std::fs::remove_file(&filler).expect("remove");
    run(alice.jit_ssh(&["login", "prod"])).succeeds();
    assert_eq!(alice.agent.list().len(), 2);
}

#[test]
fn a_ca_that_is_away_or_a_port_that_is_silent_is_named_with_exit_6() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    dev.stop();
    let away = run(alice.jit_ssh(&["login", "prod"])).exits_with(6);
    assert!(away.stderr.contains("hint:"), "{}", away.stderr);
    // What is held stays useful, and is said to.
    run(alice.jit_ssh(&["login", "staging"])).succeeds();
    run(alice.jit_ssh(&["status", "--check"])).succeeds();
}

#[test]
fn a_broken_policy_file_is_refused_at_start_with_line_and_caret() {
    let mut dev = Dev::start();
    dev.stop();
    let path = dev.place().join("policies/routine.cedar");
    let whole = std::fs::read_to_string(&path).expect("the policies");
    std::fs::write(
        &path,
        format!("{whole}\npermit (principal, action, resource"),
    )
    .expect("write");
    let said = dev.refuses_to_start();
    assert!(
        said.contains("routine.cedar:") && said.contains('^'),
        "{said}"
    );
    std::fs::write(&path, whole).expect("write");
    dev.start_again();
}

#[test]
fn a_policy_file_broken_while_running_keeps_the_old_set_and_says_so_loudly() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let path = dev.place().join("policies/routine.cedar");
    let whole = std::fs::read_to_string(&path).expect("the policies");
    std::fs::write(&path, "permit (principal").expect("write");
    crate::support::wait::until("the refusal", std::time::Duration::from_secs(20), || {
        dev.log().contains("NOT RELOADED").then_some(())
    });
    alice.login(&["staging"]).succeeds();
    std::fs::write(&path, format!("{whole}\n// changed\n")).expect("write");
    crate::support::wait::until("the record", std::time::Duration::from_secs(20), || {
        let kind = ["audit", "search", "--kind", "policy-loaded", "--json"];
        let records = dev.ca_server(&kind).succeeds().stdout;
        (records.matches("policy-loaded").count() >= 2).then_some(())
    });
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let dev = Dev::start();
    let said = dev.refuses_to_start();
    assert!(!said.is_empty());
    dev.person("alice").login(&["staging"]).succeeds();
}
