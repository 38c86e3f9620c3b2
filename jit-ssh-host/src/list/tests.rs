use ca_core::krl::SerialRange;
use ed25519_dalek::SigningKey;

use super::*;

fn log() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn authority(seed: u8) -> AuthorityKey {
    let key = SigningKey::from_bytes(&[seed; 32]);
    SubjectKey::from(&key.verifying_key()).try_into().unwrap()
}

fn verifier() -> VerifierKey {
    VerifierKey::new("ca.example/2026".parse().unwrap(), log().verifying_key())
}

fn environment() -> Environment {
    "prod".parse().unwrap()
}

fn bytes(serials: &[u64]) -> Vec<u8> {
    let ranges = serials
        .iter()
        .map(|serial| SerialRange::new(*serial, *serial).unwrap());
    ca_core::krl::write(&Contents {
        version: 3,
        generated: Timestamp::from_unix_seconds(1000),
        comment: ca_core::krl::Comment::default(),
        certificates: vec![(authority(1), ranges.collect())],
        keys: Vec::new(),
    })
}

fn signed(list: &[u8], change: impl FnOnce(&mut Statement)) -> SignedKrl {
    let mut statement = Statement {
        origin: "ca.example/2026".parse().unwrap(),
        environment: environment(),
        version: 3,
        generated: Timestamp::from_unix_seconds(1000),
        krl: Digest::of(list),
    };
    change(&mut statement);
    SignedKrl {
        krl: STANDARD.encode(list),
        statement: statement.sign(&log()).unwrap(),
    }
}

fn accepted(signed: &SignedKrl, newest: Option<Position>) -> Result<Position, ListError> {
    accept(signed, &verifier(), &environment(), newest).map(|list| list.position())
}

const fn position(version: u64, second: u64) -> Position {
    Position {
        version,
        generated: Timestamp::from_unix_seconds(second),
    }
}

#[test]
fn a_list_is_believed_only_with_its_own_signed_statement() {
    let list = bytes(&[5]);
    let good = signed(&list, |_| {});
    assert_eq!(accepted(&good, None), Ok(position(3, 1000)));
    let other = SignedKrl {
        krl: STANDARD.encode(bytes(&[])),
        ..good.clone()
    };
    assert_eq!(accepted(&other, None), Err(ListError::Digest));
    let staging = signed(&list, |statement| {
        statement.environment = "staging".parse().unwrap();
    });
    assert!(matches!(
        accepted(&staging, None),
        Err(ListError::Environment(_))
    ));
    let forged = SignedKrl {
        statement: good.statement.replace("\n3\n", "\n4\n"),
        ..good
    };
    assert!(matches!(
        accepted(&forged, None),
        Err(ListError::Statement(_))
    ));
}

#[test]
fn an_empty_or_broken_list_is_refused_even_if_it_is_signed() {
    for list in [&b""[..], b"garbage", b"SSHKRL\n\0"] {
        assert!(matches!(
            accepted(&signed(list, |_| {}), None),
            Err(ListError::Krl(_))
        ));
    }
}

#[test]
fn a_list_older_than_one_seen_is_refused_and_the_same_one_again_is_not() {
    let list = signed(&bytes(&[5]), |_| {});
    for fine in [position(3, 1000), position(3, 999), position(2, 2000)] {
        assert!(accepted(&list, Some(fine)).is_ok());
    }
    for newer in [position(3, 1001), position(4, 0)] {
        assert!(matches!(
            accepted(&list, Some(newer)),
            Err(ListError::Older { .. })
        ));
    }
}

#[test]
fn the_list_without_the_authority_revokes_it_what_it_did_before_and_no_other_key() {
    let list = accept(
        &signed(&bytes(&[5]), |_| {}),
        &verifier(),
        &environment(),
        None,
    )
    .unwrap();
    assert_eq!(list.file(Standing::AsSigned, &authority(1)), bytes(&[5]));
    let strict = list.file(Standing::WithoutAuthority, &authority(1));
    let read = Krl::read(&strict).unwrap();
    assert!(read.revokes_key(authority(1).blob()));
    assert!(read.revokes_serial(&authority(1), 5));
    assert!(!read.revokes_key(authority(2).blob()));
    let first = before_the_first(&authority(1), Timestamp::from_unix_seconds(5));
    assert!(Krl::read(&first).unwrap().revokes_key(authority(1).blob()));
}

#[test]
fn lists_that_differ_in_their_time_only_say_the_same() {
    let one = bytes(&[5]);
    let mut later = one.clone();
    later[TIME_TO - 1] ^= 1;
    assert!(same(&one, &later));
    assert!(!same(&one, &bytes(&[6])));
    assert!(!same(&one, b""));
    assert!(!same(b"", b""));
}
