//! What must not work, and says why: too few shares, the wrong ones, and careless sealing.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ceremony::Ceremony;

const ALICE: &str = "shares/prod-alice.age";
const CAROL: &str = "shares/prod-carol.age";

#[test]
fn one_share_alone_is_refused_with_how_many_are_missing() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let refused = ceremony.try_sign(&[ALICE], &["alice"], &[]).exits_with(1);
    assert!(
        refused.stderr.contains("1 more missing"),
        "{}",
        refused.stderr
    );
    let none = ceremony.try_sign(&[], &[], &[]).exits_with(1);
    assert!(none.stderr.contains("no share is here"), "{}", none.stderr);
    assert_eq!(ceremony.files("out"), 0);
}

#[test]
fn wrong_shares_are_each_refused_by_name() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let both = ["alice", "carol"];
    let says = |shares: &[&str], holders: &[&str], more: &[&str], what: &str| {
        let refused = ceremony.try_sign(shares, holders, more).exits_with(1);
        assert!(refused.stderr.contains(what), "{what}: {}", refused.stderr);
    };
    says(&[ALICE, ALICE], &both, &[], "the same share");
    says(&[ALICE, CAROL], &["alice"], &[], "none of the identities");
    says(&[ALICE, CAROL], &["carol", "dave"], &[], "prod-alice.age");
    let sealed = std::fs::read_to_string(ceremony.path(CAROL)).expect("a share");
    let mut lines: Vec<String> = sealed.lines().map(str::to_owned).collect();
    let middle = lines.len() - 3;
    let changed = if lines[middle].starts_with('A') {
        "B"
    } else {
        "A"
    };
    lines[middle].replace_range(..1, changed);
    std::fs::write(ceremony.path("changed.age"), lines.join("\n") + "\n").expect("a file");
    says(&[ALICE, "changed.age"], &both, &[], "damaged");
    let holders = ["alice", "carol"];
    let again = ceremony.try_seal("other", "2", &holders, &["--replace"]);
    again.succeeds();
    says(
        &[ALICE, "other/prod-carol.age"],
        &both,
        &[],
        "two keys never make one",
    );
    says(&[ALICE, CAROL], &both, &["--for", "61m"], "at most 1 h");
    assert_eq!(ceremony.files("out"), 0);
    let mut staging = ceremony.sign_command(&[ALICE, CAROL], &both, &[]);
    let staging = {
        let mut changed = Command::new(staging.get_program());
        changed.args(staging.get_args().map(|word| {
            if word == "prod" {
                "staging".as_ref()
            } else {
                word
            }
        }));
        changed.current_dir(ceremony.dir());
        staging = changed;
        crate::support::run::run(staging)
    };
    assert!(
        staging.stderr.contains("prod's key, not of staging's"),
        "{}",
        staging.stderr
    );
}

#[test]
fn careless_sealing_is_refused_before_a_key_is_made() {
    let ceremony = Ceremony::new();
    let holders = ["alice", "carol"];
    ceremony
        .try_seal("shares", "1", &holders, &[])
        .exits_with(2);
    ceremony
        .try_seal("shares", "3", &holders, &[])
        .exits_with(2);
    let twice = ceremony.try_seal("shares", "2", &["alice", "alice"], &[]);
    assert!(twice.exits_with(1).stderr.contains("named twice"));
    std::fs::copy(ceremony.path("alice.pub"), ceremony.path("eve.pub")).expect("a copy");
    let same = ceremony.try_seal("shares", "2", &["alice", "eve"], &[]);
    assert!(same.exits_with(1).stderr.contains("another holder has"));
    let long = ceremony.try_seal("shares", "2", &holders, &["--longest", "9h"]);
    assert!(long.exits_with(1).stderr.contains("8h"));
    assert!(!ceremony.path("shares").exists());
    assert!(!ceremony.ca().join("keys/prod.break-glass.pub").exists());
    ceremony
        .try_seal("alone", "1", &["alice"], &["--allow-single"])
        .succeeds();
    let one = ceremony.try_sign(&["alone/prod-alice.age"], &["alice"], &[]);
    one.succeeds();
}

#[test]
fn a_sealed_key_and_files_that_are_there_are_never_written_over() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let (key, shares) = (ceremony.public_line(), ceremony.files("shares"));
    let holders = ["alice", "carol"];
    let again = ceremony.try_seal("other", "2", &holders, &[]).exits_with(1);
    assert!(again.stderr.contains("--replace"), "{}", again.stderr);
    let full = ceremony.try_seal("shares", "2", &holders, &["--replace"]);
    assert!(full.exits_with(1).stderr.contains("not empty"));
    assert_eq!(
        (ceremony.public_line(), ceremony.files("shares")),
        (key.clone(), shares)
    );
    let old = ceremony.sign(&[]);
    ceremony
        .try_seal("other", "2", &holders, &["--replace"])
        .succeeds();
    assert_ne!(ceremony.public_line(), key);
    // A record of the replaced key can still be imported.
    let record = old.record.to_str().expect("UTF-8");
    ceremony
        .at_ca(&["break-glass", "import", record])
        .succeeds();
}

#[test]
fn no_seed_and_no_share_stands_in_any_file() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    ceremony.sign(&[]);
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(ceremony.dir(), &mut files);
    for file in files {
        let bytes = std::fs::read(&file).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("jit_ssh_break_glass_share"), "{file:?}");
    }
    let keys = std::fs::read_dir(ceremony.ca().join("keys")).expect("keys");
    let sealed = keys.filter(|entry| {
        let name = entry.as_ref().expect("a file").file_name();
        name.to_string_lossy().contains("break-glass")
    });
    assert_eq!(sealed.count(), 1, "only the public half");
}

/// A small file system, so that it can be full.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(over: &Path) -> Self {
        std::fs::create_dir_all(over).expect("a folder");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"])
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
fn on_a_full_disk_there_is_no_certificate_and_what_was_there_stays() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let _disk = SmallDisk::mount(&ceremony.path("out"));
    let first = ceremony.sign(&[]);
    std::fs::write(ceremony.path("out/filler"), vec![0; 64 * 1024]).expect_err("it fits");
    let files = ceremony.files("out");
    let full = ceremony
        .try_sign(&[ALICE, CAROL], &["alice", "carol"], &[])
        .exits_with(1);
    assert!(
        full.stderr.contains("no certificate was made"),
        "{}",
        full.stderr
    );
    assert!(!full.stderr.contains("Log in:"), "{}", full.stderr);
    assert_eq!(ceremony.files("out"), files);
    assert!(first.certificate.exists() && first.record.exists());
    std::fs::remove_file(ceremony.path("out/filler")).expect("remove");
    ceremony.sign(&[]);
}
