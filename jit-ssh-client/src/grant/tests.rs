//! Recognition of our own, against the real ssh-agent where it matters.

use std::num::NonZeroU32;
use std::process::Command;

use ca_core::agent::CertificateEntry;
use ca_core::serial::Serial;
use ed25519_dalek::SigningKey;

use super::*;
use crate::agent::tests::{RealAgent, certificate};
use crate::agent::{fresh_key, public_line};
use crate::clock;
use crate::config::{ConfigFile, Surroundings, resolve};
use crate::pins::tests::discovery;

fn pins(authority: &SigningKey) -> Pins {
    let mut discovery = discovery();
    discovery.environments[0].ca_public_key = public_line(authority).unwrap();
    Pins {
        fetched_at: Timestamp::default(),
        discovery,
    }
}

fn config(folder: &std::path::Path) -> Config {
    let file = ConfigFile {
        ca_url: "https://ca".into(),
        ca_certificate: None,
        state_dir: Some(folder.join("state")),
        browser: None,
    };
    resolve(&Surroundings::default(), folder.join("c.toml"), file).unwrap()
}

fn add(agent: &mut Agent, (blob, key): &(Vec<u8>, SigningKey), comment: &str) {
    let entry = CertificateEntry {
        certificate: blob,
        key,
        comment,
        lifetime_seconds: NonZeroU32::new(600),
        confirm: false,
    };
    agent.add(&entry).unwrap();
}

/// A plain key of somebody else, with a comment that begins like ours.
fn add_foreign_key(real: &RealAgent) {
    let key = real.folder().join("foreign");
    let made = Command::new("ssh-keygen")
        .args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "jit-ssh:prod plain key",
            "-f",
        ])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    real.ssh_add(&["-q", key.to_str().unwrap()]);
}

fn serial(index: u64) -> Serial {
    Serial::new(1, index).unwrap()
}

#[test]
fn pruning_removes_our_expired_certificates_and_nothing_else() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let (ours, theirs) = (fresh_key().unwrap(), fresh_key().unwrap());
    let now = clock::now().unix_seconds();
    let (past, live) = ((now - 100, now - 1), (now - 60, now + 600));
    add(
        &mut agent,
        &certificate(&ours, "prod", serial(1), past),
        "jit-ssh:prod expired",
    );
    add(
        &mut agent,
        &certificate(&ours, "prod", serial(2), live),
        "jit-ssh:prod live",
    );
    // Looks like ours, but another CA signed it.
    add(
        &mut agent,
        &certificate(&theirs, "prod", serial(3), past),
        "jit-ssh:prod other CA",
    );
    // Our CA, but somebody added it by hand under another name.
    add(
        &mut agent,
        &certificate(&ours, "prod", serial(4), past),
        "by hand",
    );
    add_foreign_key(&real);
    let left = prune(
        &config(real.folder()),
        &pins(&ours),
        Some(&mut agent),
        clock::now(),
    );
    let left = left.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].certificate.serial, serial(2).get());
    let mut comments: Vec<String> = agent
        .list()
        .unwrap()
        .into_iter()
        .map(|identity| identity.comment)
        .collect();
    comments.sort();
    assert_eq!(
        comments,
        [
            "by hand",
            "jit-ssh:prod live",
            "jit-ssh:prod other CA",
            "jit-ssh:prod plain key"
        ]
    );
}

#[test]
fn giving_back_one_environment_leaves_the_others_in_the_agent() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let (prod, staging) = (fresh_key().unwrap(), fresh_key().unwrap());
    let mut pins = pins(&prod);
    let mut other = pins.discovery.environments[0].clone();
    other.name = "staging".parse().unwrap();
    other.ca_public_key = public_line(&staging).unwrap();
    pins.discovery.environments.push(other);
    let now = clock::now().unix_seconds();
    let live = (now - 60, now + 600);
    add(
        &mut agent,
        &certificate(&prod, "prod", serial(1), live),
        "jit-ssh:prod a",
    );
    add(
        &mut agent,
        &certificate(&staging, "staging", serial(2), live),
        "jit-ssh:staging b",
    );
    let name = "prod".parse().unwrap();
    assert_eq!(
        remove_from_agent(&mut agent, &pins, Some(&name)).unwrap(),
        1
    );
    let left = ours(&agent.list().unwrap(), &pins);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].environment.as_str(), "staging");
    assert_eq!(remove_from_agent(&mut agent, &pins, None).unwrap(), 1);
}

#[test]
fn a_key_file_that_is_over_is_removed_with_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let authority = fresh_key().unwrap();
    let pins = pins(&authority);
    let name = "prod".parse().unwrap();
    let (blob, _) = certificate(&authority, "prod", serial(1), (100, 200));
    let line = ca_core::certificate::draft::openssh_line(&blob, "jit-ssh:prod").unwrap();
    file::replace(&key_file(&config, &name), b"key").unwrap();
    file::replace(&certificate_file(&config, &name), line.as_bytes()).unwrap();
    let at = Timestamp::from_unix_seconds;
    let live = prune(&config, &pins, None, at(199)).unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].place, Place::File);
    assert_eq!(prune(&config, &pins, None, at(200)).unwrap(), []);
    assert!(!key_file(&config, &name).exists());
    assert!(!certificate_file(&config, &name).exists());
}

fn grant(window: (u64, u64)) -> Grant {
    let authority = fresh_key().unwrap();
    let (blob, _) = certificate(&authority, "prod", serial(9), window);
    Grant {
        environment: "prod".parse().unwrap(),
        certificate: read_untrusted_blob(&blob).unwrap(),
        place: Place::Agent,
    }
}

#[test]
fn a_grant_covers_its_own_names_while_enough_of_it_is_left() {
    let held = grant((0, 3600));
    let at = Timestamp::from_unix_seconds;
    let (deploy, root) = ("deploy".parse().unwrap(), "root".parse().unwrap());
    assert!(held.covers(&[], None, at(0)));
    assert!(held.covers(std::slice::from_ref(&deploy), None, at(3540)));
    assert!(!held.covers(std::slice::from_ref(&deploy), None, at(3541)));
    assert!(!held.covers(&[deploy, root], None, at(0)));
    let hour = Some(Duration::from_secs(3600));
    assert!(held.covers(&[], hour, at(1800)));
    assert!(!held.covers(&[], hour, at(1801)));
    assert!(!held.covers(&[], Some(Duration::from_secs(8000)), at(0)));
}

#[test]
fn a_very_short_grant_covers_for_half_of_its_life() {
    let held = grant((0, 20));
    assert!(held.covers(&[], None, Timestamp::from_unix_seconds(10)));
    assert!(!held.covers(&[], None, Timestamp::from_unix_seconds(11)));
}

#[test]
fn the_person_is_read_from_the_key_id() {
    let mut held = grant((0, 20));
    assert_eq!(held.user(), "alice");
    assert!(!held.is_break_glass());
    held.certificate.key_id.push_str("+break-glass");
    assert_eq!(held.user(), "alice");
    assert!(held.is_break_glass());
}
