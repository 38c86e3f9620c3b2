//! The real `ssh -G` is the judge.

use std::process::Command;

use super::*;
use crate::config::{ConfigFile, Surroundings, resolve};
use crate::pins::tests::discovery;

fn config(folder: &Path, named: bool) -> Config {
    let file = ConfigFile {
        ca_url: "https://ca.example.com".into(),
        ca_certificate: None,
        state_dir: Some(folder.join("state of 100%")),
        browser: None,
    };
    let place = Surroundings {
        config: named.then(|| folder.join("c.toml")),
        ..Surroundings::default()
    };
    resolve(&place, folder.join("c.toml"), file).unwrap()
}

/// What `ssh -G host` makes of `text`.
fn judged(folder: &Path, text: &str, host: &str) -> String {
    let path = folder.join("judged");
    std::fs::write(&path, text).unwrap();
    let output = Command::new("ssh")
        .arg("-F")
        .arg(&path)
        .args(["-T", "-G", host])
        .env("SHELL", "/bin/sh")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(folder: &Path, program: &str, named: bool) -> String {
    let config = config(folder, named);
    blocks(&config, Path::new(program), &discovery().environments).unwrap()
}

#[test]
fn ssh_offers_exactly_the_certificate_to_the_hosts_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let text = text(folder.path(), "/bin/true", true);
    let found = judged(folder.path(), &text, "web1.prod.example.com");
    // `-G` shows it as written; the doubled percent sign is read as one when it is used.
    let identity = folder.path().join("state of 100%%/certs/prod-cert.pub");
    assert!(
        found.contains(&format!("identityfile {}\n", identity.display())),
        "{found}"
    );
    assert_eq!(found.matches("\nidentityfile ").count(), 1);
    assert!(found.contains("\nidentitiesonly yes\n"));
    assert!(found.contains("\nuser deploy\n"));
}

#[test]
fn other_hosts_are_untouched_and_the_command_does_not_run_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("ran");
    let program = folder.path().join("program");
    std::fs::write(
        &program,
        format!("#!/bin/sh\necho \"$@\" >> '{}'\n", mark.display()),
    )
    .unwrap();
    let mut mode = std::fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let text = text(folder.path(), program.to_str().unwrap(), true);
    let found = judged(folder.path(), &text, "elsewhere.example.com");
    assert!(found.contains("\nidentitiesonly no\n"));
    assert!(!mark.exists());
    judged(folder.path(), &text, "web1.prod.example.com");
    let ran = std::fs::read_to_string(&mark).unwrap();
    let config = folder.path().join("c.toml");
    assert_eq!(ran, format!("--config {} ensure prod\n", config.display()));
}

#[test]
fn hosts_with_certificates_are_recognized_even_while_nobody_is_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), true);
    let mut environments = discovery().environments;
    let without = blocks(&config, Path::new("/bin/false"), &environments).unwrap();
    assert!(!without.contains("KnownHostsFile"));
    environments[0].host_ca_public_key = Some("ssh-ed25519 AAAA".into());
    let text = blocks(&config, Path::new("/bin/false"), &environments).unwrap();
    let known_hosts = |host: &str| {
        let found = judged(folder.path(), &text, host);
        let line = found
            .lines()
            .find(|l| l.starts_with("globalknownhostsfile "));
        line.unwrap_or_default().to_owned()
    };
    let own = known_hosts("web1.prod.example.com");
    // The files for everybody stay, and the person's own are not touched at all.
    assert!(
        own.contains(" /etc/ssh/ssh_known_hosts ") && own.contains("/state of 100%"),
        "{own}"
    );
    assert!(!known_hosts("elsewhere.example.com").contains("state of"));
}

#[test]
fn a_command_that_fails_makes_ssh_skip_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let text = text(folder.path(), "/bin/false", false);
    let found = judged(folder.path(), &text, "web1.prod.example.com");
    assert!(found.contains("\nidentitiesonly no\n"));
    assert!(!found.contains("prod-cert.pub"));
}

#[test]
fn the_include_works_at_the_top_of_a_file_and_leaves_what_follows_alone() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = folder.path().join("blocks");
    std::fs::write(&blocks, text(folder.path(), "/bin/true", false)).unwrap();
    let own = with_include("Host *\n    Port 2222\n", &include_line(&blocks).unwrap()).unwrap();
    let found = judged(folder.path(), &own, "web1.prod.example.com");
    assert!(found.contains("\nidentitiesonly yes\n") && found.contains("\nport 2222\n"));
    let found = judged(folder.path(), &own, "elsewhere");
    assert!(found.contains("\nidentitiesonly no\n") && found.contains("\nport 2222\n"));
}

#[test]
fn nothing_that_a_server_names_becomes_another_setting() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), false);
    let mut environments = discovery().environments;
    environments[0].host_patterns = vec![
        "a\nProxyCommand evil".into(),
        "b exec evil".into(),
        "\"c\"".into(),
        "d,e".into(),
        "%h".into(),
        String::new(),
        "-x".into(),
    ];
    let text = blocks(&config, Path::new("jit-ssh"), &environments).unwrap();
    assert!(!text.contains("evil") && !text.contains("Match"), "{text}");
}

#[test]
fn a_path_that_ssh_config_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), false);
    for program in ["/a\"b", "/a'b", "/a\\b", "/a$b", "/a\nb", "/a`b"] {
        let refused = blocks(&config, Path::new(program), &discovery().environments);
        assert!(refused.is_err(), "{program:?}");
    }
}

#[test]
fn the_include_line_is_put_first_once_and_moved_up_when_it_is_below() {
    let line = "Include \"/x/ssh_config\"";
    let own = "# mine\nHost a\n    Port 1\n";
    let first = with_include(own, line).unwrap();
    assert_eq!(first, format!("{line}\n{own}"));
    assert_eq!(with_include(&first, line), None);
    let below = format!("{own}{line}\n");
    assert_eq!(included(&below, line), Included::Below);
    assert_eq!(with_include(&below, line).unwrap(), first);
    assert_eq!(with_include("", line).unwrap(), format!("{line}\n"));
    let after_other = format!("# x\ninclude /other\n{line}\n");
    assert_eq!(included(&after_other, line), Included::AtTop);
}
