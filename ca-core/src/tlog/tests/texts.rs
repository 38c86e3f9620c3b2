//! Notes, checkpoints and receipts: what is accepted, what is refused, and that nothing panics.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::{Tree, key_called, log_key, numbered_leaves};
use crate::tlog::checkpoint::{Checkpoint, CheckpointError};
use crate::tlog::hash::{EMPTY_ROOT, leaf_hash};
use crate::tlog::note::{self, KeyName, NoteError, SIGNATURES_MAX, VerifierKey, VerifierKeyError};
use crate::tlog::proof::{ProofError, SIZE_MAX, inclusion};
use crate::tlog::receipt::{EXTRA_LENGTH_MAX, Receipt, ReceiptError};

const SIZE: u64 = 300;

fn checkpoint() -> Checkpoint {
    let root = Tree::over(numbered_leaves(SIZE)).root(0, SIZE);
    Checkpoint::new(log_key().1.name().clone(), SIZE, root).unwrap()
}

fn receipt(index: u64) -> Receipt {
    let tree = Tree::over(numbered_leaves(SIZE));
    let proof = inclusion(index, SIZE, |l, i| tree.read(l, i)).unwrap();
    let extra = Some(b"the entry".to_vec());
    Receipt::new(extra, index, proof, checkpoint().sign(&log_key().0)).unwrap()
}

#[test]
fn signatures_of_strangers_are_ignored_but_none_is_needed() {
    let (key, verifier) = log_key();
    let (stranger, other) = key_called("witness.example", 9);
    let text = "first\n\nsecond\n";
    let signed = note::sign(text, verifier.name(), &key).unwrap();
    let both = format!(
        "{signed}{}",
        note::signature_line(text, other.name(), &stranger)
    );
    let known = std::slice::from_ref(&verifier);
    assert_eq!(note::open(&both, known), Ok(text));
    assert_eq!(note::open(&both, std::slice::from_ref(&other)), Ok(text));
    assert_eq!(note::open(&signed, &[other]), Err(NoteError::Unsigned));
    assert_eq!(note::open(&signed, &[]), Err(NoteError::Unsigned));
    // The same name with another key is a stranger, too.
    let impostor = key_called(verifier.name().as_str(), 9).0;
    let forged = note::sign(text, verifier.name(), &impostor).unwrap();
    assert_eq!(note::open(&forged, known), Err(NoteError::Unsigned));
}

#[test]
fn one_wrong_signature_of_a_known_key_rejects_the_note() {
    let (key, verifier) = log_key();
    let name = verifier.name();
    let good = note::sign("text\n", name, &key).unwrap();
    let wrong = note::signature_line("other\n", name, &key);
    let expected = NoteError::Signature {
        name: name.to_string(),
    };
    let keys = [verifier.clone()];
    assert_eq!(
        note::open(&format!("{good}{wrong}"), &keys),
        Err(expected.clone())
    );
    assert_eq!(
        note::open(&format!("text\n\n{wrong}"), &keys),
        Err(expected)
    );
}

#[test]
fn a_note_has_one_shape() {
    let (key, verifier) = log_key();
    let good = note::sign("text\n", verifier.name(), &key).unwrap();
    let line = note::signature_line("text\n", verifier.name(), &key);
    let keys = [verifier];
    for bad in [
        String::new(),
        "\n\n".to_owned(),
        "text\n\n".to_owned(),
        format!("text\n{line}"),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        format!("{good}junk\n"),
        good.replace('\u{2014}', "-"),
        good.replace("2026a ", "2026a"),
        good.replace("2026a ", "2026a  "),
        good.replace("log.example", "log+example"),
        good.replace("log.example", "log\u{a0}example"),
        format!("{good}\u{2014} short AAAAAA==\n"),
    ] {
        let outcome = note::open(&bad, &keys);
        assert_eq!(outcome, Err(NoteError::Malformed), "{bad:?}");
    }
    let carriage = good.replace("text", "te\rxt");
    assert_eq!(note::open(&carriage, &keys), Err(NoteError::Control));
    let name = keys[0].name();
    assert_eq!(
        note::sign("no line feed", name, &key),
        Err(NoteError::Malformed)
    );
    assert_eq!(note::sign("tab\t\n", name, &key), Err(NoteError::Control));
}

#[test]
fn notes_are_bounded_but_many_signatures_are_accepted() {
    let (key, verifier) = log_key();
    let line = note::signature_line("text\n", verifier.name(), &key);
    let keys = [verifier];
    let note = |lines: usize| format!("text\n\n{}", line.repeat(lines));
    assert_eq!(note::open(&note(SIGNATURES_MAX), &keys), Ok("text\n"));
    let crowded = note(SIGNATURES_MAX + 1);
    let found = note::open(&crowded, &keys);
    assert_eq!(found, Err(NoteError::TooManySignatures));
    let long = "a".repeat(note::NOTE_LENGTH_MAX);
    assert_eq!(
        note::open(&format!("{long}\n\n{line}"), &keys),
        Err(NoteError::TooLong)
    );
}

#[test]
fn verifier_keys_and_names_are_read_strictly() {
    let (_, verifier) = log_key();
    let text = verifier.to_string();
    assert_eq!(text.parse(), Ok(verifier.clone()));
    let json = serde_json::to_string(&verifier).unwrap();
    assert_eq!(
        serde_json::from_str::<VerifierKey>(&json).unwrap(),
        verifier
    );
    let other_name = text.replace("2026a", "2026b").parse::<VerifierKey>();
    assert_eq!(other_name, Err(VerifierKeyError::Id));
    let mut key = vec![4];
    key.extend_from_slice(verifier.public().as_bytes());
    let cosigner = format!("{}+00000000+{}", verifier.name(), STANDARD.encode(key));
    let outcome = cosigner.parse::<VerifierKey>();
    assert_eq!(outcome, Err(VerifierKeyError::Algorithm { found: 4 }));
    for bad in [
        "",
        "+",
        "name",
        "name+00000000",
        "name+00000000+",
        "name+00000000+AA",
        " +a+b",
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad:?}");
    }
    for bad in [
        "",
        "a b",
        "a+b",
        "a\u{2003}b",
        "a\nb",
        "a\0b",
        &"a".repeat(256),
    ] {
        assert!(bad.parse::<KeyName>().is_err(), "{bad:?}");
    }
    assert!("a".repeat(255).parse::<KeyName>().is_ok());
}

#[test]
fn a_checkpoint_is_three_lines_and_opens_under_the_key_of_its_log() {
    let (key, verifier) = log_key();
    let checkpoint = checkpoint();
    let text = checkpoint.to_string();
    let root = checkpoint.root();
    assert_eq!(text, format!("log.example/2026a\n300\n{root}\n"));
    let signed = checkpoint.sign(&key);
    assert_eq!(Checkpoint::open(&signed, &verifier), Ok(checkpoint));
    let (other, other_verifier) = key_called("other.example", 7);
    let foreign = note::sign(&text, other_verifier.name(), &other).unwrap();
    let outcome = Checkpoint::open(&foreign, &other_verifier);
    assert!(
        matches!(outcome, Err(CheckpointError::Origin { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_signed_checkpoint_in_any_other_spelling_is_refused() {
    let (key, verifier) = log_key();
    let name = verifier.name();
    let good = checkpoint().to_string();
    let root = checkpoint().root().to_string();
    for bad in [
        format!("{good}extension\n"),
        format!("{good}\n"),
        format!("\n{good}"),
        good.replace("300", "0300"),
        good.replace("300", "+300"),
        good.replace("300", "300 "),
        good.replace("300", ""),
        good.replace(&root, root.trim_end_matches('=')),
        good.replace(&root, ""),
        good.replace("log.example/", "log example/"),
    ] {
        let signed = note::sign(&bad, name, &key).unwrap();
        let outcome = Checkpoint::open(&signed, &verifier);
        assert_eq!(outcome, Err(CheckpointError::Malformed), "{bad:?}");
    }
    let origin = name.clone();
    let empty = Checkpoint::new(origin.clone(), 0, checkpoint().root());
    assert_eq!(empty, Err(CheckpointError::Tree));
    assert!(Checkpoint::new(origin.clone(), 0, EMPTY_ROOT).is_ok());
    assert!(Checkpoint::new(origin.clone(), SIZE_MAX, EMPTY_ROOT).is_ok());
    assert!(Checkpoint::new(origin, SIZE_MAX + 1, EMPTY_ROOT).is_err());
}

#[test]
fn a_receipt_has_the_lines_of_a_tlog_proof() {
    let receipt = receipt(299);
    let text = receipt.to_string();
    let hashes: String = receipt
        .proof()
        .iter()
        .map(|hash| format!("{hash}\n"))
        .collect();
    let expected = format!(
        "c2sp.org/tlog-proof@v1\nextra dGhlIGVudHJ5\nindex 299\n{hashes}\n{}",
        checkpoint().sign(&log_key().0)
    );
    assert_eq!(text, expected);
    assert_eq!(text.parse(), Ok(receipt));
}

#[test]
fn a_receipt_without_extra_data_and_hashes_is_read() {
    let leaf = leaf_hash(b"only");
    let (key, verifier) = log_key();
    let checkpoint = Checkpoint::new(verifier.name().clone(), 1, leaf).unwrap();
    let receipt = Receipt::new(None, 0, vec![], checkpoint.sign(&key)).unwrap();
    let text = receipt.to_string();
    assert!(
        text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example"),
        "{text}"
    );
    assert_eq!(
        text.parse::<Receipt>().unwrap().verify(b"only", &verifier),
        Ok(checkpoint)
    );
}

#[test]
fn a_receipt_shows_its_own_entry_at_its_own_place_only() {
    let (_, verifier) = log_key();
    let entry = |n: u64| n.to_be_bytes();
    let good = receipt(299);
    assert_eq!(good.verify(&entry(299), &verifier), Ok(checkpoint()));
    assert_eq!(
        good.verify(&entry(298), &verifier),
        Err(ReceiptError::Proof(ProofError::Root))
    );
    let moved = Receipt::new(
        None,
        300,
        good.proof().to_vec(),
        good.checkpoint().to_owned(),
    );
    let outside = ProofError::OutOfRange {
        position: 300,
        size: 300,
    };
    assert_eq!(
        moved.unwrap().verify(&entry(299), &verifier),
        Err(ReceiptError::Proof(outside))
    );
    let stranger = key_called("log.example/2026a", 9).1;
    let unsigned = ReceiptError::Checkpoint(CheckpointError::Note(NoteError::Unsigned));
    assert_eq!(good.verify(&entry(299), &stranger), Err(unsigned));
}

#[test]
fn a_receipt_has_one_spelling_and_bounds() {
    let good = receipt(5).to_string();
    let index = "index 5\n";
    for bad in [
        good.replace("@v1", "@v2"),
        good.replace("extra ", "Extra "),
        good.replace("extra ", "extra  "),
        good.replace("dGhlIGVudHJ5", "dGhlIGVudHJ5=="),
        good.replace(index, ""),
        good.replace(index, "index 05\n"),
        good.replace(index, "index 5 \n"),
        good.replace(index, "index 5\nindex 5\n"),
        good.replace(index, "index 5\nextra AA==\n"),
        good.replace('\n', "\r\n"),
        format!("\n{good}"),
    ] {
        assert_eq!(
            bad.parse::<Receipt>(),
            Err(ReceiptError::Malformed),
            "{bad:?}"
        );
    }
    assert!(format!("{good}\n").parse::<Receipt>().is_err());
    let hash = format!("{index}{EMPTY_ROOT}\n");
    let long = good.replace(
        index,
        &hash.replacen("=\n", &format!("=\n{EMPTY_ROOT}\n").repeat(63), 1),
    );
    assert!(long.parse::<Receipt>().is_err());
    let note = checkpoint().sign(&log_key().0);
    let with = |extra, hashes| {
        Receipt::new(
            Some(vec![0; extra]),
            0,
            vec![EMPTY_ROOT; hashes],
            note.clone(),
        )
    };
    assert!(with(EXTRA_LENGTH_MAX, 63).is_ok_and(|it| it.to_string().parse() == Ok(it)));
    assert_eq!(with(EXTRA_LENGTH_MAX + 1, 0), Err(ReceiptError::TooLong));
    assert_eq!(with(0, 64), Err(ReceiptError::TooLong));
}

/// A valid text with some characters replaced, removed or doubled.
fn damaged(text: String) -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, any::<char>()), 1..4);
    edits.prop_map(move |edits| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, what, new) in edits {
            let at = at.index(chars.len());
            match what {
                0 => chars[at] = new,
                1 => drop(chars.remove(at)),
                _ => chars.insert(at, chars[at]),
            }
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(?s).{0,200}") {
        let (_, verifier) = log_key();
        prop_assert!(text.parse::<Receipt>().is_err());
        prop_assert!(Checkpoint::open(&text, &verifier).is_err());
        prop_assert!(text.parse::<VerifierKey>().is_err());
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            prop_assert_eq!(checkpoint.to_string(), text);
        }
    }

    #[test]
    fn a_damaged_receipt_is_refused_or_reads_back_as_it_was_written(text in damaged(receipt(77).to_string())) {
        if let Ok(receipt) = text.parse::<Receipt>() {
            prop_assert_eq!(receipt.to_string(), text);
        }
    }

    #[test]
    fn a_damaged_verifier_key_is_refused_or_reads_back_as_it_was_written(text in damaged(log_key().1.to_string())) {
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn a_damaged_checkpoint_never_states_another_tree(text in damaged(checkpoint().sign(&log_key().0))) {
        if let Ok(opened) = Checkpoint::open(&text, &log_key().1) {
            prop_assert_eq!(opened, checkpoint());
        }
    }
}
