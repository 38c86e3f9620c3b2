//! Lists made wrong one field at a time: refused by both, or accepted by both with one meaning.

use super::super::example::{Probe, contents, key_of, openssh_revokes, other_authority, range};
use super::super::{
    CERTIFICATES, EXPLICIT_KEYS, KEY_IDS, Krl, KrlError, SERIAL_BITMAP, SERIAL_LIST, SERIAL_RANGE,
    SHA1_KEYS, SHA256_KEYS, SIGNATURE, SerialRangeError, Serials, write,
};
use crate::certificate::authority_key::ed25519_signature_blob;
use crate::certificate::example::{RawFields, authority, sign};
use crate::wire::string;

type Inner = (u8, Vec<u8>);

fn header() -> Vec<u8> {
    write(&contents(Serials::default()))
}

fn section(kind: u8, data: &[u8]) -> Vec<u8> {
    [vec![kind], string(data)].concat()
}

fn with_section(kind: u8, data: &[u8]) -> Vec<u8> {
    [header(), section(kind, data)].concat()
}

fn with_authority(blob: &[u8], reserved: &[u8], inner: &[Inner]) -> Vec<u8> {
    let mut data = [string(blob), string(reserved)].concat();
    for (kind, bytes) in inner {
        data.extend(section(*kind, bytes));
    }
    with_section(CERTIFICATES, &data)
}

pub(super) fn with_certificates(inner: &[Inner]) -> Vec<u8> {
    with_authority(key_of(&authority()).blob(), b"", inner)
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

fn bitmap(offset: u64, mpint: &[u8]) -> Inner {
    let data = [offset.to_be_bytes().to_vec(), string(mpint)].concat();
    (SERIAL_BITMAP, data)
}

/// `0x01` and then zeros: one bit, this many zero bytes below it.
fn one_bit_above(bytes: usize) -> Vec<u8> {
    [vec![1], vec![0; bytes]].concat()
}

fn refused_by_both(cases: Vec<(&str, Vec<u8>, KrlError)>) {
    for (name, bytes, error) in cases {
        assert_eq!(Krl::read(&bytes), Err(error), "{name}");
        let theirs = openssh_revokes(&bytes, &authority(), &[Probe::serial(1)]);
        theirs.expect_err(name);
    }
}

#[test]
fn files_that_are_not_whole_lists_are_refused_by_both() {
    let good = with_certificates(&[(SERIAL_LIST, numbers(&[1]))]);
    let cut = |length: usize| good[..length].to_vec();
    let mut format = good.clone();
    format[11] = 2;
    let text = format!("# {}\n", key_of(&authority()));
    refused_by_both(vec![
        ("empty", vec![], KrlError::Empty),
        ("magic only", cut(8), KrlError::Truncated),
        ("half a magic", cut(5), KrlError::Magic),
        ("header cut", cut(30), KrlError::Truncated),
        ("a byte missing", cut(good.len() - 1), KrlError::Truncated),
        (
            "a byte more",
            [good.clone(), vec![0]].concat(),
            KrlError::Truncated,
        ),
        ("format 2", format, KrlError::Format(2)),
        ("text of keys", text.into_bytes(), KrlError::Magic),
    ]);
}

#[test]
fn sections_that_openssh_9_2_does_not_know_are_refused_by_both() {
    let extension = [string(b"x@example.com"), vec![0], string(b"")].concat();
    let signature = [
        section(SIGNATURE, key_of(&authority()).blob()),
        string(b"?"),
    ]
    .concat();
    refused_by_both(vec![
        ("unknown", with_section(9, b""), KrlError::Section(9)),
        (
            "extension",
            with_section(255, &extension),
            KrlError::Section(255),
        ),
        (
            "signature",
            [header(), signature].concat(),
            KrlError::Signature,
        ),
        (
            "unknown inner",
            with_certificates(&[(0x24, vec![])]),
            KrlError::CertificatesSection(0x24),
        ),
        (
            "inner extension",
            with_certificates(&[(0x39, extension)]),
            KrlError::CertificatesSection(0x39),
        ),
        (
            "short SHA-1",
            with_section(SHA1_KEYS, &string(&[0; 19])),
            KrlError::HashLength(19),
        ),
        (
            "long SHA-256",
            with_section(SHA256_KEYS, &string(&[0; 33])),
            KrlError::HashLength(33),
        ),
        (
            "cut key",
            with_section(EXPLICIT_KEYS, &[0, 0, 0, 9, 1]),
            KrlError::Truncated,
        ),
    ]);
}

#[test]
fn a_good_signature_inside_a_list_is_refused_here_though_openssh_9_2_takes_it() {
    use ed25519_dalek::Signer as _;
    let mut bytes = with_certificates(&[(SERIAL_LIST, numbers(&[1]))]);
    bytes.extend(section(SIGNATURE, key_of(&authority()).blob()));
    let signature = ed25519_signature_blob(&authority().sign(&bytes).to_bytes());
    bytes.extend(string(&signature));
    assert_eq!(Krl::read(&bytes), Err(KrlError::Signature));
    let theirs = openssh_revokes(&bytes, &authority(), &[Probe::serial(1)]);
    assert_eq!(theirs, Ok(vec![true]));
}

#[test]
fn wrong_lists_and_ranges_of_serials_are_refused_by_both() {
    let zero = KrlError::Serials(SerialRangeError::Zero);
    let reversed = KrlError::Serials(SerialRangeError::Reversed);
    let list = |data| with_certificates(&[(SERIAL_LIST, data)]);
    let range = |data| with_certificates(&[(SERIAL_RANGE, data)]);
    refused_by_both(vec![
        ("zero in a list", list(numbers(&[1, 0])), zero),
        ("half a serial", list(vec![0; 7]), KrlError::Truncated),
        ("zero in a range", range(numbers(&[0, 5])), zero),
        ("reversed", range(numbers(&[6, 5])), reversed),
        (
            "two ranges",
            range(numbers(&[1, 2, 4, 5])),
            KrlError::Trailing(16),
        ),
        ("half a range", range(numbers(&[1])), KrlError::Truncated),
        ("no range", range(vec![]), KrlError::Truncated),
        (
            "NUL in a key id",
            with_certificates(&[(KEY_IDS, string(b"a\0b"))]),
            KrlError::Nul,
        ),
    ]);
}

#[test]
fn wrong_bitmaps_are_refused_by_both() {
    let one = |inner| with_certificates(&[inner]);
    let (offset, mpint) = (1_u64.to_be_bytes().to_vec(), string(&[1]));
    let trailing = [offset, mpint, vec![0]].concat();
    let long_zeros = [vec![0; 2049], vec![1]].concat();
    refused_by_both(vec![
        (
            "zero",
            one(bitmap(0, &[1])),
            KrlError::Serials(SerialRangeError::Zero),
        ),
        (
            "negative",
            one(bitmap(1, &[0x80])),
            KrlError::BitmapNegative,
        ),
        (
            "16,385 bits",
            one(bitmap(1, &one_bit_above(2048))),
            KrlError::BitmapTooLarge,
        ),
        (
            "2,050 bytes",
            one(bitmap(1, &long_zeros)),
            KrlError::BitmapTooLarge,
        ),
        (
            "beyond the last serial",
            one(bitmap(u64::MAX, &[2])),
            KrlError::BitmapWraps,
        ),
        (
            "trailing",
            one((SERIAL_BITMAP, trailing)),
            KrlError::Trailing(1),
        ),
    ]);
}

#[test]
fn authorities_that_are_no_keys_are_refused_by_both() {
    let good = key_of(&authority());
    let (good, one) = (good.blob(), [(SERIAL_LIST, numbers(&[1]))]);
    let unknown = [string(b"ssh-unknown"), string(&[0; 32])].concat();
    let short = [string(b"ssh-ed25519"), string(&[0; 31])].concat();
    let off_curve = {
        let point = [vec![4], vec![1; 64]].concat();
        [
            string(b"ecdsa-sha2-nistp256"),
            string(b"nistp256"),
            string(&point),
        ]
        .concat()
    };
    let weak = [string(b"ssh-rsa"), string(&[3]), string(&[0x7f; 127])].concat();
    let cases = [
        ("unknown", unknown),
        ("short", short),
        ("off the curve", off_curve),
        ("weak", weak),
        ("trailing", [good, b"x"].concat()),
        ("not wire data", b"ssh-ed25519".to_vec()),
    ];
    let error = KrlError::Authority;
    let lists = cases.map(|(name, blob)| (name, with_authority(&blob, b"", &one), error));
    refused_by_both(lists.to_vec());
}

/// Both verdicts on these serials of the example's authority.
fn agree(name: &str, bytes: &[u8], serials: &[(u64, bool)]) {
    let probes: Vec<_> = serials
        .iter()
        .map(|(serial, _)| Probe::serial(*serial))
        .collect();
    let expected: Vec<bool> = serials.iter().map(|(_, revoked)| *revoked).collect();
    let theirs = openssh_revokes(bytes, &authority(), &probes);
    assert_eq!(theirs.as_ref(), Ok(&expected), "{name}");
    let read = Krl::read(bytes).expect(name);
    let ours: Vec<bool> = probes
        .iter()
        .map(|p| p.revoked_by(&read, &authority()))
        .collect();
    assert_eq!(ours, expected, "{name}");
}

#[test]
fn odd_lists_and_ranges_that_openssh_reads_mean_the_same_to_both() {
    let list = |serials: &[u64]| (SERIAL_LIST, numbers(serials));
    let twice = with_certificates(&[list(&[9, 3, 9])]);
    agree(
        "unordered, twice",
        &twice,
        &[(3, true), (4, false), (9, true)],
    );
    agree(
        "empty list",
        &with_certificates(&[list(&[])]),
        &[(1, false)],
    );
    let ranges = [[5, 9], [8, 12], [13, 20], [4, 30]];
    let bridged = with_certificates(&ranges.map(|range| (SERIAL_RANGE, numbers(&range))));
    let ends = [(3, false), (4, true), (30, true), (31, false)];
    agree("overlapping, touching, bridging", &bridged, &ends);
    let mut flags = with_certificates(&[list(&[1])]);
    flags[31] = 0xff;
    agree("flags", &flags, &[(1, true), (2, false)]);
}

#[test]
fn odd_bitmaps_that_openssh_reads_mean_the_same_to_both() {
    let agree = |name: &str, inner: Inner, serials: &[(u64, bool)]| {
        agree(name, &with_certificates(&[inner]), serials);
    };
    let top = [vec![0, 0x80], vec![0; 2047]].concat();
    let ends = [(1, false), (16_383, false), (16_384, true), (16_385, false)];
    agree("largest", bitmap(1, &top), &ends);
    let ends = [(0, false), (1, true), (2, true), (3, false)];
    agree("zeros in front, from 0", bitmap(0, &[0, 0, 0, 6]), &ends);
    agree("of nothing", bitmap(u64::MAX, &[]), &[(u64::MAX, false)]);
    let ends = [(u64::MAX - 1, false), (u64::MAX, true)];
    agree("at the upper end", bitmap(u64::MAX - 1, &[2]), &ends);
}

#[test]
fn odd_authorities_and_keys_that_openssh_reads_mean_the_same_to_both() {
    let (key, one) = (key_of(&authority()), [(SERIAL_LIST, numbers(&[1]))]);
    let reserved = with_authority(key.blob(), b"?", &one);
    agree("reserved", &reserved, &[(1, true), (2, false)]);
    let every = with_authority(b"", b"", &one);
    agree("every authority", &every, &[(1, true), (2, false)]);
    let certificate = sign(&RawFields::new().bytes());
    let explicit = with_section(EXPLICIT_KEYS, &string(&certificate));
    agree("certificate as a key", &explicit, &[(42, false)]);
    let nested = with_authority(&certificate, b"", &one);
    agree("certificate as authority", &nested, &[(1, false)]);
}

#[test]
fn sections_about_one_authority_add_up() {
    let one = with_certificates(&[(SERIAL_LIST, numbers(&[1]))]);
    let two = with_certificates(&[(SERIAL_RANGE, numbers(&[2, 3]))]);
    let bytes = [one, two[header().len()..].to_vec()].concat();
    agree(
        "two sections",
        &bytes,
        &[(1, true), (2, true), (3, true), (4, false)],
    );
    let read = Krl::read(&bytes).unwrap();
    let all: Serials = [range(1, 3)].into_iter().collect();
    assert_eq!(read.serials(&key_of(&authority())), Some(&all));
    assert_eq!(read.serials(&key_of(&other_authority())), None);
}
