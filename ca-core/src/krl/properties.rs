//! What holds for all lists: nothing is lost or added, nothing panics, OpenSSH agrees, and size.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::example::{Probe, contents, key_of, openssh_revokes, range};
use super::section::AUTHORITIES_MAX;
use super::{ENTRIES_MAX, KRL_SIZE_MAX, Krl, KrlError, SerialRange, Serials, write};
use crate::certificate::example::{authority, client_key, ssh_keygen};

/// Serials in clusters: dense, sparse and in runs, at the bounds and anywhere.
fn any_serials() -> impl Strategy<Value = Serials> {
    let base = prop_oneof![
        Just(1),
        Just(1 << 40),
        Just(u64::MAX - 40_000),
        1..u64::MAX - 40_000,
    ];
    let gap = prop_oneof![4 => 1..4_u64, 2 => 1..100_u64, 1 => 1..20_000_u64];
    let run = prop_oneof![6 => Just(0), 2 => 0..4_u64, 1 => 0..20_000_u64];
    let cluster = (base, proptest::collection::vec((gap, run), 0..40));
    proptest::collection::vec(cluster, 0..4).prop_map(|clusters| {
        let ranges = clusters.into_iter().flat_map(|(base, steps)| {
            steps.into_iter().scan(base, |at, (gap, run)| {
                let first = at.saturating_add(gap);
                *at = first.saturating_add(run);
                Some(range(first, *at))
            })
        });
        ranges.collect()
    })
}

/// Both ends of ranges and what lies beside them: of all, or of some hundred evenly chosen.
fn probes(serials: &Serials) -> Vec<Probe<'static>> {
    let every = serials.ranges().len() / 30 + 1;
    let ends = serials.ranges().iter().step_by(every).flat_map(|range| {
        let around = [range.first() - 1, range.first(), range.last()];
        around.into_iter().chain(range.last().checked_add(1))
    });
    ends.map(Probe::serial).chain([Probe::serial(1)]).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_nothing_else(
        serials in any_serials(), version: u64, seconds in 0_u64..1 << 40, keyed: bool,
    ) {
        let mut contents = contents(serials.clone());
        contents.version = version;
        contents.generated = crate::time::Timestamp::from_unix_seconds(seconds);
        if keyed {
            contents.keys = vec![client_key(), client_key()];
        }
        let bytes = write(&contents);
        let krl = Krl::read(&bytes).unwrap();
        let found = krl.serials(&key_of(&authority())).cloned().unwrap_or_default();
        prop_assert_eq!(&found, &serials);
        prop_assert_eq!((krl.version(), krl.generated()), (version, contents.generated));
        prop_assert_eq!(krl.comment(), contents.comment.as_str());
        prop_assert_eq!(krl.revokes_key(client_key().blob()), keyed);
        prop_assert_eq!(krl.serials_of_every_authority(), None);
        prop_assert_eq!(write(&contents), bytes);
    }

    #[test]
    fn changed_bytes_never_panic_and_never_revoke_serial_0(
        serials in any_serials(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = write(&contents(serials));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(krl) = Krl::read(&bytes) {
            prop_assert!(!krl.revokes_serial(&key_of(&authority()), 0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn openssh_agrees_about_any_list_of_ours_and_we_about_its_own(serials in any_serials()) {
        let signing = authority();
        let bytes = write(&contents(serials.clone()));
        let probes = probes(&serials);
        let expected: Vec<bool> = probes.iter().map(|p| serials.contains(p.serial)).collect();
        let theirs = openssh_revokes(&bytes, &signing, &probes);
        prop_assert_eq!(theirs, Ok(expected));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pub"), key_of(&signing).to_string()).unwrap();
        let line = |range: &SerialRange| match (range.first(), range.last()) {
            (only, last) if only == last => format!("serial: {only}\n"),
            (first, last) => format!("serial: {first}-{last}\n"),
        };
        let specification: String = serials.ranges().iter().map(line).collect();
        fs::write(folder.path().join("spec"), specification).unwrap();
        ssh_keygen(folder.path(), &["-q", "-k", "-f", "krl", "-s", "ca.pub", "spec"]);
        let made = fs::read(folder.path().join("krl")).unwrap();
        let read = Krl::read(&made).unwrap();
        let found = read.serials(&key_of(&signing)).cloned().unwrap_or_default();
        prop_assert_eq!(found, serials);
        // Theirs has no comment; ours does not search for the last few bytes.
        let extra = contents(Serials::default()).comment.as_str().len() + 8;
        prop_assert!(bytes.len() <= made.len() + extra, "{} {}", bytes.len(), made.len());
    }
}

/// `count` serials, each a step in `1..=gap_max` after the one before, always the same.
fn spread(count: usize, gap_max: u64) -> Serials {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut serial = 1 << 40;
    let mut all = BTreeSet::new();
    while all.len() < count {
        // Numerical Recipes' linear congruential generator; its upper bits are good enough.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        serial += 1 + (state >> 24) % gap_max;
        all.insert(serial);
    }
    Serials::try_from(&all).unwrap()
}

#[test]
fn ten_thousand_revocations_take_less_than_100_kilobytes_and_little_where_they_are_dense() {
    let size = |gap_max| {
        let serials = spread(10_000, gap_max);
        assert_eq!(serials.count(), 10_000);
        write(&contents(serials)).len()
    };
    // 40-bit serials at random; one issued certificate in ten or two revoked; all of them.
    for (gap_max, bytes_max) in [(100_000_000, 80_200), (19, 13_200), (3, 3_100), (1, 200)] {
        let bytes = size(gap_max);
        assert!(bytes <= bytes_max, "gaps up to {gap_max}: {bytes} bytes");
    }
}

#[test]
fn lists_beyond_the_bounds_are_refused_before_they_cost_anything() {
    let apart = |step: usize, count: usize| {
        let firsts = (1..=u64::MAX).step_by(step);
        let serials = firsts.take(count).map(|serial| range(serial, serial));
        write(&contents(serials.collect()))
    };
    let long = apart(1_000, KRL_SIZE_MAX / 8);
    assert_eq!(Krl::read(&long), Err(KrlError::TooLong(long.len())));
    assert!(Krl::read(&apart(2, ENTRIES_MAX)).is_ok());
    let more = apart(2, ENTRIES_MAX + 1);
    assert_eq!(Krl::read(&more), Err(KrlError::TooManyEntries));
    let one = Serials::from_iter([range(1, 1)]);
    let mut list = contents(one.clone());
    list.certificates = vec![(key_of(&authority()), one.clone()); AUTHORITIES_MAX];
    assert!(Krl::read(&write(&list)).is_ok());
    list.certificates.push((key_of(&authority()), one));
    assert_eq!(Krl::read(&write(&list)), Err(KrlError::TooManyAuthorities));
}
