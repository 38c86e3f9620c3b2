//! OpenSSH's `ssh-keygen` as the judge: it reads our lists, we read its lists, and both refuse the
//! same ones.

use std::fs;
use std::path::Path;

use super::example::{
    Probe, contents, key_of, openssh_revokes, openssh_revokes_files, other_authority, range,
};
use super::{KEY_IDS, Krl, KrlError, Serials, write};
use crate::certificate::example::{NOW, authority, client_key, ssh_keygen};
use crate::wire::string;

mod refused;

fn probe_serials(serials: &[u64]) -> Vec<Probe<'static>> {
    serials.iter().copied().map(Probe::serial).collect()
}

/// Both verdicts on certificates with these serials, which must be the same.
fn verdicts(krl: &[u8], serials: &[u64]) -> Vec<bool> {
    let probes = probe_serials(serials);
    let theirs = openssh_revokes(krl, &authority(), &probes).unwrap();
    let read = Krl::read(krl).unwrap();
    let revoked = |probe: &Probe<'_>| probe.revoked_by(&read, &authority());
    let ours: Vec<bool> = probes.iter().map(revoked).collect();
    assert_eq!(ours, theirs);
    ours
}

fn listed(krl: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("krl"), krl).unwrap();
    ssh_keygen(folder.path(), &["-Q", "-l", "-f", "krl"])
}

/// A list by `ssh-keygen -k` from lines of its specification language.
fn made_by_openssh(folder: &Path, ca: &str, specification: &str) -> Vec<u8> {
    fs::write(folder.join("ca.pub"), key_of(&authority()).to_string()).unwrap();
    fs::write(
        folder.join("other.pub"),
        key_of(&other_authority()).to_string(),
    )
    .unwrap();
    fs::write(folder.join("client.pub"), client_key().to_string()).unwrap();
    fs::write(folder.join("spec"), specification).unwrap();
    ssh_keygen(
        folder,
        &["-q", "-k", "-z", "7", "-f", "made", "-s", ca, "spec"],
    );
    fs::read(folder.join("made")).unwrap()
}

/// A list in which all three ways of writing serials occur.
fn mixed() -> (Serials, Vec<u8>) {
    let dense = (0..200).map(|n| range(5_000 + 3 * n, 5_000 + 3 * n));
    let lone = [
        range(1, 1),
        range(70_000, 70_001),
        range(u64::MAX, u64::MAX),
    ];
    let long = [range(1 << 40, (1 << 40) + 99_999)];
    let serials: Serials = dense.chain(lone).chain(long).collect();
    let bytes = write(&contents(serials.clone()));
    (serials, bytes)
}

#[test]
fn every_revoked_serial_is_revoked_and_no_neighbour_is_however_it_is_written() {
    let (serials, bytes) = mixed();
    let mut probes = Vec::new();
    for range in serials.ranges() {
        probes.extend([range.first() - 1, range.first(), range.last()]);
        probes.extend(range.last().checked_add(1));
    }
    let expected: Vec<bool> = probes
        .iter()
        .map(|serial| serials.contains(*serial))
        .collect();
    assert!(expected.contains(&true) && expected.contains(&false));
    assert_eq!(verdicts(&bytes, &probes), expected);
}

#[test]
fn the_exit_code_is_1_for_a_revoked_certificate_and_0_for_any_other() {
    let (_, bytes) = mixed();
    for (serial, revoked) in [
        (1, true),
        (2, false),
        (5_003, true),
        (5_004, false),
        (0, false),
    ] {
        assert_eq!(verdicts(&bytes, &[serial]), [revoked], "{serial}");
    }
}

#[test]
fn the_same_serial_of_another_authority_stays_valid() {
    let (_, bytes) = mixed();
    let probes = probe_serials(&[1, 5_000, 1 << 40, u64::MAX]);
    let theirs = openssh_revokes(&bytes, &other_authority(), &probes).unwrap();
    assert_eq!(theirs, [false; 4]);
    let read = Krl::read(&bytes).unwrap();
    assert!(
        !probes
            .iter()
            .any(|p| p.revoked_by(&read, &other_authority()))
    );
}

#[test]
fn two_authorities_in_one_list_have_their_own_serials() {
    let mut both = contents([range(3, 3)].into_iter().collect());
    let second = [range(4, 4)].into_iter().collect();
    both.certificates.push((key_of(&other_authority()), second));
    let bytes = write(&both);
    let probes = probe_serials(&[3, 4]);
    let read = Krl::read(&bytes).unwrap();
    for (signing, expected) in [
        (authority(), [true, false]),
        (other_authority(), [false, true]),
    ] {
        assert_eq!(
            openssh_revokes(&bytes, &signing, &probes).unwrap(),
            expected
        );
        assert_eq!(
            [3, 4].map(|s| read.revokes_serial(&key_of(&signing), s)),
            expected
        );
    }
}

#[test]
fn every_serial_there_is_can_be_revoked() {
    let bytes = write(&contents([range(1, u64::MAX)].into_iter().collect()));
    assert!(bytes.len() < 200, "{} bytes", bytes.len());
    let probes = [1, 2, u64::MAX - 1, u64::MAX, 0];
    assert_eq!(verdicts(&bytes, &probes), [true, true, true, true, false]);
}

#[test]
fn a_list_that_revokes_nothing_is_a_header_and_valid() {
    let bytes = write(&contents(Serials::default()));
    assert_eq!(bytes.len(), 44 + "jit-ssh prod".len());
    assert_eq!(verdicts(&bytes, &[1, 2]), [false, false]);
}

#[test]
fn ssh_keygen_prints_our_version_time_and_comment() {
    let (_, bytes) = mixed();
    let text = listed(&bytes);
    assert!(text.contains("# KRL version 1099511627793\n"), "{text}");
    assert!(text.contains("# Generated at 20270115T080000\n"), "{text}");
    assert!(text.contains("# Comment: jit-ssh prod\n"), "{text}");
    assert!(
        text.contains("serial: 1099511627776-1099511727775\n"),
        "{text}"
    );
    let read = Krl::read(&bytes).unwrap();
    assert_eq!(read.version(), 1_099_511_627_793);
    assert_eq!(read.generated().unix_seconds(), NOW);
    assert_eq!(read.comment(), "jit-ssh prod");
}

#[test]
fn a_key_revoked_as_a_whole_is_revoked_as_subject_and_as_authority() {
    let mut list = contents(Serials::default());
    list.keys = vec![client_key()];
    let bytes = write(&list);
    assert_eq!(verdicts(&bytes, &[1, 0]), [true, true]);
    list.keys = vec![key_of(&authority()).into()];
    let bytes = write(&list);
    assert_eq!(verdicts(&bytes, &[1, 0]), [true, true]);
    let others = openssh_revokes(&bytes, &other_authority(), &[Probe::serial(1)]);
    assert_eq!(others.unwrap(), [false]);
    let folder = tempfile::tempdir().unwrap();
    let key = key_of(&authority());
    fs::write(folder.path().join("plain.pub"), key.to_string()).unwrap();
    let plain = openssh_revokes_files(folder.path(), &bytes, &["plain.pub"]);
    assert_eq!(plain.unwrap(), [true]);
    assert!(Krl::read(&bytes).unwrap().revokes_key(key.blob()));
}

#[test]
fn ssh_keygen_can_add_to_our_list_and_keeps_what_is_there() {
    let (serials, bytes) = mixed();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("krl"), &bytes).unwrap();
    fs::write(
        folder.path().join("ca.pub"),
        key_of(&authority()).to_string(),
    )
    .unwrap();
    fs::write(folder.path().join("spec"), "serial: 123456\nid: mallory\n").unwrap();
    let arguments = ["-q", "-k", "-u", "-f", "krl", "-s", "ca.pub", "spec"];
    ssh_keygen(folder.path(), &arguments);
    let read = Krl::read(&fs::read(folder.path().join("krl")).unwrap()).unwrap();
    let more: Serials = serials
        .ranges()
        .iter()
        .copied()
        .chain([range(123_456, 123_456)])
        .collect();
    assert_eq!(read.serials(&key_of(&authority())), Some(&more));
    assert!(read.revokes_key_id(&key_of(&authority()), "mallory"));
    assert_eq!(
        (read.version(), read.comment()),
        (1_099_511_627_793, "jit-ssh prod")
    );
}

#[test]
fn lists_of_ssh_keygen_are_read_with_its_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let all = |signing| {
        [
            ("alice@prod", 7),
            ("alice@prod", 8),
            ("bob", 4_000),
            ("bob ", 0),
            ("Bob", u64::MAX),
        ]
        .map(|(key_id, serial)| (signing, Probe { serial, key_id }))
    };
    let digest = client_key().fingerprint();
    for specification in [
        "serial: 7\n".to_owned(),
        "serial: 1-7\nserial: 9-3999\nserial: 18446744073709551615\n".to_owned(),
        "serial: 8-18446744073709551615\n".to_owned(),
        (0..900)
            .map(|n| format!("serial: {}\n", 8 + 2 * n))
            .collect(),
        "id: bob\n".to_owned(),
        format!("key: {}\n", client_key()),
        format!("key: {}\n", key_of(&other_authority())),
        format!("sha1: {}\n", key_of(&authority())),
        format!("sha256: {}\n", client_key()),
        format!("hash: {digest}\n"),
        String::new(),
    ] {
        for ca in ["ca.pub", "none"] {
            let bytes = made_by_openssh(path, ca, &specification);
            let read = Krl::read(&bytes).unwrap();
            assert_eq!(read.version(), 7);
            for signing in [authority(), other_authority()] {
                let probes = all(()).map(|((), probe)| probe);
                let theirs = openssh_revokes(&bytes, &signing, &probes).unwrap();
                let ours = probes.map(|probe| probe.revoked_by(&read, &signing));
                assert_eq!(ours.to_vec(), theirs, "{specification} by {ca}");
            }
        }
    }
}

#[test]
fn lists_about_authorities_of_every_kind_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let kinds: [&[&str]; 7] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "1024"],
        &["-t", "rsa", "-b", "3072"],
        &["-t", "dsa"],
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let name = format!("kind{number}");
        ssh_keygen(path, &[&["-q", "-N", "", "-f", &name], kind].concat());
        let bytes = made_by_openssh(path, &format!("{name}.pub"), "serial: 1\n");
        assert!(Krl::read(&bytes).is_ok(), "{kind:?}");
        assert!(openssh_revokes(&bytes, &authority(), &[Probe::serial(1)]).is_ok());
    }
}

#[test]
fn an_empty_file_is_named_as_such_because_sshd_would_revoke_nothing() {
    assert_eq!(Krl::read(b""), Err(KrlError::Empty));
    openssh_revokes(b"", &authority(), &[Probe::serial(1)]).unwrap_err();
}

#[test]
fn a_key_id_is_matched_exactly_also_with_a_blank_at_its_end_or_a_line_feed_in_it() {
    let ids = ["bob ", "al\nice"];
    let inner: Vec<u8> = ids.iter().flat_map(|id| string(id.as_bytes())).collect();
    let bytes = refused::with_certificates(&[(KEY_IDS, inner)]);
    let key_ids = ["bob ", "al\nice", "bob", "al", "Bob ", "bob  "];
    let probes = key_ids.map(|key_id| Probe { serial: 1, key_id });
    let theirs = openssh_revokes(&bytes, &authority(), &probes).unwrap();
    assert_eq!(theirs, [true, true, false, false, false, false]);
    let read = Krl::read(&bytes).unwrap();
    assert_eq!(
        probes.map(|p| p.revoked_by(&read, &authority())).to_vec(),
        theirs
    );
}
