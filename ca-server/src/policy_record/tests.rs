use std::sync::Arc;

use super::*;
use crate::ca::example::Example;
use crate::policy::EXAMPLES;

fn examples() -> Vec<Source> {
    let sources = EXAMPLES.iter().filter(|(name, _)| !name.contains('/'));
    sources
        .map(|(name, text)| Source::new(name, text))
        .collect()
}

#[test]
fn the_parts_of_a_set_are_its_texts_and_fit_into_records() {
    let mut sources = examples();
    let long = format!("// {}\n", "long ".repeat(PART_BYTES_MAX));
    sources[1].text.insert_str(0, &long);
    let set = PolicySet::from_sources(&sources).unwrap();
    let parts = parts(&set).unwrap();
    assert!(parts.len() > sources.len() + 4);
    for (at, part) in parts.iter().enumerate() {
        assert_eq!(usize::try_from(part.part).unwrap(), at);
        assert!(part.text.len() <= PART_BYTES_MAX);
    }
    assert_eq!(joined(&parts), set.sources());
}

#[test]
fn a_text_is_cut_between_characters_and_an_empty_one_is_kept() {
    let text = "ä".repeat(PART_BYTES_MAX);
    let pieces_of = |text| pieces(text).collect::<Vec<_>>();
    assert_eq!(pieces_of(&text).concat(), text);
    assert_eq!(pieces_of(&text).len(), 2);
    assert_eq!(pieces_of(""), [""]);
}

#[test]
fn a_part_of_characters_that_are_all_escaped_fits_into_a_record() {
    let text = "\u{1}".repeat(PART_BYTES_MAX);
    let part = PolicyText {
        policy_digest: Digest::of(b"set"),
        file: "x".repeat(255),
        part: u32::MAX,
        parts: u32::MAX,
        text,
    };
    assert!(Event::PolicyText(part).to_bytes().unwrap().len() <= 16 * 1024);
}

#[tokio::test]
async fn whoever_has_the_log_can_build_every_set_that_decided() {
    let example = Example::start().await;
    let store = Arc::clone(&example.ca.store);
    let first = example.ca.policies.current();
    let mut sources = first.sources().to_vec();
    sources.retain(|source| source.name != "break_glass.cedar");
    let second = PolicySet::from_sources(&sources).unwrap();
    example.ca.admit_policies(&second, None).await.unwrap();
    for set in [&*first, &second] {
        let digest = Digest::from_bytes(set.digest());
        let rebuilt = rebuild(store.as_ref(), digest).unwrap().unwrap();
        assert_eq!(rebuilt.sources(), set.sources());
        assert_eq!(rebuilt.digest(), set.digest());
    }
    let never = Digest::of(b"never in force");
    assert!(texts(store.as_ref(), never).unwrap().is_none());
}

#[tokio::test]
async fn a_set_that_is_in_the_log_already_is_not_written_again() {
    let example = Example::start().await;
    let size = || example.ca.store.head().unwrap().unwrap().size;
    let before = size();
    let current = example.ca.policies.current();
    example.ca.admit_policies(&current, None).await.unwrap();
    assert_eq!(size(), before);
}
